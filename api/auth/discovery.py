"""The discovery document of an OpenID Connect issuer, and other documents that an issuer publishes."""

import json
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

import httpx

from maskrelay.errors import SettingsError
from maskrelay.network.http_clients import client_options
from maskrelay.network.response_bodies import aread_body
from maskrelay.scoring.url_checks import LOOPBACK

#: The timeouts, in seconds, of one network operation of a fetch, and of all requests of a fetch together.
TIMEOUT_S, TOTAL_S = 5.0, 10.0
#: The errors for which a document cannot be used.
BROKEN = (httpx.HTTPError, httpx.InvalidURL, SettingsError, TimeoutError, ValueError, KeyError, TypeError)
#: The largest document that is read, in bytes.
_MOST_BYTES = 1 << 20


async def read_discovery(issuer: str, trusted: SSLContext) -> dict[str, Any]:
    """Return the discovery document of the issuer. Raises an error of BROKEN if it cannot be used."""
    about = await read_document(issuer.rstrip("/") + "/.well-known/openid-configuration", trusted)
    if about.get("issuer") != issuer:
        raise ValueError("the discovery document is not this issuer's")
    return about


async def read_document(url: str, trusted: SSLContext) -> dict[str, Any]:
    """Return the JSON object at this URL. Raises an error of BROKEN if there is none, or the URL is not safe."""
    if not is_safe(url):
        raise ValueError("the address is neither https:// nor on loopback")
    options = client_options(url, trusted=trusted)
    async with httpx.AsyncClient(timeout=TIMEOUT_S, **options) as http, http.stream("GET", url) as answer:
        answer.raise_for_status()
        read = await aread_body(answer, _MOST_BYTES)
    if not isinstance(body := json.loads(read), dict):
        raise TypeError
    return body


def is_safe(url: str) -> bool:
    """Return whether documents from this URL cannot be replaced on the way: it is https://, or on loopback."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
