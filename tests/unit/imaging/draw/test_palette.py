import itertools

import numpy as np

from maskrelay.imaging.draw.palette import PALETTE, colour_of

# Viénot, Brettel and Mollon (1999): linear RGB as a protanope and a deuteranope see it.
PROTANOPE = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def as_seen(vision: np.ndarray) -> np.ndarray:
    linear = (np.array(PALETTE) / 255) ** 2.2
    return np.clip(linear @ vision.T, 0, 1) ** (1 / 2.2) * 255


def test_twelve_prompts_have_twelve_colours():
    assert len({colour_of(number) for number in range(12)}) == 12


def test_colours_begin_again_after_the_last():
    assert colour_of(len(PALETTE)) == colour_of(0)


def test_the_first_eight_colours_differ_for_the_colour_blind():
    for vision in (np.eye(3), PROTANOPE, DEUTERANOPE):
        for one, other in itertools.combinations(as_seen(vision)[:8], 2):
            assert np.linalg.norm(one - other) > 40


def test_no_colour_is_lost_on_black():
    for colour in PALETTE:
        red, green, blue = ((part / 255) ** 2.2 for part in colour)
        assert (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) / 0.05 >= 3  # WCAG's contrast for graphics
