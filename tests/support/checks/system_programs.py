"""Programs of the operating system that some tests need. If one is missing, the test is skipped, but in CI it fails."""

import os
import shutil
from pathlib import Path

import pytest

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


def missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
