"""The workers' side of deletion and retention over a running API's own storage and ledger, at any time of day."""

import os
from datetime import UTC, datetime, timedelta

from tests.apis import RunningApi
from worker.parts import Parts
from worker.removal import remove_gone


def parts_of(api: RunningApi) -> Parts:
    return Parts(api.settings, api.storage, api.ledger)


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
