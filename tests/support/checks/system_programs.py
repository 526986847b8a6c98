"""Programs of the operating system and packages of Node.js that some tests need.

If one is missing, the test is skipped, but in CI it fails.
"""

import os
import shutil
from pathlib import Path

import pytest

NODE_MODULES = Path(__file__).parents[2] / "node" / "node_modules"
#: The folders where Debian puts servers, which are not in every user's PATH.
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))


def system_program(name: str, package: str) -> str:
    """Return the path of the program. If it is missing, skip the test, or fail if CI is set."""
    found = shutil.which(name, path=_PLACES)
    if found is None:
        missing(f"{name} is not installed (Debian: {package})")
    return found


def system_file(path: str, package: str) -> str:
    """Return the path itself if the file exists. If not, skip or fail like `system_program`."""
    if not Path(path).exists():
        missing(f"{path} is not there (Debian: {package})")
    return path


def node_file(path: str) -> Path:
    """Return the path of a file in a package that `make node` installs, such as `axe-core/axe.min.js`.

    If it is not there, skip or fail like `system_program`.
    """
    found = NODE_MODULES / path
    if not found.exists():
        missing(f"{path} is not installed: `make node`")
    return found


def missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
