"""Pixel spacing in millimetres, where a source declares it."""

#: From row to row, and from column to column, in millimetres.
Spacing = tuple[float, float]


def measurable(spacing: Spacing | None) -> Spacing | None:
    """The spacing, or None unless both numbers lie between a nanometre and a kilometre: a header may hold anything."""
    if spacing is None or not all(1e-6 <= length <= 1e6 for length in spacing):
        return None
    return spacing
