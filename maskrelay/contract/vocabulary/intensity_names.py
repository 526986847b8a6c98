"""The names of the intensity presets, which map deep samples to 8 bits, and the CT windows. Statistics: see imaging."""

import math
from typing import Any, Literal, get_args

from pydantic import ConfigDict, field_validator

from maskrelay.contract.record import Record

#: CT windows in Hounsfield units, low and high. Source: the windows of the model's training images.
CT_WINDOWS: dict[str, tuple[float, float]] = {
    "ct-abdomen": (-150.0, 250.0),
    "ct-colon": (-68.0, 187.0),
    "ct-liver": (-25.0, 230.0),
    "ct-lung": (-1000.0, 1000.0),
    "ct-pancreas": (-100.0, 200.0),
    "ct-pelvis": (-55.0, 200.0),
}

#: Percentiles 0.5 and 99.5: of the values above 0 (the paper's code), or of all values (the official toolkit).
POSITIVE = "percentile-positive"
EVERY = "percentile-all"
#: No window: 8-bit samples stay as they are; deeper frames are scaled by their own percentiles.
NONE = "none"

#: The first window of the DICOM object itself (VOI); without one, the default.
VOI = "voi"

#: Fallbacks for percentiles: from the least to the greatest value, and black if there is only one value.
RANGE = "min-max"
CONSTANT = "constant"

#: The recorded name of a caller's own window.
EXPLICIT = "window"

Preset = Literal[
    "ct-abdomen",
    "ct-colon",
    "ct-liver",
    "ct-lung",
    "ct-pancreas",
    "ct-pelvis",
    "percentile-positive",
    "percentile-all",
    "voi",
    "none",
]
PRESETS: tuple[Preset, ...] = get_args(Preset)


class ExplicitWindow(Record):
    """A window of your own: its low and high limits in the source's units (HU for CT)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    window: tuple[float, float]

    @field_validator("window")
    @classmethod
    def _rises(cls, window: tuple[float, float]) -> tuple[float, float]:
        # an infinite width would make every pixel black
        if not 0 < window[1] - window[0] < math.inf:
            raise ValueError("a window's low is below its high, and both are finite")
        return window


#: The intensity that a caller may request.
Intensity = Preset | ExplicitWindow


def read_intensity(value: Any) -> Intensity:
    """Parse a preset's name, or `{"window": [low, high]}` in numbers, low below high.

    Raises ValueError for another value. The message is a sentence about what is accepted, and quotes nothing of
    `value`.
    """
    if isinstance(value, str) and value in PRESETS:
        return value
    if isinstance(value, dict) and value.keys() == {"window"} and isinstance(value["window"], list):
        limits = tuple(value["window"])
        if len(limits) == 2 and all(type(limit) in (int, float) for limit in limits):
            try:
                return ExplicitWindow(window=limits)
            except (ValueError, OverflowError):
                pass
    raise ValueError(f'One of {", ".join(PRESETS)}, or {{"window": [low, high]}} with low below high.')
