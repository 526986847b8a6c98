"""One frame of an object as it is stored: decoded, but nothing else done to it."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, RLELossless

from maskrelay.errors import TagInvalid, Truncated
from maskrelay.imaging.dicom.codestream import checked_codestream
from maskrelay.imaging.dicom.header import Header, PixelElement
from maskrelay.imaging.dicom.layout import Layout, decoder_of
from maskrelay.imaging.dicom.stream import Stream, opened
from maskrelay.imaging.dicom.tags import named, octets

# always the same, whatever else pydicom finds installed; the RLE codec of pylibjpeg panics on damaged data
_CODECS, _RLE_CODEC = "pylibjpeg", "pydicom"
_FIRST_ITEM = b"\xfe\xff\x00\xe0"


def read_stored(header: Header, layout: Layout, pixels: PixelElement, index: int) -> tuple[npt.NDArray[Any], str]:
    """Frame `index` in native byte order, (rows, columns) or (rows, columns, samples), and its photometric meaning.

    That is the layout's, or what a codec has made of it: JPEG 2000 undoes its colour transform. Bits above those
    stored are gone: overlays may lie there. Only this frame is read and decoded. Raises Truncated, TagInvalid.
    """
    encapsulated = layout.transfer_syntax.is_encapsulated
    with opened(header.source, exact=encapsulated) as stream:
        stream.seek(pixels.offset)
        options = _options(layout, pixels)
        if encapsulated:
            frame = checked_codestream(_compressed(stream, header, layout, index), layout)
            source: Any = encapsulate([frame], has_bot=False)
            options["number_of_frames"], index = 1, 0
        elif layout.allocated == 1:
            return _bits(stream, layout, index), layout.photometric
        else:
            source = stream
        decoder = decoder_of(layout.transfer_syntax)
        codec = _RLE_CODEC if layout.transfer_syntax == RLELossless else _CODECS
        values, found = decoder.as_array(source, index=index, raw=True, decoding_plugin=codec, **options)
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return _without_unused_bits(native, layout), str(found["photometric_interpretation"])


def _options(layout: Layout, pixels: PixelElement) -> dict[str, Any]:
    # the decoder undoes the subsampling of one name only; what the numbers mean is decided elsewhere
    photometric = layout.photometric.replace("PARTIAL", "FULL")
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": layout.frames,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": photometric,
        "planar_configuration": layout.planar,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "pixel_keyword": pixels.keyword,
        "pixel_vr": pixels.vr,
        "correct_unused_bits": False,
    }


def _bits(stream: Stream, layout: Layout, index: int) -> npt.NDArray[np.uint8]:
    """(rows, columns) of 0 and 1. A frame may begin and end inside a byte, the lowest bit of which comes first."""
    count = layout.rows * layout.columns
    first, skipped = divmod(index * count, 8)
    stream.seek(stream.tell() + first)
    octets = np.frombuffer(stream.read(-(-(skipped + count) // 8)), np.uint8)
    return np.unpackbits(octets, bitorder="little")[skipped : skipped + count].reshape(layout.rows, layout.columns)


def _compressed(stream: Stream, header: Header, layout: Layout, index: int) -> bytes:
    start = stream.tell()
    if stream.read(4) != _FIRST_ITEM:
        raise TagInvalid(f"{named('PixelData')} is not in fragments, and its transfer syntax is compressed.")
    stream.seek(start)
    table = (octets(header.dataset, "ExtendedOffsetTable"), octets(header.dataset, "ExtendedOffsetTableLengths"))
    try:
        return get_frame(
            stream,
            index,
            number_of_frames=layout.frames,
            extended_offsets=(table[0], table[1]) if table[0] and table[1] else None,
        )
    except ValueError:  # too few fragments for this frame
        raise Truncated(f"{named('PixelData')} holds no frame {index}, counted from 0.") from None


def _without_unused_bits(values: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Shift the unused bits out at the top, and fill with zeros or the sign from there."""
    syntax = layout.transfer_syntax
    own_depth = syntax in JPEG2000TransferSyntaxes or syntax in JPEGLSTransferSyntaxes  # corrected by the decoder
    if layout.floating or layout.allocated == layout.stored or own_depth:
        return values
    high_bit = layout.stored - 1 if syntax.is_encapsulated else layout.high_bit
    values <<= layout.allocated - 1 - high_bit
    values >>= layout.allocated - layout.stored
    return values
