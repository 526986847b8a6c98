"""The lean wire format, which is used by deployments with the scoring script of this project.

Requests contain the bytes of the images without base64. Responses contain maps that are cropped to a box and usually
compressed. The scoring script, `maskrelay/admin/azure/lean_deployment/lean_scoring_script.py`, describes the format.
This module encodes requests, and `lean2d_answer` parses responses.
"""

import json
import struct
from collections.abc import Sequence

from maskrelay.contract.wire.image2d import MAX_ROWS, Row

MEDIA_TYPE = "application/vnd.maskrelay.lean2d"
VERSION = 1
CONTENT_TYPE = f"{MEDIA_TYPE}; version={VERSION}"
#: The value of the Accept header. It requests a lean response, but also permits JSON, which other deployments return.
ACCEPT = f"{CONTENT_TYPE}, application/json"
#: The first bytes of every lean body.
MAGIC = b"\x89LEAN2D\n"
#: The largest size of the header of a body, in bytes.
MAX_HEADER = 1 << 20

_SIGNATURES = {b"\x89PNG": "png", b"RIFF": "webp"}


def encode_lean_request(rows: Sequence[Row]) -> bytes:
    """Return the lean body of the request that scores `rows`. Their images are PNG or lossless WebP.

    Raises ValueError if there are no rows or more than MAX_ROWS, or if an image has another format. This would be a bug
    in the calling code.
    """
    if not 0 < len(rows) <= MAX_ROWS:
        raise ValueError(f"a request has 1 to {MAX_ROWS} rows, not {len(rows)}")
    described = [{"prompts": row.prompts, "encoding": _encoding(row.image), "bytes": len(row.image)} for row in rows]
    header = json.dumps({"version": VERSION, "rows": described}, ensure_ascii=False).encode()
    return b"".join((MAGIC, struct.pack(">I", len(header)), header, *(row.image for row in rows)))


def _encoding(image: bytes) -> str:
    encoding = _SIGNATURES.get(image[:4])
    if encoding is None:
        raise ValueError("an image of a lean request must be PNG or WebP")
    return encoding
