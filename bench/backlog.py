"""The cost of a frame in the ledger as the backlog grows: claims and settlements on a real server.

    python -m bench.backlog [--runs 3] [--frames 2000] [--sizes 100 1000 10000 100000 1000000] [--half]

No image is read and nothing is scored, because only the ledger's part of the cost could grow with the backlog. One bulk
job of each size is planned as planning does it, with a thousand frames in each part. Then its images are claimed one by
one and settled in parts of 64, as the segment loop does in the bulk lane. A backlog smaller than `--frames` is created
several times. With `--half`, half of the job is settled first, so that its bitmaps and its list of parts are in use.
"""

import argparse
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.cpus import cpu_seconds
from bench.figures import print_head, print_table, spread
from maskrelay.contract.records.job import FRAMES_PER_PART, Lane
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, Settlement
from tests.support.servers.valkeys import RunningValkey, running_valkey

_LANES: list[Lane] = ["interactive", "bulk"]
_PART = 64


@dataclass(frozen=True, slots=True)
class Cost:
    """The costs of a frame in milliseconds, and the memory of a waiting frame."""

    #: The elapsed time.
    wall: float
    #: The CPU time of this process.
    client: float
    #: The CPU time of the server.
    server: float
    #: The bytes per frame before the run.
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.backlog", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--runs", type=int, default=3)
    add("--frames", type=int, default=2000, help="frames that are claimed and settled at each size")
    add("--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 100_000, 1_000_000])
    add("--half", action="store_true", help="settle half of the job first")
    asked = parser.parse_args()
    print_head(f"Ledger: {asked.frames} frames claimed and settled at each backlog", asked.runs)
    runs = {size: [_cost(size, asked.frames, half=asked.half) for _ in range(asked.runs)] for size in asked.sizes}
    report(runs)


def _cost(size: int, frames: int, *, half: bool) -> Cost:
    with running_valkey(persist=True) as valkey:
        ledger = valkey.ledger(lease=timedelta(minutes=10))
        _turn_over(valkey, ledger, "warm", min(frames, 256))
        costs: list[Cost] = []
        done = 0
        while done < frames:
            job, share = f"job-{len(costs)}", min(size, frames - done)
            queue(ledger, job, size)
            if half:
                _settle_first(ledger, job, size // 2)
                share = min(share, size - size // 2)
            memory = _memory(valkey) / size
            costs.append(_measured(valkey, ledger, share, memory))
            done += share
        wall, client, server = (
            sum(getattr(one, name) for one in costs) / done for name in ("wall", "client", "server")
        )
        return Cost(wall, client, server, costs[0].memory)


def _measured(valkey: RunningValkey, ledger: Ledger, frames: int, memory: float) -> Cost:
    """Return the cost of all these frames together, in milliseconds."""
    served, used, began = _server_cpu(valkey), time.process_time(), time.monotonic()
    _claim_and_settle(ledger, frames)
    wall, client = time.monotonic() - began, time.process_time() - used
    return Cost(wall * 1000, client * 1000, (_server_cpu(valkey) - served) * 1000, memory)


def _turn_over(valkey: RunningValkey, ledger: Ledger, job: str, frames: int) -> None:
    """Process frames once as a warm-up.

    Then the server has loaded the scripts, and this process has its connections.
    """
    queue(ledger, job, frames)
    _measured(valkey, ledger, frames, 0)


def queue(ledger: Ledger, job: str, size: int, tenant: str = "bench") -> None:
    """Create a bulk job of this many frames, all of which are waiting. The job is planned part by part."""
    ledger.jobs.create(job, tenant, "bulk", size, datetime.now(UTC))
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    for part, first in enumerate(range(0, size, FRAMES_PER_PART)):
        n = min(FRAMES_PER_PART, size - first)
        last = first + n == size
        assert ledger.step_leases.extend(
            lease, part, first=first, n=n, spans=[], last=last, lane="bulk", items=first + n
        )


def _settle_first(ledger: Ledger, job: str, frames: int) -> None:
    """Let the ledger adopt parts, as a recovery does.

    Adopted parts leave the same keys in the ledger as settled parts.
    """
    for first in range(0, frames, _PART):
        lines = [(frame, False, True) for frame in range(first, min(first + _PART, frames))]
        ledger.claims.adopt(job, _part_name(first, "0a0a0a0a"), lines)


def _claim_and_settle(ledger: Ledger, frames: int) -> None:
    held: list[Claim] = []
    for number in range(frames):
        claim = ledger.claims.take(len(held), _LANES, 8)
        assert isinstance(claim, Claim), f"frame {number} of {frames} is not there"
        held.append(claim)
        if len(held) == _PART or number == frames - 1:
            lines = [Settlement(one.token, one.first, failed=False) for one in held]
            assert len(ledger.claims.settle(claim.job, _part_name(number, "0b0b0b0b"), lines)) == len(held)
            held.clear()


def _part_name(number: int, worker: str) -> str:
    return f"{time.time_ns() // 1000:016d}-{worker}-{number % 1_000_000:06d}"


def _memory(valkey: RunningValkey) -> int:
    """Return the memory of all keys of the ledger, in bytes."""
    client: Any = valkey.client
    return sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter("mr:*"))


def _server_cpu(valkey: RunningValkey) -> float:
    client: Any = valkey.client
    return cpu_seconds(int(client.info("server")["process_id"]))


def report(runs: dict[int, list[Cost]]) -> None:
    rows = []
    for size, costs in runs.items():
        figures = [spread([getattr(cost, name) for cost in costs], 3) for name in ("wall", "client", "server")]
        rows.append([f"{size:,}", *figures, spread([cost.memory for cost in costs], 2)])
    head = ["backlog, frames", "ms/frame, clock", "ms/frame, worker's CPU", "ms/frame, server's CPU", "bytes/frame"]
    print_table(head, rows)


if __name__ == "__main__":
    main()
