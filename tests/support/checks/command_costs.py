"""How much work one call of the ledger causes in Redis."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.servers.valkeys import RunningValkey

#: The most commands that one call to Redis may run. At about 4 µs for each command, this takes less than 5 ms.
COMMANDS_MOST = 1000
WORDS_MOST = 4500


class Cost(NamedTuple):
    """The cost of one call to Redis: the commands that it ran, their total number of words, and the
    entries in its reply.
    """

    commands: int
    words: int
    answered: int


class Watched:
    """A ledger whose calls to Redis are observed."""

    def __init__(self, valkey: RunningValkey) -> None:
        self.client = valkey.client
        self.ledger = valkey.ledger()
        self._answers: list[Any] = []
        connected: Any = self.ledger.scripts._client
        execute = connected.execute_command

        def watched(*command: Any, **options: Any) -> Any:
            self._answers.append(execute(*command, **options))
            return self._answers[-1]

        connected.execute_command = watched

    def most(self, call: Callable[..., Any], *arguments: Any) -> Cost:
        """Return the highest cost of a call to Redis, for each kind of cost.

        Raises AssertionError if it is too high.
        """
        self._answers.clear()
        calls: list[list[int]] = []
        with self.client.monitor() as monitor:
            call(*arguments)
            self.client.echo("the end")
            for seen in monitor.listen():
                if seen["client_type"] == "lua":
                    calls[-1].append(len(seen["command"].split()))
                elif seen["command"] == "ECHO the end":
                    break
                else:
                    calls.append([])
        cost = Cost(max(map(len, calls)), max(map(sum, calls)), max(map(_length, self._answers)))
        assert cost.commands <= COMMANDS_MOST, cost
        assert cost.words <= WORDS_MOST, cost
        return cost


def _length(answer: Any) -> int:
    return len(answer) if isinstance(answer, list | tuple | dict) else 1
