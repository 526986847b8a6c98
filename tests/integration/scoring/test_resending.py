"""When the transport sends a request again: if a kept connection ended before the request was whole, and never else."""

import contextlib
import re
import socket
import threading

from maskrelay.contract.wire.image2d import Row
from tests.integration.scoring.scoring_cases import (
    GOOD,
    MAPS,
    ROWS,
    connections,
    score,
)
from tests.support.servers.scripted_server import (
    hang_up,
    reset,
    serving,
)


def closing_in_time(server_closes):
    """A first answer on each connection; then `server_closes(sock)` as the second request of a connection comes."""
    asked: dict[int, int] = {}

    def script(sock, request):
        asked[request.connection] = asked.get(request.connection, 0) + 1
        if asked[request.connection] == 1:
            sock.sendall(GOOD)
        else:
            server_closes(sock)

    return script


def test_a_request_that_the_connections_end_cut_off_is_sent_again_on_a_new_one():
    """The server closes a kept connection after a part of the second request, which it can therefore not act on."""
    with PartReader() as server:
        scored = score(server.url, times=2, rows=[Row(bytes(8_000_000), ROWS[0].prompts)])
    assert scored.answers[0].maps.raw == MAPS
    assert server.whole == 2
    assert server.parts == 1


def test_a_request_that_arrived_whole_is_not_sent_again():
    """Whoever ends the connection then may be at work on it: the slot stays taken."""
    for ended in (hang_up, reset):
        with serving(closing_in_time(ended)) as server:
            error = score(server.url, times=2)
        assert (error.kind, error.still_working) == ("connection_lost", True)
        assert connections(server) == [0, 0]


def test_a_request_on_a_new_connection_is_never_sent_again():
    with PartReader(patience=0) as server:
        error = score(server.url, rows=[Row(bytes(8_000_000), ROWS[0].prompts)])
    assert error.kind == "connection_lost"
    assert (server.whole, server.parts) == (0, 1)


class PartReader:
    """A server that reads `patience` requests of its first connection whole, and of the next a part; then it closes."""

    def __init__(self, patience=1):
        self.patience, self.whole, self.parts = patience, 0, 0

    def __enter__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        # The kernel must not acknowledge the whole of a request of which the server has read only a part.
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/score"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(20)

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                with sock:
                    while self.patience or self.parts:
                        self.patience -= 1
                        if not self._read_whole(sock):
                            break
                        self.whole += 1
                        sock.sendall(GOOD)
                        if not self.patience:
                            break
                    if not self.parts and sock.recv(1000):
                        self.parts += 1

    def _read_whole(self, sock):
        read = b""
        while b"\r\n\r\n" not in read:
            if not (more := sock.recv(65536)):
                return False
            read += more
        head, _, body = read.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        have = len(body)
        while have < length:
            have += len(sock.recv(1 << 20))
        return True
