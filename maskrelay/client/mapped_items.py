"""Many files, as a bounded number of jobs: what `map` of the clients does."""

import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from maskrelay.client.exchange import Operation
from maskrelay.client.job_operations import all_items, ended_job
from maskrelay.client.submission import Submission, key_of, submit
from maskrelay.client.upload_sources import Source, sources_of
from maskrelay.contract.views.job_views import ItemShown


class MappedItems:
    """The items of a series of jobs with `batch` files each, of which at most `jobs` run at the same time.

    The idempotency key of a job follows from its files, prompts and options. So if the same call is repeated, it finds
    the jobs of the first call, and nothing is scored twice.
    """

    def __init__(
        self, files: Iterable[Source], prompts: Sequence[str], options: dict[str, Any], batch: int, jobs: int
    ) -> None:
        self._files = iter(files)
        self._prompts = prompts
        self._options = options
        self._batch = batch
        self._jobs = jobs
        self._running: deque[str] = deque()

    def following(self) -> Operation[list[ItemShown] | None]:
        """Return the items of the next job, or None if there are no more."""
        while len(self._running) < self._jobs and (files := list(itertools.islice(self._files, self._batch))):
            sources = sources_of(files)
            key = key_of(sources, self._prompts, self._options)
            headers = {"Idempotency-Key": f'"{key}"'}
            job = yield from submit(Submission(sources, self._prompts, self._options, headers))
            self._running.append(job.id)
        if not self._running:
            return None
        job_id = self._running.popleft()
        yield from ended_job(job_id, None, None)
        return (yield from all_items(job_id))
