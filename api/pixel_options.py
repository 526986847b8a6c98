"""Options for how sources are converted to frames."""

from typing import Any

from pydantic import ValidationError

from api.pointers import pointer
from maskrelay.contract.intensity import Intensity, read_intensity
from maskrelay.contract.jobs import PixelOptions
from maskrelay.errors import OptionInvalid

_EXPECTED = {
    "group_series": "Expected true or false.",
    "partial_series": "Expected one of fail, best_effort, hold.",
    "slice_axis": "Expected one of axial, coronal, sagittal, or a voxel axis: 0, 1, 2.",
    "volume": "Expected the number of a volume, from 0.",
    "square_pixels": "Expected true or false.",
    "burned_in": "Expected one of allow, warn, refuse.",
    "identifiers": "Expected one of uids, hashed, none.",
}


def read_pixel_options(given: dict[str, Any]) -> PixelOptions:
    """Parse the pixel options from JSON values. Raises OptionInvalid, which names the option."""
    if "intensity" in given:
        given = {**given, "intensity": _intensity(given["intensity"])}
    try:
        return PixelOptions.model_validate(given, strict=True)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise OptionInvalid(_EXPECTED[name], pointer=pointer("options", name)) from None


def _intensity(value: Any) -> Intensity:
    try:
        return read_intensity(value)
    except ValueError as error:
        raise OptionInvalid(str(error), pointer=pointer("options", "intensity")) from None
