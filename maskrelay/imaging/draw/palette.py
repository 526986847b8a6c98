"""The colours of masks. People with any kind of colour vision can distinguish them.

The first eight colours are the set of Okabe and Ito ("Color Universal Design", 2008), with white instead of black. Some
colours are brighter than in that set, because the original ones are hard to see on photographs. The first colour is
distinct on red fundus images, on violet pathology images and on gray images. The last six colours are from IBM's
colour-blind safe palette and from Paul Tol's "light" scheme (SRON/EPS/TN/09-002). No colour is so dark that it would be
invisible on a black background.
"""

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (86, 190, 245),  # sky blue
    (240, 228, 66),  # yellow
    (0, 178, 128),  # bluish green
    (235, 104, 20),  # vermilion
    (226, 140, 190),  # reddish purple
    (30, 110, 210),  # blue
    (245, 170, 20),  # orange
    (255, 255, 255),  # white
    (220, 38, 127),  # magenta
    (120, 94, 240),  # violet
    (150, 150, 0),  # olive
    (166, 110, 70),  # brown
    (153, 221, 255),  # light cyan
    (255, 170, 187),  # pink
)


def colour_of(number: int) -> Colour:
    """Return the colour of the mask with this number, counted from 0. The colours repeat after the last."""
    return PALETTE[number % len(PALETTE)]
