"""Parse the endpoint's response: every tolerated form, and AnswerInvalid for everything else."""

import json
import math
from binascii import a2b_base64
from collections.abc import Sequence
from typing import Any, NoReturn

from maskrelay.contract.wire.base64_extraction import hollow
from maskrelay.contract.wire.image2d import (
    CANVAS,
    Dtype,
    MapStack,
    Row,
    RowAnswer,
)
from maskrelay.errors import AnswerInvalid

MAX_BYTES = 256 << 20
#: Bytes of one value.
ITEM_BYTES: dict[Dtype, int] = {"uint8": 1, "bool": 1, "float16": 2, "float32": 4}
_PNG = b"\x89PNG\r\n\x1a\n"
#: The longest of the model's category words has 22 characters.
_CATEGORY_LENGTH = 64


def parse_answer(body: bytes | bytearray, rows: Sequence[Row], *, max_bytes: int = MAX_BYTES) -> list[RowAnswer]:
    """Parse the endpoint's response to `rows` into one answer per row, in order.

    Accepts `image_features` as JSON in a JSON string (the usual form), as an object, and as the article's single-quoted
    literal (with a warning); also a whole row given as a string. `max_bytes` limits the body. Raises AnswerInvalid for
    anything else: `detail` names the offending part and quotes nothing of the body, `kind` is a word for metrics, `raw`
    keeps the body.
    """
    try:
        if len(body) > max_bytes:
            refuse("too_large", f"the answer has {len(body)} bytes, over the cap of {max_bytes}")
        return _read_hollow(body, rows) or _read_rows(body, rows, {})
    except AnswerInvalid as error:
        error.raw = bytes(body)
        raise


def _read_hollow(body: bytes | bytearray, rows: Sequence[Row]) -> list[RowAnswer] | None:
    """The result of `_read_rows`, many times faster; None if the response is not of the usual form, valid or not."""
    try:
        remaining, taken = hollow(body)
        answers = _read_rows(remaining, rows, taken)
    except (ValueError, AnswerInvalid):
        return None
    return None if taken else answers


def _read_rows(body: bytes | bytearray, rows: Sequence[Row], taken: dict[str, bytes]) -> list[RowAnswer]:
    """`taken`: the bytes behind the placeholders in the body; each is resolved once and then removed."""
    answers = _json(body, "the body")
    if not isinstance(answers, list):
        refuse("not_a_list", f"the body is {_kind(answers)}, not a list of rows")
    if len(answers) != len(rows):
        refuse("row_count", f"{len(answers)} answers for {len(rows)} rows")
    return [
        _read_row(answer, row, taken, f"row {place}")
        for place, (answer, row) in enumerate(zip(answers, rows, strict=True))
    ]


def _read_row(answer: Any, row: Row, taken: dict[str, bytes], where: str) -> RowAnswer:
    fields, row_quoted = _mapping(answer, where)
    if "image_features" not in fields:
        refuse("features", f"{where} has no image_features")
    features, features_quoted = _mapping(fields["image_features"], f"{where}: image_features")
    maps = _read_maps(features, len(row.prompts), taken, f"{where}: image_features")
    categories, warnings = read_categories(fields.get("text_features"), len(row.prompts))
    if row_quoted or features_quoted:
        warnings = ("single_quoted", *warnings)
    return RowAnswer(maps, categories, warnings)


def _mapping(value: Any, where: str) -> tuple[dict[str, Any], bool]:
    """The object that `value` is or holds as text, and whether that text was single-quoted."""
    quoted = False
    if isinstance(value, str):
        # No Python literal is evaluated: if neither `"` nor `\` occurs, `'` can only be a quote, so
        # replacing it gives JSON of the same meaning, and what is not JSON then is refused.
        quoted = "'" in value and '"' not in value and "\\" not in value
        value = _json(value.replace("'", '"') if quoted else value, where)
    if not isinstance(value, dict):
        refuse("not_an_object", f"{where} is {_kind(value)}, not an object")
    return value, quoted


def _read_maps(features: dict[str, Any], prompts: int, taken: dict[str, bytes], where: str) -> MapStack:
    dtype: Any = features.get("dtype")
    if dtype not in list(ITEM_BYTES):
        refuse("dtype", f"{where}.dtype is not one of {', '.join(ITEM_BYTES)}")
    raw = _decode(features.get("data"), taken, f"{where}.data")
    try:
        shape = read_shape(features.get("shape"), prompts, f"{where}.shape")
        expected = math.prod(shape) * ITEM_BYTES[dtype]
        if len(raw) != expected:
            refuse("size", f"{where}.data has {len(raw)} bytes where shape and dtype say {expected}")
    except AnswerInvalid as error:
        if raw.startswith(_PNG):
            refuse("png", f"{error.detail}; {where}.data is a PNG file, not raw pixels")
        raise
    check_values(raw, dtype, f"{where}.data")
    return MapStack(raw, shape, dtype)


def check_values(raw: bytes, dtype: Dtype, where: str) -> None:
    """Raise AnswerInvalid if the bytes are no values of the dtype."""
    if dtype == "bool" and raw.translate(None, b"\x00\x01"):
        refuse("bool", f"{where} has bytes other than 0 and 1 under dtype bool")


def read_shape(shape: Any, prompts: int, where: str) -> tuple[int, int, int]:
    """(prompts, CANVAS, CANVAS); a shape of two dimensions is extended to three."""
    if not isinstance(shape, list) or len(shape) not in (2, 3) or any(type(side) is not int for side in shape):
        refuse("shape", f"{where} is not two or three whole numbers")
    if shape[-2:] != [CANVAS, CANVAS]:
        refuse("shape", f"{where} does not end in {CANVAS}, {CANVAS}")
    count = shape[0] if len(shape) == 3 else 1
    if count != prompts:
        seen = str(count) if 0 <= count < 10_000 else "an absurd number of"
        refuse("map_count", f"{where} gives {seen} maps for {prompts} prompts")
    return prompts, CANVAS, CANVAS


def read_categories(words: Any, prompts: int) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    """One word per prompt, by position alone; categories may be missing, and never make a response invalid."""
    if words is None:
        return (None,) * prompts, ("categories_missing",)
    if not isinstance(words, list):
        return (None,) * prompts, ("categories_unreadable",)
    warnings = []
    if len(words) != prompts:
        warnings.append("categories_short" if len(words) < prompts else "categories_long")
    kept = [word if _is_word(word) else None for word in words[:prompts]]
    if any(word is not None and read is None for word, read in zip(words, kept, strict=False)):
        warnings.append("categories_unreadable")
    return tuple(kept + [None] * (prompts - len(kept))), tuple(warnings)


def _is_word(word: Any) -> bool:
    # printable text has no lone surrogates, which JSON can represent and UTF-8 cannot
    return isinstance(word, str) and 0 < len(word) <= _CATEGORY_LENGTH and word.isprintable()


def _decode(data: Any, taken: dict[str, bytes], where: str) -> bytes:
    if not isinstance(data, str):
        refuse("base64", f"{where} is {_kind(data)}, not a string")
    if data in taken:
        return taken.pop(data)
    if "\n" in data:
        data = data.replace("\r", "").replace("\n", "")
    try:
        return a2b_base64(data, strict_mode=True)
    except ValueError:
        refuse("base64", f"{where} is not base64")


def _json(text: bytes | bytearray | str, where: str) -> Any:
    reason = "is not JSON"
    try:
        text = text if isinstance(text, str) else text.decode()
        # strict=False: the article prints its literal with line breaks inside a string
        return json.loads(text, strict=False, parse_constant=_not_a_number)
    except RecursionError:
        reason = "is nested too deeply"
    except ValueError:
        pass  # not UTF-8, not JSON, NaN, or an integer of thousands of digits
    # raised outside the handlers: a decoder's error holds the document, and would stay attached as context
    return refuse("not_json", f"{where} {reason}")


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def refuse(kind: str, detail: str) -> NoReturn:
    """Raise AnswerInvalid. kind: a word for metrics. detail: names the offending part and quotes nothing."""
    raise AnswerInvalid(detail, status=200, kind=kind)
