"""The record of a running embedded stack in its data folder, so that `maskrelay doctor` can check its parts.

The stack writes it when it has started, and removes it when it ends. It contains only what the stack has made itself,
whose secrets are in the same folder already. Settings that were given to the stack are recorded by name.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

#: The data folder of `make up`, unless DATA names another one.
DEFAULT_FOLDER = Path(".maskrelay")
NAME = "stack.json"


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A stack: the process id of its supervisor, the settings that it has made, and the names of those given to it."""

    supervisor: int
    made: Mapping[str, str]
    given: tuple[str, ...]

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    def is_running(self) -> bool:
        """Return whether the supervisor is alive. It may have been killed without removing its record."""
        try:
            os.kill(self.supervisor, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def read_local_stack(folder: Path) -> LocalStack | None:
    """Return the stack that runs on the data folder `folder`, or None."""
    try:
        document = json.loads((folder / NAME).read_bytes())
        stack = LocalStack(int(document["supervisor"]), dict(document["made"]), tuple(document["given"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stack if stack.is_running() else None
