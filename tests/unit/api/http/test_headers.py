import pytest
from starlette.datastructures import Headers

from api.http.headers import (
    idempotency_key,
    none_match,
    wait_asked,
    wants_lines,
)
from maskrelay.errors import Malformed


@pytest.mark.parametrize(
    ("given", "key"),
    [("abc", "abc"), ('"abc"', "abc"), (' "a b" ', "a b"), (r'"a\"b\\"', 'a"b\\'), ('"', '"'), ("x" * 255, "x" * 255)],
)
def test_an_idempotency_key_is_the_same_quoted_or_not(given: str, key: str) -> None:
    assert idempotency_key(Headers({"Idempotency-Key": given})) == key


@pytest.mark.parametrize("given", ["", " ", '""', "x" * 256, "ü", "a\tb"])
def test_what_cannot_be_a_key_is_malformed(given: str) -> None:
    with pytest.raises(Malformed):
        idempotency_key(Headers({"Idempotency-Key": given}))


def test_without_the_header_there_is_no_key() -> None:
    assert idempotency_key(Headers({})) is None


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('wait="7"; x=1', 7),
        ("Wait = 3", 3),
        ("wait=0", 0),
        ("wait=3600", 50),
        ("wait=-1", None),
        ("wait", None),
        ("waiting=4", None),
        ("wait=²", None),
        ("", None),
    ],
)
def test_the_wait_is_read_and_capped(given: str, seconds: int | None) -> None:
    assert wait_asked(Headers({"Prefer": given})) == seconds


@pytest.mark.parametrize(
    ("given", "matches"),
    [('"v1"', True), ('W/"v1"', True), ('"v0", "v1"', True), ("*", True), ('"v2"', False), ("v1", False), ("", False)],
)
def test_a_known_version_matches(given: str, matches: bool) -> None:
    assert none_match(Headers({"If-None-Match": given}), '"v1"') is matches


def test_lines_are_wanted_when_they_are_accepted() -> None:
    assert wants_lines(Headers({"Accept": "application/json;q=0.1, Application/X-NDJSON"}))
    assert not wants_lines(Headers({"Accept": "*/*"}))
