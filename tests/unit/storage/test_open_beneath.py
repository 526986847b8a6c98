"""One system call that opens a path below a folder, and never anything else."""

import errno
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maskrelay.storage.open_beneath import has_openat2, open_beneath

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has openat2(2)")
needed = pytest.mark.skipif(not has_openat2(), reason="this system has no openat2(2), or forbids it")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "root" / "a" / "b" / "object").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "root" / "a" / "folder").symlink_to(tmp_path / "root" / "a" / "b")
    (tmp_path / "root" / "a" / "file").symlink_to(tmp_path / "secret")
    folder = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield folder
    os.close(folder)


def test_every_linux_of_these_years_has_it() -> None:
    major, minor = map(int, re.findall(r"\d+", platform.release())[:2])
    if not has_openat2() and "Seccomp:\t2" in Path("/proc/self/status").read_text():
        pytest.skip("the container that these tests run in forbids openat2(2)")
    assert has_openat2() == ((major, minor) >= (5, 6))


@needed
def test_a_path_is_opened(root: int) -> None:
    file = open_beneath(root, "a/b/object", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert os.read(file, 100) == b"inside"
        assert not os.get_inheritable(file)
    finally:
        os.close(file)


@needed
@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("a/folder/object", errno.ELOOP),
        ("a/file", errno.ELOOP),
        ("../secret", errno.EXDEV),
        ("a/b/none", errno.ENOENT),
        ("a/b/object/below", errno.ENOTDIR),
    ],
)
def test_nothing_else_is_opened(root: int, path: str, number: int) -> None:
    with pytest.raises(OSError) as raised:
        open_beneath(root, path, os.O_RDONLY | os.O_CLOEXEC)
    assert raised.value.errno == number
