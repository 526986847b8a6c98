"""README and the tutorial as a reader types them: every fenced command, in order, in a folder like a fresh clone.

A block of `sh` is a command, a block of `python` is saved as `example.py`, and a block of `text` or `json` is what the
command before it prints: its plain words, or its members and states, have to be in what is really printed.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maskrelay.stack.loopback import free_port
from tests.support.checks.system_programs import system_program
from tests.support.servers.simulators import eventually

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {"sh", "python", "text", "json", ""}
UP = "make up"
COMMAND_S, START_S = 240, 120
#: What shows the same in every run: no numbers, ids, paths from the root or addresses.
PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z_./'-]*")


def blocks(page: Path) -> list[tuple[str, str]]:
    """The page's fenced blocks: language and text."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody with two terminals in a clone: `make up` runs in one, everything else in the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")}
        self.environment = kept | {"PORT": str(free_port()), "DATA": str(folder / "data")}
        self.up: subprocess.Popen[str] | None = None

    def type(self, command: str) -> str:
        """What the command prints. Variables that it sets stay set; `make up` goes on in the background."""
        if command.strip() == UP:
            return self._start()
        script = f"set -eao pipefail\n{command}\nenv -0 > {self.folder / 'environment'}\n"
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}"
        variables = (self.folder / "environment").read_text().split("\0")
        self.environment = dict(variable.split("=", 1) for variable in variables if variable)
        return ran.stdout

    def _start(self) -> str:
        """Start the service, and paste the `export` lines that it prints into the other terminal."""
        said = self.folder / "up.txt"
        with said.open("w") as output:
            self.up = subprocess.Popen(
                ["make", "up"], cwd=self.folder, env=self.environment, stdout=output, stderr=output, process_group=0
            )
        up = self.up
        assert eventually(lambda: "Press Ctrl-C" in said.read_text() or up.poll() is not None, START_S)
        exports = re.findall(r"^ +(export MASKRELAY_(?:URL|API_KEY)=\S+)$", said.read_text(), re.MULTILINE)
        assert len(exports) == 2, said.read_text()
        self.type("\n".join(exports))
        return said.read_text()

    def end(self) -> str:
        """Press Ctrl-C where `make up` runs; what was printed there."""
        assert self.up is not None
        os.killpg(self.up.pid, signal.SIGINT)
        self.up.wait(COMMAND_S)
        return (self.folder / "up.txt").read_text()


@contextmanager
def reader_in_a_clone(folder: Path) -> Iterator[Reader]:
    """A reader in a folder that holds what a clone holds; the virtual environment is made already."""
    made = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    for entry in ROOT.iterdir():
        if entry.name not in made and entry.name != ".git":
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".ready":
            (folder / ".venv" / entry.name).symlink_to(entry)
    (folder / ".venv" / ".ready").touch()
    reader = Reader(folder)
    try:
        yield reader
    finally:
        if reader.up is not None and reader.up.poll() is None:
            reader.end()


def shows(expected: str, said: str) -> set[str]:
    """The plain words of a block of text that the command did not print."""
    return {word for word in expected.split() if PLAIN_WORD.fullmatch(word)} - set(said.split())


def same_members(expected: Any, answered: Any) -> bool:
    """Whether an answer has all members that the page shows, lists as long, and the same states and flags."""
    if isinstance(expected, dict):
        return all(
            name in answered and same_members(value, answered[name]) and (name != "state" or value == answered[name])
            for name, value in expected.items()
        )
    if isinstance(expected, list):
        return len(expected) == len(answered) and all(map(same_members, expected, answered))
    return isinstance(answered, type(expected))


@pytest.mark.slow_subject("typed-pages")
@pytest.mark.timeout(900)  # two starts of the whole stack, on a machine that may be busy
@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_every_command_of_a_page_works_as_it_is_printed_and_prints_what_the_page_shows(
    tmp_path: Path, page: str
) -> None:
    for program in ("make", "curl"):
        system_program(program, program)
    typed = 0
    with reader_in_a_clone(tmp_path) as reader:
        said = ""
        for language, text in blocks(ROOT / page):
            assert language in LANGUAGES, language
            if language == "sh":
                said = reader.type(text)
                typed += 1
            elif language == "python":
                (tmp_path / "example.py").write_text(text)
            elif language == "json":
                assert same_members(json.loads(text), json.loads(said)), said
            elif language == "text":
                assert shows(text, said) == set(), said
        ended = reader.end()
    assert typed >= 5
    assert "Stopped." in ended
