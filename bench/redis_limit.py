"""Find the point at which Redis becomes the limit, from the commands of segment workers and the Redis
CPU time per frame.

    python -m bench.redis_limit [--workers 1 10 25 50 100 200] [--service-time 1] [--window 10] [--runs 1] [--rush]

The workers are real segment loops with a real ledger, many in each process. A score is only a wait of about
`--service-time`; nothing is read, sent or drawn. The endpoint has four slots for each worker. A worker has eight frames
in progress, so all slots are in use and frames always wait for one. With `--rush`, the workers are simulated one after
another without any wait, and there are always free slots, so that Redis receives as much as these processes can send.

If there are two cores, Redis has one of them, and the workers share the other. Redis runs commands in one thread, so
the number of frames per second at which this thread is fully busy can be computed from its CPU time. The shares by
script come from the slow log of Redis, which records all commands for two seconds after the window.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.backlog import queue
from bench.cpus import cpu_seconds
from bench.figures import median, print_head, print_table, spread
from bench.ledger_workers import HANDS, LEASE, Crew
from bench.redis_reading import Reading, Share, by_script, read
from tests.support.servers.valkeys import RunningValkey, running_valkey

_SLOTS_EACH = 4
_PROCESSES = 4
_TENANTS, _FRAMES_EACH = 10, 100_000
_START_S, _SAMPLE_S, _SAMPLE = 2.0, 2.0, 60_000
_SMALL_JOBS = 2000


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of one run. `scripts` is measured after the window, and the rest during the window."""

    redis: Reading
    workers_s: float
    scripts: Mapping[str, Share]

    @property
    def per_s(self) -> float:
        return self.redis.frames / self.redis.clock

    @property
    def busy(self) -> float:
        """Return the load of Redis's only thread, in percent."""
        return 100 * self.redis.main_s / self.redis.clock

    @property
    def micros(self) -> float:
        """Return the microseconds of that thread per frame."""
        return 1e6 * self.redis.main_s / self.redis.frames


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.redis_limit", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--workers", type=int, nargs="+", default=[1, 10, 25, 50, 100, 200])
    add("--service-time", type=float, default=1.0, help="seconds a frame")
    add("--window", type=float, default=10, help="seconds")
    add("--runs", type=int, default=1)
    add("--rush", action="store_true", help="scores take no time, slots are never short")
    asked = parser.parse_args()
    what = (
        "scores of no time, no end of slots" if asked.rush else f"{_SLOTS_EACH} slots each of {asked.service_time:g} s"
    )
    print_head(f"Redis under the commands of segment workers, {what}", asked.runs)
    runs = {workers: [loaded(asked, workers) for _ in range(asked.runs)] for workers in asked.workers}
    report(runs)
    report_scripts(runs[max(runs)])
    print(f"A waiting job of one frame takes {_bytes_a_job():.0f} bytes of Redis' memory.")


def loaded(asked: argparse.Namespace, workers: int) -> Measured:
    slots, service = (2 * HANDS * workers, 0.0) if asked.rush else (_SLOTS_EACH * workers, asked.service_time)
    with running_valkey(persist=True) as valkey, ExitStack() as ending:
        client: Any = valkey.client
        core = _pin(client.info("server")["process_id"])
        folder = Path(ending.enter_context(TemporaryDirectory(prefix="bench-")))
        crews = [Crew(valkey.url, folder, share, slots, service, core) for share in _shares(workers)]
        _prepare(valkey, crews[0])
        processes = [ending.enter_context(_started(crew)) for crew in crews]
        _await_frames(client, processes)
        time.sleep(_START_S + 2 * service)  # the first frames all arrive at the same time, which is not typical
        return _measured(client, processes, asked.window)


def _pin(redis: int) -> int:
    """Give Redis the last core. Return the first core, which is for everything else, or -1 if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return -1
    os.sched_setaffinity(redis, {cores[-1]})
    return cores[0]


def _shares(workers: int) -> list[int]:
    """Distribute this many workers over a few processes."""
    processes = min(workers, _PROCESSES)
    return [workers // processes + (number < workers % processes) for number in range(processes)]


def _prepare(valkey: RunningValkey, crew: Crew) -> None:
    """Create tenants that have more frames than the run processes, and an endpoint without measurements."""
    ledger = valkey.ledger(lease=LEASE)
    ledger.endpoints.announce([crew.endpoint()])
    ledger.flow([crew.endpoint()]).fresh(crew.endpoint().name)
    for number in range(_TENANTS):
        queue(ledger, f"job-{number}", _FRAMES_EACH, f"tenant-{number}")


@contextmanager
def _started(crew: Crew) -> Iterator[BaseProcess]:
    process = crew.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(20)


def _await_frames(client: Any, processes: Sequence[BaseProcess]) -> None:
    """Wait until the first frames are settled."""
    ends = time.monotonic() + 60
    while not read(client).frames:
        if time.monotonic() > ends or not all(process.is_alive() for process in processes):
            raise SystemExit("no frame was settled")
        time.sleep(0.1)


def _measured(client: Any, processes: Sequence[BaseProcess], window: float) -> Measured:
    before, spent = read(client), _seconds(processes)
    time.sleep(window)
    redis, workers_s = read(client).since(before), _seconds(processes) - spent
    client.config_set("slowlog-max-len", _SAMPLE)
    client.config_set("slowlog-log-slower-than", 0)
    time.sleep(_SAMPLE_S)
    client.config_set("slowlog-log-slower-than", -1)
    return Measured(redis, workers_s, by_script(client, _SAMPLE))


def _seconds(processes: Sequence[BaseProcess]) -> float:
    return sum(cpu_seconds(process.pid or 0) for process in processes)


def report(runs: Mapping[int, Sequence[Measured]]) -> None:
    rows = []
    for workers, measured in runs.items():
        last = measured[-1].redis
        rows.append(
            [
                str(workers),
                spread([one.per_s for one in measured], 0),
                spread([one.busy for one in measured]),
                spread([one.micros for one in measured], 0),
                f"{1e6 * last.scripts_s / last.frames:.0f}",
                f"{(last.scripts + last.blpop) / last.frames:.1f}",
                f"{last.commands / last.frames:.0f}",
                f"{last.bytes_in / last.frames:.0f} and {last.bytes_out / last.frames:.0f}",
                f"{1000 * measured[-1].workers_s / last.frames:.2f}",
                f"{1e6 / median([one.micros for one in measured]):.0f}",
            ]
        )
    head = ["workers", "frames/s", "Redis' thread, % of a core", "its CPU, µs/frame", "of it in scripts"]
    head += ["calls/frame", "commands/frame, with the scripts' own", "bytes in and out/frame"]
    print_table([*head, "workers' CPU, ms/frame", "reckoned frames/s at a full core"], rows)


def report_scripts(measured: Sequence[Measured]) -> None:
    """Print the shares by script for the last run."""
    last = measured[-1]
    calls, micros = last.redis.scripts / last.redis.frames, 1e6 * last.redis.scripts_s / last.redis.frames
    rows = [
        [
            name,
            f"{share.calls * calls:.2f}",
            f"{share.time * micros:.0f}",
            f"{share.time * micros / (share.calls * calls):.0f}",
        ]
        for name, share in last.scripts.items()
        if share.time > 0.002
    ]
    print_table(["script", "calls/frame", "µs/frame", "µs/call"], rows)


def _bytes_a_job() -> float:
    """Return the Redis memory of a waiting job with one frame."""
    with running_valkey() as valkey:
        client: Any = valkey.client
        ledger = valkey.ledger(lease=LEASE)
        queue(ledger, "first", 1)
        before = client.info("memory")["used_memory"]
        for number in range(_SMALL_JOBS):
            queue(ledger, f"{number:032x}", 1)
        return float(client.info("memory")["used_memory"] - before) / _SMALL_JOBS


if __name__ == "__main__":
    main()
