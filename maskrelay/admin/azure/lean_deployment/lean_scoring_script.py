"""The scoring script of the lean deployment.

The lean deployment runs the same model as the stock deployment, but its requests and answers need far fewer bytes.
Azure runs this file next to the model instead of the stock scoring script. maskrelay is not installed there, so this
file imports nothing of it. The script accepts two kinds of requests: the JSON of the stock deployment, and the lean
form. Errors in JSON requests get the same statuses and messages as in the stock deployment. The `Accept` header chooses
the form of the answer. Without this header, the answer has the form of the request.

A lean body consists of MAGIC, the length of a header as four bytes (big-endian), the header in JSON, and the parts. The
header gives the length of each part, in the order of the parts. Nothing follows the last part.

    request   {"version": 1, "rows": [{"prompts": ["liver", "spleen"], "encoding": "png", "bytes": 160558}],
               "params": {…} or absent}
              one part per row: a PNG (8-bit, gray or RGB) or a lossless WebP of CANVAS × CANVAS pixels
    answer    {"version": 1, "rows": [{"shape": [2, 1024, 1024], "dtype": "uint8", "text_features": ["liver", …],
               "maps": [{"box": [top, left, bottom, right], "encoding": "deflate", "bytes": 3021}, …]}]}
              one part per map: the rows of its box, in C order; every value outside the box is zero. `deflate` is a
              zlib stream, `stored` the plain bytes

The model gets the same input as in the stock deployment: a table with an 8-bit RGB PNG in base64, and the prompts
joined by ` & `. The model's answer is packed without loss, so unpacking it gives the same bytes.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from PIL import Image

MEDIA_TYPE = "application/vnd.maskrelay.lean2d"
VERSION = 1
CONTENT_TYPE = f"{MEDIA_TYPE}; version={VERSION}"
MAGIC = b"\x89LEAN2D\n"
CANVAS = 1024
#: The limits of a lean request: the bytes of the whole body, of its header and of one image, the number of rows and of
#: prompts in all rows, and the characters of one prompt.
MAX_BODY, MAX_HEADER, MAX_IMAGE, MAX_ROWS, MAX_PROMPTS, MAX_PROMPT = 100 << 20, 1 << 20, 16 << 20, 256, 1024, 4096
#: The bytes of one value, for each dtype that is packed.
ITEM_BYTES = {"uint8": 1, "bool": 1, "float16": 2, "float32": 4}
_DEFLATE_LEVEL = 6

#: The function that scores the `input_data` of a request with its `params`. `init` sets it.
predict: Callable[[Any, Any], Any]


class Refused(Exception):
    """A request that is answered with a 4xx status and a code."""

    def __init__(self, status: int, code: str | None, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def init() -> None:
    """Load the MLflow model that is somewhere below AZUREML_MODEL_DIR."""
    global predict  # noqa: PLW0603 - the server calls init() and run() of a module
    import mlflow.pyfunc  # noqa: PLC0415 - only the container on Azure has it; this file can be imported elsewhere too
    import pandas as pd  # noqa: PLC0415

    model = mlflow.pyfunc.load_model(model_folder(os.environ["AZUREML_MODEL_DIR"]))

    def predict_table(input_data: Any, params: Any) -> Any:
        table = pd.DataFrame(**{name: input_data.get(name) for name in ("data", "index", "columns")})
        return plain(model.predict(table, params=params))

    predict = predict_table


def model_folder(root: str) -> str:
    """Return the first folder, at or below `root`, that contains a file with the name MLmodel.

    The folder is searched for, because its name varies.
    """
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        if "MLmodel" in files:
            return folder
    raise FileNotFoundError("there is no MLmodel below AZUREML_MODEL_DIR")


def plain(answers: Any) -> Any:
    """Return the model's answer as JSON values."""
    if hasattr(answers, "to_dict"):
        return answers.to_dict(orient="records")
    return answers.tolist() if hasattr(answers, "tolist") else answers


@rawhttp
def run(request: Any) -> AMLResponse:
    """Answer one HTTP request. An exception of the model becomes status 500, as in the stock deployment."""
    if request.method == "OPTIONS":
        return AMLResponse("", 200)
    if request.method == "HEAD":
        return refusal(Refused(405, None, "Method not allowed"))
    lean = media_type(request.headers.get("Content-Type")) == MEDIA_TYPE
    try:
        accepts_lean = accepted(request.headers.get("Accept"), lean=lean)
        input_data, params = (read_lean if lean else read_article)(request)
    except Refused as refused:
        return refusal(refused)
    answers = predict(input_data, params)
    packed = packed_answer(answers) if accepts_lean else None
    if packed is None:
        return AMLResponse(answers, 200, json_str=True)
    return AMLResponse(packed, 200, {"Content-Type": CONTENT_TYPE})


def refusal(refused: Refused) -> AMLResponse:
    """Return the response to a refused request. For JSON requests, the messages are those of the stock deployment."""
    said = {"message": str(refused)}
    if refused.code is not None:
        said["code"] = refused.code
    return AMLResponse(said, refused.status, json_str=True)


def media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def accepted(header: str | None, *, lean: bool) -> bool:
    """Return whether the answer must be lean. `lean` says whether the request is lean. Raises Refused."""
    ranges = [media_range.strip() for media_range in (header or "*/*").split(",")]
    for media_range in ranges:
        if media_type(media_range) == MEDIA_TYPE and version_of(media_range) == VERSION:
            return True
    named = {media_type(media_range) for media_range in ranges}
    if lean and "*/*" not in named and "application/json" not in named:
        raise Refused(406, "not_acceptable", f"This deployment answers {CONTENT_TYPE} and application/json.")
    return lean and "*/*" in named and MEDIA_TYPE not in named


def version_of(media_range: str) -> int | None:
    """Return the version that a media range names, or None if this is not a number.

    A media range without a version accepts every version, so VERSION is returned.
    """
    for parameter in media_range.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "version":
            value = value.strip().strip('"')
            return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else None
    return VERSION


def read_article(request: Any) -> tuple[Any, Any]:
    """Return `input_data` and `params` of a JSON request, as the stock deployment reads them. Raises Refused."""
    missing = Refused(400, None, "A value is not provided for the 'input_data' parameter.")
    if request.method == "GET":
        raise missing
    kind = media_type(request.headers.get("Content-Type"))
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Refused(415, None, "Expects Content-Type to be application/json")
    body = request.get_data()
    try:
        content = json.loads(body)
    except json.JSONDecodeError as error:
        said = f"could not be decoded as JSON: {error}" if body else "is empty. Expecting a JSON dictionary."
        raise Refused(400, None, f"POST body {said}") from None
    except UnicodeDecodeError:
        raise Refused(400, None, "POST body could not be decoded as JSON: it is not UTF-8.") from None
    if not isinstance(content, dict):
        raise Refused(400, None, "POST body should be a JSON dictionary.")
    if "input_data" not in content:
        raise missing
    return content["input_data"], content.get("params")


def read_lean(request: Any) -> tuple[Any, Any]:
    """Return `input_data` and `params` of a lean request, in the form of the stock deployment. Raises Refused."""
    if version_of(request.headers.get("Content-Type")) != VERSION:
        raise Refused(415, "version_unknown", f"This deployment reads version {VERSION}.")
    if (request.content_length or 0) > MAX_BODY:
        raise Refused(413, "body_too_large", f"The body has more than {MAX_BODY} bytes.")
    body = memoryview(request.get_data())
    header, start = read_header(body)
    rows = header.get("rows")
    if not isinstance(rows, list) or not rows:
        raise Refused(400, "rows_invalid", "rows is not a list of at least one row.")
    check_size(len(rows), MAX_ROWS, "too_many_rows", "rows")
    check_size(sum(map(prompts_in, rows)), MAX_PROMPTS, "too_many_prompts", "prompts")
    lengths = [length_of(row, number) for number, row in enumerate(rows)]
    if start + sum(lengths) != len(body):
        raise Refused(400, "length_mismatch", f"The rows name {sum(lengths)} bytes, but {len(body) - start} follow.")
    params, data = header.get("params"), []
    if params is not None and not isinstance(params, dict):
        raise Refused(400, "params_invalid", "params is not an object.")
    for number, row in enumerate(rows):
        image = bytes(body[start : start + lengths[number]])
        data.append([base64.b64encode(rgb_png(image, row.get("encoding"), number)).decode(), text_of(row, number)])
        start += lengths[number]
    return {"columns": ["image", "text"], "index": list(range(len(data))), "data": data}, params


def read_header(body: memoryview) -> tuple[dict[str, Any], int]:
    """Return the header, and the position at which the first part begins."""
    start = len(MAGIC) + 4
    if len(body) < start or bytes(body[: len(MAGIC)]) != MAGIC:
        raise Refused(400, "not_lean", "The body does not begin as a lean request does.")
    (length,) = struct.unpack(">I", body[len(MAGIC) : start])
    check_size(length, MAX_HEADER, "header_too_large", "bytes of header")
    if start + length > len(body):
        raise Refused(400, "length_mismatch", "The body ends within its header.")
    try:
        header = json.loads(bytes(body[start : start + length]))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise Refused(400, "header_invalid", "The header is not a JSON object.")
    if header.get("version") != VERSION:
        raise Refused(415, "version_unknown", f"This deployment reads version {VERSION}.")
    return header, start + length


def check_size(count: int, most: int, code: str, what: str) -> None:
    if count > most:
        raise Refused(413, code, f"{count} {what}, at most {most} are accepted.")


def prompts_in(row: Any) -> int:
    prompts = row.get("prompts") if isinstance(row, dict) else None
    return len(prompts) if isinstance(prompts, list) else 0


def length_of(row: Any, number: int) -> int:
    length = row.get("bytes") if isinstance(row, dict) else None
    if type(length) is not int or length < 1:
        raise Refused(400, "rows_invalid", f"row {number}: bytes is not a number above 0.")
    check_size(length, MAX_IMAGE, "image_too_large", f"bytes of image in row {number}")
    return length


def text_of(row: dict[str, Any], number: int) -> str:
    """Return the prompts as the model's text."""
    prompts = row.get("prompts")
    texts = prompts if isinstance(prompts, list) else []
    if not texts or not all(isinstance(prompt, str) and 0 < len(prompt) <= MAX_PROMPT for prompt in texts):
        raise Refused(400, "prompts_invalid", f"row {number}: prompts is not a list of at least one text.")
    if any("&" in prompt for prompt in texts):
        raise Refused(400, "prompts_invalid", f"row {number}: a prompt contains &, which separates prompts.")
    return " & ".join(texts)


def rgb_png(image: bytes, encoding: Any, number: int) -> bytes:
    """Return the image as an 8-bit RGB PNG with the same pixels. An image that has this form is returned unchanged."""
    if encoding not in ("png", "webp"):
        raise Refused(415, "encoding_unknown", f"row {number}: encoding is neither png nor webp.")
    if encoding == "webp" and image[12:16] != b"VP8L":
        raise Refused(400, "image_invalid", f"row {number}: the image is not a lossless WebP.")
    try:
        picture = Image.open(io.BytesIO(image), formats=[encoding.upper()])
        size, mode, frames = picture.size, picture.mode, getattr(picture, "n_frames", 1)
        if size == (CANVAS, CANVAS):
            picture.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise Refused(400, "image_invalid", f"row {number}: the image is not a readable {encoding}.") from None
    if size != (CANVAS, CANVAS) or mode not in ("L", "RGB") or frames != 1 or (encoding == "png" and image[24] != 8):
        wanted = f"{CANVAS} × {CANVAS} pixels, 8-bit gray or RGB"
        raise Refused(400, "image_invalid", f"row {number}: the image is not one of {wanted}.")
    if encoding == "png" and mode == "RGB":
        return image
    return png_of(np.asarray(picture))


def png_of(pixels: np.ndarray) -> bytes:
    """Return `pixels`, (rows, columns) or (rows, columns, 3) uint8, as an uncompressed RGB PNG."""
    height, width = pixels.shape[:2]
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    if pixels.ndim == 2:
        for channel in range(3):
            lines[:, 1 + channel :: 3] = pixels
    else:
        lines[:, 1:] = pixels.reshape(height, -1)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 0)),
        (b"IEND", b""),
    ]
    png = [b"\x89PNG\r\n\x1a\n"]
    for name, body in chunks:
        png += [struct.pack(">I", len(body)), name, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))]
    return b"".join(png)


def packed_answer(answers: Any) -> bytes | None:
    """Return the lean form of the model's answer, or None if the answer does not have the usual structure."""
    try:
        rows, parts = [], []
        for answer in answers:
            features = answer["image_features"]
            features = json.loads(features) if isinstance(features, str) else features
            maps = list(packed_maps(features))
            row = {"shape": list(features["shape"]), "dtype": features["dtype"], "maps": [one for one, _ in maps]}
            rows.append(row | {name: answer[name] for name in ("text_features",) if name in answer})
            parts += [part for _, part in maps]
        header = json.dumps({"version": VERSION, "rows": rows}).encode()
    except (TypeError, ValueError, KeyError):
        return None
    return b"".join((MAGIC, struct.pack(">I", len(header)), header, *parts))


def packed_maps(features: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the description and the bytes of each map.

    Raises ValueError if the data are not valid, or do not have the stated shape.
    """
    width = ITEM_BYTES[features["dtype"]]
    values = np.frombuffer(base64.b64decode(features["data"], validate=True), f"u{width}")
    shape = features["shape"]
    if len(shape) not in (2, 3) or math.prod(shape) != values.size or min(shape) < 1:
        raise ValueError("the shape is not that of the data")
    for one in values.reshape(-1, *shape[-2:]):  # the values are read as integers, so that −0.0 is not zero
        rows, columns = np.flatnonzero(one.any(axis=1)), np.flatnonzero(one.any(axis=0))
        if not rows.size:
            yield {"box": [0, 0, 0, 0], "encoding": "stored", "bytes": 0}, b""
            continue
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        cropped = np.ascontiguousarray(one[top:bottom, left:right]).tobytes()
        deflated = zlib.compress(cropped, _DEFLATE_LEVEL)
        encoding, part = ("deflate", deflated) if len(deflated) < len(cropped) else ("stored", cropped)
        yield {"box": [int(top), int(left), int(bottom), int(right)], "encoding": encoding, "bytes": len(part)}, part
