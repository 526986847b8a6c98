"""The file names of multipart parts.

Common clients encode non-ASCII names in different forms, all of which are decoded.
"""

import re
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

_EXTENDED = re.compile(rb"(?i)(?:^|;)\s*filename\*\s*=\s*([A-Za-z0-9_.-]+)'[^']*'([^;\s]+)")
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=")


def file_name_in(header: bytes, parsed: Mapping[bytes, bytes]) -> str | None:
    """Return the file name in a Content-Disposition `header` with the parameters `parsed`, or None if it has none.

    `filename*` (RFC 5987), which aiohttp, .NET and old versions of `requests` send, has priority over `filename`.
    `filename` may be UTF-8 (from browsers and curl), an encoded word (RFC 2047, from .NET and PowerShell), or bytes of
    a Windows code page.
    """
    extended = _EXTENDED.search(header)
    if extended is not None:
        return _decoded(unquote_to_bytes(extended[2].strip(b'"')), extended[1].decode("ascii"))
    plain = parsed.get(b"filename")
    if not plain:
        return None
    name = _decoded(plain, "utf-8")
    return _without_encoded_words(name) if _ENCODED_WORD.search(name) else name


def _decoded(raw: bytes, charset: str) -> str:
    for candidate in (charset, "utf-8"):
        try:
            return raw.decode(candidate)
        except (UnicodeError, LookupError):
            continue
    return raw.decode("cp1252", "replace")


def _without_encoded_words(name: str) -> str:
    try:
        words = decode_header(name)
    except (ValueError, HeaderParseError):  # this is not a valid encoded word
        return name
    return "".join(word if isinstance(word, str) else _decoded(word, charset or "ascii") for word, charset in words)
