"""The place of the model: rows in, rows out, in the form MedImageParse gives them."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from simulator.rows import ScriptError
from simulator.segment import CANVAS, segment


@dataclass
class Scored:
    """The answered rows of one request, and what they were made from."""

    rows: list[dict[str, object]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)


def score(rows: list[tuple[str, str]]) -> Scored:
    """Segment every (image, text) row, one at a time as the stock server does.

    An image is base64 of any picture Pillow reads, with or without line breaks; one that is not 1024×1024 is
    resized, which is a guess. Raises ScriptError at the first bad row: there is no partial answer.
    """
    scored = Scored()
    for image, text in rows:
        picture = _decode(image)
        canvas = picture.convert("RGB")
        prompts = [prompt.strip() for prompt in text.split("&")]
        scored.images.append(hashlib.sha256(canvas.tobytes()).hexdigest())
        scored.kinds.append(f"{picture.mode} {picture.width}x{picture.height}")
        scored.prompts.extend(prompts)
        scored.rows.append(_answer_row(canvas, prompts))
    return scored


def _decode(image: str) -> Image.Image:
    try:
        picture = Image.open(BytesIO(base64.b64decode(image)))
        picture.load()
    except (binascii.Error, ValueError, OSError, SyntaxError, Image.DecompressionBombError):
        raise ScriptError from None
    return picture


def _answer_row(canvas: Image.Image, prompts: list[str]) -> dict[str, object]:
    if canvas.size != (CANVAS, CANVAS):
        canvas = canvas.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
    segments = segment(canvas, prompts)
    maps = np.stack([one.probability for one in segments])
    features = {
        "data": base64.b64encode(maps.tobytes()).decode("ascii"),
        "shape": list(maps.shape),
        "dtype": str(maps.dtype),
    }
    return {"image_features": json.dumps(features), "text_features": [one.category for one in segments]}
