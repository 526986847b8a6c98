"""`python -m tests.faults.soak`: thousands of frames of three tenants while something breaks every few seconds.

The faults come from a printed seed. At the end everything is mended, and the same check is made as after every single
fault; the memory of every process is sampled all the while.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from maskrelay.client.table import table
from maskrelay.errors import MaskrelayError
from tests.faults.memory import Memory
from tests.faults.reliability_page import add_row
from tests.faults.soak_faults import MISCHIEF
from tests.support.checks.faults_check import check, told
from tests.support.checks.leftovers import leaks
from tests.support.drivers.stack_behind_proxies import TENANTS, Scene, scene
from tests.support.servers.simulators import eventually

#: Frames that wait or are worked on at a time: enough for both lanes, few enough to be done soon after the last fault.
UNFINISHED = 400
#: Longer than a process has to run before its memory counts.
_FILLING_S = 40
#: Of each log, when a job does not end.
_LINES = 40
HEAD = ("seed", "minutes", "jobs", "frames", "faults", "lost", "doubled", "scored again", "callbacks repeated")
HEAD = (*HEAD, "seconds to the end of the last job", "growth of memory")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="of faults; at most 12 (default: 5)")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run")
    parser.add_argument("--page", type=Path, help="add the figures to this page")
    given = parser.parse_args()
    seed = Random().randrange(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, _running(Path(folder)) as running:
        cells = soak(running, Random(seed), min(given.minutes, 12))
    row = (seed, f"{given.minutes:g}", *cells)
    print(table(HEAD, [row]))
    if given.page:
        add_row(given.page, "soak", HEAD, row)
    return 0


def _running(folder: Path):
    return scene(folder, bearing=8, endpoint_max_in_flight=8, deliver_threads=4)


def soak(running: Scene, random: Random, minutes: float) -> tuple[object, ...]:
    """Submit and break things for so long, then mend everything, check, and give the figures."""
    running.begin()
    ended = threading.Event()
    submitting = threading.Thread(target=_submit_until, args=(running, Random(random.random()), ended))
    faults: Counter[str] = Counter()
    with Memory(running) as memory:
        submitting.start()
        try:
            _fill(running)
            _break_until(running, random, time.monotonic() + minutes * 60, faults)
        finally:
            ended.set()
            submitting.join()
        running.mend()
        mended = time.monotonic()
        _await_end(running)
        seconds = time.monotonic() - mended
        scored_again = check(running)
    print(table(("fault", "times"), sorted(faults.items())))
    print(table(("process", "most in the first third, MB", "last third MB", "samples"), memory.rows()))
    assert not memory.grown(), memory.grown()
    frames = sum(len(job.frames) for job in running.sent)
    repeated = sum(count - 1 for count in told(running).values())
    about = (len(running.sent), frames, faults.total(), 0, 0, scored_again, repeated)
    return (*about, f"{seconds:.0f}", memory.summary())


def _fill(running: Scene) -> None:
    """Slow the endpoint down, so that a segment child holds as many frames as it ever does while memory is measured."""
    running.simulator.set(service_time=3)
    time.sleep(_FILLING_S)
    running.simulator.set(service_time=0)


def _submit_until(running: Scene, random: Random, ended: threading.Event) -> None:
    """Jobs of all sizes by all tenants; each is asked for again under its key until it is accepted."""
    number = 0
    while not ended.wait(0.2):
        if _unfinished(running) > UNFINISHED:
            continue
        number += 1
        size, tenant = random.choice((1, 3, 10, 20, 40, 120)), random.choice(TENANTS)
        while True:
            with suppress(MaskrelayError):
                running.submit(size, tenant=tenant, key=f"soak-{number}", first=number * 1000)
                break
            time.sleep(0.5)


def _unfinished(running: Scene) -> int:
    """Frames of all jobs so far that have no outcome; many, as long as nobody can say."""
    try:
        return sum(len(job.frames) - running.settled(job) for job in running.sent[-30:])
    except MaskrelayError:
        return UNFINISHED + 1


def _break_until(running: Scene, random: Random, ends: float, faults: Counter[str]) -> None:
    began = time.monotonic()
    while time.monotonic() < ends:
        time.sleep(random.uniform(1, 5))
        name = random.choice(list(MISCHIEF))
        seconds = random.uniform(0.5, 6)
        print(f"{time.monotonic() - began:6.1f} s  {name} ({seconds:.1f} s)", flush=True)
        MISCHIEF[name](running, seconds)
        faults[name] += 1


def _await_end(running: Scene) -> None:
    if not eventually(lambda: all(map(running.is_over, running.sent)), within_s=240):
        _tell(running)
        raise AssertionError("a job has not ended")


def _tell(running: Scene) -> None:
    """Print what is known of the jobs that have not ended: their states, what the ledger holds, the logs' ends."""
    for job in (one for one in running.sent if not running.is_over(one)):
        with running.client(job.tenant) as client:
            print(client.job(job.id).model_dump_json(exclude_none=True))
    print(*leaks(running), sep="\n")
    for path in sorted((running.folder / "data" / "logs").glob("*.log")):
        print(f"== {path.stem}", *path.read_text(errors="replace").splitlines()[-_LINES:], sep="\n")


if __name__ == "__main__":
    sys.exit(main())
