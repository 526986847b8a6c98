"""A pipeline as a tutorial builds it: a task a picture, retried by Celery with growing pauses, a PNG a mask.

Broker and result backend are the server of BENCH_BROKER; a prefork worker imports this module.
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
