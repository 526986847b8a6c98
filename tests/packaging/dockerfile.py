"""Replays a Dockerfile's stages in folders: COPY and RUN are carried out, the rest is returned as it is written.

A stage's file system is a folder. A path of the image is one below it; `python` of the base image is this very one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """A stage as far as it was replayed: where its files lie, and what its last ENTRYPOINT, CMD, USER … say."""

    root: Path
    workdir: str = "/"
    said: dict[str, str] = field(default_factory=dict)

    def path(self, inside: str) -> Path:
        return self.root / os.path.normpath(os.path.join(self.workdir, inside)).lstrip("/")  # noqa: PTH118


def instructions(text: str) -> list[tuple[str, str]]:
    """Every instruction of a Dockerfile: its word and the rest, comments and continued lines resolved."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages(text: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """The stages by name: what each begins from, and its instructions."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    current: list[tuple[str, str]] = []
    for word, rest in instructions(text):
        if word == "FROM":
            parent, _, name = rest.split(" ")
            current = []
            found[name] = parent, current
        else:
            current.append((word, rest))
    return found


class Replay:
    """Replays stages of the Dockerfile of `source` below `folder`, each once."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._stages = stages((source / "Dockerfile").read_text())
        self._done: dict[str, Stage] = {}

    def stage(self, name: str) -> Stage:
        if name not in self._done:
            parent, steps = self._stages[name]
            stage = Stage(self._folder / name)
            if parent in self._stages:
                before = self.stage(parent)
                stage.workdir, stage.said = before.workdir, dict(before.said)
                _copy(before.root, stage.root)
            stage.root.mkdir(exist_ok=True)
            for word, rest in steps:
                self._step(stage, word, rest)
            self._done[name] = stage
        return self._done[name]

    def _step(self, stage: Stage, word: str, rest: str) -> None:
        if word == "WORKDIR":
            stage.workdir = rest
            stage.path(".").mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            self._copy_step(stage, rest.split(" "))
        elif word == "RUN":
            self._run(stage, json.loads(rest))
        else:
            stage.said[word] = rest

    def _copy_step(self, stage: Stage, words: list[str]) -> None:
        source = Stage(self._source)
        if words[0].startswith("--from="):
            source = self.stage(words.pop(0).removeprefix("--from="))
        *copied, target = words
        for one in copied:
            place = stage.path(target)
            if target.endswith("/"):
                place = place / Path(one).name
            place.parent.mkdir(parents=True, exist_ok=True)
            _copy(source.root / one.lstrip("/"), place)

    def _run(self, stage: Stage, command: list[str]) -> None:
        program, *arguments = command
        placed = [str(stage.path(one)) if one.startswith("/") else one for one in (program, *arguments)]
        placed[0] = sys.executable if program == "python" else placed[0]
        environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "CI"}}
        environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ONLY_BINARY": ":all:"}
        ended = subprocess.run(
            placed, cwd=stage.path("."), env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"


def _copy(source: Path, target: Path) -> None:
    """Hard links where they go: an environment has thousands of files."""
    if source.is_dir():
        skipped = shutil.ignore_patterns("__pycache__") if (source / "__init__.py").exists() else None
        shutil.copytree(source, target, symlinks=True, copy_function=_link, ignore=skipped, dirs_exist_ok=True)
    else:
        _link(str(source), str(target))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
