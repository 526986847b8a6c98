"""A caller of the service as a process: it submits each file as a job of its own, waits for its end, and saves it.

BENCH_CALLERS (default 1) is the number of files for which it does so at a time.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.peers.turns import Done, Target, serve
from maskrelay.client import Client

#: How long one call may wait for the end of a job. A job that takes longer counts as failed.
_WAIT_S = 30
_CALLERS = int(os.environ.get("BENCH_CALLERS", "1"))


def work(target: Target, files: Sequence[Path], out: Path) -> Done:
    with Client(target.url, target.key) as client, ThreadPoolExecutor(_CALLERS) as callers:

        def segmented(path: Path) -> float | None:
            """Return the CPU seconds for fetching the masks, or None if the job has failed."""
            job = client.submit([path], target.prompts, outputs=["mask"], wait_s=_WAIT_S)
            if job.state != "succeeded":
                return None
            before = time.thread_time()
            job.save(out / path.stem)
            return time.thread_time() - before

        saving = [seconds for seconds in callers.map(segmented, files) if seconds is not None]
    return Done(len(saving), len(files) - len(saving), sum(saving))


if __name__ == "__main__":
    serve(work)
