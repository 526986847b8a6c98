"""Checks of URLs and header values before a request is sent."""

import re

import httpx

from maskrelay.endpoints import Endpoint
from maskrelay.errors import SettingsError
from maskrelay.network.proxies import Proxy, proxy_for, read_proxy

#: Hosts that are this machine, for which connections without TLS are safe.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def checked_url(url: str, what: str) -> httpx.URL:
    """Parse `url`; raises SettingsError that calls it `what` and does not quote it."""
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        read = httpx.URL()
    # a user name in the URL would replace the bearer token
    if read.scheme not in ("http", "https") or not read.host or read.userinfo:
        raise SettingsError(f"{what} must begin with http:// or https:// and contain a host but no user name")
    return read


def is_header(value: str) -> bool:
    """Return whether a header can contain `value` unchanged: visible ASCII, at least one character."""
    return re.fullmatch(r"[!-~]+", value) is not None


def checked_header(value: str, what: str) -> str:
    """Return `value`; raises SettingsError that calls it `what` and does not quote it."""
    if not is_header(value):
        raise SettingsError(f"{what} is empty, or contains characters that are not allowed in a header")
    return value


def proxy_of(endpoint: Endpoint, url: httpx.URL) -> Proxy | None:
    """Return the proxy for connections to `url`: the endpoint's own, or else the environment's.

    `url` is the endpoint's, or one that it needs. Raises SettingsError, which quotes nothing of the proxy.
    """
    if endpoint.proxy is not None and (text := endpoint.proxy.get_secret_value()):
        return read_proxy(text, f"the proxy of endpoint {endpoint.name}")
    return proxy_for(str(url))
