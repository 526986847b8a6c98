"""The addresses to which callbacks may be sent: public addresses, and those that the operator allows in addition."""

import queue
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from time import monotonic

import httpx

from maskrelay.callbacks.public_addresses import (
    Address,
    is_public,
    literal,
    plain,
)
from maskrelay.errors import CallbackForbidden, SettingsError

Lookup = Callable[[str, int], Iterable[str]]
#: The largest number of concurrent lookups. The system's resolver has no timeout, so a lookup that hangs keeps its
#: thread.
_LOOKUPS = 32
_PORTS = {"http": 80, "https": 443}
_ENTRY = re.compile(r"(?P<host>\[[^\]]+\]|[^:]+)(:(?P<port>\d{1,5}))?")
_FORBIDDEN = "the callback's host is at an address that callbacks may not reach"


def system_lookup(host: str, port: int) -> list[str]:
    """Return the addresses of `host` from the system's resolver. Raises OSError or UnicodeError if there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressGuard:
    """The rule that decides where callbacks may go.

    A host that `allow` names may have any address. Every address of any other host must be public, or `allow` must
    contain it. For each attempt, the host name is resolved once, and the connection is made to one of the addresses
    that were found.

    `allow` contains host names, addresses and networks (`10.1.0.0/16`). Each entry may name a port, and then allows
    only this port (`pacs.example:8443`, `[fd00::1]:443`).
    """

    def __init__(self, allow: Sequence[str], lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._free = threading.BoundedSemaphore(_LOOKUPS)
        self._networks: list[tuple[IPv4Network | IPv6Network, int | None]] = []
        self._hosts: set[tuple[str, int | None]] = set()
        for entry in allow:
            text, port = _split(entry)
            try:
                self._networks.append((ip_network(text.strip("[]")), port))
            except ValueError:
                self._hosts.add((_host_of(text), port))

    def check_url(self, url: str) -> None:
        """Raise CallbackForbidden if the URL itself shows that callbacks may not be sent to it.

        The host name is not resolved, because a slow resolver would block the caller. The addresses of the host are
        checked at every attempt to send.
        """
        target = target_of(url)
        self.check_host(target.raw_host.decode(), port_of(target))

    def check_host(self, host: str, port: int) -> None:
        """Raise CallbackForbidden if `host` is an address, in any notation, that callbacks may not reach."""
        address = literal(host)
        if address is not None and not self._is_named(host, port) and not self._allowed(address, port):
            raise CallbackForbidden(_FORBIDDEN)

    def resolve(self, host: str, port: int, within: timedelta) -> tuple[str, ...]:
        """Check all addresses of `host`, and return them. If the resolver finds none in time, the result is empty.

        Raises CallbackForbidden if any of the addresses is not allowed, unless `allow` names the host.
        """
        self.check_host(host, port)
        addresses = tuple(self._addresses(host, port, within))
        if not self._is_named(host, port) and not all(self._read(text, port) for text in addresses):
            raise CallbackForbidden(_FORBIDDEN)
        return addresses

    def _is_named(self, host: str, port: int) -> bool:
        name = host.lower().rstrip(".")
        return bool({(name, None), (name, port)} & self._hosts)

    def _read(self, text: str, port: int) -> bool:
        try:
            return self._allowed(ip_address(text), port)
        except ValueError:
            return False

    def _allowed(self, address: Address, port: int) -> bool:
        inner = plain(address)
        named = any(
            (address in network or inner in network) and its_port in (None, port)
            for network, its_port in self._networks
        )
        return named or is_public(address)

    def _addresses(self, host: str, port: int, within: timedelta) -> Iterable[str]:
        """Resolve `host` in a separate thread, because the system's resolver has no timeout."""
        ends = monotonic() + within.total_seconds()
        if not self._free.acquire(timeout=max(0.0, within.total_seconds())):
            return ()
        answers: queue.SimpleQueue[Iterable[str]] = queue.SimpleQueue()

        def ask() -> None:
            found: Iterable[str] = ()
            try:
                with suppress(OSError, UnicodeError):
                    found = self._lookup(host, port)
            finally:
                self._free.release()
                answers.put(found)

        threading.Thread(target=ask, daemon=True).start()
        try:
            return answers.get(timeout=max(0.0, ends - monotonic()))
        except queue.Empty:
            return ()


def target_of(url: str) -> httpx.URL:
    """Parse the URL. The same result must be used for the check and for the connection.

    Raises CallbackForbidden unless `url` is a plain http(s) URL.
    """
    try:
        target = httpx.URL(url)
        has_host = bool(target.host)  # raises an error for a name that begins with `xn--`, but is not valid
    except (httpx.InvalidURL, ValueError):
        raise CallbackForbidden("the callback's URL is not a valid URL") from None
    if target.scheme not in _PORTS or not has_host or not 0 < (target.port or 80) < 65536:
        raise CallbackForbidden("the callback's URL must be https:// or http:// with a host and optionally a port")
    if target.userinfo:
        raise CallbackForbidden("the callback's URL must not contain a user name or a password")
    return target


def port_of(target: httpx.URL) -> int:
    return target.port or _PORTS[target.scheme]


def _split(entry: str) -> tuple[str, int | None]:
    """Split an entry of the allow list into host and port."""
    if entry.count(":") > 1 and not entry.startswith("["):
        return entry, None  # an IPv6 address or network
    found = _ENTRY.fullmatch(entry)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or port == 0 or (port or 1) > 65535:
        raise SettingsError(_ALLOW)
    return found["host"], port


def _host_of(entry: str) -> str:
    """Return a host name as `target_of` normalizes it. Raises SettingsError for an invalid entry."""
    try:
        host = httpx.URL(scheme="http", host=entry).raw_host.decode()
    except (httpx.InvalidURL, ValueError):
        host = ""
    if not host or set(entry) & set("/:@*? "):
        raise SettingsError(_ALLOW)
    return host.lower().rstrip(".")


_ALLOW = (
    "MASKRELAY_CALLBACK_ALLOW: expected host names, addresses and networks (optionally with :PORT), separated by commas"
)
