"""Measure how long leases and wake-ups wait for the sweep while it compares storage with the ledger.

    python -m bench.sweep_pause [--jobs 600 10000] [--latency-ms 20]

Running jobs with one planned frame each are in a folder in which every call takes the given latency, as in an object
store. One sweep runs as in a control worker, with a period of five seconds, until everything was compared and the
leases were checked a few times. The pauses are the times between two such checks, as the ledger recorded them.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

from bench.figures import print_head, print_table
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Item, Submission
from maskrelay.ledger import Ledger
from maskrelay.settings import Settings
from maskrelay.storage.file_store import FileStorage
from tests.support.servers.valkeys import RunningValkey, running_valkey
from worker.context import WorkerContext
from worker.sweep.sweep_pass import sweep_for_ever

_CALLS = frozenset({"get", "stream", "create", "put", "list", "head", "delete"})
#: The smallest number of lease checks to wait for, even if the comparison ends sooner.
_LOOKS = 4


class Distant:
    """A store in which every call takes the given latency."""

    def __init__(self, inner: FileStorage, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name not in _CALLS:
            return call

        def later(*given: Any, **named: Any) -> Any:
            time.sleep(self._seconds)
            return call(*given, **named)

        return later


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep_pause", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[600, 10_000])
    parser.add_argument("--latency-ms", type=float, default=20)
    asked = parser.parse_args()
    print_head(f"Sweep: pauses while live jobs are compared, {asked.latency_ms:g} ms a call to storage", 1)
    fresh = get_context("spawn")  # a sweep ends only with its process
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as processes:
        rows = list(processes.map(partial(_row, latency=asked.latency_ms / 1000), asked.jobs))
    print_table(["live jobs", "compared in", "longest pause"], rows)


def _row(jobs: int, latency: float) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, running_valkey() as valkey:
        ledger, store = valkey.ledger(), FileStorage(Path(folder))
        for _ in range(jobs):
            _live(store, ledger)
        given = {"REDIS_URL": valkey.url, "STORAGE_URL": Path(folder).as_uri(), "SERVER_KEY": "k" * 32}
        settings = Settings.from_environment({f"MASKRELAY_{name}": value for name, value in given.items()})
        compared, longest = _swept(valkey, WorkerContext(settings, Distant(store, latency), ledger))  # type: ignore[arg-type]
    return [f"{jobs:,}", f"{compared:.1f} s", f"{longest:.1f} s"]


def _live(store: FileStorage, ledger: Ledger) -> None:
    """Create a running job of one frame, in the store and in the ledger."""
    job = keys.new_id()
    store_submission(store, job, "bench")
    ledger.jobs.create(job, "bench", "bulk", 1, datetime.now(UTC))
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    ledger.step_leases.extend(lease, 0, first=0, n=1, spans=[], last=True, lane="bulk", items=1)


def store_submission(store: FileStorage, job: str, tenant: str) -> None:
    """Write what storage contains of an accepted job with one image."""
    item = Item(
        source="uploads/bench/one",
        size=1,
        sha256="0" * 64,
        kind="still",
        custom_id="0",
        source_name=None,
        prompts=("liver",),
    )
    submission = Submission(
        id=job,
        tenant=tenant,
        created_at=datetime.now(UTC),
        lane="bulk",
        outputs=("mask",),
        total=1,
        size=1,
        items=(item,),
        fingerprint="0" * 64,
    )
    store.put(keys.accepted(job), submission.model_dump_json().encode())
    store.put(keys.live(job), b"")


def _swept(valkey: RunningValkey, context: WorkerContext) -> tuple[float, float]:
    """Return the seconds until everything was compared, and the longest pause between two lease checks."""
    Thread(target=sweep_for_ever, args=(context, os.getppid(), lambda: None), daemon=True).start()
    began, looks, took = time.monotonic(), [_now(valkey)], 0.0
    while not took or len(looks) < _LOOKS:
        last, compared = valkey.client.hmget("mr:sweep", "last", "reconciled")
        if last is not None and int(last) > looks[-1]:
            looks.append(int(last))
        if compared is not None and not took:
            took = time.monotonic() - began
        time.sleep(0.02)
    return took, max(later - earlier for earlier, later in pairwise(looks)) / 1000


def _now(valkey: RunningValkey) -> int:
    """Return the server's clock in milliseconds, which the ledger uses."""
    seconds, microseconds = valkey.client.time()
    return seconds * 1000 + microseconds // 1000


if __name__ == "__main__":
    main()
