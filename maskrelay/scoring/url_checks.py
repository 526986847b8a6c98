"""Checks of URLs and header values before a request is sent."""

import re

import httpx

from maskrelay.endpoints import Endpoint
from maskrelay.errors import SettingsError
from maskrelay.network.proxies import Proxy, proxy_for, read_proxy

#: The names of this machine. Connections to it are safe without TLS.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def checked_url(url: str, what: str) -> httpx.URL:
    """Parse `url`. Raises SettingsError with a message that calls the URL `what` and does not quote it."""
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        read = httpx.URL()
    # A user name in the URL would replace the bearer token.
    if read.scheme not in ("http", "https") or not read.host or read.userinfo:
        raise SettingsError(f"{what} must begin with http:// or https:// and contain a host but no user name")
    return read


def is_header(value: str) -> bool:
    """Return whether a header can contain `value` unchanged, which is visible ASCII with at least one character."""
    return re.fullmatch(r"[!-~]+", value) is not None


def checked_header(value: str, what: str) -> str:
    """Return `value` if a header can contain it. Raises SettingsError that calls it `what` and does not quote it."""
    if not is_header(value):
        raise SettingsError(f"{what} is empty, or contains characters that are not allowed in a header")
    return value


def proxy_of(endpoint: Endpoint, url: httpx.URL) -> Proxy | None:
    """Return the proxy for connections to `url`: the endpoint's own, otherwise that of the environment.

    `url` is the endpoint's URL, or one that the endpoint needs. Raises SettingsError with a message that quotes
    nothing of the proxy.
    """
    if endpoint.proxy is not None and (text := endpoint.proxy.get_secret_value()):
        return read_proxy(text, f"the proxy of endpoint {endpoint.name}")
    return proxy_for(str(url))
