"""The lean wire format of our own deployment: images as plain bytes in the request, packed maps in the answer.

The scoring script of that deployment, `maskrelay/admin/azure/lean_deployment/lean_scoring_script.py`, describes the
bodies. This module writes the request; `lean2d_answer` reads the answer.
"""

import json
import struct
from collections.abc import Sequence

from maskrelay.contract.wire.image2d import MAX_ROWS, Row

MEDIA_TYPE = "application/vnd.maskrelay.lean2d"
VERSION = 1
CONTENT_TYPE = f"{MEDIA_TYPE}; version={VERSION}"
#: Asks for the lean answer, and takes the article's where the deployment has no other.
ACCEPT = f"{CONTENT_TYPE}, application/json"
#: The first bytes of every lean body.
MAGIC = b"\x89LEAN2D\n"
#: The most bytes of a header.
MAX_HEADER = 1 << 20

_SIGNATURES = {b"\x89PNG": "png", b"RIFF": "webp"}


def encode_lean_request(rows: Sequence[Row]) -> bytes:
    """Return the lean body that scores `rows`, whose images are PNG or lossless WebP.

    Raises ValueError for no rows, more than MAX_ROWS, or an image of another kind: a mistake of the caller.
    """
    if not 0 < len(rows) <= MAX_ROWS:
        raise ValueError(f"a request has 1 to {MAX_ROWS} rows, not {len(rows)}")
    described = [{"prompts": row.prompts, "encoding": _encoding(row.image), "bytes": len(row.image)} for row in rows]
    header = json.dumps({"version": VERSION, "rows": described}, ensure_ascii=False).encode()
    return b"".join((MAGIC, struct.pack(">I", len(header)), header, *(row.image for row in rows)))


def _encoding(image: bytes) -> str:
    encoding = _SIGNATURES.get(image[:4])
    if encoding is None:
        raise ValueError("an image of a lean request is a PNG or a WebP")
    return encoding
