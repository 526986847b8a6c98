"""The removal of old versions of a Delta log, as the protocol describes it (Metadata Cleanup).

Without it, the log would have an object for every commit that was ever made, and every checkpoint of the whole state.
Some stores list all of these at each reading.
"""

import json
from collections.abc import Sequence
from itertools import takewhile

from maskrelay.delta.checkpoint import version_digits
from maskrelay.delta.table_store import TableStore

#: The milliseconds for which a version stays, as in other programs that write Delta tables.
LOG_RETENTION_MS = 30 * 86_400_000
#: The most objects that one call removes.
_MOST_OBJECTS = 500


def remove_old_versions(storage: TableStore, log_prefix: str, checkpoint: int, now_ms: int) -> None:
    """Remove the commits and checkpoints before the newest checkpoint that is older than `LOG_RETENTION_MS`.

    So every version from this checkpoint on can still be read. `checkpoint` is the version of the last one, which
    stays. If a call is interrupted, the next one continues. Raises StorageUnavailable.
    """
    names = [key.removeprefix(log_prefix) for key in storage.list(log_prefix)]
    commits = set(names)
    versions = [int(name.partition(".")[0]) for name in names if name.endswith(".checkpoint.parquet")]
    candidates = [version for version in versions if version < checkpoint and _name(version) in commits]
    old = _count_older(storage, log_prefix, candidates, now_ms - LOG_RETENTION_MS)
    if old:
        first = version_digits(candidates[old - 1])
        for name in list(takewhile(lambda name: name < first, names))[:_MOST_OBJECTS]:
            storage.delete(log_prefix + name)


def _count_older(storage: TableStore, log_prefix: str, versions: Sequence[int], oldest_ms: int) -> int:
    """Return how many of these versions, which are in order, were committed before `oldest_ms`."""
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if _committed_ms(storage.get(log_prefix + _name(versions[middle]))) < oldest_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _committed_ms(body: bytes) -> float:
    """Return the time of a commit in milliseconds, or infinity if it has none."""
    try:
        actions = [json.loads(line) for line in body.splitlines() if line.strip()]
        return next(float(action["commitInfo"]["timestamp"]) for action in actions if "commitInfo" in action)
    except (ValueError, TypeError, KeyError, StopIteration):
        return float("inf")


def _name(version: int) -> str:
    return f"{version_digits(version)}.json"
