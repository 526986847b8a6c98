"""A TCP proxy in front of Redis that can hold one command, or its answer, until the process that sent it is dead."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from maskrelay.ledger.scripts import texts
from tests.support.proxies.holds import Hold
from tests.support.proxies.tcp_proxy import Connection, TcpProxy

Command = list[bytes]


class RedisProxy(TcpProxy):
    """The proxy. `held` catches one command of the client that sends it first."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port))
        self._hold: Hold[Command] | None = None
        self._answers: dict[Connection, Hold[Command]] = {}
        self._shas: dict[str, bytes] = {}

    def learn_scripts(self, client: "redis.Redis") -> None:
        """Load the ledger's scripts into the server, so that each is known by its hash from the first time."""
        self._shas = {name: str(client.script_load(text)).encode() for name, text in texts().items()}

    def script(self, name: str, *words: str) -> Callable[[Command], bool]:
        """Return a function that matches a run of this script whose first arguments are `words`."""
        sha = self._shas[name]
        given = [word.encode() for word in words]
        return lambda command: command[:2] == [b"EVALSHA", sha] and command[3 : 3 + len(given)] == given

    @contextmanager
    def held(
        self, matches: Callable[[Command], bool], *, after: bool = False, wants: bytes = b""
    ) -> Iterator[Hold[Command]]:
        hold = self._hold = Hold(matches, after=after, wants=wants)
        try:
            yield hold
        finally:
            self._hold = None
            hold.let_go()

    def asked(self, connection: Connection, piece: bytes) -> bytes:
        hold = self._hold
        if hold is None or not any(hold.matches(command) for command in commands(piece)):
            return piece
        if hold.after:
            self._answers[connection] = hold
            return piece
        if hold.catch():
            connection.reset()
        return piece

    def answered(self, connection: Connection, piece: bytes) -> bytes:
        hold = self._answers.pop(connection, None)
        if hold is not None and hold.wants in piece and hold.catch():
            connection.reset()
        return piece


def commands(piece: bytes) -> Iterator[Command]:
    """Yield the complete commands at the beginning of the piece, which are RESP arrays of bulk strings."""
    at = 0
    while piece[at : at + 1] == b"*":
        words: Command = []
        try:
            line = piece.index(b"\r\n", at)
            count, at = int(piece[at + 1 : line]), line + 2
            for _ in range(count):
                line = piece.index(b"\r\n", at)
                length = int(piece[at + 1 : line])
                words.append(piece[line + 2 : line + 2 + length])
                at = line + 2 + length + 2
        except ValueError:  # the rest comes with the next piece
            pass
        yield words
        if at > len(piece):
            return


@contextmanager
def redis_proxy(port: int) -> Iterator[RedisProxy]:
    """Run a proxy in front of the server at this loopback port."""
    proxy = RedisProxy(port)
    try:
        with redis.Redis(port=port) as client:
            proxy.learn_scripts(client)
        yield proxy
    finally:
        proxy.close()
