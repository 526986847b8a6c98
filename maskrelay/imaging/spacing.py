"""The pixel spacing that a source declares."""

#: The distances from row to row and from column to column, in millimetres.
Spacing = tuple[float, float]


def measurable(spacing: Spacing | None) -> Spacing | None:
    """Return the spacing if it is plausible, otherwise None.

    A header may contain any number. Plausible distances are those between a nanometre and a kilometre.
    """
    if spacing is None or not all(1e-6 <= length <= 1e6 for length in spacing):
        return None
    return spacing
