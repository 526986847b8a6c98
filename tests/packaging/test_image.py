"""The Dockerfile: what its targets hold, replayed step by step in fresh environments, and how they start."""

import json
import os
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.packaging.dockerfile import Replay, Stage, instructions, stages

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "Dockerfile").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
OURS = {("maskrelay", VERSION)}
TARGETS = ["api", "worker", "simulator"]
#: What each target can import, and what it must be without.
IMPORTS = {
    "api": (["api.app"], ["numpy", "PIL", "pydicom", "pip", "pytest", "worker"]),
    "worker": (["worker.process.celery_app", "worker.alive", "azure.identity"], ["fastapi", "pip", "pytest", "api"]),
    "simulator": (["simulator.app"], ["maskrelay", "celery", "pip", "pytest"]),
}


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return Replay(ROOT, tmp_path_factory.mktemp("image"))


def python(stage: Stage, code: str) -> "subprocess.CompletedProcess[str]":
    """Run `code` as the image would: in its folder, with its environment and with nothing of ours."""
    interpreter = stage.path("/opt/maskrelay/bin/python")
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [interpreter, "-c", code], cwd=stage.path("."), env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow_subject("image")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_a_target_built_step_by_step_holds_what_it_needs_and_no_more(replay: Replay, target: str):
    stage = replay.stage(target)
    needed, absent = IMPORTS[target]
    for module in needed:
        ended = python(stage, f"import {module}")
        assert ended.returncode == 0, ended.stderr
    for module in absent:
        assert "ModuleNotFoundError" in python(stage, f"import {module}").stderr, module
    sbom = json.loads(stage.path("/usr/share/doc/maskrelay/sbom.cdx.json").read_text())
    listed = {(canonicalize_name(one["name"]), one["version"]) for one in sbom["components"]}
    code = "from importlib import metadata as m\nfor d in m.distributions(): print(d.name, d.version)"
    installed = {tuple(line.split(" ")) for line in python(stage, code).stdout.splitlines()}
    assert {(canonicalize_name(name), version) for name, version in installed} - OURS == listed


def test_no_step_and_no_start_needs_a_shell():
    for word, rest in instructions(TEXT):
        if word in {"RUN", "CMD", "ENTRYPOINT"}:
            assert all(isinstance(one, str) for one in json.loads(rest)), rest


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_small_not_root_and_labelled(target: str):
    every = stages(TEXT)
    parent, steps = every[target]
    assert parent == "runtime"
    assert not [rest for word, rest in steps if word in {"RUN", "USER"}]
    said = dict(every["runtime"][1])
    assert said["USER"] == "10001:10001"
    assert f'image.version="{VERSION}"' in said["LABEL"]
    for label in ("title", "description", "version", "licenses"):
        assert f"org.opencontainers.image.{label}=" in said["LABEL"]


def test_whatever_is_installed_is_pinned_by_hash_or_built_here():
    for word, rest in instructions(TEXT):
        if word == "RUN" and "install" in json.loads(rest):
            assert "--require-hashes" in rest or "--no-index" in rest


def test_what_is_copied_is_let_through_to_the_build():
    through = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = [rest.split(" ")[:-1] for word, rest in instructions(TEXT) if word == "COPY" and "--from" not in rest]
    for one in {one for line in copied for one in line}:
        assert (ROOT / one).exists(), one
        assert any(fnmatch(one, pattern) for pattern in through), one
