"""`python -m bench.peers.textbook_celery URL KEY PROMPT…`: send the tasks to BENCH_CHILDREN processes, and wait.

It starts the broker and the worker as its own children, so that their CPU time is counted with its own. It waits with
the client's `get`, as in a tutorial.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peers.turns import Done, Target, serve
from maskrelay.stack.loopback import free_port
from maskrelay.stack.valkey import embedded_valkey


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        child, os.environ["BENCH_BROKER"] = embedded_valkey(Path(folder), free_port())
        broker = subprocess.Popen(child.command, stdout=subprocess.DEVNULL)
        worker = None
        try:
            while child.ready is not None and not child.ready():
                time.sleep(0.05)
            worker = _start_worker(os.environ.get("BENCH_CHILDREN", "2"))
            serve(_work)
        finally:
            for process in (worker, broker):
                if process is not None:
                    process.terminate()
                    process.wait()


def _start_worker(children: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "celery", "--app", "bench.peers.textbook_celery.tasks", "worker"]
    command += ["--pool", "prefork", "--concurrency", children, "--loglevel", "error"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _work(target: Target, files: Sequence[Path], out: Path) -> Done:
    from bench.peers.textbook_celery.tasks import segment_picture  # noqa: PLC0415  # the broker's address must be known

    asked = (target.url, target.key, list(target.prompts))
    results: list[Any] = [segment_picture.delay(*asked, str(path), str(out)) for path in files]
    for result in results:
        result.get(propagate=False)
    went_well = sum(result.successful() for result in results)
    return Done(went_well, len(files) - went_well)


if __name__ == "__main__":
    main()
