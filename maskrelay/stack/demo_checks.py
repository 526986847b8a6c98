"""The checks that must pass before the demo reports success."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskrelay.errors import SignatureInvalid
from maskrelay.stack.receiver import Receiver

_CALLBACK_WAIT = timedelta(seconds=30)


def faults(answer: dict[str, Any], photograph: Path, receiver: Receiver) -> Iterator[str]:
    """Yield a description of everything that is wrong with the output of `maskrelay submit --wait --save --json`."""
    job = answer["job"]
    if job["state"] != "succeeded":
        yield f"job {job['id']} is {job['state']}"
    yield from _callback_faults(job, receiver)
    paths = {(file["output"], file.get("prompt")): Path(file["path"]) for file in answer["files"]}
    with Image.open(photograph) as source:
        size = source.size
    for mask in (mask for item in answer["items"] for mask in item["masks"]):
        yield from _mask_faults(mask, paths.get(("mask", mask["prompt"])), size)
    overlay = paths.get(("overlay", None))
    if overlay is None or not overlay.is_file():
        yield f"{photograph.name} has no overlay"


def _callback_faults(job: dict[str, Any], receiver: Receiver) -> Iterator[str]:
    try:
        event = receiver.verified(job["id"], job["callback"]["secret"], _CALLBACK_WAIT)
    except SignatureInvalid as error:
        yield f"the callback of job {job['id']} cannot be trusted: {error.detail}"
        return
    if event is None:
        yield f"no callback of job {job['id']} arrived within {_CALLBACK_WAIT.total_seconds():.0f} s"
    elif (event["type"], event["data"]["id"]) != (f"job.{job['state']}", job["id"]):
        yield f"the callback of job {job['id']} is of type {event['type']}"


def _mask_faults(mask: dict[str, Any], path: Path | None, size: tuple[int, int]) -> Iterator[str]:
    if path is None or not path.is_file():
        yield f"the prompt “{mask['prompt']}” has no mask"
        return
    with Image.open(path) as opened:
        if opened.size != size:
            yield f"{path.name} has the size {opened.size}, but its source {size}"
        area = int(np.count_nonzero(np.asarray(opened)))
    if area != mask["area_px"]:
        yield f"{path.name} covers {area} px, but {mask['area_px']} px were reported"
    if area == 0:
        yield f"{path.name} is empty"
