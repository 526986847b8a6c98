"""The parser of the 2-D model's response. It accepts every form that endpoints are known to return."""

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
#: The bytes per value, by dtype.
ITEM_BYTES: dict[Dtype, int] = {"uint8": 1, "bool": 1, "float16": 2, "float32": 4}
_PNG = b"\x89PNG\r\n\x1a\n"
#: The greatest length of a category that is kept. The longest category of the model has 22 characters.
_CATEGORY_LENGTH = 64


def parse_answer(body: bytes | bytearray, rows: Sequence[Row], *, max_bytes: int = MAX_BYTES) -> list[RowAnswer]:
    """Parse the endpoint's response to `rows`, and return one answer for each row, in order.

    `image_features` may be an object, or a string that contains the object as JSON. The latter is the usual form. The
    string may also contain a Python literal with single quotes, as in the example of the model's documentation. In this
    case, the answer has a warning. A whole row may also be a string of one of these two forms.

    The body may have up to `max_bytes` bytes. Raises AnswerInvalid for any other response. Its `detail` names the
    faulty part and quotes nothing of the body, its `kind` is the name of the fault in metrics, and its `raw` is the
    body.
    """
    try:
        if len(body) > max_bytes:
            refuse("too_large", f"the answer has {len(body)} bytes; the limit is {max_bytes}")
        return _read_hollow(body, rows) or _read_rows(body, rows, {})
    except AnswerInvalid as error:
        error.raw = bytes(body)
        raise


def _read_hollow(body: bytes | bytearray, rows: Sequence[Row]) -> list[RowAnswer] | None:
    """Return the same answers as `_read_rows`, but many times faster.

    Return None if the response does not have the usual form. Such a response may be valid, and `_read_rows` decides
    this.
    """
    try:
        remaining, taken = hollow(body)
        answers = _read_rows(remaining, rows, taken)
    except (ValueError, AnswerInvalid):
        return None
    return None if taken else answers


def _read_rows(body: bytes | bytearray, rows: Sequence[Row], taken: dict[str, bytes]) -> list[RowAnswer]:
    """Return the answers in the body.

    `taken` contains the bytes that placeholders in the body stand for. Each entry is used once and then removed.
    """
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
    """Return the object in `value`, and whether it was a text with single quotes.

    `value` is an object, or a string that contains the object as JSON or as a Python literal with single quotes.
    """
    quoted = False
    if isinstance(value, str):
        # No Python literal is evaluated. In a text without `"` and `\`, every `'` is a quote. If every `'` is replaced
        # by `"`, the text becomes JSON with the same meaning. If it does not become JSON, it is refused.
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
            refuse("size", f"{where}.data has {len(raw)} bytes, but shape and dtype require {expected}")
    except AnswerInvalid as error:
        if raw.startswith(_PNG):
            refuse("png", f"{error.detail}; {where}.data is a PNG file, not raw pixels")
        raise
    check_values(raw, dtype, f"{where}.data")
    return MapStack(raw, shape, dtype)


def check_values(raw: bytes, dtype: Dtype, where: str) -> None:
    """Raise AnswerInvalid if the bytes are not values of the dtype."""
    if dtype == "bool" and raw.translate(None, b"\x00\x01"):
        refuse("bool", f"{where} has bytes other than 0 and 1, but its dtype is bool")


def read_shape(shape: Any, prompts: int, where: str) -> tuple[int, int, int]:
    """Return the shape (prompts, CANVAS, CANVAS). A shape of two dimensions means one map."""
    if not isinstance(shape, list) or len(shape) not in (2, 3) or any(type(side) is not int for side in shape):
        refuse("shape", f"{where} is not two or three whole numbers")
    if shape[-2:] != [CANVAS, CANVAS]:
        refuse("shape", f"{where} does not end in {CANVAS}, {CANVAS}")
    count = shape[0] if len(shape) == 3 else 1
    if count != prompts:
        seen = str(count) if 0 <= count < 10_000 else "an absurd number of"
        refuse("map_count", f"{where} declares {seen} maps for {prompts} prompts")
    return prompts, CANVAS, CANVAS


def read_categories(words: Any, prompts: int) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    """Return a category or None for each prompt, and the warnings.

    A category belongs to the prompt at the same position. Categories may be missing. Wrong categories never make a
    response invalid.
    """
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
    # isprintable() also refuses lone surrogates, which JSON can represent but UTF-8 cannot.
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
        # strict=False, because the literal in the documentation's example has line breaks inside a string
        return json.loads(text, strict=False, parse_constant=_not_a_number)
    except RecursionError:
        reason = "is nested too deeply"
    except ValueError:
        pass  # not UTF-8, not JSON, NaN, or an integer of thousands of digits
    # The new error is raised outside the exception handlers. Otherwise, its context would be the decoder's error, which
    # contains the whole document.
    return refuse("not_json", f"{where} {reason}")


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def refuse(kind: str, detail: str) -> NoReturn:
    """Raise AnswerInvalid.

    `kind` is the name of the fault in metrics. `detail` names the faulty part but does not quote it.
    """
    raise AnswerInvalid(detail, status=200, kind=kind)
