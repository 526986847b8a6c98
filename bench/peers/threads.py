"""The article's method in five threads with blind retries: any failure is retried at once, with
five attempts in all.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench.peers.article import segment
from bench.peers.turns import Done, Target, serve

_THREADS, _TRIES = 5, 5


def persist(target: Target, out: Path, path: Path) -> bool:
    """Return whether an attempt succeeded. The image is prepared again for each attempt."""
    for _ in range(_TRIES):
        try:
            segment(target, path, out)
        except (OSError, ValueError, KeyError):
            continue
        return True
    return False


def work(target: Target, files: Sequence[Path], out: Path) -> Done:
    with ThreadPoolExecutor(_THREADS) as threads:
        went_well = sum(threads.map(partial(persist, target, out), files))
    return Done(went_well, len(files) - went_well)


if __name__ == "__main__":
    serve(work)
