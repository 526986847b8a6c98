"""The sample layout of a DICOM object (Image Pixel module).

It is validated before memory is allocated for the samples.
"""

import math
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID

from maskrelay.errors import (
    FrameOutOfRange,
    NoPixels,
    TagInvalid,
    TooManyPixels,
    Truncated,
    UnsupportedImage,
    UnsupportedTransferSyntax,
    ZeroSized,
)
from maskrelay.imaging.canvas.letterbox import LONGEST_SIDE
from maskrelay.imaging.dicom.header import Header, PixelElement
from maskrelay.imaging.dicom.tags import named, text, uid, whole

_GRAY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT")
#: The photometric interpretations in which two pixels share one colour if the pixels are not compressed. Decoders
#: return a colour for every pixel. The values are the interpretations of the samples that decoders return.
SUBSAMPLED = {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL"}
_ALLOCATED = (1, 8, 16, 32, 64)
_LONGEST_SIDE_OF_TAG = 0xFFFF
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_LEAST_EXCESS = 2  # fewer excess bytes are never an error; a single one may be padding to an even length
_LEAST_FRAGMENT = 8  # the size of a fragment's header: its tag and its length


@dataclass(frozen=True)
class SampleLayout:
    """The Image Pixel module of one object."""

    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    planar: int
    #: BitsAllocated: the number of bits that a sample occupies without compression.
    allocated: int
    #: BitsStored: the number of bits of a sample.
    stored: int
    high_bit: int
    signed: bool
    floating: bool
    transfer_syntax: UID

    @property
    def frame_bytes(self) -> float:
        """The number of bytes of one uncompressed frame. For one-bit samples, it may not be a whole number."""
        samples = self.rows * self.columns * self.samples
        length = samples / 8 if self.allocated == 1 else samples * (self.allocated // 8)
        return length // 3 * 2 if self.photometric in SUBSAMPLED else length


def read_layout(header: Header) -> tuple[SampleLayout, PixelElement]:
    """Return the layout of an object that can be decoded, and the element with its pixels.

    Raises NoPixels if the object has no pixels, TagInvalid if a tag is missing or invalid, ZeroSized if rows or columns
    are 0, UnsupportedTransferSyntax if there is no decoder, UnsupportedImage if the photometric interpretation is not
    supported or one-bit samples are compressed, and Truncated if there are fewer bytes than the frames need.
    """
    dataset, pixels = header.dataset, header.pixels
    if pixels is None or pixels.length == 0:
        state, kind = "absent" if pixels is None else "empty", uid(dataset, "SOPClassUID") or "not given"
        detail = f"{named('PixelData')} is {state}; the object's class is {kind}."
        raise NoPixels(detail, has_size="Rows" in dataset and "Columns" in dataset)
    syntax = decoder_of(header.transfer_syntax).UID
    allocated = _required(dataset, "BitsAllocated")
    if allocated not in _ALLOCATED or allocated != _FLOAT_BITS.get(pixels.keyword, allocated):
        raise TagInvalid(f"{named('BitsAllocated')} is {allocated}.")
    floating = pixels.keyword in _FLOAT_BITS
    stored = allocated if floating else _between(dataset, "BitsStored", 1, allocated)
    samples = _required(dataset, "SamplesPerPixel")
    layout = SampleLayout(
        rows=_side(dataset, "Rows"),
        columns=_side(dataset, "Columns"),
        frames=whole(dataset, "NumberOfFrames") or 1,
        samples=samples,
        photometric=_photometric(dataset, samples),
        planar=whole(dataset, "PlanarConfiguration") or 0,
        allocated=allocated,
        stored=stored,
        high_bit=_high_bit(dataset, stored, allocated),
        signed=not floating and bool(_between(dataset, "PixelRepresentation", 0, 1)),
        floating=floating,
        transfer_syntax=syntax,
    )
    layout = _not_subsampled(layout, pixels)
    _check(layout, pixels)
    return layout, pixels


def decoder_of(transfer_syntax: UID | None) -> Decoder:
    """Return the decoder for a transfer syntax. Raises UnsupportedTransferSyntax, or TagInvalid if it is None."""
    if transfer_syntax is None:
        raise TagInvalid(f"{named('TransferSyntaxUID')} is missing, but the pixels are compressed.")
    try:
        return get_decoder(transfer_syntax)
    except NotImplementedError:
        detail = f"{named('TransferSyntaxUID')} is {transfer_syntax}, which this service cannot decode."
        raise UnsupportedTransferSyntax(detail) from None


def check_frame(layout: SampleLayout, index: int, max_pixels: int) -> None:
    """Raise TooManyPixels if a frame is too large, and FrameOutOfRange if there is no frame `index`."""
    width, height = layout.columns, layout.rows
    if width * height > max_pixels:
        detail = f"A frame has {width} × {height} = {width * height} pixels; at most {max_pixels} are accepted."
        raise TooManyPixels(detail)
    if max(width, height) > LONGEST_SIDE:
        detail = f"A frame has {width} × {height} pixels; at most {LONGEST_SIDE} are accepted along a side."
        raise TooManyPixels(detail)
    if not 0 <= index < layout.frames:
        detail = f"There is no frame {index}: {named('NumberOfFrames')} is {layout.frames}, counted from 0."
        raise FrameOutOfRange(detail)


def _required(dataset: Dataset, keyword: str) -> int:
    found = whole(dataset, keyword)
    if found is None:
        raise TagInvalid(f"{named(keyword)} is missing.")
    return found


def _between(dataset: Dataset, keyword: str, low: int, high: int) -> int:
    found = _required(dataset, keyword)
    if not low <= found <= high:
        raise TagInvalid(f"{named(keyword)} is {found}; it must be {low} to {high}.")
    return found


def _side(dataset: Dataset, keyword: str) -> int:
    if _required(dataset, keyword) == 0:
        raise ZeroSized(f"{named(keyword)} is 0.")
    return _between(dataset, keyword, 1, _LONGEST_SIDE_OF_TAG)


def _photometric(dataset: Dataset, samples: int) -> str:
    found = text(dataset, "PhotometricInterpretation")
    if found is None:
        raise TagInvalid(f"{named('PhotometricInterpretation')} is missing.")
    if found not in (*_GRAY, *_COLOUR):
        raise UnsupportedImage(f"{named('PhotometricInterpretation')} has a value that is not supported.")
    expected = 1 if found in _GRAY else 3
    if samples != expected:
        raise TagInvalid(f"{named('SamplesPerPixel')} is {samples}, but {found} requires {expected}.")
    return found


def _high_bit(dataset: Dataset, stored: int, allocated: int) -> int:
    found = whole(dataset, "HighBit")
    if found is None:
        return stored - 1
    if not stored - 1 <= found < allocated:
        raise TagInvalid(f"{named('HighBit')} is {found}, but {stored} of {allocated} bits are stored.")
    return found


def _not_subsampled(layout: SampleLayout, pixels: PixelElement) -> SampleLayout:
    """Return the layout without subsampling if the length of the pixel data shows that there is none.

    Some programs declare YBR_FULL_422 but store the colour of every pixel.
    """
    every_sample = layout.frames * layout.rows * layout.columns * 3
    native = layout.photometric in SUBSAMPLED and not layout.transfer_syntax.is_encapsulated
    if native and (pixels.length or 0) >= every_sample:
        return replace(layout, photometric=SUBSAMPLED[layout.photometric])
    return layout


def _check(layout: SampleLayout, pixels: PixelElement) -> None:
    if layout.allocated == 1 and layout.samples != 1:
        raise TagInvalid(f"{named('BitsAllocated')} is 1, which is not possible for colours.")
    if layout.samples == 3 and (layout.signed or layout.planar not in (0, 1)):
        keyword = "PixelRepresentation" if layout.signed else "PlanarConfiguration"
        raise TagInvalid(f"{named(keyword)} has a value that is not possible for colours.")
    if layout.frames < 1:
        raise TagInvalid(f"{named('NumberOfFrames')} is {layout.frames}.")
    encapsulated = layout.transfer_syntax.is_encapsulated
    if encapsulated and layout.allocated == 1:
        raise UnsupportedImage(f"{named('BitsAllocated')} is 1 and the pixels are compressed, which is not supported.")
    if encapsulated and pixels.keyword != "PixelData":
        raise TagInvalid(f"{named(pixels.keyword)} cannot be compressed.")
    if not encapsulated and pixels.length is None:
        raise TagInvalid(f"{named('PixelData')} has no length, although its transfer syntax is not compressed.")
    needed = layout.frames * (_LEAST_FRAGMENT if encapsulated else layout.frame_bytes)
    if needed > pixels.available:
        detail = f"{named(pixels.keyword)} contains {pixels.available} bytes, but its {layout.frames} frames need "
        raise Truncated(f"{detail}{'at least ' if encapsulated else ''}{math.ceil(needed)}.")
    if not encapsulated and (pixels.length or 0) - needed >= max(layout.frame_bytes, _LEAST_EXCESS):
        detail = f"{named('NumberOfFrames')} is {layout.frames}, which needs {math.ceil(needed)} bytes, but "
        raise TagInvalid(f"{detail}{named(pixels.keyword)} contains {pixels.length} bytes.")
