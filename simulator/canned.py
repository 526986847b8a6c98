"""Responses computed at startup: a model of almost no cost, so that a benchmark measures its client."""

import json
from typing import Any

from PIL import Image
from skimage import data

from simulator.messages import Body
from simulator.model import Rows, Scored, answer_row, prompts_of
from simulator.segment import CANVAS, segment

PROMPTS = ("optic disc in retinal fundus", "vessels in retinal fundus", "optic cup in retinal fundus")
# Shorter stretches between quotes are kept: an index of 256 numbers has about 1,200 characters, a canvas far more.
LONG = 2048


class Canned:
    """A model whose maps are those of one real photograph, whatever the image; only their number varies."""

    def __init__(self, prompts_most: int) -> None:
        photograph = Image.fromarray(data.retina())  # type: ignore[no-untyped-call]
        self._segments = segment(photograph.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC), list(PROMPTS))
        self._answers: dict[int, dict[str, object]] = {}
        self._rows: dict[int, bytes] = {}
        self._alone = {prompts: b"[" + self._row(prompts) + b"]" for prompts in range(1, prompts_most + 1)}

    def parse(self, body: Body) -> Any:
        """Parse the request's JSON without its long strings, because images are never read."""
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
        """What is counted, and the number of prompts in each row."""
        prompts = [prompts_of(text) for _, text in rows]
        return Scored(count=len(rows), prompts=[one for of_row in prompts for one in of_row]), [*map(len, prompts)]

    def _row(self, prompts: int) -> bytes:
        """One row of the response for this number of prompts, as JSON."""
        if prompts not in self._rows:
            self._rows[prompts] = json.dumps(self._answer(prompts)).encode()
        return self._rows[prompts]

    def _answer(self, prompts: int) -> dict[str, object]:
        """The answer to a row with this number of prompts; the same maps repeat if there are more."""
        if prompts not in self._answers:
            segments = [self._segments[number % len(self._segments)] for number in range(prompts)]
            self._answers[prompts] = answer_row(segments)
        return self._answers[prompts]


def without_images(body: Body) -> bytes:
    """Return the body without long stretches between two quotes that contain no `&`, so that texts keep their prompts.

    base64 contains no quotes, so the rest is JSON unless such a stretch was not a string; then it is not valid JSON.
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
