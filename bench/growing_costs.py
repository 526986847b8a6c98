"""Measure the costs that could grow with the queue, and compare each with that of an earlier implementation.

    python -m bench.growing_costs [--jobs 10000] [--frames 1000000] [--parts 500000] [--children 64]

The benchmark prints four tables, which are measured with real servers and files. The old ways are:

- quotas: a check of a tenant's quotas walked over all live jobs of the tenant. The table shows how long Redis is
  blocked by a check.
- pages: a page of a running job was made by reading all earlier parts. The table shows how long a page near the end of
  the job takes over HTTP. The old way is measured with `--old-frames` frames, because it takes too long with all.
- parts: one call listed all parts. The table shows how long Redis is blocked by one call.
- finish: only the last few parts were cached, so the same part was read again and again. The table shows how often each
  part is read if the parts were written by `--children` child processes.
"""

import argparse
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from api.dependencies.archive import Archive
from api.http.pagination import cursor_of
from api.jobs.completed_items import _from_all_parts, completed_items
from api.jobs.lookup import find_job
from bench.cpus import cpu_seconds
from bench.figures import median, print_head, print_table
from bench.finishing import JOB, Listed, interleaved, laid_out, measure
from bench.script_cost import TENANT, UNBOUNDED, Bench
from bench.status_reads import served
from bench.sweep_pause import store_submission
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import FRAMES_PER_PART, Submission
from maskrelay.errors import JobsQuotaReached
from maskrelay.ledger.quotas import Usage
from maskrelay.storage.file_store import FileStorage
from tests.support.counted_storage import CountedStorage
from tests.support.servers.valkeys import running_valkey
from worker.context.job_records.plans import LruCache
from worker.context.job_records.visible_outcomes import find_visible_outcomes
from worker.finish.final_objects import write_final_objects

#: The old way of a check: a walk over the tenant's live jobs.
WALK_OVER_JOBS = """
local jobs, frames = 0, 0
for _, job in ipairs(redis.call('SMEMBERS', 'mr:live:' .. ARGV[1])) do
  local key = 'mr:job:' .. job
  local state, total, planned = unpack(redis.call('HMGET', key, 'state', 'total', 'frames'))
  if state == 'accepted' or state == 'running' then
    frames = frames + math.max(tonumber(total), tonumber(planned)) - redis.call('BITCOUNT', key .. ':settled')
  end
  jobs = jobs + 1
end
return {jobs, frames}
"""
#: The old way of listing parts: all of them in one script.
ALL_PARTS = """
local listed = {}
for _, part in ipairs(redis.call('LRANGE', 'mr:job:' .. ARGV[1] .. ':parts', 0, -1)) do
  listed[#listed + 1] = part
  listed[#listed + 1] = redis.call('HGET', 'mr:job:' .. ARGV[1] .. ':refused', part) or ''
end
return listed
"""
_PAGE = 100
_PAGES = 50
_CHECKS = 200
#: The number of frames with which the old way of finishing is measured. It is enough to show how often a part is read.
_OLD_FINISH = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growing_costs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=500_000)
    parser.add_argument("--children", type=int, default=64)
    parser.add_argument("--old-frames", type=int, default=20_000)
    asked = parser.parse_args()
    print_head("Costs that could grow with the queue", 1)
    if os.getloadavg()[0] > 1:
        print("Other work ran on this machine at the same time: measure again when it is idle.\n")
    quotas(asked.jobs)
    parts(asked.frames, asked.parts)
    pages(asked.frames, asked.children, asked.old_frames)


def quotas(jobs: int) -> None:
    """Print how long Redis is blocked by checks of a tenant's quotas."""
    with running_valkey() as valkey:
        bench = Bench(valkey)
        for _ in range(jobs):
            bench.running(100, 100)
        for _ in range(_CHECKS):
            bench.run("allowed", bench.ledger.quotas.check, TENANT, Usage(jobs=1, frames=1), UNBOUNDED)
            bench.run("refused", _refused, bench, jobs)
            request = keys.new_id()
            more, hold = Usage(1, 1, 1, 1), timedelta(minutes=1)
            bench.run("reserved", bench.ledger.quotas.keep, TENANT, request, more, UNBOUNDED, hold)
            bench.ledger.quotas.release(TENANT, request)
        bench.run("all counted again, a call", bench.ledger.quotas.recount, TENANT)
        for _ in range(_CHECKS // 10):
            _run_peer(bench, "before: a walk over the jobs", WALK_OVER_JOBS, TENANT)
        names = ("allowed", "reserved", "refused", "all counted again, a call", "before: a walk over the jobs")
        rows = [[name, *_held(bench.calls[name])] for name in names]
    print_table([f"check of a quota, {jobs:,} live jobs", "median, ms", "p99, ms", "longest, ms"], rows)


def _refused(bench: Bench, jobs: int) -> None:
    try:
        bench.ledger.quotas.check(TENANT, Usage(jobs=1), Usage(jobs=jobs))
    except JobsQuotaReached:
        return
    raise AssertionError("the check was to be refused")


def parts(frames: int, count: int) -> None:
    """Print how long Redis is blocked by calls that list the outcome parts of one job."""
    with running_valkey() as valkey:
        bench = Bench(valkey)
        job = bench.running(frames, 1000, spans=2)
        bench.list_parts(job, count)
        bench.run("a call of the listing", bench.ledger.jobs.parts, job)
        for _ in range(3):
            _run_peer(bench, "before: all in one call", ALL_PARTS, job)
        names = ("a call of the listing", "before: all in one call")
        rows = [[name, *_held(bench.calls[name])] for name in names]
    print_table([f"list of {count:,} parts", "median, ms", "p99, ms", "longest, ms"], rows)


def _run_peer(bench: Bench, what: str, script: str, argument: str) -> None:
    """Run a script of the old way. It may take longer than the ledger waits for an answer."""
    before = bench.busy_ms()
    bench.client.eval(script, 0, argument)
    bench.calls[what].append(bench.busy_ms() - before)


def _held(calls: Sequence[float]) -> tuple[str, str, str]:
    ordered = sorted(calls)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    return f"{median(calls):.2f}", f"{p99:.2f}", f"{ordered[-1]:.2f}"


def pages(frames: int, children: int, old_frames: int) -> None:
    """Print how long pages of a running job take, and how often finishing it reads its parts."""
    rows = []
    with served() as (bench, root, connection):
        listed = _running(bench, root, frames, children)
        connection.close()  # the API may have closed it meanwhile; the next request opens another
        for what, last in (("the first", 2 * _PAGES), ("in the middle", len(listed) // 2), ("the last", len(listed))):
            rows.append([f"{frames:,}", f"{_PAGES} pages to {what}", *_pages(connection, last)])
        print_table(["frames", f"pages of {_PAGE} items", "median, ms", "longest, ms", "CPU of the API, ms"], rows)
        measure(root, frames, listed, lent=30)
    print(f"{_OLD_FINISH:,} frames, before: an outcome part was read up to {_old_finish(children)} times\n")
    with served() as (bench, root, _):
        end = len(_running(bench, root, old_frames, children)) - 2
        now, before = (_last_page(bench, root, read, end) for read in (completed_items, _from_all_parts))
    rows = [[f"{old_frames:,}", f"{now:.1f}", f"{before:.1f}"]]
    print_table(["frames", "the last page, without HTTP: now, ms", "before: all parts are read, ms"], rows)


def _last_page(bench: Bench, root: Path, read: Callable[..., Any], part: int) -> float:
    """Return the milliseconds that the page from this part on takes, if the caches of this process are empty."""
    storage = FileStorage(root)
    dependencies: Any = SimpleNamespace(ledger=bench.ledger, storage=storage, archive=Archive(storage))
    known = find_job(dependencies, TENANT, JOB)
    began = time.perf_counter()
    items, _ = read(dependencies, known, (part, 0), _PAGE)
    took = (time.perf_counter() - began) * 1000
    assert items
    return took


def _running(bench: Bench, root: Path, frames: int, children: int) -> Listed:
    """A running job in the ledger and in storage, of which all frames but the last have their outcomes."""
    listed = laid_out(root, frames, children)
    ledger = bench.ledger
    ledger.jobs.create(JOB, TENANT, "bulk", frames, datetime.now(UTC))
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    for number, first in enumerate(range(0, frames, FRAMES_PER_PART)):
        n = min(FRAMES_PER_PART, frames - first)
        last = first + n == frames
        told: dict[str, Any] = {"first": first, "n": n, "spans": [], "last": last, "lane": "bulk", "items": frames}
        assert ledger.step_leases.extend(lease, number, **told)
    settled = zip(listed[:-1], interleaved(frames, children), strict=False)  # the last part is missing, so it runs
    for (name, _), mine in settled:
        ledger.claims.adopt(JOB, name, [(frame, False, True) for frame in mine])
    store_submission(FileStorage(root), JOB, TENANT)
    return listed


def _pages(connection: HTTPConnection, end: int) -> tuple[str, str, str]:
    """Request the pages up to the part `end`. No page may have been requested before."""
    [api] = [child.pid for child in psutil.Process().children() if "api" in child.cmdline()]
    cpu = cpu_seconds(api)
    took = [_page(connection, part) for part in range(max(0, end - 2 * _PAGES), end, 2)]
    return f"{median(took):.1f}", f"{max(took):.1f}", f"{(cpu_seconds(api) - cpu) * 1000 / len(took):.1f}"


def _page(connection: HTTPConnection, part: int) -> float:
    """Return the milliseconds that the page from this part on takes."""
    path = f"/v1/jobs/{JOB}/items?limit={_PAGE}&cursor={cursor_of('r', f'{part}.0')}"
    began = time.perf_counter()
    connection.request("GET", path, headers={"authorization": "Bearer reader"})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1000
    assert answer.status == 200, body
    return took


def _old_finish(children: int) -> int:
    """Return how often one part is read if lines are not set aside and the last eight parts are cached."""
    root = Path(tempfile.mkdtemp(prefix="bench-finishing-"))
    try:
        listed = laid_out(root, _OLD_FINISH, children)
        storage: Any = CountedStorage(FileStorage(root))
        submission = Submission(
            id=JOB,
            tenant=TENANT,
            created_at=datetime.now(UTC),
            lane="bulk",
            outputs=(),
            total=_OLD_FINISH,
            fingerprint="",
        )
        with closing(find_visible_outcomes(storage, JOB, _OLD_FINISH, listed, spool_bytes=0)) as visible:
            visible._again = LruCache(visible._read, most=8)  # noqa: SLF001 - as it was
            write_final_objects(storage, submission, _OLD_FINISH // FRAMES_PER_PART, visible, planned=True)
    finally:
        shutil.rmtree(root)
    return max(count for key, count in storage.read.items() if key.startswith(keys.outcomes(JOB)))


if __name__ == "__main__":
    main()
