"""The pixel spacing that a source declares."""

#: The distances from row to row and from column to column, in millimetres.
Spacing = tuple[float, float]


def is_length(number: float) -> bool:
    """Return whether the number is a plausible distance in millimetres, which a header may not contain.

    Plausible distances are those between a nanometre and a kilometre.
    """
    return 1e-6 <= number <= 1e6


def measurable(spacing: Spacing | None) -> Spacing | None:
    """Return the spacing if it is plausible, otherwise None."""
    if spacing is None or not all(map(is_length, spacing)):
        return None
    return spacing
