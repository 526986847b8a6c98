"""Where a callback may go: public addresses, and what the operator allows beside them."""

import queue
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address, ip_network

import httpx

from maskrelay.errors import CallbackForbidden, SettingsError
from maskrelay.notify.addresses import is_public, plain

Lookup = Callable[[str, int], Iterable[str]]
_SUBMIT_PATIENCE = timedelta(seconds=3)


def system_lookup(host: str, port: int) -> list[str]:
    """The addresses of `host` by the system's resolver; raises OSError or UnicodeError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class AddressGuard:
    """Decides by address, not by name: a name is looked up once and what was checked is what is connected to.

    `allow` holds host names, which may lead anywhere, and addresses or networks (`10.1.0.0/16`).
    """

    def __init__(self, allow: Sequence[str], lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._networks = []
        self._hosts = set()
        for entry in allow:
            try:
                self._networks.append(ip_network(entry.strip("[]")))
            except ValueError:
                self._hosts.add(_host_of(entry))

    def check_url(self, url: str) -> None:
        """Raise CallbackForbidden unless `url` is one to which callbacks may go, as far as is known now.

        A name that does not resolve passes: its receiver may not be up yet, and every attempt checks again.
        """
        target = target_of(url)
        self.resolve(target.raw_host.decode(), target.port or 0, _SUBMIT_PATIENCE)

    def resolve(self, host: str, port: int, within: timedelta) -> tuple[str, ...]:
        """Every address of `host`, all of them checked; none when it has none or the resolver is too slow.

        Raises CallbackForbidden if one of them is not allowed: a name with two faces is not trusted with either.
        """
        addresses = tuple(self._addresses(host, port, within))
        if host.lower().rstrip(".") not in self._hosts and not all(map(self._allowed, addresses)):
            raise CallbackForbidden("the callback's host is at an address that callbacks may not reach")
        return addresses

    def _allowed(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        inner = plain(address)
        return is_public(inner) or any(address in network or inner in network for network in self._networks)

    def _addresses(self, host: str, port: int, within: timedelta) -> Iterable[str]:
        """Looked up in a thread of its own, since the system's resolver takes no timeout."""
        answers: queue.SimpleQueue[Iterable[str]] = queue.SimpleQueue()

        def ask() -> None:
            found: Iterable[str] = ()
            with suppress(OSError, UnicodeError):
                found = self._lookup(host, port)
            answers.put(found)

        threading.Thread(target=ask, daemon=True).start()
        try:
            return answers.get(timeout=max(0.0, within.total_seconds()))
        except queue.Empty:
            return ()


def target_of(url: str) -> httpx.URL:
    """The URL as it is both checked and sent to; raises CallbackForbidden for what is no plain http(s) address."""
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise CallbackForbidden("the callback's URL cannot be read") from None
    if target.scheme not in {"http", "https"} or not target.host or not 0 < (target.port or 80) < 65536:
        raise CallbackForbidden("the callback's URL must be https:// or http://, a host and perhaps a port")
    if target.userinfo:
        raise CallbackForbidden("the callback's URL may not hold a user name or a password")
    return target


def _host_of(entry: str) -> str:
    """A host name as it stands in `target_of`; raises SettingsError for an entry that is none."""
    try:
        host = httpx.URL(scheme="http", host=entry).raw_host.decode()
    except (httpx.InvalidURL, ValueError):
        host = ""
    if not host or set(entry) & set("/:@*? "):
        raise SettingsError("MASKRELAY_CALLBACK_ALLOW takes host names, addresses and networks, by commas")
    return host.lower().rstrip(".")
