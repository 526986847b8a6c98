"""What a test of the flow control records about one endpoint, in addition to the ledger."""

from dataclasses import dataclass, field


@dataclass
class Begun:
    """A score as it began: the earliest and the latest possible time (ms, from Redis's clock and elapsed
    time), and its bytes.
    """

    before: float
    after: float
    bytes: float


@dataclass
class Wait:
    """An interactive frame that waits, and what was admitted before it.

    These are bulk frames that were in progress when it arrived or have begun since, and interactive frames that have
    begun since. `slots` is the number of slots there were, and `since` is when it arrived according to the queue.
    """

    since: float
    slots: int
    bulk: int
    interactive: int = 0


@dataclass
class Side:
    """What is known about one endpoint.

    `working` are the slots of scores in progress, and of dead clients and interrupted scores whose lease has not
    lapsed. `bulk` are those that began in the bulk lane while the gate was open. `given_back` are returned byte tokens,
    with the time. `sure` and `maybe` are interactive grants in a row while bulk frames waited: those that are certain,
    and the most possible. `slots` is the number of slots at the last grant.
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
