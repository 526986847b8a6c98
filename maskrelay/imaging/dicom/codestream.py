"""Compare the header of a compressed frame's codestream with the object's header, before anything is decoded."""

from dataclasses import dataclass
from typing import Literal

from maskrelay.errors import TagInvalid, UnsupportedImage
from maskrelay.imaging.dicom.sample_layout import SampleLayout
from maskrelay.imaging.dicom.tags import named

MOST_PRECISION = 32


@dataclass(frozen=True)
class Codestream:
    """The frame header of a JPEG, JPEG-LS or JPEG 2000 codestream."""

    family: Literal["jpeg", "jpeg-ls", "jpeg-2000"]
    columns: int
    rows: int
    samples: int
    #: Bits per sample.
    precision: int
    #: Whether samples are signed (only JPEG 2000 can declare that).
    signed: bool = False
    #: Whether a JPEG marks its colours as RGB by its component ids.
    rgb_ids: bool = False
    #: Whether a JPEG has a JFIF marker.
    jfif: bool = False
    #: The colour transform in a JPEG's APP14 (Adobe) marker.
    adobe: int | None = None
    #: A JPEG 2000 colour transform, which its decoder reverses.
    transformed: bool = False
    #: 8-bit Huffman coding, which libjpeg-turbo decodes.
    sequential: bool = False


def check_codestream(stream: Codestream, layout: SampleLayout) -> None:
    """Raise TagInvalid if the size or the samples differ from the object's, UnsupportedImage for more than 32 bits."""
    if (stream.columns, stream.rows) != (layout.columns, layout.rows):
        tags = f"{named('Columns')} and {named('Rows')}"
        detail = f"{tags} are {layout.columns} and {layout.rows}, and the frame's own {stream.columns} and "
        raise TagInvalid(f"{detail}{stream.rows}.")
    if stream.samples != layout.samples:
        raise TagInvalid(f"{named('SamplesPerPixel')} is {layout.samples}, and the frame's own {stream.samples}.")
    if not 1 <= stream.precision <= MOST_PRECISION:
        raise UnsupportedImage(f"A frame has samples of {stream.precision} bits.")


def meaning_of(stream: Codestream, layout: SampleLayout) -> str:
    """Return the photometric interpretation of what the codec returns for a colour frame.

    The codestream decides if it marks its colours consistently, otherwise the header. Raises TagInvalid if the header
    contradicts a mark that other readers ignore.
    """
    header = layout.photometric
    if stream.family == "jpeg-2000":
        if stream.transformed and header.startswith(("YBR_FULL", "YBR_PARTIAL")):
            raise TagInvalid(
                f"{named('PhotometricInterpretation')} is {header}, and the frame was transformed from RGB."
            )
        return "RGB" if header in ("YBR_RCT", "YBR_ICT") else header
    marks = set()
    if stream.rgb_ids:
        marks.add("RGB")
    elif stream.jfif:
        marks.add("YBR")
    if stream.adobe is not None:
        marks.add("RGB" if stream.adobe == 0 else "YBR")
    own = "RGB" if header == "RGB" else "YBR"
    if marks in (set(), {own}) or len(marks) == 2:
        return header
    if not (stream.rgb_ids or stream.jfif):
        mark = marks.pop()
        raise TagInvalid(f"{named('PhotometricInterpretation')} is {header}, and the frame's Adobe marker says {mark}.")
    return "YBR_FULL" if own == "RGB" else "RGB"
