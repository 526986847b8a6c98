"""Open sources during planning, guarded: a source that crashes or hangs its decoder is identified and fails alone."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from maskrelay.contract.outcomes import Failure
from maskrelay.errors import DecoderCrashed, ItemError
from worker.parts import Parts
from worker.record import failure_of

log = logging.getLogger(__name__)
#: A source that ended so many children is opened no more.
DEATHS = 2
T = TypeVar("T")


class StepLost(Exception):
    """The job's plan step is another worker's by now."""


class Opening:
    """Opens sources of one job under its plan step, in a thread that `close` ends. Call from one thread."""

    def __init__(self, parts: Parts, job: str, token: str) -> None:
        self._parts = parts
        self._job = job
        self._token = token
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="opening")

    def __call__(self, what: str, call: Callable[[], T], planes: int = 1) -> T | Failure:
        """What `call` answers, or why the source cannot be opened; `planes`: how many limits of time it may take.

        Recorded in the ledger before it begins. Past its time the child ends, as a thread cannot be stopped; the step
        is taken over when its lease lapses. Raises StepLost, LedgerUnavailable, StorageUnavailable.
        """
        steps = self._parts.ledger.steps
        begun = steps.opening(self._job, self._token, what)
        if begun < 0:
            raise StepLost
        if begun > DEATHS:
            return failure_of(DecoderCrashed())
        try:
            limit = self._parts.settings.decode_timeout.total_seconds() * planes
            return self._thread.submit(call).result(timeout=limit)
        except ItemError as error:
            return failure_of(error)
        except TimeoutError:
            log.error("opening a source took too long; the process ends", extra={"job_id": self._job, "source": what})  # noqa: TRY400  no trace is needed
            os._exit(1)
        finally:
            steps.opened(self._job, self._token, what)

    def close(self) -> None:
        self._thread.shutdown(wait=False)
