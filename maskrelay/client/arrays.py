"""Convert NumPy arrays and Pillow images to PNG files, without importing either library."""

import array
import io
import struct
import sys
import zlib
from typing import Any

from maskrelay.errors import OptionInvalid

#: The PNG colour type for each number of channels.
_COLOUR = {1: 0, 3: 2, 4: 6}
_KINDS = {"b1": 8, "u1": 8, "u2": 16}


def is_image(value: Any) -> bool:
    """Return whether the value is a Pillow image."""
    return all(hasattr(value, name) for name in ("save", "mode", "convert", "size"))


def is_array(value: Any) -> bool:
    """Return whether the value is a NumPy array, or another object with the array interface."""
    return hasattr(value, "__array_interface__") and hasattr(value, "tobytes")


def png_of_image(image: Any) -> bytes:
    """Encode a Pillow image as PNG. Only the current frame is encoded, and the orientation tag is left out.

    Raises OptionInvalid for mode F, because its values have no fixed range.
    """
    if image.mode == "F":
        raise OptionInvalid("A Pillow image of mode F has no fixed range of values; scale it to 8 or 16 bits first.")
    if image.mode not in {"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I"}:
        image = image.convert("RGB")
    written = io.BytesIO()
    image.save(written, "PNG", exif=b"")
    return written.getvalue()


def png_of_array(values: Any) -> bytes:
    """Encode an array of shape [rows, columns] or [rows, columns, 1, 3 or 4] as PNG.

    The dtype is uint8, uint16 or bool. True becomes 255. Raises OptionInvalid for any other shape or dtype,
    because the meaning of the values could not be guessed.
    """
    about = values.__array_interface__
    shape, kind = tuple(about["shape"]), about["typestr"]
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in {2, 3} or channels not in _COLOUR or 0 in shape:
        raise OptionInvalid(
            f"An array of shape {shape} is not one image; it must be [rows, columns] or [rows, columns, 1, 3 or 4]."
        )
    if kind[1:] not in _KINDS:
        raise OptionInvalid(
            f"An array of type {kind[1:]} is not an image; scale it to uint8 or uint16, or send a NIfTI file."
        )
    depth = _KINDS[kind[1:]]
    raw = _big_endian(values.tobytes(), kind)
    row = shape[1] * channels * depth // 8
    lines = b"".join(b"\0" + raw[at : at + row] for at in range(0, len(raw), row))
    head = struct.pack(">IIBBBBB", shape[1], shape[0], depth, _COLOUR[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _big_endian(raw: bytes, kind: str) -> bytes:
    """Return the samples in the byte order of PNG."""
    if kind[1:] == "b1":
        return raw.translate(b"\0" + b"\xff" * 255)
    little = kind[0] == "<" or (kind[0] == "=" and sys.byteorder == "little")
    if kind[1:] != "u2" or not little:
        return raw
    samples = array.array("H", raw)
    samples.byteswap()
    return samples.tobytes()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
