"""Headers of invented series: slices along a normal, in any orientation."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from maskrelay.contract.records.dicom_facts import (
    MARKS,
    DicomFacts,
    Mark,
    Orientation,
    Vector,
)
from maskrelay.contract.records.series_stack import SeriesStack

AXIAL: Orientation = (1, 0, 0, 0, 1, 0)
SAGITTAL: Orientation = (0, 1, 0, 0, 0, -1)
CORONAL: Orientation = (1, 0, 0, 0, 0, -1)


def object_of(name: str, **more: Any) -> DicomFacts:
    """Return one object of the series "s" that states only its size."""
    plain: dict[str, Any] = {
        "sop_class": "1.2.840.10008.5.1.4.1.1.2",
        "sop_instance": name,
        "study": "1.2",
        "series": "s",
        "modality": "CT",
        "rows": 64,
        "columns": 48,
        "bits": 16,
        "photometric": "MONOCHROME2",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "spacing": (0.8, 0.8),
    }
    return DicomFacts(**(plain | more))


def marks(**named: Mark) -> tuple[Mark, ...]:
    """Return the ordinal of an object that has these marks and no others."""
    absent: dict[str, Mark] = {"image_type": "", "sequence_name": "", "kernel": "", "gradient_direction": ()}
    return tuple(named.get(name, absent.get(name, 0.0)) for name in MARKS)


def slice_at(name: str, position: Vector, orientation: Orientation = AXIAL, **more: Any) -> DicomFacts:
    return object_of(name, positions=(position,), orientations=(orientation,), **more)


def axial(depths: Iterable[float], **more: Any) -> list[DicomFacts]:
    """Return a slice at each depth, named by its number. The instance numbers are in the opposite order."""
    return [
        slice_at(f"{number}", (-10.0, 20.0, depth), instance_number=1000 - number, **more)
        for number, depth in enumerate(depths)
    ]


def along(start: Vector, direction: Sequence[float], depth: float) -> Vector:
    x, y, z = (value + depth * part for value, part in zip(start, direction, strict=True))
    return x, y, z


def turned(angles: tuple[float, float, float]) -> tuple[Orientation, Vector]:
    """Return the cosines of the axial plane after turns about x, y and z (in radians), and their normal."""
    columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    for axis, angle in enumerate(angles):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for vector in columns:
            vector[a], vector[b] = (
                vector[a] * math.cos(angle) - vector[b] * math.sin(angle),
                vector[a] * math.sin(angle) + vector[b] * math.cos(angle),
            )
    row, column, normal = columns
    return (row[0], row[1], row[2], column[0], column[1], column[2]), (normal[0], normal[1], normal[2])


def names(stack: SeriesStack, objects: Sequence[DicomFacts]) -> list[str]:
    """Return the identities of a stack's members in order. `objects` are in the order in which they were numbered."""
    return [objects[source].sop_instance for source, _ in stack.members]
