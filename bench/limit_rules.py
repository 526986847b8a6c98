"""The rules for the limit on requests in flight that are compared.

Ours is the ledger's own Lua script in a real Valkey.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Protocol

import redis


@dataclass(frozen=True)
class Score:
    """A score as it began: the time (ms), its number among those in flight, and the number of refusals known then."""

    begun: float
    place: int
    refused: int


class Rule(Protocol):
    limit: float
    refused: int

    def good(self, score: Score, now: float) -> None:
        """Record that a score succeeded while others waited. `now` is in ms."""
        ...

    def refuse(self, score: Score, now: float) -> None:
        """Record that a score was refused because too many were pending."""
        ...


class Aimd:
    """The rule that adds one in each round trip, and multiplies by a factor at most once in each round trip."""

    def __init__(self, start: int, most: int, factor: float) -> None:
        self.limit = float(start)
        self.refused = 0
        self._most, self._factor, self._cut_at = most, factor, 0.0

    def good(self, score: Score, now: float) -> None:  # noqa: ARG002 - this is the common signature of the rules
        self.limit = min(self._most, self.limit + 1 / self.limit)

    def refuse(self, score: Score, now: float) -> None:
        self.refused += 1
        if score.begun >= self._cut_at:
            self.limit, self._cut_at = max(1.0, self.limit * self._factor), now


_ENDED = """
local flow, score, event = cjson.decode(ARGV[2]), cjson.decode(ARGV[3]), ARGV[4]
if event == 'good' then limit_grows(flow, score, tonumber(ARGV[5])) else limit_refused(flow, score) end
return cjson.encode(flow)
"""


class Ours:
    """The rule of `flow/prelude-limit.lua`, with a simulated clock."""

    def __init__(self, client: "redis.Redis", start: int, most: int) -> None:
        rule = files("maskrelay.ledger") / "scripts" / "flow" / "prelude-limit.lua"
        clock = "local exact = tonumber(ARGV[1])\nlocal now = exact\n"
        self._script = client.register_script(clock + rule.read_text() + _ENDED)
        self._most = most
        self._flow: dict[str, Any] = {"limit": start, "ceiling": most, "step": 1, "proofs": 0}
        self._flow |= {"probe_at": 0, "gap": 0, "cut_at": 0, "refused": 0}

    @property
    def limit(self) -> float:
        return float(self._flow["limit"])

    @property
    def refused(self) -> int:
        return int(self._flow["refused"])

    def good(self, score: Score, now: float) -> None:
        self._end("good", score, now)

    def refuse(self, score: Score, now: float) -> None:
        self._end("refused", score, now)

    def _end(self, event: str, score: Score, now: float) -> None:
        told = [now, json.dumps(self._flow), json.dumps(asdict(score)), event, self._most]
        self._flow = json.loads(self._script(args=told))


def rules(client: "redis.Redis") -> dict[str, Callable[[int, int], Rule]]:
    """Return the rules by name, as functions of a start and a hard limit."""
    return {
        "AIMD ½": lambda start, most: Aimd(start, most, 0.5),
        "AIMD 0.9": lambda start, most: Aimd(start, most, 0.9),
        "ours": lambda start, most: Ours(client, start, most),
    }
