"""What a test of the limiter remembers of one endpoint, beside what the ledger says."""

from dataclasses import dataclass, field


@dataclass
class Begun:
    """A score as it began: not before and not after these times (ms, by Redis' clock and what went by), and bytes."""

    before: float
    after: float
    bytes: float


@dataclass
class Wait:
    """An interactive frame in line, and what went before it: bulk frames at work when it came or begun since, and
    interactive ones begun since. slots: how many there were. since: when it came, as the line says.
    """

    since: float
    slots: int
    bulk: int
    interactive: int = 0


@dataclass
class Side:
    """What is known of one endpoint.

    working: slots of scores under way, of dead clients and of broken-off scores whose lease has not lapsed; bulk: those
    that began in the bulk lane while the gate was open. given_back: byte tokens returned, and when. sure, maybe:
    interactive grants in a row while bulk waited, for certain and at most. slots: how many at the last grant.
    """

    working: set[str] = field(default_factory=set)
    bulk: set[str] = field(default_factory=set)
    waits: dict[bytes, Wait] = field(default_factory=dict)
    slots: int = 0
    begun: list[Begun] = field(default_factory=list)
    given_back: list[tuple[float, float]] = field(default_factory=list)
    closed: bool = False
    probe: str | None = None
    sure: int = 0
    maybe: int = 0
