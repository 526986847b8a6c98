"""Reading of the stored values of one frame: decoded, and with the sign that the header declares."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import RLELossless

from maskrelay.imaging.dicom.codecs import as_header_means, decode_codestream
from maskrelay.imaging.dicom.codestream import meaning_of
from maskrelay.imaging.dicom.fragments import FragmentedFrames
from maskrelay.imaging.dicom.header import Header, PixelElement
from maskrelay.imaging.dicom.run_length import decode_rle
from maskrelay.imaging.dicom.sample_layout import SUBSAMPLED, SampleLayout, decoder_of
from maskrelay.imaging.dicom.stream import ElementStream, opened


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """The stored values of a frame."""

    #: The values in native byte order, in the shape (rows, columns) or (rows, columns, samples).
    values: npt.NDArray[Any]
    #: The photometric interpretation of the values.
    photometric: str
    #: The bits per sample: BitsStored, or the precision of the codestream if the samples need more bits.
    bits: int


def read_stored(
    header: Header, layout: SampleLayout, pixels: PixelElement, frames: FragmentedFrames | None, index: int
) -> StoredFrame:
    """Return frame `index`. No other frame is read or decoded.

    `frames` are the frames of an encapsulated object, or None. Bits above the stored bits, which may contain overlays,
    are removed. Raises Truncated, TagInvalid or UnsupportedImage.
    """
    with opened(header.source, exact=frames is not None) as stream:
        if frames is not None:
            return _compressed(frames.read(stream, index), layout)
        stream.seek(pixels.offset)
        if layout.allocated == 1:
            return StoredFrame(_bits(stream, layout, index), layout.photometric, 1)
        return StoredFrame(_native(stream, layout, pixels, index), layout.photometric, layout.stored)


def _compressed(frame: bytes, layout: SampleLayout) -> StoredFrame:
    if layout.transfer_syntax == RLELossless:
        words = decode_rle(frame, layout)
        signed = words.view(f"i{words.itemsize}") if layout.signed else words
        return StoredFrame(_without_unused_bits(signed, layout), layout.photometric, layout.stored)
    decoded, codestream = decode_codestream(frame, layout)
    values, bits = as_header_means(decoded, codestream, layout)
    if layout.samples == 1:
        return StoredFrame(values, layout.photometric, bits)
    return StoredFrame(values, meaning_of(codestream, layout), min(bits, codestream.precision))


def _native(stream: ElementStream, layout: SampleLayout, pixels: PixelElement, index: int) -> npt.NDArray[Any]:
    decoder = decoder_of(layout.transfer_syntax)
    values, _ = decoder.as_array(stream, index=index, raw=True, **_options(layout, pixels))  # type: ignore[arg-type]
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return _without_unused_bits(native, layout)


def _options(layout: SampleLayout, pixels: PixelElement) -> dict[str, Any]:
    # the decoder reverses subsampling only for YBR_FULL_422; `colour` converts the samples with the real interpretation
    photometric = layout.photometric.replace("PARTIAL", "FULL")
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": layout.frames,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": photometric,
        # subsampled pixels exist only in one arrangement, whatever the tag says
        "planar_configuration": 0 if layout.photometric in SUBSAMPLED else layout.planar,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "pixel_keyword": pixels.keyword,
        "pixel_vr": pixels.vr,
        "correct_unused_bits": False,
    }


def _bits(stream: ElementStream, layout: SampleLayout, index: int) -> npt.NDArray[np.uint8]:
    """Return a frame of one-bit samples as a (rows, columns) array of 0 and 1.

    A frame may begin and end inside a byte. The lowest bit of a byte is its first sample.
    """
    count = layout.rows * layout.columns
    first, skipped = divmod(index * count, 8)
    stream.seek(stream.tell() + first)
    octets = np.frombuffer(stream.read(-(-(skipped + count) // 8)), np.uint8)
    return np.unpackbits(octets, bitorder="little")[skipped : skipped + count].reshape(layout.rows, layout.columns)


def _without_unused_bits(values: npt.NDArray[Any], layout: SampleLayout) -> npt.NDArray[Any]:
    """Return the samples without the unused bits, which are replaced by zeros or by copies of the sign.

    HighBit may say that the samples are not in the lowest bits. In this case they are shifted down, except if the
    values show that HighBit is wrong. A wrong HighBit can stay unnoticed, because other programs ignore it.
    """
    if layout.floating or layout.allocated == layout.stored:
        return values
    above = layout.high_bit + 1 - layout.stored
    high_bit = layout.stored - 1 if above and _are_low(values, layout, above) else layout.high_bit
    values <<= layout.allocated - 1 - high_bit
    values >>= layout.allocated - layout.stored
    return values


def _are_low(values: npt.NDArray[Any], layout: SampleLayout, above: int) -> bool:
    """Return whether the values show that the samples are in the lowest bits, although HighBit says otherwise.

    This is the case if the lowest `above` bits are in use, and the bits above the stored bits contain only zeros or a
    sign.
    """
    if not (values & values.dtype.type((1 << above) - 1)).any():
        return False
    rest = values >> (layout.stored - 1)
    sign = -1 if values.dtype.kind == "i" else (1 << layout.allocated - layout.stored + 1) - 1
    return bool(((rest == 0) | (rest == 1) | (rest == sign)).all())
