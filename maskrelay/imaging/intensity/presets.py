"""Intensity presets: the choice of the preset for a source, and the limits of a preset or an explicit window."""

from maskrelay.contract.records.source_frames import Window
from maskrelay.contract.vocabulary.intensity_names import (
    CT_WINDOWS,
    EXPLICIT,
    NONE,
    VOI,
    ExplicitWindow,
    Intensity,
    Preset,
)
from maskrelay.imaging.intensity.volume_percentiles import Planes, volume_window

_NARROWEST = 1e-6  # the minimum difference of the limits; otherwise the limits of a window of width 1 would be equal
_ABDOMEN: Preset = "ct-abdomen"
#: The CT presets by DICOM's BodyPartExamined, in capital letters without spaces. For any other value, including those
#: of larger regions of the body, the preset is `ct-abdomen`.
_CT_OF: dict[str, Preset] = {
    "CHEST": "ct-lung",
    "COLON": "ct-colon",
    "LIVER": "ct-liver",
    "LUNG": "ct-lung",
    "LUNGS": "ct-lung",
    "PANCREAS": "ct-pancreas",
    "PELVIS": "ct-pelvis",
    "PROSTATE": "ct-pelvis",
    "BLADDER": "ct-pelvis",
    "UTERUS": "ct-pelvis",
    "THORAX": "ct-lung",
}


def default_preset(modality: str | None, body_part: str | None, bits: int, *, hounsfield: bool = True) -> Preset:
    """Return the default preset of a source by its DICOM modality, body part and bits per sample.

    It is `none` if the source has at most 8 bits per sample. A CT image in Hounsfield units has the preset of its body
    part, or that of the abdomen if there is none for the body part. All other sources have `percentile-positive`.
    """
    if bits <= 8:
        return "none"
    if modality != "CT" or not hounsfield:
        return "percentile-positive"
    return _CT_OF.get("".join((body_part or "").upper().split()), _ABDOMEN)


def voi_window(centre: float, width: float, function: str | None = None) -> Window:
    """Return the limits of a VOI window according to its VOILUTFunction, which is LINEAR if there is none.

    Source: DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.
    """
    if function in ("LINEAR_EXACT", "SIGMOID"):
        return Window(name=VOI, low=centre - width / 2, high=centre + width / 2, sigmoid=function == "SIGMOID")
    half = max(width - 1, _NARROWEST) / 2
    return Window(name=VOI, low=centre - 0.5 - half, high=centre - 0.5 + half)


def window_of(asked: Intensity, planes: Planes) -> Window | None:
    """Return the window of a source, or None if no window is requested.

    The planes of the source are read only if the window depends on percentiles.
    """
    if isinstance(asked, ExplicitWindow):
        low, high = asked.window
        return Window(name=EXPLICIT, low=low, high=high)
    if asked == NONE:
        return None
    if asked in CT_WINDOWS:
        low, high = CT_WINDOWS[asked]
        return Window(name=asked, low=low, high=high)
    return volume_window(asked, planes)
