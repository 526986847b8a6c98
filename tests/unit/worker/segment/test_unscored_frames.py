"""Which prepared frames are kept for another attempt, and for how much memory."""

import numpy as np

from maskrelay.contract.wire.image2d import Row
from maskrelay.imaging.canvas.encode import RGB_PNG, CanvasCoding
from maskrelay.imaging.canvas.letterbox import Letterbox
from maskrelay.imaging.frame_pixels import PreparedFrame
from maskrelay.imaging.read.picture import Picture
from worker.segment.unscored_frames import UnscoredFrames


def prepared(image: bytes, *, sha256: str | None = None) -> PreparedFrame:
    picture = Picture(np.zeros((4, 4), np.uint8), 8, "none")
    return PreparedFrame(picture, Letterbox.of(4, 4), Row(image, ("liver",)), "none", 100, canvas_sha256=sha256)


def test_a_frame_is_kept_once_and_without_its_image() -> None:
    frames = UnscoredFrames(100)
    frames.keep("a", 0, RGB_PNG, prepared(b"canvas"))
    taken = frames.take("a", 0, RGB_PNG, hashed=False)
    assert taken is not None
    assert (taken.row.image, taken.picture) == (b"canvas", None)
    assert frames.take("a", 0, RGB_PNG, hashed=False) is None


def test_another_encoding_or_a_missing_hash_is_not_used() -> None:
    frames = UnscoredFrames(100)
    frames.keep("a", 0, RGB_PNG, prepared(b"canvas"))
    assert frames.take("a", 0, CanvasCoding(webp=True), hashed=False) is None
    frames.keep("a", 0, RGB_PNG, prepared(b"canvas"))
    assert frames.take("a", 0, RGB_PNG, hashed=True) is None
    frames.keep("a", 0, RGB_PNG, prepared(b"canvas", sha256="ab"))
    assert frames.take("a", 0, RGB_PNG, hashed=True) is not None


def test_the_oldest_frames_go_when_there_is_no_memory_for_all() -> None:
    frames = UnscoredFrames(10)
    for number in range(3):
        frames.keep("a", number, RGB_PNG, prepared(bytes(5)))
    frames.keep("a", 1, RGB_PNG, prepared(bytes(5)))  # a second failure makes it the newest
    frames.keep("a", 3, RGB_PNG, prepared(bytes(5)))
    kept = [number for number in range(4) if frames.take("a", number, RGB_PNG, hashed=False)]
    assert kept == [1, 3]
    frames.keep("a", 4, RGB_PNG, prepared(bytes(11)))
    assert frames.take("a", 4, RGB_PNG, hashed=False) is None
