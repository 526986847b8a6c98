"""Responses that are computed at the start.

This model costs almost nothing, so that a benchmark measures its client.
"""

import json
from collections.abc import Sequence
from typing import Any, Self

from PIL import Image
from skimage import data

from simulator.messages import Body
from simulator.model import Rows, Scored, answer_row, prompts_of
from simulator.segment import CANVAS, Segment, segment

PROMPTS = ("optic disc in retinal fundus", "vessels in retinal fundus", "optic cup in retinal fundus")
# Strings of up to this length are kept. The longest string that must be kept has about 1,200 characters: an index of
# 256 numbers. Images are much longer.
LONG = 2048


class Canned:
    """A model whose maps are always those of one real photograph. Only their number depends on the request."""

    def __init__(self, segments: Sequence[Segment], prompts_most: int) -> None:
        self._segments = segments
        self._answers: dict[int, dict[str, object]] = {}
        self._rows: dict[int, bytes] = {}
        self._alone = {prompts: b"[" + self._row(prompts) + b"]" for prompts in range(1, prompts_most + 1)}

    @classmethod
    def of_photograph(cls, prompts_most: int) -> Self:
        """Segment the photograph once, and prepare the response for each number of prompts up to `prompts_most`."""
        photograph = Image.fromarray(data.retina())  # type: ignore[no-untyped-call]
        segments = segment(photograph.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC), list(PROMPTS))
        return cls(segments, prompts_most)

    def parse(self, body: Body) -> Any:
        """Parse the request's JSON without its long strings, because the images are not read."""
        try:
            return json.loads(without_images(body))
        except ValueError:
            return json.loads(body)

    async def score(self, rows: Rows) -> tuple[bytes, Scored]:
        scored, counts = self._scored(rows)
        alone = self._alone.get(counts[0]) if len(counts) == 1 else None
        return alone or b"[" + b", ".join(map(self._row, counts)) + b"]", scored

    def answers(self, rows: Rows) -> Scored:
        scored, counts = self._scored(rows)
        scored.answers = [self._answer(prompts) for prompts in counts]
        return scored

    def _scored(self, rows: Rows) -> tuple[Scored, list[int]]:
        """Return the data for the counters, and the number of prompts in each row."""
        prompts = [prompts_of(text) for _, text in rows]
        return Scored(count=len(rows), prompts=[prompt for of_row in prompts for prompt in of_row]), [
            *map(len, prompts)
        ]

    def _row(self, prompts: int) -> bytes:
        """Return one row of the response for this number of prompts, as JSON."""
        if prompts not in self._rows:
            self._rows[prompts] = json.dumps(self._answer(prompts)).encode()
        return self._rows[prompts]

    def _answer(self, prompts: int) -> dict[str, object]:
        """Return the answer to a row with this number of prompts.

        If there are more prompts than maps, maps are used several times.
        """
        if prompts not in self._answers:
            segments = [self._segments[number % len(self._segments)] for number in range(prompts)]
            self._answers[prompts] = answer_row(segments)
        return self._answers[prompts]


def without_images(body: Body) -> bytes:
    """Return the body without long texts between two quotes, except those that contain `&`, which can be prompts.

    base64 contains no quotes, so the rest is JSON, except if the removed text was not a whole string.
    """
    kept, start, before = [], 0, body.find(b'"')
    while before >= 0:
        after = body.find(b'"', before + 1)
        if after - before > LONG and body.find(b"&", before, after) < 0:
            kept.append(body[start : before + 1])
            start = after
        before = after
    kept.append(body[start:])
    return b"".join(kept)
