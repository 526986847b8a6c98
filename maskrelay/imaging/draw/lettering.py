"""Text in images: Pillow's bundled font, text reduced to drawable characters, and line wrapping."""

import unicodedata

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_LONGEST = 400  # the most characters that are processed; prompts are far shorter
_ELLIPSIS = "…"


def font_of(size: int) -> Font:
    """Return the font Aileron at `size` pixels, created anew: FreeType faces must not be shared between threads.

    It covers Latin letters; others are drawn as boxes.
    """
    return ImageFont.load_default(size)


def clean(text: str) -> str:
    """Return the text without control and format characters, lone surrogates and repeated blanks."""
    visible = (" " if unicodedata.category(letter).startswith("C") else letter for letter in text[:_LONGEST])
    return " ".join("".join(visible).split())


def wrap(text: str, font: Font, width: float, lines: int) -> list[str]:
    """Break a cleaned text into at most `lines` lines of at most `width` pixels; a cut text ends in an ellipsis."""
    wrapped: list[str] = []
    rest = text
    while rest and len(wrapped) < lines:
        line = _fitting(rest, font, width)
        rest = rest[len(line) :].lstrip()
        wrapped.append(line.rstrip())
    if rest:
        wrapped[-1] = _fitting_letters(wrapped[-1], font, width - font.getlength(_ELLIPSIS)).rstrip() + _ELLIPSIS
    return wrapped


def _fitting(text: str, font: Font, width: float) -> str:
    """The longest prefix of whole words that fits, or of letters if not even one word does."""
    letters = _fitting_letters(text, font, width)
    if len(letters) == len(text) or text[len(letters)] == " ":
        return letters
    words = letters.rpartition(" ")[0]
    return words or letters


def _fitting_letters(text: str, font: Font, width: float) -> str:
    """The longest prefix that fits, found by bisection; at least one letter, so that every line makes progress."""
    fits, too_long = 1, len(text) + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if font.getlength(text[:middle]) <= width:
            fits = middle
        else:
            too_long = middle
    return text[:fits]
