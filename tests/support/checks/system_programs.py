"""Programs of the operating system that some tests need: at a desk their absence is a skip, in CI a failure."""

import os
import shutil
from pathlib import Path

import pytest

#: Where Debian puts servers, which not every user's PATH holds.
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))


def system_program(name: str, package: str) -> str:
    """The program's path. Where it is missing the test is skipped, or fails when CI is set."""
    found = shutil.which(name, path=_PLACES)
    if found is None:
        missing(f"{name} is not installed (Debian: {package})")
    return found


def system_file(path: str, package: str) -> str:
    """The path itself, if there is such a file; else as `system_program`."""
    if not Path(path).exists():
        missing(f"{path} is not there (Debian: {package})")
    return path


def missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
