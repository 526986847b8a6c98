"""The outlines of the components of a mask, as polygons that follow the edges of pixels exactly.

Straight edges are found with operations on whole arrays, and are then linked into rings. An edge has the mask on its
right side, and the ring turns right or left at the end of the edge. Where two pixels touch only at a corner, both turns
are possible. If the pixels belong to the same component, because they are connected by sides elsewhere, the ring turns
left, which separates a hole from the outline around it. Otherwise it turns right, which separates the two pixels.
Therefore, no ring touches itself, as is required for a polygon (OGC Simple Features, 6.1.11).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.masks.components import runs_of

#: The corners (x, y) of a ring. The first corner is repeated at the end. The area by the shoelace formula is positive
#: for an outer ring and negative for a hole.
Ring = list[tuple[int, int]]
#: An outer ring, followed by its holes.
Polygon = list[Ring]
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Region:
    """One component of a mask, whose pixels share sides or corners."""

    #: The parts of the component. The pixels of a part share sides, and the parts touch each other only at corners.
    polygons: list[Polygon]
    #: The number of pixels.
    area_px: int


class _Edges(NamedTuple):
    """Straight edges between corners. Each has a start, an end, a direction, and a pixel of the mask on its right side.

    The direction `way` is 0 for right, 1 for down, 2 for left and 3 for up.
    """

    x: _Numbers
    y: _Numbers
    to_x: _Numbers
    to_y: _Numbers
    way: _Numbers
    column: _Numbers
    row: _Numbers


def regions_of(mask: npt.NDArray[np.bool_]) -> list[Region]:
    """Return the regions of a (height, width) bool mask, from top to bottom.

    x grows to the right and y grows downwards. (0, 0) is the top left corner of the mask.
    """
    edges = _edges(mask)
    parts = runs_of(mask, corners=False)
    wholes = runs_of(mask, corners=True)
    part = parts.piece_at(edges.row, edges.column)
    rings = _rings(_following(edges, part, mask.shape[1] + 1))
    shares = _shoelace(edges)
    areas: dict[int, int] = {}
    polygons: dict[int, dict[int, Polygon]] = {}
    whole = wholes.piece_at(edges.row, edges.column).tolist()
    points = list(zip(edges.x.tolist(), edges.y.tolist(), strict=True))
    for ring in rings:
        area = sum(shares[edge] for edge in ring) // 2
        region, first = whole[ring[0]], int(part[ring[0]])
        areas[region] = areas.get(region, 0) + area
        polygon = polygons.setdefault(region, {}).setdefault(first, [])
        corners = [points[edge] for edge in (*ring, ring[0])]
        polygon.insert(0 if area > 0 else len(polygon), corners)
    return [Region(list(polygons[region].values()), areas[region]) for region in sorted(polygons)]


def _edges(mask: npt.NDArray[np.bool_]) -> _Edges:
    y, left, right, below = _lines(mask)
    row = np.where(below, y, y - 1)
    level = _Edges(np.where(below, left, right), y, np.where(below, right, left), y, np.where(below, 0, 2), left, row)
    x, top, bottom, beyond = _lines(mask.T)
    column = np.where(beyond, x, x - 1)
    to_y, way = np.where(beyond, top, bottom), np.where(beyond, 3, 1)
    upright = _Edges(x, np.where(beyond, bottom, top), x, to_y, way, column, top)
    return _Edges(*(np.concatenate(pair) for pair in zip(level, upright, strict=True)))


def _lines(mask: npt.NDArray[np.bool_]) -> tuple[_Numbers, _Numbers, _Numbers, npt.NDArray[np.bool_]]:
    """Return the horizontal edges: y, the left x, the right x, and whether the mask is below the edge."""
    height, width = mask.shape
    inside = np.zeros((height + 2, width + 2), np.int8)
    inside[1:-1, 1:-1] = mask
    steps = inside[1:] - inside[:-1]  # 1 if the mask begins below this edge, -1 if it ends there
    changes = steps[:, 1:] != steps[:, :-1]
    y, left = np.nonzero(changes & (steps[:, 1:] != 0))
    right = np.nonzero(changes & (steps[:, :-1] != 0))[1]
    return y, left, right, steps[y, left + 1] > 0


def _following(edges: _Edges, part: _Numbers, stride: int) -> list[int]:
    """Return for each edge the edge that follows it in its ring."""
    starts = (edges.y * stride + edges.x) * 4 + edges.way
    ends = (edges.to_y * stride + edges.to_x) * 4
    order = np.argsort(starts)
    right, has_right = _find(starts, order, ends + (edges.way + 1) % 4)
    left, has_left = _find(starts, order, ends + (edges.way + 3) % 4)
    turns_left = has_left & (~has_right | (part == part[left]))
    following: list[int] = np.where(turns_left, left, right).tolist()
    return following


def _find(keys: _Numbers, order: _Numbers, wanted: _Numbers) -> tuple[_Numbers, npt.NDArray[np.bool_]]:
    """Return the index of each requested key, and whether the key exists."""
    if not keys.size:
        return order, np.zeros(0, np.bool_)
    places = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), keys.size - 1)]
    return places, keys[places] == wanted


def _rings(following: list[int]) -> list[list[int]]:
    """Return the numbers of the edges of each ring."""
    seen = bytearray(len(following))
    rings: list[list[int]] = []
    for first in range(len(following)):
        ring: list[int] = []
        edge = first
        while not seen[edge]:
            seen[edge] = 1
            ring.append(edge)
            edge = following[edge]
        if ring:
            rings.append(ring)
    return rings


def _shoelace(edges: _Edges) -> list[int]:
    """Return the contribution of each edge to twice the area of its ring."""
    shares: list[int] = (edges.x * edges.to_y - edges.to_x * edges.y).tolist()
    return shares
