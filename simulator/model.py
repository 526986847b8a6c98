"""The substitute for the model: it takes and returns rows in the format of MedImageParse."""

import asyncio
import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Protocol

import numpy as np
from PIL import Image

from simulator.messages import Body
from simulator.rows import ScriptError
from simulator.segment import CANVAS, Segment, segment

Rows = list[tuple[str, str]]


@dataclass
class Scored:
    """The answers to `count` rows, one object for each, and the images from which they were made."""

    answers: list[Any] = field(default_factory=list)
    count: int = 0
    images: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)


class Model(Protocol):
    """The interface of a container's model."""

    def parse(self, body: Body) -> Any:
        """Parse the request's JSON. Raises JSONDecodeError, or UnicodeDecodeError for invalid UTF-8."""

    async def score(self, rows: Rows) -> tuple[bytes, Scored]:
        """Return the response to (image, text) rows as JSON, and what it was made from.

        Raises ScriptError at the first bad row, because there is no partial response.
        """

    def answers(self, rows: Rows) -> Scored:
        """Return the same without JSON. The call blocks, and may come from any thread."""


class Threaded:
    """A model that computes its answers. `score` runs in a thread."""

    def __init__(self, score: Callable[[Rows], Scored]) -> None:
        self._score = score
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)

    def parse(self, body: Body) -> Any:
        return json.loads(body)

    async def score(self, rows: Rows) -> tuple[bytes, Scored]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._as_json, rows)

    def answers(self, rows: Rows) -> Scored:
        return self._score(rows)

    def _as_json(self, rows: Rows) -> tuple[bytes, Scored]:
        scored = self._score(rows)
        return json.dumps(scored.answers).encode(), scored


def score(rows: Rows) -> Scored:
    """Segment every (image, text) row, one at a time as the stock server does.

    An image is the base64 of any image that Pillow reads, with or without line breaks. If it is not 1024×1024, it
    is resized; whether the real model does this is not known. Raises ScriptError at the first bad row, because
    there is no partial response.
    """
    scored = Scored(count=len(rows))
    for image, text in rows:
        picture = _decode(image)
        canvas = picture.convert("RGB")
        prompts = prompts_of(text)
        scored.images.append(hashlib.sha256(canvas.tobytes()).hexdigest())
        scored.kinds.append(f"{picture.mode} {picture.width}x{picture.height}")
        scored.prompts.extend(prompts)
        if canvas.size != (CANVAS, CANVAS):
            canvas = canvas.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
        scored.answers.append(answer_row(segment(canvas, prompts)))
    return scored


def prompts_of(text: str) -> list[str]:
    """Return the prompts of one row. An empty text is one empty prompt."""
    return [prompt.strip() for prompt in text.split("&")]


def answer_row(segments: list[Segment]) -> dict[str, object]:
    """Return one row of the response, which is JSON within JSON, with one map and one category for each prompt."""
    maps = np.stack([segment_result.probability for segment_result in segments])
    features = {
        "data": base64.b64encode(maps.tobytes()).decode("ascii"),
        "shape": list(maps.shape),
        "dtype": str(maps.dtype),
    }
    return {
        "image_features": json.dumps(features),
        "text_features": [segment_result.category for segment_result in segments],
    }


def _decode(image: str) -> Image.Image:
    try:
        picture = Image.open(BytesIO(base64.b64decode(image)))
        picture.load()
    except (binascii.Error, ValueError, OSError, SyntaxError, Image.DecompressionBombError):
        raise ScriptError from None
    return picture
