"""The wheel alone: in an environment with nothing but what it declares, the client and the command work."""

import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "maskrelay")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what the package is made of."""
    source = tmp_path_factory.mktemp("source")
    for name in PARTS:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, source / name)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(source / "dist")]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (built,) = (source / "dist").glob("*.whl")
    return built


def needed(requirements: list[str], extra: str = "") -> Iterator[Distribution]:
    """The installed distributions that these requirements name, and theirs, for this machine."""
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            found = distribution(requirement.name)
            yield found
            yield from needed(found.requires or [])


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel and its dependencies, with no extra."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (declared,) = packages.glob("maskrelay-*.dist-info")
    for found in needed(Distribution.at(declared).requires or []):
        for top in {Path(path).parts[0] for path in found.files or [] if Path(path).parts[0] != ".."}:
            if not (packages / top).exists():
                (packages / top).symlink_to(found.locate_file(top))
    return folder / "bin" / "python"


def run(python: Path, code: str, *arguments: str) -> str:
    command = [str(python), "-I", "-c", code, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=python.parent)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_client_is_imported_and_nothing_else_is_there(python: Path) -> None:
    said = run(python, "import maskrelay.client, sys; print(maskrelay.client.__file__, 'numpy' in sys.modules)")
    assert str(python.parent.parent) in said
    assert "False" in said
    assert "None None" in run(python, "from importlib.util import find_spec as f; print(f('numpy'), f('redis'))")


def test_the_command_shows_its_help_and_the_commands_of_a_client(python: Path) -> None:
    find = "from importlib.metadata import entry_points; [it] = entry_points(group='console_scripts', name='maskrelay')"
    said = run(python, f"{find}; it.load()()", "--help")
    assert "usage: maskrelay" in said
    assert {"submit", "wait", "jobs", "dead-letters"} <= set(said.split())


def test_it_holds_its_types_its_scripts_its_licence_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "maskrelay/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert any(name.endswith("settle.lua") for name in names)
    assert {Path(name).parts[0].split("-")[0] for name in names} == {"maskrelay"}


def test_every_command_that_it_names_is_in_it(wheel: Path, python: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    (declared,) = (name for name in names if name.endswith("/entry_points.txt"))
    found = ConfigParser()
    found.read_string(zipfile.ZipFile(wheel).read(declared).decode())
    modules = {
        place.partition(":")[0].replace(".", "/") + ".py" for group in found.values() for place in group.values()
    }
    assert modules
    assert modules <= set(names)
    find = "from importlib.metadata import entry_points; [it] = entry_points(group='console_scripts', name='maskrelay')"
    assert "recover" not in run(python, f"{find}; it.load()()", "--help").split()
