"""The steps of one image, in the service and in the textbook way, with the CPU time of each step."""

import base64
import io
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from bench.peers import textbook
from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.imaging.canvas.encode import canvas_png
from maskrelay.imaging.canvas.letterbox import Letterbox, part_from_canvas, to_canvas
from maskrelay.imaging.draw.frame_files import mask_png
from maskrelay.imaging.masks.mask import FOREGROUND, Mask, foreground_rows
from maskrelay.imaging.masks.measures import measure
from maskrelay.imaging.masks.probability_maps import probabilities
from maskrelay.imaging.masks.rle import encode_rle
from maskrelay.imaging.read.picture import decode

MAX_PIXELS = 100_000_000
DECODE, LETTERBOX, CANVAS, UP = "decode", "letterbox", "PNG of the canvas", "base64 and JSON up"
ANSWER, BACK, MEASURES, RLE, MASK = "answer to array", "back and threshold", "measures", "RLE", "mask PNG"


class Laps:
    """The CPU milliseconds of this process in each step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self._since = time.process_time()

    def lap(self, step: str) -> None:
        now = time.process_time()
        self.steps[step] = self.steps.get(step, 0.0) + (now - self._since) * 1000
        self._since = time.process_time()


def our_steps(path: Path, prompts: tuple[str, ...], answer: bytes) -> dict[str, float]:
    """Return the milliseconds of each step, in the order of `maskrelay.imaging.frame_pixels`."""
    file, laps = path.read_bytes(), Laps()
    pixels = decode(file, max_pixels=MAX_PIXELS).pixels
    laps.lap(DECODE)
    box = Letterbox.of(pixels.shape[1], pixels.shape[0])
    canvas = to_canvas(pixels, box)
    laps.lap(LETTERBOX)
    row = Row(canvas_png(canvas), prompts)
    laps.lap(CANVAS)
    encode_request([row])
    laps.lap(UP)
    [read] = parse_answer(answer, [row])
    maps, _ = probabilities(read.maps, "probability")
    laps.lap(ANSWER)
    for one in maps:
        columns, part = part_from_canvas(one, foreground_rows(one), box)
        mask = Mask.of(part, width=box.width, left=columns.start)
        laps.lap(BACK)
        measure(mask)
        laps.lap(MEASURES)
        encode_rle(mask)
        laps.lap(RLE)
        mask_png(mask)
        laps.lap(MASK)
    return laps.steps


def textbook_steps(path: Path, prompts: tuple[str, ...], answer: bytes) -> dict[str, float]:
    """Return the milliseconds of each step with Pillow, `json`, base64 and pycocotools at their defaults.

    This way computes no measures.
    """
    laps = Laps()
    pixels = textbook.read(path)
    laps.lap(DECODE)
    canvas = textbook.canvas(pixels)
    laps.lap(LETTERBOX)
    file = _png(canvas)
    laps.lap(CANVAS)
    row = [base64.encodebytes(file).decode(), " & ".join(prompts)]
    json.dumps({"input_data": {"columns": ["image", "text"], "index": [0], "data": [row]}}).encode()
    laps.lap(UP)
    maps = textbook.maps(json.loads(answer))
    laps.lap(ANSWER)
    height, width = pixels.shape[:2]
    side = max(height, width)
    for one in maps:
        square = np.array(Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR))
        top, left = (side - height) // 2, (side - width) // 2
        mask = square[top : top + height, left : left + width] >= FOREGROUND
        laps.lap(BACK)
        coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        laps.lap(RLE)
        _png(mask.astype(np.uint8) * 255)
        laps.lap(MASK)
    return laps.steps


def _png(pixels: textbook.Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()
