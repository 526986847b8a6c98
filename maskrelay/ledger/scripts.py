"""The ledger's Lua scripts, one for each transition.

The table of allowed transitions and shared preludes are put before each script.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import redis
from redis.commands.core import Script

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.refusals import Standing, moved
from maskrelay.rules.lifecycle import MOVES

_FOLDER = files("maskrelay.ledger") / "scripts"
T = TypeVar("T")
#: The usual limit on the entries that one call passes to Redis or reads from it. Many more would delay other clients.
PAGE = 250
#: The largest number of entries that one call changes if each entry takes several commands.
CHANGES = 50


def _moves() -> str:
    """Return the table of transitions as Lua: MOVES[from][to] is true or nil."""
    rows = (f"{before}={{{','.join(f'{after}=true' for after in sorted(afters))}}}" for before, afters in MOVES.items())
    return f"local MOVES = {{{','.join(rows)}}}\n"


@cache
def texts() -> Mapping[str, str]:
    """Return the text of every script by its name, as it is sent to Redis. They are read once in each process.

    A text consists of the table of moves, the preludes of the folder of scripts, the preludes of the script's own
    folder, and the script itself. The preludes of a folder are in the order of their names.
    """
    common, _ = _read(_FOLDER)
    folders = (_read(entry) for entry in _FOLDER.iterdir() if entry.is_dir())
    return {
        name: _moves() + common + preludes + script for preludes, scripts in folders for name, script in scripts.items()
    }


def _read(folder: Traversable) -> tuple[str, dict[str, str]]:
    """Return the preludes of a folder as one text, and its scripts by name."""
    texts = {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".lua")}
    preludes = sorted(name for name in texts if name.startswith("prelude"))
    scripts = {name.removesuffix(".lua"): text for name, text in texts.items() if name not in preludes}
    return "".join(texts[name] for name in preludes), scripts


def paged(entries: Sequence[T], size: int) -> Iterator[tuple[Sequence[T], bool]]:
    """Yield the entries in pages of `size`, each with a flag for the last page.

    If there are no entries, yield one empty page.
    """
    for start in range(0, max(1, len(entries)), size):
        yield entries[start : start + size], start + size >= len(entries)


class Scripts:
    """The scripts, run with one Redis client. Every failure of Redis is raised as LedgerUnavailable."""

    def __init__(self, client: "redis.Redis", texts: Mapping[str, str]) -> None:
        self._client = client
        self._standing = Standing("ledger")
        self._texts = texts
        self._registered: dict[str, Script] = {}

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script with these arguments, and return its result."""
        plain = [_plain(argument) for argument in arguments]
        registered = self._registered.get(script) or self._register(script)
        return self._answered(lambda: registered(args=plain))

    def _register(self, script: str) -> Script:
        """Return a script that is used for the first time. A connection for one call needs none of the others."""
        return self._registered.setdefault(script, self._client.register_script(self._texts[script]))

    def ask(self, command: str, *arguments: Any) -> Any:
        """Run one plain command, for which no script is needed."""
        return self._answered(lambda: self._client.execute_command(command, *arguments))  # type: ignore[no-untyped-call]

    def walk(self, *command: Any, options: Sequence[Any] = ()) -> Iterator[str]:
        """Yield every element that a scanning command finds, page by page. An element may come twice."""
        place = 0
        while True:
            following, found = self.ask(*command, place, *options, "COUNT", PAGE)
            yield from (name.decode() for name in found)
            place = int(following)
            if not place:
                return

    def _answered(self, call: Callable[[], Any]) -> Any:
        """Return the result of the call.

        If the server cannot serve requests any more, the idle connections to it are closed. The next call then opens a
        new connection, possibly to another server.
        """
        try:
            answer = call()
        except redis.RedisError as error:
            self._standing.failed(error)
            if moved(error):
                self._client.connection_pool.disconnect(inuse_connections=False)
            raise LedgerUnavailable(type(error).__name__) from error
        self._standing.answered()
        return answer

    def check_writable(self) -> None:
        """Raise LedgerUnavailable if Redis does not accept writes.

        PING would not show this, because a full Redis responds to it.
        """
        self.ask("SET", "mr:asked", 1, "PX", 60_000)


def _plain(argument: Any) -> str | int | float | bytes:
    """Convert an argument for Redis: None becomes empty, and a boolean becomes 1 or 0."""
    if argument is None:
        return ""
    return int(argument) if isinstance(argument, bool) else argument
