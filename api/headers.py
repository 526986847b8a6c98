"""Request headers with a meaning of their own."""

import re

from starlette.datastructures import Headers

from maskrelay.errors import Malformed

#: 1 to 255 visible characters of ASCII; blanks between them.
KEY_PATTERN = r"^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$"
_KEY = re.compile(KEY_PATTERN.strip("^$"))
_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?", re.IGNORECASE)
WAIT_MOST_S = 60


def idempotency_key(headers: Headers) -> str | None:
    """The `Idempotency-Key`: the same whether it is quoted (as the draft says) or not. Raises Malformed."""
    given = headers.get("idempotency-key")
    if given is None:
        return None
    plain = given.strip()
    if len(plain) >= 2 and plain[0] == plain[-1] == '"':
        plain = re.sub(r'\\(["\\])', r"\1", plain[1:-1])
    if not _KEY.fullmatch(plain):
        raise Malformed("An Idempotency-Key has 1 to 255 visible ASCII characters.")
    return plain


def wait_asked(headers: Headers) -> int | None:
    """The seconds of `Prefer: wait=N` (RFC 7240), at most 60; None when it is not asked for."""
    for given in headers.getlist("prefer"):
        for preference in given.split(","):
            known = _WAIT.fullmatch(preference.split(";")[0].strip())
            if known:
                return min(int(known[1]), WAIT_MOST_S)
    return None


def none_match(headers: Headers, etag: str) -> bool:
    """Whether the caller has this version already (`If-None-Match`, compared weakly)."""
    given = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return "*" in given or etag in given


def wants_lines(headers: Headers) -> bool:
    """Whether NDJSON is asked for rather than JSON."""
    return "application/x-ndjson" in headers.get("accept", "").lower()
