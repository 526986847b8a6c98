"""Measure how long each ledger command blocks Redis, with many live jobs and with one very large job.

`python -m bench.script_cost [--jobs 10000] [--frames 1000000] [--parts 500000] [--runs 3] [--only jobs|frames]` starts
a server of its own, fills it, and runs every operation of the ledger. The figures are the CPU time of the server's main
thread for one command or script, including reading the command and writing the reply. If an operation makes several
calls, the figure is that of the longest call. If it makes hundreds of calls, the figure is their 99th percentile. Of
several runs, the minimum is shown, because other load on the machine only increases the CPU time.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Frames, Lane
from maskrelay.endpoints import Endpoint
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.ledger.part_names import pack
from maskrelay.ledger.quotas import UnusedUpload, Usage
from maskrelay.rules.endpoint_gate import Report
from tests.support.servers.valkeys import RunningValkey, running_valkey

TENANT = "north"
BULK: list[Lane] = ["bulk"]
CLAIMS = 3000
HOUR_MS = 3_600_000
UNBOUNDED = Usage(jobs=10**9, frames=10**12, interactive=10**12, bytes=10**15)
ENDPOINT = Endpoint(name="bench", url="", auth="entra", max_in_flight=200)


class Bench:
    """A ledger whose operations are run, with a record of the CPU time of each of their commands."""

    def __init__(self, valkey: RunningValkey) -> None:
        self.client = valkey.client
        self.ledger = valkey.ledger()
        self.calls: dict[str, list[float]] = defaultdict(list)
        pid = valkey.client.info("server")["process_id"]
        self._busy = Path(
            f"/proc/{pid}/task/{pid}/schedstat"
        )  # the first number is the nanoseconds of the main thread on a CPU
        self._what = ""
        connected = self.ledger.scripts._client  # noqa: SLF001 - all ledger commands pass through it
        self._execute, connected.execute_command = connected.execute_command, self._measured  # type: ignore[method-assign]

    def _measured(self, *command: Any, **options: Any) -> Any:
        before = self.busy_ms()
        try:
            return self._execute(*command, **options)
        finally:
            if command[:2] != ("SCRIPT", "LOAD") and self._what:  # a script is loaded only once in the life of a server
                self.calls[self._what].append(self.busy_ms() - before)

    def busy_ms(self) -> float:
        return int(self._busy.read_text().split()[0]) / 1e6

    def run(self, what: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._what = what
        try:
            return call(*arguments, **named)
        finally:
            self._what = ""

    # -- what is filled in ---------------------------------------------------------------------------------------------

    def running(self, frames: int, part: int, *, spans: int = 0) -> str:
        """Create a running bulk job, planned in parts of `part` frames.

        `spans` is the number of frames per item. 0 means that each item has one frame.
        """
        job = keys.new_id()
        self.run("create", self.ledger.jobs.create, job, TENANT, "bulk", frames, datetime.now(UTC), size=1000)
        lease = self.run("step", self.ledger.step_leases.take, "plan")
        assert lease is not None
        for number, first in enumerate(range(0, frames, part)):
            items = [(at, spans) for at in range(first, first + part, spans)] if spans else []
            told = {"first": first, "n": part, "spans": items, "last": first + part >= frames, "lane": "bulk"}
            self.run("extend", self.ledger.step_leases.extend, lease, number, **told, items=frames)
        return job

    def list_parts(self, job: str, count: int) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            for number in range(count):
                pipe.rpush(f"mr:job:{job}:parts", pack(_name(number)))
                if number % 5000 == 0:
                    pipe.execute()
            pipe.execute()


def _name(number: int, worker: str = "0a1b2c3d") -> str:
    return f"{1_700_000_000_000 + number:016d}-{worker}-{number % 1_000_000:06d}"


def _settled(bench: Bench, claim: Claim, number: int) -> None:
    lines = [Settlement(claim.token, frame, failed=False) for frame in claim.frames()]
    bench.run("settle", bench.ledger.claims.settle, claim.job, _name(number, "ffffffff"), lines)
    bench.run("settle (repeated)", bench.ledger.claims.settle, claim.job, _name(number, "ffffffff"), lines)


def shared(bench: Bench, job: str) -> None:
    """Run the operations that every ledger needs all the time. `job` is running and has frames to claim."""
    ledger, claims = bench.ledger, bench.ledger.claims
    bench.run("room", ledger.quotas.check, TENANT, Usage(jobs=1, frames=1), UNBOUNDED)
    bench.run(
        "room (kept)", ledger.quotas.keep, TENANT, keys.new_id(), Usage(1, 1, 1, 1), UNBOUNDED, timedelta(minutes=1)
    )
    for number in range(5):
        claim = bench.run("claim", claims.take, 1, BULK)
        assert isinstance(claim, Claim)
        bench.run("renew", claims.renew, [claim.token])
        if number < 2:
            _settled(bench, claim, number)
        elif number == 2:
            bench.run("strike", claims.release_failed, claim.token, claim.first, "image_refused", timedelta(0))
        else:
            bench.run("release", claims.release, claim.token, claim.first)
    bench.run("claims held", claims.held)
    bench.run("view", ledger.jobs.get, job)
    bench.run("work", ledger.wake_ups.work, "segment")
    bench.run("wake", ledger.wake_ups.wake, "segment", 3)
    bench.run("sight", ledger.metrics.snapshot)
    bench.run("listed", ledger.jobs.listed, TENANT, None, 100)
    bench.run("scan", ledger.jobs.scan, "0", 1000)
    bench.run("retire", ledger.jobs.retire, job, timedelta(days=7))
    bench.run("overdue", ledger.jobs.overdue, 100)
    uploads = [UnusedUpload(f"upload-{number}", 10, timedelta(minutes=1)) for number in range(1000)]
    bench.run("keep uploads", ledger.quotas.keep_uploads, TENANT, uploads, UNBOUNDED)
    bench.run("take uploads", ledger.quotas.take_uploads, TENANT, [one.id for one in uploads])
    bench.run("reconcile", ledger.sweep_state.begin_reconciling, timedelta(minutes=10))
    _flow(bench)


def _flow(bench: Bench) -> None:
    flow = bench.ledger.flow([ENDPOINT])
    flow.fresh(ENDPOINT.name)
    size = {"bytes_up": 1000, "prompts": 1, "child": "child"}
    for number in range(3):
        slot = f"slot{number}"
        bench.run("admit", flow.admit, "bulk", f"waiter{number}", slot, among=[ENDPOINT.name], **size)
        bench.run("report", flow.report, ENDPOINT.name, slot, Report("good"), "frame", 0.5)
    bench.run("look", flow.state, ENDPOINT.name)
    bench.run("document", flow.document)


def many_jobs(bench: Bench, jobs: int) -> None:
    """Run every operation with this many live jobs of one tenant, then end some of them in every way."""
    live = [bench.running(100, 100) for _ in range(jobs)]
    while bench.client.hlen("mr:claims") < CLAIMS:
        bench.ledger.claims.take(1, BULK)
    shared(bench, live[0])
    bench.run("cancel", bench.ledger.jobs.cancel, live[1], "caller")
    bench.run("conclude", _conclude, bench.ledger, live[2], 100)
    bench.run("forget", bench.ledger.jobs.forget, live[3], TENANT)
    _lapse(bench)


def _lapse(bench: Bench) -> None:
    bench.run("lapse (after a restart)", bench.ledger.claims.lapse)
    ahead = float(bench.client.hget("mr:sweep", "last") or 0) + HOUR_MS
    bench.client.zadd("mr:outbox", {f"job event{number}": ahead + number for number in range(CLAIMS)})
    bench.client.zadd("mr:leases", dict.fromkeys(bench.client.zrange("mr:leases", 0, -1), ahead))
    bench.client.hset("mr:sweep", "last", int(ahead))
    bench.run("lapse (the clock went back)", bench.ledger.claims.lapse)
    bench.client.delete("mr:outbox")
    tokens = bench.client.zrange("mr:leases", 0, -1)
    bench.client.zadd("mr:leases", dict.fromkeys(tokens, 1))
    bench.run("lapse", bench.ledger.claims.lapse)


def _conclude(ledger: Ledger, job: str, total: int) -> bool:
    items = {"total": total, "succeeded": total, "partial": 0, "failed": 0, "cancelled": 0}
    frames = Frames(planned=total, succeeded=total)
    told: dict[str, Any] = {"tenant": TENANT, "lane": "bulk", "created_at": datetime.now(UTC)}
    return ledger.jobs.conclude(job, state="succeeded", items=items, frames=frames, **told)


def large_job(bench: Bench, frames: int, parts: int) -> None:
    """Run every operation on one job of this many frames in items of two, with this many outcome parts."""
    job = bench.running(frames, 1000, spans=2)
    bench.list_parts(job, parts)
    shared(bench, job)
    claims = [bench.ledger.claims.take(1, BULK) for _ in range(32)]
    lines = [Settlement(one.token, at, failed=False) for one in claims if isinstance(one, Claim) for at in one.frames()]
    bench.run("settle (a part of 64)", bench.ledger.claims.settle, job, _name(4, "ffffffff"), lines)
    steps = bench.ledger.step_leases
    bench.run("parts", bench.ledger.jobs.parts, job)
    bench.run("adopt", bench.ledger.claims.adopt, job, _name(1, "eeeeeeee"), [(0, False, True), (1, False, True)])
    while (claim := bench.ledger.claims.take(1, BULK)) and bench.client.zcard("mr:leases") < CLAIMS:
        assert isinstance(claim, Claim)
    _lapse(bench)
    bench.client.setrange(f"mr:job:{job}:settled", 0, b"\xff" * (frames // 8))
    bench.client.hset(f"mr:job:{job}", "leased", 0)
    bench.run("adopt", bench.ledger.claims.adopt, job, _name(2, "eeeeeeee"), [(0, False, True)])  # finds it complete
    for what, move in (("reopen", steps.reopen), ("assemble", steps.assemble)):
        lease = bench.run("step", steps.take, "finish")
        entries = range(0, frames, 3) if what == "reopen" else [(item, item // 500) for item in range(frames // 2)]
        assert bench.run(what, move, lease, list(entries))
        bench.client.setrange(f"mr:job:{job}:settled", 0, b"\xff" * (frames // 8))
        bench.ledger.claims.adopt(job, _name(3, what[0:2].encode().hex() + "0000"), [(0, False, True)])
    taken = bench.run("assemble_take", bench.ledger.assembly_leases.take)
    bench.run("assemble_done", bench.ledger.assembly_leases.done, taken)
    bench.run("conclude", _conclude, bench.ledger, job, frames)
    bench.run("assemble_take", bench.ledger.assembly_leases.take)
    other = bench.running(frames, 1000, spans=2)
    bench.list_parts(other, parts)
    for _ in range(CLAIMS):
        bench.ledger.claims.take(1, BULK)
    bench.run("cancel", bench.ledger.jobs.cancel, other, "caller")
    bench.run("forget", bench.ledger.jobs.forget, other, TENANT)


def _long(calls: list[float]) -> float:
    """Return the longest of a few calls, or the 99th percentile of many."""
    return sorted(calls)[math.ceil(0.99 * len(calls)) - 1]


def _least(runs: int, fill: Callable[[Bench], None]) -> dict[str, float]:
    """Return, for each operation, the minimum over the runs of its longest call, because other load can
    only add to it.
    """
    least: dict[str, float] = {}
    for _ in range(runs):
        with running_valkey() as valkey:
            bench = Bench(valkey)
            fill(bench)
            for what, calls in bench.calls.items():
                least[what] = min(_long(calls), least.get(what, math.inf))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=["jobs", "frames"], help="many jobs alone, or the large job alone")
    asked = parser.parse_args()
    found = {}
    if asked.only != "frames":
        found[f"{asked.jobs:,} live jobs"] = _least(asked.runs, lambda bench: many_jobs(bench, asked.jobs))
    if asked.only != "jobs":
        large = _least(asked.runs, lambda bench: large_job(bench, asked.frames, asked.parts))
        found[f"one job of {asked.frames:,} frames"] = large
    print(f"| CPU ms | {' | '.join(found)} |\n|---|{'---:|' * len(found)}")
    for what in sorted(set().union(*found.values())):
        print(f"| {what} | " + " | ".join(f"{one[what]:.2f}" if what in one else "" for one in found.values()) + " |")
    print("| the longest of all | " + " | ".join(f"{max(one.values()):.2f}" for one in found.values()) + " |")


if __name__ == "__main__":
    main()
