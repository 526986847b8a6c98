"""Text in images: the font that is bundled with Pillow, removal of undrawable characters, and line wrapping."""

import unicodedata

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_LONGEST = 400  # the largest number of characters that are drawn; prompts are far shorter
_ELLIPSIS = "…"


def font_of(size: int) -> Font:
    """Return the font Aileron with a size of `size` pixels.

    Each call creates a new font, because FreeType's fonts must not be shared between threads. The font contains Latin
    letters. Other letters are drawn as boxes.
    """
    return ImageFont.load_default(size)


def clean(text: str) -> str:
    """Return the text without control and format characters, lone surrogates and repeated spaces.

    Only the first 400 characters of the text are used.
    """
    visible = (" " if unicodedata.category(letter).startswith("C") else letter for letter in text[:_LONGEST])
    return " ".join("".join(visible).split())


def wrap(text: str, font: Font, width: float, lines: int) -> list[str]:
    """Divide a cleaned text into at most `lines` lines of at most `width` pixels. A longer text ends in an ellipsis."""
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
    """Return the longest beginning of the text that fits. It ends after a whole word, unless the first is too long."""
    letters = _fitting_letters(text, font, width)
    if len(letters) == len(text) or text[len(letters)] == " ":
        return letters
    words = letters.rpartition(" ")[0]
    return words or letters


def _fitting_letters(text: str, font: Font, width: float) -> str:
    """Return the longest beginning of the text that fits, found by bisection.

    It has at least one letter, even if this letter does not fit. Wrapping therefore always ends.
    """
    fits, too_long = 1, len(text) + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if font.getlength(text[:middle]) <= width:
            fits = middle
        else:
            too_long = middle
    return text[:fits]
