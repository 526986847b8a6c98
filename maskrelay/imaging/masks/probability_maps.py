"""Conversion of the endpoint's maps, which may have several dtypes, to probabilities from 0 to 255."""

from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from maskrelay.contract.wire.image2d import MapStack
from maskrelay.errors import AnswerInvalid

Encoding = Literal["probability", "binary01"]

MAX_LE_1 = "max_le_1"


def probabilities(stack: MapStack, encoding: Encoding) -> tuple[npt.NDArray[np.uint8], list[list[str]]]:
    """Return the maps as a uint8 array of shape (N, 1024, 1024), and a list of flags for each map.

    With the encoding `probability`, uint8 values are not changed (the result is a read-only view of the response),
    bools become 0 or 255, and floats from 0 to 1 are multiplied by 255 and rounded half up in float64. A float is at
    least 0.5 if and only if the result is at least 128, which is the foreground. With the encoding `binary01`, 1
    becomes 255.

    A uint8 probability map whose values are all 0 or 1 has the flag `max_le_1`. It is not changed, so its mask is
    empty. Raises AnswerInvalid if a float is NaN or is not between 0 and 1. With the encoding `binary01`, it is raised
    if a value is not 0 or 1.
    """
    maps = _array(stack)
    flags: list[list[str]] = [[] for _ in maps]
    if encoding == "binary01" and stack.dtype != "bool":
        return _from_binary(maps), flags
    if stack.dtype == "bool":
        return np.where(maps, np.uint8(255), np.uint8(0)), flags
    if maps.dtype.kind == "f":
        return _from_floats(maps), flags
    return maps, [[MAX_LE_1] if each.max() <= 1 else [] for each in maps]


def _array(stack: MapStack) -> npt.NDArray[Any]:
    # bools are read as bytes, because a bool array with bytes other than 0 and 1 would be invalid
    dtype = np.dtype("uint8" if stack.dtype == "bool" else stack.dtype)
    return np.frombuffer(stack.raw, dtype).reshape(stack.shape)


def _from_binary(maps: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if not np.all((maps == 0) | (maps == 1)):
        _refuse("a map that must contain only 0 and 1 contains another value")
    return np.where(maps == 1, np.uint8(255), np.uint8(0))


def _from_floats(maps: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if not np.all((maps >= 0) & (maps <= 1)):  # both are false for NaN
        _refuse("a probability map contains a value that is not between 0 and 1")
    whole = np.empty(maps.shape, np.uint8)
    for values, out in zip(maps, whole, strict=True):  # map by map, because float64 takes eight times the memory
        out[...] = np.floor(values.astype(np.float64) * 255.0 + 0.5)
    return whole


def _refuse(detail: str) -> NoReturn:
    raise AnswerInvalid(detail, status=200, kind="values")
