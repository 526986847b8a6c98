"""Bodies under a limit: every encoding, and every way in which a small body tries to become a large one."""

import gzip
import tracemalloc
import zlib

import httpx
import pytest

from maskrelay.network.response_bodies import (
    BodyCut,
    Decoder,
    ResponseTooLarge,
    read_body,
    received,
)

TEXT = b"some text " * 1000
MIB = 1 << 20


def raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


def bomb(mebibytes: int, wbits: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(mebibytes)) + packer.flush()


def decoded(body: bytes, encoding: str, *, most: int = MIB, pieces: int = 1 << 30) -> bytes:
    decoder, read = Decoder(httpx.Headers({"content-encoding": encoding}), most), b""
    for place in range(0, len(body), pieces):
        read += b"".join(decoder.feed(body[place : place + pieces]))
    decoder.end()
    return read


GOOD = {
    "plain": (TEXT, ""),
    "identity": (TEXT, "Identity"),
    "gzip": (gzip.compress(TEXT), "gzip"),
    "x-gzip": (gzip.compress(TEXT), "X-GZIP"),
    "two members": (gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:]), "gzip"),
    "an empty member between": (gzip.compress(TEXT[:5000]) + gzip.compress(b"") + gzip.compress(TEXT[5000:]), "gzip"),
    "deflate": (zlib.compress(TEXT), "deflate"),
    "deflate without its wrapper": (raw_deflate(TEXT), "deflate"),
    "deflate and stray bytes": (zlib.compress(TEXT) + b"more", "deflate"),
}


@pytest.mark.parametrize("pieces", [1, 7, 1 << 30])
@pytest.mark.parametrize("name", GOOD)
def test_a_body_is_decoded_however_it_is_cut_into_pieces(name: str, pieces: int):
    assert decoded(*GOOD[name], pieces=pieces) == TEXT


@pytest.mark.parametrize(
    ("wbits", "encoding"),
    [(31, "gzip"), (zlib.MAX_WBITS, "deflate"), (-zlib.MAX_WBITS, "deflate")],
    ids=["gzip", "deflate", "raw deflate"],
)
@pytest.mark.parametrize("pieces", [1000, 1 << 30], ids=["pieces", "whole"])
def test_a_body_that_grows_past_its_limit_is_refused_before_it_takes_memory(wbits: int, encoding: str, pieces: int):
    body = bomb(100, wbits)
    tracemalloc.start()
    with pytest.raises(ResponseTooLarge):
        decoded(body, encoding, pieces=pieces)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB


def test_a_body_of_many_members_is_refused_where_they_are_large_together():
    with pytest.raises(ResponseTooLarge):
        decoded(gzip.compress(bytes(MIB // 2)) * 3, "gzip")


def test_a_body_of_countless_empty_members_is_refused():
    with pytest.raises(httpx.DecodingError, match="members"):
        decoded(gzip.compress(b"") * 2000, "gzip")


def test_a_plain_body_may_be_as_large_as_its_limit_and_no_larger():
    assert decoded(bytes(MIB), "") == bytes(MIB)
    with pytest.raises(ResponseTooLarge):
        decoded(bytes(MIB + 1), "", pieces=1000)


def test_a_length_above_the_limit_is_refused_before_anything_is_read():
    with pytest.raises(ResponseTooLarge):
        Decoder(httpx.Headers({"content-length": str(2 * MIB)}), MIB)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "nonsense"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str):
    with pytest.raises(httpx.DecodingError):
        decoded(TEXT, encoding)


@pytest.mark.parametrize(
    ("body", "encoding"), [(gzip.compress(TEXT), "gzip"), (zlib.compress(TEXT), "deflate")], ids=["gzip", "deflate"]
)
def test_a_body_that_ends_early_is_said_to(body: bytes, encoding: str):
    with pytest.raises(BodyCut):
        decoded(body[:-6], encoding)


def test_a_body_in_countless_tiny_pieces_is_refused():
    with pytest.raises(httpx.DecodingError, match="tiny"):
        decoded(bytes(20_000), "", pieces=1)
    assert len(decoded(bytes(1_000_000), "", pieces=64)) == 1_000_000


def test_a_damaged_body_is_a_decoding_error():
    with pytest.raises(httpx.DecodingError):
        decoded(b"no gzip at all", "gzip")


def test_a_response_is_read_whole_or_refused():
    response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(gzip.compress(TEXT)))
    assert received(response, MIB).content == TEXT
    response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(bomb(3, 31)))
    with pytest.raises(ResponseTooLarge):
        read_body(response, MIB)
