"""Decoding of a compressed frame.

The samples are first decoded, then converted to the type that the object's header declares.
"""

from collections.abc import Sequence
from typing import Any

import jpeg_ls
import numpy as np
import numpy.typing as npt
from libjpeg import utils as libjpeg
from openjpeg import utils as openjpeg
from simplejpeg import decode_jpeg

from maskrelay.errors import Truncated
from maskrelay.imaging.bounds import check_scans
from maskrelay.imaging.dicom import jpeg2000_codestream, jpeg_codestream
from maskrelay.imaging.dicom.codestream import Codestream, check_codestream
from maskrelay.imaging.dicom.sample_layout import SampleLayout

_Samples = npt.NDArray[Any]
#: Two endings for data without an end marker. The data are decoded once with each of them. If the data are complete,
#: both results are equal.
_TAILS = (b"\x00" * 32 + jpeg_codestream.END, b"\xaa" * 32 + jpeg_codestream.END)
#: Bytes that look like padding, but may be the last bytes of entropy-coded data. All zero and 0xFF bytes after them are
#: padding.
_LAST_BYTES = (b"\0", b"\xff\0")
_UNSIGNED, _SIGNED = {1: "<u1", 2: "<u2", 4: "<u4"}, {1: "<i1", 2: "<i2", 4: "<i4"}


def read_codestream(frame: bytes) -> tuple[Codestream, bytes]:
    """Return the header of the frame's codestream, and the codestream itself.

    The codestream may be inside a JP2 file. Raises Truncated if the frame is not JPEG, JPEG-LS or JPEG 2000.
    """
    if frame.startswith(jpeg_codestream.START):
        return jpeg_codestream.read_jpeg(frame), frame
    frame = frame[max(0, frame.find(jpeg2000_codestream.START)) :]
    return jpeg2000_codestream.read_jpeg_2000(frame), frame


def decode_codestream(frame: bytes, layout: SampleLayout) -> tuple[_Samples, Codestream]:
    """Return the samples as the codestream declares them, and the header of the codestream.

    The samples have the shape (rows, columns) or (rows, columns, samples). A frame is only decoded if its size is the
    same as in the header of the object. Bytes after the end of the codestream are padding and are ignored. A missing
    end marker is accepted if all data are present. Raises TagInvalid, UnsupportedImage or Truncated.
    """
    stream, frame = read_codestream(frame)
    check_codestream(stream, layout)
    if stream.family == "jpeg":
        check_scans(frame, layout.rows * layout.columns)
    if stream.family == "jpeg-ls":
        return _jpeg_ls(frame, stream), stream
    raw = _jpeg_2000(frame) if stream.family == "jpeg-2000" else _jpeg(frame, stream)
    return _shaped(raw, stream), stream


def _shaped(raw: bytes, stream: Codestream, *, by_plane: bool = False) -> _Samples:
    """Return the bytes from a decoder as an array of pixels."""
    size = 1 if stream.precision <= 8 else 2 if stream.precision <= 16 else 4
    kinds = _SIGNED if stream.signed else _UNSIGNED
    values = np.frombuffer(raw, kinds[size])
    if values.size != stream.rows * stream.columns * stream.samples:
        raise Truncated("A frame was decoded to a different number of samples than it declares.")
    if stream.samples == 1:
        return values.reshape(stream.rows, stream.columns)
    if by_plane:
        return np.moveaxis(values.reshape(stream.samples, stream.rows, stream.columns), 0, -1)
    return values.reshape(stream.rows, stream.columns, stream.samples)


def _jpeg_ls(frame: bytes, stream: Codestream) -> _Samples:
    """Decode the frame with CharLS, which refuses a codestream with missing data.

    The components of the frame may be stored one after the other.
    """
    end = jpeg_codestream.jpeg_end(frame)
    for data in [frame[:end]] if end is not None else [data + jpeg_codestream.END for data in _ends(frame)]:
        try:
            raw, found = jpeg_ls.decode_buffer(data)
        except RuntimeError:  # the data are not valid
            continue
        return _shaped(bytes(raw), stream, by_plane=stream.samples > 1 and not found["interleave_mode"])
    raise Truncated("A frame ends before its last samples, or is damaged.")


def _jpeg_2000(frame: bytes) -> bytes:
    return bytes(openjpeg.decode_pixel_data(jpeg2000_codestream.whole_jpeg_2000(frame), version=2))


def _jpeg(frame: bytes, stream: Codestream) -> bytes:
    end = jpeg_codestream.jpeg_end(frame)
    if end is None:
        return _complete(_ends(frame))
    if stream.sequential:
        _check_turbo(frame[:end])
        return bytes(libjpeg.decode_pixel_data(frame[:end], version=2))
    return _complete(
        [frame[:end].removesuffix(jpeg_codestream.END)]
    )  # not checked with libjpeg-turbo, which reads neither lossless frames nor 12 bits


def _complete(candidates: Sequence[bytes]) -> bytes:
    """Return the samples of the first candidate whose data are complete.

    Candidates have no end marker. Their data are complete if the samples do not depend on the bytes that follow. This
    must be tested, because libjpeg invents missing samples. Raises Truncated if no candidate is complete.
    """
    for data in candidates:
        try:
            first, second = (bytes(libjpeg.decode_pixel_data(data + tail, version=2)) for tail in _TAILS)
        except RuntimeError:  # the data are not valid
            continue
        if first == second:
            return first
    raise Truncated("A frame ends before its last samples.")


def _ends(frame: bytes) -> list[bytes]:
    """Return candidates for the entropy-coded data without padding.

    There are several, because the last bytes of the data may look like padding.
    """
    body = frame.rstrip(b"\0\xff")
    rest = frame[len(body) :]
    return [body, *(body + last for last in _LAST_BYTES if rest.startswith(last))]


def _check_turbo(frame: bytes) -> None:
    """Raise Truncated if libjpeg-turbo reports that data are missing before the end marker.

    This must be tested, because libjpeg invents missing samples.
    """
    try:
        decode_jpeg(frame, "GRAY", fastdct=True, strict=True)
    except ValueError as error:
        if "premature end" in str(error).lower():
            raise Truncated("A frame ends before its last samples.") from None


def as_header_means(values: _Samples, stream: Codestream, layout: SampleLayout) -> tuple[_Samples, int]:
    """Return the values as the object's header defines them, and their number of bits.

    The integers are signed if PixelRepresentation says so. The number of bits is BitsStored, or the precision of the
    codestream if a value needs more than BitsStored bits. The integers have at least BitsAllocated bits. An unsigned
    codestream may contain signed numbers as their two's complement, which has as many bits as the precision of the
    codestream. If the precision is larger than BitsStored and all values fit in BitsStored bits, the two's complement
    has BitsStored bits.
    """
    precision, stored = stream.precision, layout.stored
    if stream.family == "jpeg" and stored < precision <= layout.allocated and layout.samples == 1:
        precision = stored  # drops the bits above the stored bits, such as overlays
    size = max(layout.allocated // 8, values.itemsize)
    target = np.dtype(f"{'i' if layout.signed else 'u'}{size}")
    if layout.signed and not stream.signed:
        width = stored if precision > stored and _fits(values, stored, precision) else precision
        values = _with_sign(values.astype(target), width)
    elif stream.signed != layout.signed or precision < stream.precision:
        values = values.astype(target) & target.type((1 << precision) - 1)
    values = values.astype(target, copy=False)
    low = -(1 << stored - 1) if layout.signed else 0
    within = precision <= stored or low <= int(values.min()) <= int(values.max()) < low + (1 << stored)
    return values, stored if within else precision


def _fits(values: _Samples, stored: int, precision: int) -> bool:
    """Return whether every value is a number of `stored` bits, with zeros or copies of its sign in the higher bits."""
    above = values >> (stored - 1)
    return bool(((above <= 1) | (above == (1 << precision - stored + 1) - 1)).all())


def _with_sign(values: _Samples, width: int) -> _Samples:
    unused = 8 * values.itemsize - width
    values <<= unused
    values >>= unused
    return values
