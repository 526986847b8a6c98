"""Convert the endpoint's maps to probabilities 0..255, whatever their dtype."""

from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from maskrelay.contract.wire.image2d import MapStack
from maskrelay.errors import AnswerInvalid

Encoding = Literal["probability", "binary01"]

MAX_LE_1 = "max_le_1"


def probabilities(stack: MapStack, encoding: Encoding) -> tuple[npt.NDArray[np.uint8], list[list[str]]]:
    """Return the maps as (N, 1024, 1024) uint8, foreground `>= 128`, and a list of flags for each.

    With `probability`: uint8 stays as it is (a read-only view of the response's bytes); bool becomes 0 or 255; floats
    0..1 are multiplied by 255 and rounded half up in float64, so that a value is at least 0.5 exactly when its byte is
    at least 128. With `binary01`: 1 becomes 255, 0 stays 0. The flag `max_le_1` marks a uint8 probability map that
    never exceeds 1; it is used as it is, and so is empty. Raises AnswerInvalid for NaN or a float outside 0..1, and for
    a value other than 0 and 1 with `binary01`.
    """
    maps = _array(stack)
    flags: list[list[str]] = [[] for _ in maps]
    if encoding == "binary01" and stack.dtype != "bool":
        return _from_binary(maps), flags
    if stack.dtype == "bool":
        return np.where(maps, np.uint8(255), np.uint8(0)), flags
    if maps.dtype.kind == "f":
        return _from_floats(maps), flags
    return maps, [[MAX_LE_1] if one.max() <= 1 else [] for one in maps]


def _array(stack: MapStack) -> npt.NDArray[Any]:
    # bools are read as bytes: a bool array with any byte but 0 and 1 would be invalid
    dtype = np.dtype("uint8" if stack.dtype == "bool" else stack.dtype)
    return np.frombuffer(stack.raw, dtype).reshape(stack.shape)


def _from_binary(maps: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if not np.all((maps == 0) | (maps == 1)):
        _refuse("a map declared as 0 and 1 holds another value")
    return np.where(maps == 1, np.uint8(255), np.uint8(0))


def _from_floats(maps: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if not np.all((maps >= 0) & (maps <= 1)):  # NaN fails both
        _refuse("a probability map holds a value outside 0..1")
    whole = np.empty(maps.shape, np.uint8)
    for one, out in zip(maps, whole, strict=True):  # one at a time: float64 takes eight times the memory
        out[...] = np.floor(one.astype(np.float64) * 255.0 + 0.5)
    return whole


def _refuse(detail: str) -> NoReturn:
    raise AnswerInvalid(detail, status=200, kind="values")
