"""The names of the intensity presets, by which samples are converted to 8 bits, and the limits of the CT windows.

The package `maskrelay.imaging.intensity` computes the statistics that some presets need.
"""

import math
from typing import Any, Literal, get_args

from pydantic import ConfigDict, field_validator

from maskrelay.contract.record import Record

#: The lower and upper limits of the CT windows, in Hounsfield units. Source: the windows of the model's training
#: images.
CT_WINDOWS: dict[str, tuple[float, float]] = {
    "ct-abdomen": (-150.0, 250.0),
    "ct-colon": (-68.0, 187.0),
    "ct-liver": (-25.0, 230.0),
    "ct-lung": (-1000.0, 1000.0),
    "ct-pancreas": (-100.0, 200.0),
    "ct-pelvis": (-55.0, 200.0),
}

#: The limits are the percentiles 0.5 and 99.5 of the values above 0, as in the code of the model's paper.
POSITIVE = "percentile-positive"
#: The limits are the percentiles 0.5 and 99.5 of all values, as in the official toolkit.
EVERY = "percentile-all"
#: No window is applied. 8-bit samples are not changed, and a frame with more bits per sample is scaled between its own
#: percentiles.
NONE = "none"

#: The first VOI window of the DICOM object is applied. If the object has none, the default preset is applied.
VOI = "voi"

#: The names that are recorded if the two percentiles of a preset are equal, so that they cannot be limits. `RANGE` is a
#: window from the least to the greatest value. `CONSTANT` means that all values are equal, and the image becomes black.
RANGE = "min-max"
CONSTANT = "constant"

#: The recorded name of a window that the caller specified.
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
    """The low and the high limit of an intensity window, in the units of the source (HU for CT)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    window: tuple[float, float]

    @field_validator("window")
    @classmethod
    def _rises(cls, window: tuple[float, float]) -> tuple[float, float]:
        # If the width were infinite, every pixel would be black.
        if not 0 < window[1] - window[0] < math.inf:
            raise ValueError("the low limit of a window must be below its high limit, and both must be finite")
        return window


#: What a caller may request as intensity: the name of a preset, or a window.
Intensity = Preset | ExplicitWindow


def read_intensity(value: Any) -> Intensity:
    """Parse the name of a preset, or an object `{"window": [low, high]}` in which `low` is less than `high`.

    Raises ValueError for any other value. The message says what is accepted, and quotes nothing of `value`.
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
    raise ValueError(f'Expected one of {", ".join(PRESETS)}, or {{"window": [low, high]}} with low below high.')
