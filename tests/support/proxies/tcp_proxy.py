"""A TCP proxy on loopback that delays, throttles, cuts or refuses connections, or loses them silently."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_CHUNK = 65536
#: SO_LINGER without a time. Closing the socket then sends a reset.
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Connection:
    """One connection through the proxy. When it is `lost`, nothing passes any more, and neither side is informed."""

    client: socket.socket
    server: socket.socket
    lost: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                side.shutdown(socket.SHUT_RDWR)
        for side in (self.client, self.server):
            side.close()


class TcpProxy:
    """A proxy that passes bytes on between its clients at `port` and `upstream`, in order, according to its settings.

    `delay_s` is the delay of each piece, in both directions. `bytes_per_s` is the limit for each direction of
    a connection, or None.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self._refusing = False
        self._open: set[Connection] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def picked(self) -> tuple[str, int]:
        """Return where a new connection goes."""
        return self.upstream

    def cut(self) -> None:
        """Reset every connection, and every new one until `mend`."""
        self._refusing = True
        self.reset()

    def reset(self) -> None:
        """Reset every connection. New ones are accepted."""
        with self._lock:
            open_ones = list(self._open)
        for connection in open_ones:
            connection.reset()

    def lose(self) -> None:
        """Let every connection go dead, as after a router has dropped its table entry. New ones are accepted."""
        with self._lock:
            for connection in self._open:
                connection.lost.set()

    def mend(self) -> None:
        """Pass everything on again. Connections that were lost stay lost."""
        self._refusing, self.delay_s, self.bytes_per_s = False, 0.0, None

    def close(self) -> None:
        """End everything, including the connections that were lost."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # this ends accept(), which closing does not
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.picked(), 5)
        except OSError:
            client.close()
            return
        for side in (client, server):
            side.settimeout(None)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, server)
        with self._lock:
            self._open.add(connection)
        if self._refusing:
            connection.reset()
        down = threading.Thread(target=self._pump, args=(connection, server, client, self.answered), daemon=True)
        down.start()
        self._pump(connection, client, server, self.asked)
        down.join()
        for side in (client, server):
            side.close()
        with self._lock:
            self._open.discard(connection)

    def asked(self, connection: Connection, piece: bytes) -> bytes:  # noqa: ARG002
        """Return what is passed on to the server instead of `piece`. This may wait."""
        return piece

    def answered(self, connection: Connection, piece: bytes) -> bytes:  # noqa: ARG002
        """Return what is passed on to the client instead of `piece`. This may wait."""
        return piece

    def _pump(self, connection: Connection, source: socket.socket, target: socket.socket, seen) -> None:
        try:
            while piece := source.recv(_CHUNK):
                piece = seen(connection, piece)
                if connection.lost.is_set():
                    continue
                pause = self.delay_s + (len(piece) / self.bytes_per_s if self.bytes_per_s else 0.0)
                if pause:
                    time.sleep(pause)
                target.sendall(piece)
        except OSError:
            connection.reset()
        else:
            if connection.lost.is_set():  # one side has given up, and the other is not informed
                return
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)


@contextmanager
def tcp_proxy(port: int) -> Iterator[TcpProxy]:
    """Run a proxy in front of this loopback port."""
    proxy = TcpProxy(("127.0.0.1", port))
    try:
        yield proxy
    finally:
        proxy.close()
