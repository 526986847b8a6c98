import gzip
import io

import numpy as np
import pytest

from maskrelay.errors import ArchiveTooLarge, SourceTooLarge, Truncated
from maskrelay.imaging.read.gunzip import MOST_MEMBERS, inflate

NOISE = np.random.default_rng(0).bytes(300_000)
ZEROS = b"\0" * 5_000_000
FILE = gzip.compress(NOISE)


def inflated(file: bytes, step: int = 65_536, most_bytes: int = 1 << 30) -> bytes:
    out = io.BytesIO()
    chunks = (file[start : start + step] for start in range(0, len(file), step))
    assert inflate(chunks, out, most_bytes=most_bytes) == len(out.getvalue())
    return out.getvalue()


@pytest.mark.parametrize("step", [1013, 65_536, 1 << 30])
@pytest.mark.parametrize("plain", [NOISE, ZEROS, NOISE + ZEROS, b""], ids=["noise", "zeros", "both", "nothing"])
def test_a_file_comes_out_as_it_went_in_whatever_the_chunks(plain, step):
    assert inflated(gzip.compress(plain), step) == plain


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_members_follow_one_another_and_zeros_behind_them_are_padding(step):
    assert inflated(gzip.compress(b"abc") + gzip.compress(b"def") + b"\0" * 50, step) == b"abcdef"


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"hello, this is no gzip",
        b"\0" * 100,
        FILE[:5],
        FILE[:-1],
        FILE[:-8],
        FILE[: len(FILE) // 2],
        FILE + b"trailing",
        FILE[:-6] + bytes([FILE[-6] ^ 1]) + FILE[-5:],
        FILE[:1000] + bytes([FILE[1000] ^ 1]) + FILE[1001:],
    ],
    ids=["empty", "text", "zeros", "5 bytes", "1 short", "8 short", "half", "more", "length", "deflate"],
)
def test_damage_and_a_missing_end_are_refused(file):
    with pytest.raises(Truncated):
        inflated(file)


def test_a_bomb_is_stopped_before_it_is_written():
    out = io.BytesIO()
    with pytest.raises(SourceTooLarge) as refusal:
        inflate([gzip.compress(b"\0" * 100_000_000)], out, most_bytes=3_000_000)
    assert refusal.value.detail == "The file expands to more than 3000000 bytes."
    assert len(out.getvalue()) <= 3_000_000


def test_exactly_as_much_as_allowed_is_allowed():
    assert inflated(FILE, most_bytes=300_000) == NOISE
    with pytest.raises(SourceTooLarge):
        inflated(FILE, most_bytes=299_999)


def test_as_many_members_as_a_blocked_gzip_has_are_read_and_no_more():
    member = gzip.compress(b"a")
    assert inflated(member * MOST_MEMBERS) == b"a" * MOST_MEMBERS
    with pytest.raises(ArchiveTooLarge, match="members"):
        inflated(gzip.compress(b"") * (MOST_MEMBERS + 1))
