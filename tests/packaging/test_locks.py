"""The images' locks: parts of the one lock, and as much of it as each target asks for."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
#: What an image runs.
MODULES = {
    "api": ("api.app", "azure.identity"),
    "worker": ("worker.process.celery_app", "worker.sweep.sweep_pass", "worker.alive", "azure.identity"),
    "simulator": ("simulator.app",),
}
#: Imports modules as if some packages were not installed.
WITHOUT = """
import sys
class Without:
    gone = {*sys.argv[1].split(",")}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.gone:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
for name in sys.argv[2:]:
    __import__(name)
"""
EXTRAS = {"api": {"api", "azure"}, "worker": {"worker", "azure"}, "simulator": {"simulator"}}


def pinned(lock: str) -> dict[str, set[str]]:
    """The versions that a lock pins, by name: several where the platform decides."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.removesuffix("\\").strip())
            found.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier))
    return found


def asked(extras: set[str]) -> list[Requirement]:
    """What the project itself asks for with these extras, those they name included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(one) for one in project["dependencies"]]
    for extra in extras:
        for one in map(Requirement, project["optional-dependencies"][extra]):
            wanted += asked(one.extras) if one.name == "maskrelay" else [one]
    return wanted


@pytest.mark.parametrize("target", [*EXTRAS, "build"])
def test_an_images_lock_is_a_part_of_the_one_lock_with_equal_versions(target: str):
    whole, part = pinned("requirements/all.lock"), pinned(f"requirements/{target}.lock")
    assert part
    assert {name: versions for name, versions in part.items() if not versions <= whole.get(name, set())} == {}
    assert len(part) < len(whole)


@pytest.mark.parametrize("target", EXTRAS)
def test_an_images_lock_holds_whatever_its_extras_ask_for(target: str):
    part = pinned(f"requirements/{target}.lock")
    for one in asked(EXTRAS[target]):
        versions = part.get(canonicalize_name(one.name), set())
        assert versions, f"{one.name}: run `make lock`"
        assert all(one.specifier.contains(version.removeprefix("==")) for version in versions), one


@pytest.mark.parametrize("target", MODULES)
def test_a_target_needs_no_package_that_its_lock_does_not_hold(target: str):
    """In every run; the image itself is built only when its own files have changed."""
    part = {*pinned(f"requirements/{target}.lock"), "maskrelay"}
    others = [top for top, of in packages_distributions().items() if not part & {*map(canonicalize_name, of)}]
    assert {"pytest", "mypy"} <= {*others}
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(others), *MODULES[target]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_the_build_uses_the_backend_that_the_project_names():
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert pinned("requirements/build.lock")["hatchling"] == {"==" + backend[0].partition("==")[2]}


@pytest.mark.parametrize("lock", [f"requirements/{target}.lock" for target in [*EXTRAS, "build"]])
def test_every_line_of_a_lock_has_its_hashes(lock: str):
    text = (ROOT / lock).read_text()
    for entry in text.split("\n")[:-1]:
        if entry[:1].isalnum():
            assert entry.endswith("\\"), entry
    assert text.count("--hash=sha256:") >= len(pinned(lock))
