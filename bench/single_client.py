"""A caller of the service as a process: it submits each file as a job of its own, waits for its end, and saves it."""

import time
from collections.abc import Sequence
from pathlib import Path

from bench.peers.turns import Done, Target, serve
from maskrelay.client import Client

#: How long one call may wait for the end of a job. A job that takes longer counts as failed.
_WAIT_S = 30


def work(target: Target, files: Sequence[Path], out: Path) -> Done:
    succeeded, saving_s = 0, 0.0
    with Client(target.url, target.key) as client:
        for path in files:
            job = client.submit([path], target.prompts, outputs=["mask"], wait_s=_WAIT_S)
            if job.state != "succeeded":
                continue
            before = time.process_time()
            client.save(job.id, out / path.stem)
            saving_s += time.process_time() - before
            succeeded += 1
    return Done(succeeded, len(files) - succeeded, saving_s)


if __name__ == "__main__":
    serve(work)
