"""The workers' side of deletion and retention, with the storage and ledger of a running API, at any time of day."""

import os
from datetime import UTC, datetime, timedelta

from tests.support.servers.apis import RunningApi
from worker.cleanup.deleted_jobs import remove_gone
from worker.context import WorkerContext


def parts_of(api: RunningApi) -> WorkerContext:
    return WorkerContext(api.settings, api.storage, api.ledger)


def later(**span: float) -> datetime:
    """Return a time from now, for a pass that must find objects of this age."""
    return datetime.now(UTC) + timedelta(**span)


def removed(api: RunningApi) -> None:
    """Run both rounds of every removal, as if the pause between them were over."""
    remove_gone(parts_of(api), later())
    remove_gone(parts_of(api), later(hours=1))


def aged(api: RunningApi, *of: str) -> None:
    """Make these objects two hours old."""
    then = later(hours=-2).timestamp()
    for key in of:
        os.utime(api.folder / key, (then, then))
