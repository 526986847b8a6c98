"""A terminal in which the demo types commands. It prints each command with its output, and remembers both."""

import subprocess
from collections.abc import Mapping
from pathlib import Path


class DoesNotHold(Exception):
    """A step of the demo did not do what it should."""


class Terminal:
    """The commands run in `folder`, with the environment `environment`. A command that fails ends the demo."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        self._step = ""
        #: What was printed in each step, by its name.
        self.printed: dict[str, list[str]] = {}

    def step(self, name: str, title: str) -> None:
        """Begin a step. Its name is that of a block in the guide."""
        self._step = name
        self.printed[name] = []
        print(f"\n== {title}\n", flush=True)

    def typed(self, command: str) -> str:
        """Run a command in the shell, or several, each after `\n$ `. Return the output."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command.replace("\n$ ", "\n")],
            cwd=self.folder,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        text = f"$ {command}\n{ran.stdout}".rstrip()
        self.printed[self._step].append(text)
        print(text, flush=True)
        if ran.returncode:
            raise DoesNotHold(f"the command ended with exit code {ran.returncode}")
        return ran.stdout

    def check(self, holds: bool, sentence: str) -> None:
        """Print the sentence if it is true. If not, it ends the demo."""
        if not holds:
            raise DoesNotHold(f"not true: {sentence}")
        print(f"   true: {sentence}", flush=True)
