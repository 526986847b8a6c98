"""What a lean request says, byte by byte, and what the client refuses to send."""

import json
import struct

import pytest

from maskrelay.contract.wire.image2d import Row
from maskrelay.contract.wire.lean2d import MAGIC, encode_lean_request

PNG, WEBP = b"\x89PNG\r\n\x1a\n a picture", b"RIFF\x10\x00\x00\x00WEBPVP8L another"


def test_a_request_is_the_magic_a_header_with_its_length_and_the_images():
    body = encode_lean_request([Row(PNG, ("liver", "spleen")), Row(WEBP, ("tumör",))])
    assert body.startswith(MAGIC)
    [length] = struct.unpack(">I", body[8:12])
    assert json.loads(body[12 : 12 + length]) == {
        "version": 1,
        "rows": [
            {"prompts": ["liver", "spleen"], "encoding": "png", "bytes": len(PNG)},
            {"prompts": ["tumör"], "encoding": "webp", "bytes": len(WEBP)},
        ],
    }
    assert body[12 + length :] == PNG + WEBP


@pytest.mark.parametrize("rows", [[], [Row(PNG, ("liver",))] * 257, [Row(b"\xff\xd8\xff a JPEG", ("liver",))]])
def test_what_no_lean_request_can_carry_is_a_mistake_of_the_caller(rows):
    with pytest.raises(ValueError):
        encode_lean_request(rows)
