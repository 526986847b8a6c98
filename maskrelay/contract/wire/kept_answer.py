"""The stored answer of one score, from which the same score need not be sent again.

The body has the form of a lean answer with one row (`lean2d_answer`). Its header also says which score it answers, and
which endpoint gave the answer.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maskrelay.contract.wire.image2d import Row, RowAnswer
from maskrelay.contract.wire.lean2d import MAGIC, VERSION
from maskrelay.contract.wire.lean2d_answer import parse_lean_answer
from maskrelay.errors import AnswerInvalid

#: The wire formats of the 2-D model.
Wire = Literal["image2d", "lean2d"]


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer to one row, and the endpoint, wire format and frame from which it comes."""

    answer: RowAnswer
    endpoint: str
    wire: Wire
    job: str
    frame: int


@dataclass(frozen=True, slots=True)
class PackedMap:
    """The box (top, left, bottom, right) of a map that contains all values other than zero, and these values."""

    box: tuple[int, int, int, int]
    #: `stored` or `deflate`.
    encoding: str
    body: bytes


def encode_kept_answer(digest: str, kept: KeptAnswer, maps: Sequence[PackedMap]) -> bytes:
    """Return the body for an answer whose maps are already packed. `digest` identifies the score."""
    answer = kept.answer
    row = {
        "dtype": answer.maps.dtype,
        "shape": answer.maps.shape,
        "text_features": answer.categories,
        "warnings": answer.warnings,
        "maps": [{"box": packed.box, "encoding": packed.encoding, "bytes": len(packed.body)} for packed in maps],
    }
    origin = {"endpoint": kept.endpoint, "wire": kept.wire, "job": kept.job, "frame": kept.frame}
    header = json.dumps({"version": VERSION, "score": digest, "origin": origin, "rows": [row]}).encode()
    return b"".join((MAGIC, struct.pack(">I", len(header)), header, *(packed.body for packed in maps)))


def read_kept_answer(digest: str, body: bytes, row: Row) -> KeptAnswer | None:
    """Return the stored answer to `row`, or None if the body is damaged or answers another score."""
    try:
        [answer] = parse_lean_answer(body, [row])
        (length,) = struct.unpack_from(">I", body, len(MAGIC))
        header = json.loads(body[len(MAGIC) + 4 : len(MAGIC) + 4 + length])
        if header["score"] != digest:
            return None
        warnings = tuple(map(str, header["rows"][0]["warnings"]))
        origin = header["origin"]
        wire: Wire = "lean2d" if origin["wire"] == "lean2d" else "image2d"
        whole = RowAnswer(answer.maps, answer.categories, warnings)
        return KeptAnswer(whole, str(origin["endpoint"]), wire, str(origin["job"]), int(origin["frame"]))
    except (AnswerInvalid, KeyError, TypeError, ValueError, struct.error):
        return None
