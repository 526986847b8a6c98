"""The opening of sources during planning.

If a source crashes or hangs the process that opens it repeatedly, only this source fails, and the rest of the job is
planned.
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from maskrelay.contract.record import Failure
from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.errors import DecoderCrashed, ItemError
from maskrelay.ledger.step_leases import StepLease
from maskrelay.ledger.survey_leases import SurveyLease
from worker.context import WorkerContext
from worker.context.job_records.outcome_parts import failure_of

log = logging.getLogger(__name__)
#: A source that has crashed this many processes is not opened again.
DEATHS = 2
T = TypeVar("T")
#: The time limit of opening a source by reference grows by `decode_timeout` for each of these numbers of bytes.
_UNIT = 1 << 20


class StepLost(Exception):
    """Another worker now holds the plan step of the job, or the survey of the chunk."""


class OpeningLeases(Protocol):
    """The leases under which sources are opened: those of plan steps, or those of the surveys of chunks."""

    def opening(self, lease: Any, what: str) -> int:
        """Record that the opening of a source begins. See `StepLeases.opening`."""

    def opened(self, lease: Any, what: str) -> None:
        """Record that the opening of the source has ended."""


class GuardedOpener:
    """A guard that opens the sources of one job in a thread of its own, while the plan step of the job is held.

    `lease` is that of the plan step, or that of the survey of one chunk.

    Call it from one thread only. `close` ends the guard's thread. `scope` is put before the name of each opening, so
    that openings of different chunks of a run have different names.
    """

    def __init__(self, context: WorkerContext, lease: StepLease | SurveyLease) -> None:
        self._context = context
        self._lease = lease
        ledger = context.ledger
        self._leases: OpeningLeases = ledger.step_leases if isinstance(lease, StepLease) else ledger.survey_leases
        self.scope = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="opening")

    def __call__(self, what: str, call: Callable[[], T], planes: int = 1) -> T | Failure:
        """Return the result of `call`, or the reason why the source cannot be opened.

        `what` identifies this opening within the job. It is recorded in the ledger before `call` begins. The time limit
        is `decode_timeout` for each of the `planes` to read. A thread cannot be stopped, so if the limit is exceeded,
        this process ends. Another worker takes the step when its lease lapses. Raises StepLost, LedgerUnavailable or
        StorageUnavailable.
        """
        what = self.scope + what
        begun = self._leases.opening(self._lease, what)
        if begun < 0:
            raise StepLost
        if begun > DEATHS:
            return failure_of(DecoderCrashed())
        try:
            limit = self._context.settings.decode_timeout.total_seconds() * planes
            return self._thread.submit(call).result(timeout=limit)
        except ItemError as error:
            return failure_of(error)
        except TimeoutError:
            about = {"job_id": self._lease.job, "source": what}
            log.error("opening a source took too long; the process ends", extra=about)  # noqa: TRY400  no trace is needed
            os._exit(1)
        finally:
            self._leases.opened(self._lease, what)

    def close(self) -> None:
        self._thread.shutdown(wait=False)


def time_units(source: PinnedSource | None) -> int:
    """Return the factor by which the time limit grows because a source is read from a store outside of the service.

    Such a store may be slow. Its own limits are in `SourceReaders`.
    """
    return 1 if source is None else 1 + source.size // _UNIT
