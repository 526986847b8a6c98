"""What a caller may say of how sources become frames."""

import math
from typing import Any

from pydantic import ValidationError

from api.pointers import pointer
from maskrelay.contract.intensity import PRESETS
from maskrelay.contract.jobs import PixelOptions
from maskrelay.errors import OptionInvalid

_EXPECTED = {
    "group_series": "true or false.",
    "partial_series": "One of fail, best_effort, hold.",
    "slice_axis": "One of axial, coronal, sagittal, or a voxel axis: 0, 1, 2.",
    "volume": "The number of a volume, from 0.",
    "square_pixels": "true or false.",
    "burned_in": "One of allow, warn, refuse.",
    "identifiers": "One of uids, hashed, none.",
}


def read_pixel_options(given: dict[str, Any]) -> PixelOptions:
    """The options that these JSON values stand for; raises OptionInvalid, which names the option."""
    if "intensity" in given:
        given = {**given, "intensity": _intensity(given["intensity"])}
    try:
        return PixelOptions.model_validate(given, strict=True)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise OptionInvalid(_EXPECTED[name], pointer=pointer("options", name)) from None


def _intensity(value: Any) -> str | tuple[float, float]:
    """The name of a preset, or the limits of `{"window": [low, high]}`."""
    if isinstance(value, str) and value in PRESETS:
        return value
    limits = value.get("window") if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(limits, list) and len(limits) == 2 and all(map(_is_number, limits)) and limits[0] < limits[1]:
        return float(limits[0]), float(limits[1])
    detail = f'One of {", ".join(PRESETS)}, or {{"window": [low, high]}} with low below high.'
    raise OptionInvalid(detail, pointer=pointer("options", "intensity"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
