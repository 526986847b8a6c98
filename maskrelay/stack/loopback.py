"""Ports of the loopback interface, and whether a server listens on one of them."""

import errno
import socket

import httpx

from maskrelay.errors import StackError

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port of the loopback interface that is not in use now."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


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
