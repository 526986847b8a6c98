"""The result of one attempt to store the results of a job where its caller wants them."""

from dataclasses import dataclass

#: The reason of a result if the time of an attempt ended before everything was stored.
CONTINUES = "continues"


@dataclass(frozen=True, slots=True)
class StoringResult:
    """The result of one attempt. `is_over` says that nothing is left to be stored."""

    is_over: bool
    #: `ok`, or the reason of the last object that was not stored.
    reason: str
    status: int | None = None
