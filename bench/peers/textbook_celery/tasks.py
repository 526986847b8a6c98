"""A pipeline as in a tutorial: a task for each image, retried by Celery with growing pauses, and a PNG for each mask.

The server of BENCH_BROKER is both broker and result backend. A prefork worker imports this module.
"""

import os
from pathlib import Path

from celery import Celery

from bench.peers.article import segment
from bench.peers.turns import Target

app = Celery("textbook", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_BROKER"])


@app.task(autoretry_for=(Exception,), retry_backoff=True, max_retries=5)  # type: ignore[untyped-decorator]  # Celery has no types
def segment_picture(url: str, key: str, prompts: list[str], path: str, out: str) -> None:
    segment(Target(url, key, tuple(prompts)), Path(path), Path(out))
