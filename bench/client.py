"""A caller of the service as a process: it submits a folder as one job, waits for its end, and saves its masks."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from bench.peers.turns import Done, Target, serve
from maskrelay.client import Client

#: A time that is longer than any run. If a job has not ended after this time, the benchmark has failed.
_PATIENCE = timedelta(hours=2)


def work(target: Target, files: Sequence[Path], out: Path) -> Done:
    with Client(target.url, target.key) as client:
        job = client.submit(files, target.prompts, outputs=["mask"], lane="bulk")
        ended = client.wait(job.id, _PATIENCE)
        before = time.process_time()
        client.save(job.id, out)
    succeeded = ended.counts.succeeded
    return Done(succeeded, len(files) - succeeded, time.process_time() - before)


if __name__ == "__main__":
    serve(work)
