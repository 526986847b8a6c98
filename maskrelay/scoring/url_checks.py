"""Checks of URLs and header values before a request is sent."""

import re

import httpx

from maskrelay.endpoints import Endpoint
from maskrelay.errors import SettingsError
from maskrelay.network.proxies import Proxy, proxy_for, read_proxy

#: The names and addresses of the local machine. Connections to them are safe without TLS.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def checked_url(url: str, what: str) -> httpx.URL:
    """Parse `url`. Raises SettingsError if it cannot be used. The message calls it `what` and does not quote it."""
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        read = httpx.URL()
    # A user name in the URL would replace the bearer token.
    if read.scheme not in ("http", "https") or not read.host or read.userinfo:
        raise SettingsError(f"{what} must begin with http:// or https:// and contain a host but no user name")
    return read


def is_header(value: str) -> bool:
    """Return whether a header can contain `value`: one or more printable ASCII characters without spaces."""
    return re.fullmatch(r"[!-~]+", value) is not None


def checked_header(value: str, what: str) -> str:
    """Return `value` if a header can contain it. Otherwise, raise SettingsError. The message calls the value `what`."""
    if not is_header(value):
        raise SettingsError(f"{what} is empty, or contains characters that are not allowed in a header")
    return value


def proxy_of(endpoint: Endpoint, url: httpx.URL) -> Proxy | None:
    """Return the proxy for connections to `url`: the endpoint's proxy or, if it has none, that of the environment.

    `url` is the URL of the endpoint, or of the source of its tokens. Raises SettingsError if the proxy's URL is
    invalid. The message does not quote the proxy's URL.
    """
    if endpoint.proxy is not None and (text := endpoint.proxy.get_secret_value()):
        return read_proxy(text, f"the proxy of endpoint {endpoint.name}")
    return proxy_for(str(url))
