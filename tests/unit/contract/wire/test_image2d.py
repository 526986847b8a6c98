import base64
import json

import pytest

from maskrelay.contract.wire.image2d import MAX_ROWS, Row, encode_request


def test_a_request_has_the_columns_index_and_rows_of_the_contract():
    body = json.loads(encode_request([Row(b"first", ("liver",)), Row(b"second", ("cup", "disc"))]))
    assert body == {
        "input_data": {
            "columns": ["image", "text"],
            "index": [0, 1],
            "data": [
                [base64.b64encode(b"first").decode(), "liver"],
                [base64.b64encode(b"second").decode(), "cup & disc"],
            ],
        }
    }


@pytest.mark.parametrize("prompt", ['a "quoted" word', "back\\slash", "œil gauche", "line\nbreak", "\x00", "\ud800"])
def test_any_prompt_survives_the_splicing(prompt):
    body = json.loads(encode_request([Row(b"x", (prompt,))]))
    assert body["input_data"]["data"][0][1] == prompt


def test_every_byte_value_of_an_image_survives_the_splicing():
    image = bytes(range(256)) * 3
    body = json.loads(encode_request([Row(image, ("liver",))]))
    assert base64.b64decode(body["input_data"]["data"][0][0], validate=True) == image


@pytest.mark.parametrize("count", [0, MAX_ROWS + 1])
def test_a_request_of_no_rows_or_too_many_is_the_callers_slip(count):
    with pytest.raises(ValueError, match=f"not {count}"):
        encode_request([Row(b"x", ("liver",))] * count)


def test_the_largest_request_numbers_its_rows():
    body = json.loads(encode_request([Row(b"x", ("liver",))] * MAX_ROWS))
    assert body["input_data"]["index"] == list(range(MAX_ROWS))
