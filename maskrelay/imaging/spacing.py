"""Pixel spacing in millimetres, where a source declares it."""

#: (row, column) spacing: from row to row and from column to column, in millimetres.
Spacing = tuple[float, float]


def measurable(spacing: Spacing | None) -> Spacing | None:
    """Return the spacing, or None unless both numbers are between a nanometre and a kilometre: headers may hold
    anything.
    """
    if spacing is None or not all(1e-6 <= length <= 1e6 for length in spacing):
        return None
    return spacing
