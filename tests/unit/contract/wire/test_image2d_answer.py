import base64
import json

import pytest

from maskrelay.contract.wire.image2d import Row
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.errors import AnswerInvalid

SIDE = 1024
ONE = (Row(b"", ("liver",)),)
TWO = (Row(b"", ("cup", "disc")),)
MAP = bytes(range(256)) * (SIDE * SIDE // 256)


def features(raw=MAP, shape=(1, SIDE, SIDE), dtype="uint8"):
    return {"data": base64.b64encode(raw).decode(), "shape": list(shape), "dtype": dtype}


def answer(*rows):
    return json.dumps(list(rows)).encode()


def row(image=None, text=("liver",)):
    return {
        "image_features": json.dumps(features()) if image is None else image,
        "text_features": list(text),
    }


def refusal(body, rows=ONE, **limits):
    with pytest.raises(AnswerInvalid) as caught:
        parse_answer(body, rows, **limits)
    assert caught.value.raw == body
    return caught.value


def test_the_usual_answer_gives_its_bytes_shape_dtype_and_category():
    [read] = parse_answer(answer(row()), ONE)
    assert read.maps.raw == MAP
    assert (read.maps.shape, read.maps.dtype) == ((1, SIDE, SIDE), "uint8")
    assert (read.categories, read.warnings) == (("liver",), ())


def test_two_rows_are_read_in_their_order():
    first = row(json.dumps(features(MAP * 2, (2, SIDE, SIDE))), ("eye anatomies", "background"))
    read = parse_answer(answer(first, row()), (*TWO, *ONE))
    assert [one.maps.shape[0] for one in read] == [2, 1]
    assert [one.categories for one in read] == [("eye anatomies", "background"), ("liver",)]


def test_features_that_are_an_object_already_are_read():
    [read] = parse_answer(answer(row(features())), ONE)
    assert (read.maps.raw, read.warnings) == (MAP, ())


def test_a_whole_row_given_as_a_string_is_read():
    [read] = parse_answer(answer(json.dumps(row())), ONE)
    assert (read.maps.raw, read.categories, read.warnings) == (MAP, ("liver",), ())


@pytest.mark.parametrize("spelled", [str, lambda value: str(value).replace("{", "{ \n").replace(", ", ",\n ")])
def test_the_articles_single_quoted_literal_is_read_with_a_warning(spelled):
    [read] = parse_answer(answer(row(spelled(features()))), ONE)
    assert (read.maps.raw, read.warnings) == (MAP, ("single_quoted",))


def test_a_single_quoted_row_is_read_with_a_warning():
    literal = str({"image_features": features(), "text_features": ["liver"]})
    [read] = parse_answer(answer(literal), ONE)
    assert (read.categories, read.warnings) == (("liver",), ("single_quoted",))


@pytest.mark.parametrize(
    "literal",
    [
        "{'data': __import__('os')}",
        "{'data': 'a' * 9}",
        "{'data': b'a'}",
        "{'data': (1,)}",
        "{'a': \"b\"}",
        "{'a\\'': 1}",
    ],
)
def test_no_other_python_is_read(literal):
    assert refusal(answer(row(literal))).kind in {"not_json", "dtype"}


def test_base64_with_line_breaks_is_read():
    broken = features() | {"data": base64.encodebytes(MAP).decode()}
    [read] = parse_answer(answer(row(json.dumps(broken))), ONE)
    assert read.maps.raw == MAP


def test_two_dimensions_are_lifted_to_three_for_one_prompt():
    [read] = parse_answer(answer(row(features(shape=(SIDE, SIDE)))), ONE)
    assert read.maps.shape == (1, SIDE, SIDE)


@pytest.mark.parametrize(("dtype", "itemsize"), [("bool", 1), ("float16", 2), ("float32", 4)])
def test_every_allowed_dtype_is_read_at_its_own_size(dtype, itemsize):
    [read] = parse_answer(answer(row(features(b"\x01" * SIDE * SIDE * itemsize, dtype=dtype))), ONE)
    assert (read.maps.dtype, len(read.maps.raw)) == (dtype, SIDE * SIDE * itemsize)


@pytest.mark.parametrize(
    ("text", "categories", "warnings"),
    [
        (["cup", "others"], ("cup", "others"), ()),
        (["cup"], ("cup", None), ("categories_short",)),
        ([], (None, None), ("categories_short",)),
        (["a", "b", "c"], ("a", "b"), ("categories_long",)),
        (None, (None, None), ("categories_missing",)),
        ("cup", (None, None), ("categories_unreadable",)),
        (["cup", 7], ("cup", None), ("categories_unreadable",)),
        (["cup", "x" * 65], ("cup", None), ("categories_unreadable",)),
        (["cup", "\ud800"], ("cup", None), ("categories_unreadable",)),
        (["cup", None], ("cup", None), ()),
    ],
)
def test_categories_are_joined_by_position_and_never_fail_an_answer(text, categories, warnings):
    body = answer({"image_features": features(MAP * 2, (2, SIDE, SIDE)), "text_features": text})
    [read] = parse_answer(body, TWO)
    assert (read.categories, read.warnings) == (categories, warnings)


def test_missing_categories_are_a_warning():
    [read] = parse_answer(answer({"image_features": features()}), ONE)
    assert (read.categories, read.warnings) == ((None,), ("categories_missing",))


@pytest.mark.parametrize(
    ("changed", "kind", "named"),
    [
        ({"dtype": "float64"}, "dtype", "row 0: image_features.dtype"),
        ({"dtype": ["uint8"]}, "dtype", "row 0: image_features.dtype"),
        ({"dtype": "object"}, "dtype", "row 0: image_features.dtype"),
        ({"shape": [SIDE]}, "shape", "row 0: image_features.shape"),
        ({"shape": [1, 1, SIDE, SIDE]}, "shape", "row 0: image_features.shape"),
        ({"shape": [1, SIDE, 512]}, "shape", "row 0: image_features.shape"),
        ({"shape": [1.0, SIDE, SIDE]}, "shape", "row 0: image_features.shape"),
        ({"shape": [True, SIDE, SIDE]}, "shape", "row 0: image_features.shape"),
        ({"shape": {"0": 1}}, "shape", "row 0: image_features.shape"),
        ({"shape": [2, SIDE, SIDE]}, "map_count", "2 maps for 1 prompts"),
        ({"shape": [0, SIDE, SIDE]}, "map_count", "0 maps for 1 prompts"),
        ({"shape": [-1, SIDE, SIDE]}, "map_count", "an absurd number of maps"),
        ({"shape": [10**4000, SIDE, SIDE]}, "map_count", "an absurd number of maps"),
        (
            {"data": base64.b64encode(MAP[:-1]).decode()},
            "size",
            "1048575 bytes, but shape and dtype require 1048576",
        ),
        ({"data": "%%%"}, "base64", "row 0: image_features.data"),
        ({"data": "é"}, "base64", "row 0: image_features.data"),
        ({"data": "AAA"}, "base64", "row 0: image_features.data"),
        ({"data": None}, "base64", "row 0: image_features.data is null"),
        ({"data": [1]}, "base64", "row 0: image_features.data is a list"),
        ({"dtype": "bool"}, "bool", "its dtype is bool"),
    ],
)
def test_wrong_features_are_refused_by_the_name_of_the_part(changed, kind, named):
    error = refusal(answer(row(features() | changed)))
    assert error.kind == kind
    assert named in error.detail


@pytest.mark.parametrize("shape", [(1, SIDE, SIDE), (SIDE, SIDE, 3)])
def test_a_png_in_place_of_raw_pixels_is_said(shape):
    error = refusal(answer(row(features(b"\x89PNG\r\n\x1a\n and so on", shape))))
    assert error.kind == "png"
    assert "is a PNG file, not raw pixels" in error.detail


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (3, SIDE, SIDE)])
def test_another_number_of_maps_than_prompts_keeps_the_raw_answer(shape):
    error = refusal(answer(row(features(MAP * (shape[0] if len(shape) == 3 else 1), shape))), TWO)
    assert error.kind == "map_count"
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    ("body", "kind", "named"),
    [
        (b"", "not_json", "the body is not JSON"),
        (b"\xff\xfe", "not_json", "the body is not JSON"),
        (b"[NaN]", "not_json", "the body is not JSON"),
        (b"[" + b"9" * 5000 + b"]", "not_json", "the body is not JSON"),
        (b"[" * 100_000, "not_json", "the body is nested too deeply"),
        (b"<html>", "not_json", "the body is not JSON"),
        (b"{}", "not_a_list", "the body is an object"),
        (b'"[]"', "not_a_list", "the body is a string"),
        (b"[]", "row_count", "0 answers for 1 rows"),
        (b"[{}, {}]", "row_count", "2 answers for 1 rows"),
        (b"[{}]", "features", "row 0 has no image_features"),
        (b"[7]", "not_an_object", "row 0 is a number"),
        (b'["[]"]', "not_an_object", "row 0 is a list"),
        (b'[{"image_features": null}]', "not_an_object", "row 0: image_features is null"),
        (b'[{"image_features": "\\"{}\\""}]', "not_an_object", "row 0: image_features is a string"),
        (b'[{"image_features": "{"}]', "not_json", "row 0: image_features is not JSON"),
    ],
)
def test_anything_else_is_the_one_error_naming_the_part(body, kind, named):
    error = refusal(body)
    assert (error.status, error.kind, error.retry_after_s, error.still_working) == (200, kind, None, False)
    assert named in error.detail


def test_an_answer_over_the_cap_is_refused_unread():
    assert refusal(b" " * 11, max_bytes=10).kind == "too_large"


def test_the_second_of_two_rows_is_named():
    assert "row 1" in refusal(answer(row(), row("{")), ONE * 2).detail


def test_no_error_keeps_the_document_as_its_context():
    error = refusal(b'["secret"')
    assert error.__context__ is None
    assert "secret" not in str(error)
