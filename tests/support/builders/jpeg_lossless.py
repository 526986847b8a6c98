"""A small encoder of lossless JPEG (ITU-T T.81, process 14, predictor 1) for samples of 2 to 16 bits."""

import struct

import numpy as np

_LENGTHS = [4] * 14 + [5] * 3  # the lengths of the codes of the 17 categories; no code is all ones
_CODES = [*range(14), 28, 29, 30]


def encode_lossless(samples: np.ndarray, precision: int) -> bytes:
    """Return the codestream of (rows, columns) unsigned samples."""
    rows, columns = samples.shape
    table = bytes(_LENGTHS.count(length) for length in range(1, 17)) + bytes(range(17))
    frame = struct.pack(">BHHB3B", precision, rows, columns, 1, 1, 0x11, 0)
    scan = bytes([1, 1, 0, 1, 0, 0])
    parts = [b"\xff\xd8", _segment(0xC3, frame), _segment(0xC4, b"\0" + table), _segment(0xDA, scan)]
    return b"".join(parts) + _entropy(samples.astype(int), precision) + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body


def _entropy(samples: np.ndarray, precision: int) -> bytes:
    before = np.empty_like(samples)
    before[:, 1:] = samples[:, :-1]
    before[1:, 0] = samples[:-1, 0]
    before[0, 0] = 1 << precision - 1
    bits = "".join(map(_symbol, ((samples - before) & 0xFFFF).ravel().tolist()))
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def _symbol(difference: int) -> str:
    if difference == 0x8000:
        return _code(16)
    signed = difference - 0x10000 if difference > 0x8000 else difference
    category = abs(signed).bit_length()
    extra = signed if signed >= 0 else signed + (1 << category) - 1
    return _code(category) + (f"{extra:0{category}b}" if category else "")


def _code(category: int) -> str:
    return f"{_CODES[category]:0{_LENGTHS[category]}b}"
