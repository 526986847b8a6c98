"""Runs the ledger's Lua scripts: one a transition, each with the prelude and the table of moves before it."""

from importlib.resources import files
from typing import Any

import redis

from maskrelay.errors import LedgerUnavailable
from maskrelay.rules.lifecycle import MOVES

_FOLDER = files("maskrelay.ledger") / "scripts"


def _moves() -> str:
    """The lifecycle's table in Lua: MOVES[from][to] is true or nil."""
    rows = (f"{before}={{{','.join(f'{after}=true' for after in sorted(afters))}}}" for before, afters in MOVES.items())
    return f"local MOVES = {{{','.join(rows)}}}\n"


class Scripts:
    """The scripts over one Redis client; every failure of Redis leaves as LedgerUnavailable."""

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        prelude = _moves() + (_FOLDER / "prelude.lua").read_text()
        names = [entry.name.removesuffix(".lua") for entry in _FOLDER.iterdir() if entry.name.endswith(".lua")]
        self._scripts = {
            name: client.register_script(prelude + (_FOLDER / f"{name}.lua").read_text())
            for name in names
            if name != "prelude"
        }

    def run(self, script: str, *arguments: Any) -> Any:
        try:
            return self._scripts[script](args=[_plain(argument) for argument in arguments])
        except redis.RedisError as error:
            raise LedgerUnavailable(type(error).__name__) from error

    def ask(self, command: str, *arguments: Any) -> Any:
        """One plain command, for what needs no transition."""
        try:
            return self._client.execute_command(command, *arguments)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise LedgerUnavailable(type(error).__name__) from error


def _plain(argument: Any) -> str | int | float | bytes:
    """What Redis takes: None is empty, a boolean is 1 or 0."""
    if argument is None:
        return ""
    return int(argument) if isinstance(argument, bool) else argument
