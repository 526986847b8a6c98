"""Prepared frames whose score failed, kept for the next attempt, so that a source is not read again for it."""

from collections import OrderedDict
from dataclasses import dataclass, replace

from maskrelay.imaging.canvas.encode import CanvasCoding
from maskrelay.imaging.frame_pixels import PreparedFrame


@dataclass(frozen=True, slots=True)
class _Unscored:
    coding: CanvasCoding
    prepared: PreparedFrame


class UnscoredFrames:
    """The encoded canvases of frames that this process has released without a score. An instance has one event loop.

    While an endpoint fails, most frames are released and claimed again. A frame that another process claims is
    forgotten here when newer ones need its memory. At most `most` bytes are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._frames: OrderedDict[tuple[str, int], _Unscored] = OrderedDict()

    def keep(self, job: str, frame: int, coding: CanvasCoding, prepared: PreparedFrame) -> None:
        """Keep the frame without its decoded image. `coding` is the encoding of its canvas."""
        self._drop((job, frame))
        self._frames[job, frame] = _Unscored(coding, replace(prepared, picture=None))
        self._size += len(prepared.row.image)
        while self._size > self._most:
            self._drop(next(iter(self._frames)))

    def take(self, job: str, frame: int, coding: CanvasCoding, *, hashed: bool) -> PreparedFrame | None:
        """Return the frame, and keep it no longer.

        Return None if it is not kept, or if its canvas is encoded otherwise, or has no hash although one is needed.
        """
        kept = self._drop((job, frame))
        if kept is None or kept.coding != coding or (hashed and kept.prepared.canvas_sha256 is None):
            return None
        return kept.prepared

    def _drop(self, key: tuple[str, int]) -> _Unscored | None:
        kept = self._frames.pop(key, None)
        if kept is not None:
            self._size -= len(kept.prepared.row.image)
        return kept
