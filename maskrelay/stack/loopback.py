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
#: The seconds after which a port is given up because it cannot be reserved.
_RESERVES_S = 1.0


def free_port() -> int:
    """Return a port of the loopback interface that is not in use now, and reserve it for a server.

    No process gets this port from this function for the next minute, unless a server has used it in the meantime.
    Raises StackError if no port is found.
    """
    for port in random.SystemRandom().sample(_PORTS, _TRIES):  # processes that start together try different ports
        try:
            _reserve(port)
        except OSError:
            continue
        return port
    raise StackError(f"{_TRIES} ports between {_PORTS.start} and {_PORTS.stop - 1} are in use")


def _reserve(port: int) -> None:
    """Leave a closed connection at `port`. Raises OSError if the port is in use or reserved.

    The side that closes first keeps its port in the state TIME_WAIT (RFC 9293, section 3.3.2), for 60 seconds on Linux.
    Until then the port is refused to a socket without SO_REUSEADDR, such as the next one that is bound here, and
    granted to one with it, such as that of a server.
    """
    with socket.socket() as listener:
        listener.settimeout(_RESERVES_S)  # another program may connect first, and then this client is not accepted
        listener.bind((HOST, port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after bind, which must refuse such a port
        listener.listen(1)
        with socket.create_connection((HOST, port), _RESERVES_S) as client:
            accepted, _ = listener.accept()
            accepted.close()
            client.recv(1)  # until the end of the connection has arrived, so that this side is not the first to close


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
