"""The result of one attempt to store the results of a job where its caller wants them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The reason of a result if the time of an attempt ended before everything was stored.
CONTINUES = "continues"


@dataclass(frozen=True, slots=True)
class StoringResult:
    """The result of one attempt. `is_over` says that nothing is left to be stored."""

    is_over: bool
    #: `ok`, or the reason of the last object that was not stored.
    reason: str
    status: int | None = None
    #: The number of items whose files could not be written, by the code of the reason.
    left_out: Mapping[str, int] = field(default_factory=dict)
