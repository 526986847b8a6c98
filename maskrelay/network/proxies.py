"""The HTTP proxy of a connection, from a setting or from environment variables.

`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` have the same meaning as for curl, except that curl ignores
`HTTP_PROXY` in upper case. The lower-case forms take precedence. Only HTTP proxies are supported, with or without TLS.
SOCKS proxies are rejected. No error and no `repr` of this module contains the password of a proxy.
"""

import base64
import os
import urllib.parse
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from maskrelay.errors import SettingsError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    #: Whether connections to the proxy itself use TLS.
    is_tls: bool = False
    #: The value of `Proxy-Authorization`.
    authorization: str | None = field(default=None, repr=False)
    #: The complete URL with user and password, for libraries that need it in this form.
    url: str = field(default="", repr=False)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that authenticate this service to the proxy."""
        return [("Proxy-Authorization", self.authorization)] if self.authorization else []


def read_proxy(text: str, what: str) -> Proxy:
    """Parse the URL of a proxy, such as `http://user:password@host:port`. Scheme, user and port may be omitted.

    Raises SettingsError if the URL cannot be used. The error contains `what`, which is the name of the setting, but no
    part of the URL.
    """
    given = text if "://" in text else f"http://{text}"
    try:
        parts = urllib.parse.urlsplit(given)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:  # for example, an IPv6 address without brackets, or a port that is not a number
        raise SettingsError(f"{what} cannot be read: {_FORM}", names=(what,)) from None
    if scheme.startswith("socks"):
        raise SettingsError(f"{what} names a SOCKS proxy, but only HTTP proxies are supported: {_FORM}", names=(what,))
    if scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise SettingsError(f"{what} is not the URL of an HTTP proxy: {_FORM}", names=(what,))
    authorization = None
    if parts.username is not None:
        user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
        if ":" in user:
            raise SettingsError(f"{what}: the user name must not contain a colon", names=(what,))
        authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(host, port or _PORTS[scheme], scheme == "https", authorization, given)


_FORM = "expected http://user:password@host:port, with brackets around an IPv6 address"


def environment_proxy(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy that the environment names for a host, or None if connections to the host use no proxy.

    Raises SettingsError if the variable cannot be used.
    """
    for name in (f"{scheme}_proxy", "all_proxy"):
        for spelt in (name, name.upper()):
            if text := os.environ.get(spelt, "").strip():
                return None if _is_excepted(host, port) else read_proxy(text, spelt)
    return None


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment names for the host of a URL, like `environment_proxy`."""
    parts = urllib.parse.urlsplit(url)
    return environment_proxy(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))


def _is_excepted(host: str, port: int) -> bool:
    """Return whether `NO_PROXY` contains the host.

    An entry is a host name, an address or a network. A host name includes all its subdomains.
    """
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    host = host.strip("[]").lower().rstrip(".")
    return any(
        _fits(entry.strip().lower(), host, port) for entry in listed.replace(" ", ",").split(",") if entry.strip()
    )


def _fits(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        name, _, its_port = entry.removeprefix("*").partition(":")
        name = name.strip(".")
        return bool(name) and its_port in ("", str(port)) and (host == name or host.endswith(f".{name}"))
    if entry.startswith("[") or entry.count(":") == 1:  # an address with a port, or an IPv6 address in brackets
        entry, _, its_port = entry.removeprefix("[").partition("]" if entry.startswith("[") else ":")
        if its_port.strip(":") not in ("", str(port)):
            return False
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False
