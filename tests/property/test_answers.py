"""Whatever an endpoint answers, it is either read or refused with the one error."""

import base64
import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from maskrelay.contract.wire.image2d import (
    CANVAS,
    MapStack,
    Row,
    RowAnswer,
    encode_request,
)
from maskrelay.contract.wire.image2d_answer import _read_rows, parse_answer
from maskrelay.errors import AnswerInvalid

ROWS = (Row(b"", ("optic cup", "optic disc")),)
SIZE = 2 * CANVAS * CANVAS
#: Stands for two maps in generated values, which stay small enough to be shown and shrunk.
MAPS = "<maps>"
GOOD = {"data": MAPS, "shape": [2, CANVAS, CANVAS], "dtype": "uint8"}
ENCODED = base64.b64encode(bytes(SIZE))

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(MAPS)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
features = st.fixed_dictionaries(
    {},
    optional={
        "data": values,
        "shape": st.lists(st.sampled_from([0, 1, 2, 1024, -1, 2**70, 1.0, True, "2"]), max_size=4) | values,
        "dtype": st.sampled_from(["uint8", "bool", "float16", "float32", "float64", "O"]) | values,
    },
)
nearly_features = features | st.builds(lambda wrong: GOOD | wrong, features)
texts = st.sampled_from([json.dumps, str, repr])
rows = st.fixed_dictionaries(
    {},
    optional={
        "image_features": nearly_features | st.builds(lambda f, say: say(f), nearly_features, texts) | values,
        "text_features": st.lists(st.text() | values) | values,
    },
)
answers = st.lists(rows | st.builds(lambda row, say: say(row), rows, texts) | values, max_size=2) | values


def outcome(body: bytes) -> RowAnswer | AnswerInvalid:
    """What is read, or the refusal; and it is what reading without taking the maps out first gives."""
    body = body.replace(MAPS.encode(), ENCODED)
    result, plain = attempt(parse_answer, body, ROWS), attempt(_read_rows, body, ROWS, {})
    if isinstance(result, AnswerInvalid) and isinstance(plain, AnswerInvalid):
        assert (result.raw, result.kind, result.detail) == (body, plain.kind, plain.detail)
        return result
    assert result == plain
    [read] = result
    return read


def attempt(read: Callable[..., list[RowAnswer]], *given: Any) -> list[RowAnswer] | AnswerInvalid:
    try:
        return read(*given)
    except AnswerInvalid as error:
        return error


def read_or_refused(body: bytes) -> None:
    result = outcome(body)
    if isinstance(result, AnswerInvalid):
        assert result.kind
    else:
        assert (len(result.maps.raw), len(result.categories)) == (SIZE, 2)


def test_the_generated_values_can_be_good_ones():
    body = json.dumps([{"image_features": json.dumps(GOOD), "text_features": ["a", "b"]}]).encode()
    assert outcome(body) == RowAnswer(MapStack(bytes(SIZE), (2, CANVAS, CANVAS), "uint8"), ("a", "b"), ())


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_read_or_refused(body):
    read_or_refused(body)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text):
    read_or_refused(text.encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(answers)
def test_any_json_value_is_read_or_refused(value):
    read_or_refused(json.dumps(value).encode())


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=50_000), st.sampled_from(["[", '{"a":', '[{"image_features":']))
def test_any_depth_of_nesting_is_read_or_refused(depth, opening):
    read_or_refused(opening.encode() * depth)


@settings(deadline=None)
@given(st.integers(min_value=-200, max_value=200), st.integers(min_value=0, max_value=255))
def test_any_damaged_byte_of_a_good_answer_is_read_or_refused(place, byte):
    body = bytearray(json.dumps([{"image_features": json.dumps(GOOD), "text_features": ["a", "b"]}]).encode())
    body[place % len(body)] = byte
    read_or_refused(bytes(body))


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=SIZE), st.integers(min_value=0, max_value=255))
def test_any_damaged_byte_within_the_maps_is_read_or_refused(place, byte):
    body = json.dumps([{"image_features": json.dumps(GOOD), "text_features": ["a", "b"]}]).encode()
    changed = bytearray(body.replace(MAPS.encode(), ENCODED))
    changed[body.index(MAPS.encode()) + place] = byte
    read_or_refused(bytes(changed))


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(), st.lists(st.text(), max_size=3)), min_size=1, max_size=5))
def test_any_request_can_be_read_back(given_rows):
    made = [Row(image, tuple(prompts)) for image, prompts in given_rows]
    sent = json.loads(encode_request(made))["input_data"]
    assert sent["index"] == list(range(len(made)))
    read = [(base64.b64decode(image, validate=True), text) for image, text in sent["data"]]
    assert read == [(row.image, " & ".join(row.prompts)) for row in made]
