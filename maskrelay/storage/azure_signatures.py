"""Signatures with the key of an Azure storage account: of a request (Shared Key), and of a URL (service SAS)."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from urllib.parse import urlencode

import httpx

#: The version of the REST API. It fixes what the signatures cover.
VERSION = "2021-12-02"
#: The headers that a Shared Key signature covers, in this order.
_SIGNED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip


def shared_key(request: httpx.Request, account: str, key: bytes) -> str:
    """Return the signature of a complete request, whose date is in `x-ms-date`."""
    headers = request.headers
    signed = [headers.get(name, "") for name in _SIGNED]
    signed[2] = "" if signed[2] == "0" else signed[2]
    own = sorted((name, value.strip()) for name, value in headers.items() if name.startswith("x-ms-"))
    path = request.url.raw_path.partition(b"?")[0].decode()
    parameters = sorted((name.lower(), value) for name, value in request.url.params.multi_items())
    lines = [
        request.method,
        *signed,
        *(f"{name}:{value}" for name, value in own),
        f"/{account}{path}",
        *(f"{name}:{value}" for name, value in parameters),
    ]
    return _signature(key, lines)


def sas_of_key(url: httpx.URL, account: str, key: bytes, starts: datetime, ends: datetime) -> str:
    """Return the query that allows everyone to read the blob at `url`. The emulator's URL contains the account too."""
    path = url.path.removeprefix(f"/{account}/") if url.path.startswith(f"/{account}/") else url.path.lstrip("/")
    allowed = {"sp": "r", "st": _iso(starts), "se": _iso(ends)}
    protocol = "https" if url.scheme == "https" else "https,http"
    lines = [
        *allowed.values(),
        f"/blob/{account}/{path}",
        "",  # no stored access policy
        "",  # any address
        protocol,
        VERSION,
        "b",  # one blob
        *[""] * 7,  # no snapshot, no encryption scope, and no headers that the answer must have
    ]
    rest = {"spr": protocol, "sv": VERSION, "sr": "b", "sig": _signature(key, lines)}
    return urlencode(allowed | rest)


def _iso(at: datetime) -> str:
    """Return the time in whole seconds, rounded up."""
    whole = at.replace(microsecond=0) + timedelta(seconds=1 if at.microsecond else 0)
    return whole.strftime("%Y-%m-%dT%H:%M:%SZ")


def _signature(key: bytes, lines: list[str]) -> str:
    return base64.b64encode(hmac.digest(key, "\n".join(lines).encode(), hashlib.sha256)).decode()
