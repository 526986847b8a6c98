"""Which HTTP proxy a connection uses: one from the settings, or one from the environment's variables.

`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (and their lower-case forms, which take precedence) have the
same meaning as for curl. Only HTTP proxies are supported, with TLS or without; SOCKS proxies are rejected. No error and
no `repr` of this module contains a proxy's password.
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
    """An HTTP proxy. `is_tls`: it is itself spoken to over TLS. `authorization`: the value of `Proxy-Authorization`."""

    host: str
    port: int
    is_tls: bool = False
    authorization: str | None = field(default=None, repr=False)
    #: The whole address, with user and password, for libraries that take it so.
    url: str = field(default="", repr=False)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the proxy is shown."""
        return [("Proxy-Authorization", self.authorization)] if self.authorization else []


def read_proxy(text: str, what: str) -> Proxy:
    """The proxy at `http://user:password@host:port`, quoted as in URLs; scheme, user and port may be left out.

    Raises SettingsError that names `what` and quotes nothing.
    """
    given = text if "://" in text else f"http://{text}"
    try:
        parts = urllib.parse.urlsplit(given)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:  # an IPv6 address without brackets, or a port that is no number
        raise SettingsError(f"{what} cannot be read: {_FORM}", names=(what,)) from None
    if scheme.startswith("socks"):
        raise SettingsError(f"{what} names a SOCKS proxy; only HTTP proxies can be used: {_FORM}", names=(what,))
    if scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise SettingsError(f"{what} is not the address of an HTTP proxy: {_FORM}", names=(what,))
    authorization = None
    if parts.username is not None:
        user, password = (urllib.parse.unquote(one or "") for one in (parts.username, parts.password))
        if ":" in user:
            raise SettingsError(f"{what}: a user name with a colon cannot be sent to a proxy", names=(what,))
        authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return Proxy(host, port or _PORTS[scheme], scheme == "https", authorization, given)


_FORM = "http://user:password@host:port, an IPv6 address in brackets"


def environment_proxy(scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy that the environment names for an address; None where it is reached directly. Raises SettingsError."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        for spelt in (name, name.upper()):
            if text := os.environ.get(spelt, "").strip():
                return None if _is_excepted(host, port) else read_proxy(text, spelt)
    return None


def proxy_for(url: str) -> Proxy | None:
    """The environment's proxy for the host of a URL, as `environment_proxy` finds it."""
    parts = urllib.parse.urlsplit(url)
    return environment_proxy(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))


def _is_excepted(host: str, port: int) -> bool:
    """Whether `NO_PROXY` lists the host: a name, which stands for those below it too, an address or a network."""
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
    if entry.startswith("[") or entry.count(":") == 1:  # with a port, or an IPv6 address in brackets
        entry, _, its_port = entry.removeprefix("[").partition("]" if entry.startswith("[") else ":")
        if its_port.strip(":") not in ("", str(port)):
            return False
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False
