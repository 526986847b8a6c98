"""Small copies of pictures for pages that show many of them."""

from io import BytesIO

from PIL import Image

#: The longest side of a small picture, in pixels.
SIDE = 320
#: A picture with more pixels is not decoded.
_MOST_PIXELS = 50_000_000


def small_jpeg(png: bytes) -> bytes | None:
    """Return a JPEG of the picture, at most SIDE pixels wide and high, or None if the picture cannot be decoded."""
    try:
        with Image.open(BytesIO(png)) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return None
            small = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None
    small.thumbnail((SIDE, SIDE))
    out = BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()
