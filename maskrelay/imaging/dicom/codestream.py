"""Comparison of the header of a frame's codestream with the header of the object, before the frame is decoded."""

from dataclasses import dataclass
from typing import Literal

from maskrelay.errors import TagInvalid, UnsupportedImage
from maskrelay.imaging.dicom.sample_layout import SampleLayout
from maskrelay.imaging.dicom.tags import named

#: The largest number of bits per sample that is supported.
MOST_PRECISION = 32


@dataclass(frozen=True)
class Codestream:
    """The frame header of a JPEG, JPEG-LS or JPEG 2000 codestream."""

    family: Literal["jpeg", "jpeg-ls", "jpeg-2000"]
    columns: int
    rows: int
    samples: int
    #: The bits per sample.
    precision: int
    #: Whether samples are signed. Only JPEG 2000 can declare this.
    signed: bool = False
    #: Whether the component ids of a JPEG say that its colours are RGB.
    rgb_ids: bool = False
    #: Whether a JPEG has a JFIF marker.
    jfif: bool = False
    #: The colour transform in the APP14 (Adobe) marker of a JPEG.
    adobe: int | None = None
    #: Whether a JPEG 2000 codestream uses a colour transform. Its decoder reverses the transform.
    transformed: bool = False
    #: Whether a JPEG uses 8-bit Huffman coding, which libjpeg-turbo can decode.
    sequential: bool = False


def check_codestream(stream: Codestream, layout: SampleLayout) -> None:
    """Check that the size and the number of samples are the same in both headers.

    Raises TagInvalid if they differ, and UnsupportedImage if a sample has more than MOST_PRECISION bits.
    """
    if (stream.columns, stream.rows) != (layout.columns, layout.rows):
        tags = f"{named('Columns')} and {named('Rows')}"
        detail = f"{tags} are {layout.columns} and {layout.rows}, but the frame declares {stream.columns} and "
        raise TagInvalid(f"{detail}{stream.rows}.")
    if stream.samples != layout.samples:
        raise TagInvalid(
            f"{named('SamplesPerPixel')} is {layout.samples}, but the frame declares {stream.samples} samples."
        )
    if not 1 <= stream.precision <= MOST_PRECISION:
        raise UnsupportedImage(f"A frame has samples of {stream.precision} bits.")


def meaning_of(stream: Codestream, layout: SampleLayout) -> str:
    """Return the photometric interpretation of the samples that the decoder returns for a colour frame.

    For JPEG 2000, the object's header decides, and the colour transform of the codestream has been reversed. For JPEG,
    the component ids, the JFIF marker and the Adobe marker decide. If these contradict each other, or if there are
    none, the object's header decides.

    Raises TagInvalid if a JPEG has only an Adobe marker and the header contradicts it. Other programs ignore this
    marker, so it is not clear which colours are meant. Also raises TagInvalid if a JPEG 2000 frame was transformed from
    RGB but the header says YBR_FULL or YBR_PARTIAL.
    """
    header = layout.photometric
    if stream.family == "jpeg-2000":
        if stream.transformed and header.startswith(("YBR_FULL", "YBR_PARTIAL")):
            raise TagInvalid(
                f"{named('PhotometricInterpretation')} is {header}, but the frame was transformed from RGB."
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
        raise TagInvalid(f"{named('PhotometricInterpretation')} is {header}, but the frame's Adobe marker says {mark}.")
    return "YBR_FULL" if own == "RGB" else "RGB"
