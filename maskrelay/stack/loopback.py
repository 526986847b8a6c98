"""Ports of the loopback interface, and whether a server listens on one of them."""

import errno
import random
import socket

import httpx

from maskrelay.errors import StackError

HOST = "127.0.0.1"
#: Ports below the range from which Linux chooses the local port of an outgoing connection. A free port of that range
#: may be in use by a connection by the time a server binds it.
_PORTS = range(10_240, 32_768)
_TRIES = 100


def free_port() -> int:
    """Return a port of the loopback interface that is not in use now. Raises StackError if none is found."""
    for port in random.SystemRandom().sample(_PORTS, _TRIES):  # processes that start together try different ports
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        return port
    raise StackError(f"{_TRIES} ports between {_PORTS.start} and {_PORTS.stop - 1} are in use")


def refuse_taken(port: int) -> None:
    """Raise StackError if `port` is already in use."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        what = "is in use" if error.errno == errno.EADDRINUSE else "cannot be used"
        raise StackError(f"port {port} {what}; choose another with PORT=…") from None


def says_ok(url: str) -> bool:
    """Return whether a GET of `url` returns 200."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
