"""Disagreements between the header of a DICOM object and its pixel data.

They are found by reading the headers of the codestreams. Nothing is decoded.
"""

from dataclasses import dataclass

from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, RLELossless

from maskrelay.errors import ItemError, TagInvalid
from maskrelay.imaging.dicom.codecs import read_codestream
from maskrelay.imaging.dicom.codestream import Codestream, meaning_of
from maskrelay.imaging.dicom.fragments import FragmentedFrames
from maskrelay.imaging.dicom.header import Header, PixelElement
from maskrelay.imaging.dicom.sample_layout import SampleLayout
from maskrelay.imaging.dicom.stream import opened
from maskrelay.imaging.dicom.tags import octets, text

#: The disagreements by code. For most codes, there are two values: that in the object's header, and that in the pixel
#: data.
Findings = dict[str, tuple[int | str, ...]]

#: The numbers of bytes at the beginning of a frame that are searched for the header of its codestream. The second
#: number is used if the header is not within the first.
_HEAD, _LONG_HEAD = 2048, 1 << 18


@dataclass(frozen=True)
class Disagreements:
    """The result of comparing the header of an object with its pixel data."""

    findings: Findings
    #: The bits per sample: BitsStored, or the precision of a codestream if that is larger.
    bits: int


def find_disagreements(
    header: Header, layout: SampleLayout, pixels: PixelElement, frames: FragmentedFrames | None
) -> Disagreements:
    """Return the differences between the header of an object and its frames.

    Raises TagInvalid if `meaning_of` does. A frame whose codestream header cannot be read is skipped. It is refused
    later, when it is decoded.
    """
    findings = _of_header(header, layout, pixels)
    if frames is not None and frames.ignored_offsets:
        findings["offset_table_ignored"] = (frames.ignored_offsets,)
    if frames is None or layout.transfer_syntax == RLELossless:
        return Disagreements(findings, layout.stored)
    bits = layout.stored
    with opened(header.source) as stream:
        for index in range(len(frames.each)):
            declared = next(
                filter(None, (_declared(frames.head(stream, index, most)) for most in (_HEAD, _LONG_HEAD))), None
            )
            if declared is not None:
                findings |= _of_frame(declared, layout)
                bits = max(bits, declared.precision)
    return Disagreements(findings, bits)


def _declared(head: bytes) -> Codestream | None:
    try:
        return read_codestream(head)[0]
    except TagInvalid:
        raise
    except ItemError:
        return None


def _of_header(header: Header, layout: SampleLayout, pixels: PixelElement) -> Findings:
    findings: Findings = {}
    if text(header.dataset, "PresentationLUTShape") == "INVERSE" and layout.photometric == "MONOCHROME2":
        findings["presentation_lut_inverse"] = (layout.photometric,)
    if octets(header.dataset, "ICCProfile") and layout.samples == 3:
        findings["icc_profile_not_applied"] = (1,)
    if layout.high_bit != layout.stored - 1:
        findings["high_bit"] = (layout.stored, layout.high_bit)
    excess = (pixels.length or 0) - layout.frames * layout.frame_bytes
    if pixels.length is not None and not layout.transfer_syntax.is_encapsulated and excess > 1:
        findings["excess_pixel_data"] = (int(excess),)
    return findings


def _family(syntax: UID) -> str:
    if syntax in JPEG2000TransferSyntaxes:
        return "jpeg-2000"
    return "jpeg-ls" if syntax in JPEGLSTransferSyntaxes else "jpeg"


def _of_frame(declared: Codestream, layout: SampleLayout) -> Findings:
    findings: Findings = {}
    if declared.family != _family(layout.transfer_syntax):
        findings["codestream_family"] = (str(layout.transfer_syntax), declared.family)
    if declared.precision != layout.stored:
        findings["codestream_depth"] = (layout.stored, declared.precision)
    if declared.family == "jpeg-2000" and declared.signed != layout.signed:
        findings["codestream_sign"] = (int(layout.signed), int(declared.signed))
    if layout.samples == 3 and declared.samples == 3:
        meaning = meaning_of(declared, layout)
        if (meaning == "RGB") != (layout.photometric in ("RGB", "YBR_RCT", "YBR_ICT")):
            findings["codestream_colours"] = (layout.photometric, meaning)
        elif declared.family == "jpeg-2000" and declared.transformed != (layout.photometric in ("YBR_RCT", "YBR_ICT")):
            findings["codestream_colours"] = (layout.photometric, "transformed" if declared.transformed else "RGB")
    return findings
