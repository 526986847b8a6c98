import pytest

from api.http.json_pointer import pointer


@pytest.mark.parametrize(
    ("segments", "written"),
    [
        ((), "#"),
        (("items", 3, "prompts", 0), "#/items/3/prompts/0"),
        (("a/b", "c~d"), "#/a~1b/c~0d"),
        (("größe ü",), "#/gr%C3%B6%C3%9Fe%20%C3%BC"),
        (("\ud800",), "#/%3F"),
        (("x" * 100,), "#/" + "x" * 64),
    ],
)
def test_a_pointer_is_escaped_and_short(segments: tuple, written: str) -> None:
    assert pointer(*segments) == written
