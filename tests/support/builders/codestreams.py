"""Codestreams of every family, with the depth, sign and markers that a test requests."""

import base64
import io

import jpeg_ls
import numpy as np
from openjpeg.utils import encode_array
from PIL import Image

from tests.support.builders.jpeg_lossless import encode_lossless

BASELINE, LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K, RLE = (
    f"1.2.840.10008.1.2.{syntax}" for syntax in ("4.50", "4.70", "4.80", "4.90", "4.201", "5")
)


def jpeg_2000(samples: np.ndarray, bits: int, *, transformed: bool = False) -> bytes:
    meaning = 1 if samples.ndim == 3 else 2
    return bytes(encode_array(samples, bits_stored=bits, photometric_interpretation=meaning, use_mct=transformed))


def jpeg_ls_of(samples: np.ndarray, bits: int) -> bytes:
    colour = samples.ndim == 3
    return bytes(
        jpeg_ls.encode_pixel_data(
            np.ascontiguousarray(samples).tobytes(),
            rows=samples.shape[0],
            columns=samples.shape[1],
            samples_per_pixel=3 if colour else 1,
            bits_allocated=8 * samples.itemsize,
            bits_stored=bits,
            photometric_interpretation="RGB" if colour else "MONOCHROME2",
            pixel_representation=0,
            planar_configuration=0,
        )
    )


def jpeg(samples: np.ndarray, *, rgb: bool = False, subsampling: int = 0) -> bytes:
    """Return a baseline JPEG, with colours as YCbCr after a JFIF marker, or with `rgb` as RGB without any marker."""
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "JPEG", quality=98, subsampling=subsampling, keep_rgb=rgb)
    stream = buffer.getvalue()
    return with_ids(without_marker(without_marker(stream, 0xE0), 0xEE), b"\1\2\3") if rgb else stream


def lossless(samples: np.ndarray, bits: int) -> bytes:
    return encode_lossless(samples, bits)


def without_marker(stream: bytes, marker: int) -> bytes:
    place = 2
    while stream[place + 1] not in (marker, 0xDA):
        place += 2 + int.from_bytes(stream[place + 2 : place + 4], "big")
    if stream[place + 1] == 0xDA:
        return stream
    return stream[:place] + stream[place + 2 + int.from_bytes(stream[place + 2 : place + 4], "big") :]


def with_adobe(stream: bytes, transform: int) -> bytes:
    return stream[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform]) + stream[2:]


def with_jfif(stream: bytes) -> bytes:
    return stream[:2] + b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + stream[2:]


def with_ids(stream: bytes, ids: bytes) -> bytes:
    """Return the stream with other component ids in its frame header and in an interleaved scan."""
    changed, place = bytearray(stream), 2
    while changed[place + 1] != 0xDA:
        if changed[place + 1] in (0xC0, 0xC1, 0xC2):
            changed[place + 10 : place + 19 : 3] = ids
        place += 2 + int.from_bytes(changed[place + 2 : place + 4], "big")
    changed[place + 5 : place + 11 : 2] = ids
    return bytes(changed)


def two_complement(samples: np.ndarray, bits: int) -> np.ndarray:
    """Return signed samples as unsigned words of `bits` bits."""
    return (samples.astype(np.int64) & ((1 << bits) - 1)).astype(np.uint16)


#: HTJ2K images, for which no encoder is installed. They were made once with OpenJPH 0.26. Gray: (8, 8), the multiples
#: of 60 from 0, in 16 bits. RGB: (8, 8, 3), all (200, 60, 100), transformed.
HTJ2K_GRAY = base64.b64decode(
    "/0//UQApQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCI"
    "kJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAFoAAf+TwAAmX/YFB3QAAADAABNAABMAIv4C"
    "B3QAGvEDh3QAwAATQAATgAwMAYJ0AG7ohgDDVADAACogABVgtm3bqnCCdQC++/bt+8BCAey2AP/Z"
)
HTJ2K_RGB = base64.b64decode(
    "/0//UQAvQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAADBwEBBwEBBwEB/1AACAACAAAAA/9SAAwAAgABAQUEBEAB"
    "/1wAEyBQWFhYWFhYWFhYWFhYUFBQ/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAADUAAf+TwBKA7QAHdADAEoDOAId0"
    "AMASgBYBh3QAAAAAAAAAAAAAAAAAAAAA/9k="
)
