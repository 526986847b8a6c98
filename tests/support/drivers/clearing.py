"""The workers' side of deletion and retention over a running API's own storage and ledger, at any time of day."""

import os
from datetime import UTC, datetime, timedelta

from tests.support.servers.apis import RunningApi
from worker.cleanup.deleted_jobs import remove_gone
from worker.context import WorkerContext


def parts_of(api: RunningApi) -> WorkerContext:
    return WorkerContext(api.settings, api.storage, api.ledger)


def later(**span: float) -> datetime:
    """A time from now, for a pass that is to find objects so old."""
    return datetime.now(UTC) + timedelta(**span)


def removed(api: RunningApi) -> None:
    """Both goes of every removal, as if the pause between them were over."""
    remove_gone(parts_of(api), later())
    remove_gone(parts_of(api), later(hours=1))


def aged(api: RunningApi, *of: str) -> None:
    """Let these objects be two hours old."""
    then = later(hours=-2).timestamp()
    for key in of:
        os.utime(api.folder / key, (then, then))
