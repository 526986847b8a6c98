"""The bytes of the lean form against those of the stock form, by kind of picture."""

import pytest

from bench.lean import KINDS, bytes_of

#: The least factor for one prompt.
GRAY, COLOUR = 5.0, 2.5


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_takes_several_times_fewer_bytes_in_the_lean_form(kind: str) -> None:
    moved = {way: sum(both) for way, both in bytes_of(kind, 1).items()}
    least = COLOUR if kind in ("retina", "pathology") else GRAY
    assert moved["stock"] / moved["lean"] >= least
    assert moved["article"] > moved["lean"]
