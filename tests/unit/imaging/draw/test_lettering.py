from hypothesis import given, settings
from hypothesis import strategies as st

from maskrelay.imaging.draw.lettering import clean, font_of, wrap


def test_a_text_that_fits_is_one_line():
    assert wrap("optic disc", font_of(16), 400, lines=3) == ["optic disc"]


def test_lines_are_broken_between_words():
    lines = wrap("optic disc in retinal fundus", font_of(16), 110, lines=3)
    assert len(lines) > 1
    assert " ".join(lines) == "optic disc in retinal fundus"


def test_what_does_not_fit_ends_in_an_ellipsis():
    lines = wrap("word " * 100, font_of(16), 100, lines=2)
    assert len(lines) == 2
    assert lines[-1].endswith("…")


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(40, 300), st.integers(1, 3))
def test_no_line_is_wider_than_its_room_and_no_word_is_lost_without_an_ellipsis(text, width, lines):
    font = font_of(14)
    words = clean(text)
    wrapped = wrap(words, font, width, lines)
    assert len(wrapped) <= lines
    assert all(font.getlength(line) <= width for line in wrapped)
    if not wrapped or not wrapped[-1].endswith("…"):
        assert "".join(wrapped).replace(" ", "") == words.replace(" ", "")


def test_what_cannot_be_drawn_becomes_a_blank():
    assert clean(" a\x00b\n\u202ec\ud800 ") == "a b c"
