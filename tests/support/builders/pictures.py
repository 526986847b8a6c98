"""Image files for tests. They are small and exact, and some are broken on purpose."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the bytes of `image` as a file of this kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(gradient_array(width, height))


def three_pages() -> bytes:
    """Return a TIFF of three pages of 40 × 30 pixels, which all differ."""
    first, *others = gradient(), gradient().rotate(90, expand=False), gradient().rotate(180)
    return saved(first, "TIFF", save_all=True, append_images=others)


def gradient_array(width: int = 40, height: int = 30) -> np.ndarray[Any, Any]:
    """Return an RGB image in which all rows and all columns differ."""
    down, across = np.mgrid[:height, :width]
    channels = (across * 255 // max(1, width - 1), down * 255 // max(1, height - 1), (across + 2 * down) % 256)
    return np.stack(channels, axis=2).astype(np.uint8)


def noise(width: int, height: int, seed: int = 0, channels: int = 3) -> np.ndarray[Any, Any]:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(header: tuple[int, int, int, int], rows: bytes, *extra: bytes) -> bytes:
    """Return a PNG written by hand: header = (width, height, bit depth, colour type), and `rows`
    with their filter bytes.
    """
    start = struct.pack(">IIBBBBB", *header, 0, 0, 0)
    body = (chunk(b"IHDR", start), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def png16(samples: np.ndarray[Any, Any]) -> bytes:
    """Return a 16-bit PNG of (height, width, channels) samples: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png_of((width, height, 16, colour_type), rows)


def files_of_every_format() -> dict[str, bytes]:
    """Return one small valid file of 40 × 30 pixels for each format, and for the unusual kinds of pixels."""
    rgb = Image.fromarray(gradient_array() // 2 + noise(40, 30) // 2)
    gray = rgb.convert("L")
    deep = Image.fromarray(np.random.default_rng(4).integers(0, 4096, (30, 40)).astype(np.uint16))
    alpha = rgb.copy()
    alpha.putalpha(gray)
    return {
        "png": saved(rgb, "PNG"),
        "png-gray": saved(gray, "PNG"),
        "png-1bit": saved(gray.convert("1"), "PNG"),
        "png-palette": saved(rgb.quantize(16), "PNG"),
        "png-alpha": saved(alpha, "PNG"),
        "png-16bit": saved(deep, "PNG"),
        "png-16bit-rgb": png16(np.random.default_rng(3).integers(0, 60000, (30, 40, 3))),
        "jpeg": saved(rgb, "JPEG"),
        "jpeg-progressive": saved(rgb, "JPEG", progressive=True),
        "jpeg-cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "tiff": saved(rgb, "TIFF"),
        "tiff-lzw": saved(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": saved(rgb, "TIFF", compression="jpeg"),
        "tiff-float": saved(gray.convert("F"), "TIFF"),
        "tiff-16bit": saved(deep, "TIFF"),
        "webp": saved(rgb, "WEBP"),
        "webp-lossless": saved(rgb, "WEBP", lossless=True),
        "webp-alpha": saved(alpha, "WEBP"),
        "bmp": saved(rgb, "BMP"),
        "bmp-palette": saved(rgb.quantize(16), "BMP"),
    }
