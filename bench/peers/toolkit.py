"""The method of the official toolkit: five threads, each channel resized separately, `requests`, and long retries.

After 429, 5xx, a timeout or a lost connection, it makes up to 15 attempts, with a random pause that doubles from
one second to at most two minutes. 424 and 404 are final. It sets no timeout; here, the timeout is two minutes, so
that a run ends.
"""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import requests
from skimage import transform

from bench.peers.textbook import CANVAS, Pixels, body, maps, padded, read, write_masks
from bench.peers.turns import Done, Target, serve

_THREADS, _TRIES = 5, 15
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 120


def canvas(pixels: Pixels) -> Pixels:
    """Return (1024, 1024, 3), for a gray image the same channel three times.

    It uses cubic splines in doubles, smoothed first.
    """
    square = np.atleast_3d(padded(pixels))
    made = [_resized(channel) for channel in np.moveaxis(square, 2, 0)]
    return np.stack(made if len(made) == 3 else made * 3, axis=2)


def _resized(channel: Pixels) -> Pixels:
    shape = (CANVAS, CANVAS)
    resize: Any = transform.resize
    made = resize(channel, shape, order=3, mode="constant", preserve_range=True, anti_aliasing=True)
    return np.asarray(np.clip(made, 0, 255), np.uint8)


def post(target: Target, content: dict[str, Any]) -> Any:
    for tried in range(_TRIES):
        try:
            answer = requests.post(target.url, json=content, headers=_headers(target), timeout=120)
        except (requests.ConnectionError, requests.Timeout):
            answer = None
        if answer is not None and answer.status_code != 429 and answer.status_code < 500:
            answer.raise_for_status()
            return answer.json()
        if tried < _TRIES - 1:
            time.sleep(random.uniform(_FIRST_PAUSE_S, max(_FIRST_PAUSE_S, min(2.0**tried, _LONGEST_PAUSE_S))))
    raise requests.exceptions.RetryError(f"{_TRIES} tries")


def _headers(target: Target) -> dict[str, str]:
    return {"Accept": "application/json", "Authorization": f"Bearer {target.key}"}


def segment(target: Target, out: Path, path: Path) -> bool:
    """Return whether the masks were written."""
    pixels = read(path)
    try:
        answer = post(target, {**body(canvas(pixels), target.prompts), "params": {}})
        write_masks(maps(answer), pixels.shape, out, path.stem)
    except (requests.RequestException, ValueError, KeyError):
        return False
    return True


def work(target: Target, files: Sequence[Path], out: Path) -> Done:
    with ThreadPoolExecutor(_THREADS) as threads:
        went_well = sum(threads.map(partial(segment, target, out), files))
    return Done(went_well, len(files) - went_well)


if __name__ == "__main__":
    serve(work)
