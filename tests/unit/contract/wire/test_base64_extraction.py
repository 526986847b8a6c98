"""Taking the maps out before parsing changes nothing of what is read."""

import base64
import json

import pytest

from maskrelay.contract.wire import image2d_answer as reading
from maskrelay.contract.wire.base64_extraction import hollow
from maskrelay.contract.wire.image2d import CANVAS, Row
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.errors import AnswerInvalid

ROWS = (Row(b"", ("liver",)),)
MAP = bytes(range(256)) * (CANVAS * CANVAS // 256)
ENCODED = base64.b64encode(MAP).decode()
OTHER = base64.b64encode(MAP[::-1]).decode()
FEATURES = {"data": ENCODED, "shape": [1, CANVAS, CANVAS], "dtype": "uint8"}


def body(features=FEATURES, words=("liver",), say=json.dumps):
    return json.dumps([{"image_features": say(features), "text_features": list(words)}]).encode()


def the_plain_way(answer, rows):
    """As `parse_answer`, with nothing taken out."""
    return reading._read_rows(answer, rows, {})


@pytest.mark.parametrize(
    "usual",
    [
        body(),
        body(say=lambda features: features),
        body(say=lambda features: json.dumps(features, separators=(",", ":"))),
        body(say=lambda features: json.dumps(features, indent=1)),
        json.dumps([json.dumps({"image_features": json.dumps(FEATURES)})]).encode(),
    ],
)
def test_the_usual_forms_are_read_without_their_maps_ever_being_parsed(usual, monkeypatch):
    expected = the_plain_way(usual, ROWS)
    seen = []
    monkeypatch.setattr(reading, "_read_rows", lambda *given: seen.append(given[0]) or [])
    parse_answer(usual, ROWS)
    monkeypatch.undo()
    assert len(seen[0]) < 1000
    assert parse_answer(usual, ROWS) == expected
    assert expected[0].maps.raw == MAP


def test_several_rows_keep_their_order():
    first, second = (json.loads(body(FEATURES | {"data": encoded}))[0] for encoded in (ENCODED, OTHER))
    read = parse_answer(json.dumps([first, second]).encode(), ROWS * 2)
    assert [one.maps.raw for one in read] == [MAP, MAP[::-1]]


TWICE = body().replace(b'{\\"data\\": ', b'{\\"data\\": \\"' + OTHER.encode() + b'\\", \\"data\\": ')
ELSEWHERE = body(words=['"data": "' + ENCODED + '"'])
STRANGE = {
    "the key twice": TWICE,
    "text like a map among the words": ELSEWHERE,
    "a map beside the row": body()[:-2] + b', "data": "' + OTHER.encode() + b'"}]',
    "single quotes": body(say=str),
    "line breaks": body(FEATURES | {"data": base64.encodebytes(MAP).decode()}),
    "a word as long as a map": body(words=[ENCODED]),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_only_looks_like_the_usual_form_is_read_the_plain_way(name):
    assert parse_answer(STRANGE[name], ROWS) == the_plain_way(STRANGE[name], ROWS)


BROKEN = {
    "a character of no base64": body().replace(b"AAEC", b"AA-C", 1),
    "padding in the middle": body().replace(b"AAEC", b"AA==", 1),
    "no padding": body(FEATURES | {"data": ENCODED.rstrip("=")}),
    "a backslash at its end": body(FEATURES | {"data": ENCODED + "\\"}),
    "no closing quote": body()[: body().index(b"AAEC") + 9000],
    "a comma lost": body().replace(b', \\"shape', b' \\"shape'),
    "a map too short": body(FEATURES | {"data": base64.b64encode(MAP[:-3]).decode()}),
    "NaN beside a good map": body(FEATURES | {"more": float("nan")}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_refused_in_the_same_words(name):
    with pytest.raises(AnswerInvalid) as refusal:
        parse_answer(BROKEN[name], ROWS)
    with pytest.raises(AnswerInvalid) as plain:
        the_plain_way(BROKEN[name], ROWS)
    assert (refusal.value.detail, refusal.value.kind) == (plain.value.detail, plain.value.kind)
    assert refusal.value.raw == BROKEN[name]


def test_short_maps_stay_where_they_are():
    assert hollow(b'{"data": "AAAA"}') == (b'{"data": "AAAA"}', {})
