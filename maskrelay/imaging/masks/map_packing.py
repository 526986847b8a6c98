"""The packing of probability maps for storage: the box of all values other than zero, deflated."""

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from maskrelay.contract.wire.image2d import MapStack
from maskrelay.contract.wire.kept_answer import PackedMap
from maskrelay.imaging.side_spans import span


def pack_maps(maps: MapStack) -> list[PackedMap]:
    """Return every map of the stack in packed form. No value is lost, whatever the dtype is."""
    # Bytes are compared rather than values, so that a negative zero is kept.
    count, height, width = maps.shape
    stack = np.frombuffer(maps.raw, np.uint8).reshape(count, height, width, np.dtype(maps.dtype).itemsize)
    return [_packed(whole) for whole in stack]


def _packed(whole: npt.NDArray[np.uint8]) -> PackedMap:
    """Pack a map, which is given as bytes of the shape (height, width, bytes per value)."""
    rows = span(whole.max(axis=(1, 2)))
    columns = span(whole[rows].max(axis=(0, 2), initial=0))
    values = whole[rows, columns].tobytes()
    deflated = isal_zlib.compress(values, 1)
    encoding, body = ("deflate", deflated) if len(deflated) < len(values) else ("stored", values)
    return PackedMap((rows.start, columns.start, rows.stop, columns.stop), encoding, body)
