"""The patterns of listings: which objects they name, and which of them are refused."""

import pytest

from maskrelay.errors import SourceInvalid
from maskrelay.sources.listing_patterns import read_pattern

OBJECTS = ["a.dcm", "a.png", "x/a.dcm", "x/b.dcm", "x/y/a.dcm", "x.dcm/a.png", "[1].dcm"]


@pytest.mark.parametrize(
    ("pattern", "prefix", "expected"),
    [
        ("ct/**/*.dcm", "ct/", ["a.dcm", "x/a.dcm", "x/b.dcm", "x/y/a.dcm", "[1].dcm"]),
        ("ct/*.dcm", "ct/", ["a.dcm", "[1].dcm"]),
        ("ct/*/a.dcm", "ct/", ["x/a.dcm"]),
        ("ct/x/?.dcm", "ct/x/", ["x/a.dcm", "x/b.dcm"]),
        ("ct/x*", "ct/", []),
        ("ct/[1].*", "ct/", ["[1].dcm"]),
        ("ct/**", "ct/", OBJECTS),
        ("ct/", "ct/", OBJECTS),
        ("ct/x/", "ct/x/", ["x/a.dcm", "x/b.dcm", "x/y/a.dcm"]),
        ("ct/**/y/**", "ct/", ["x/y/a.dcm"]),
        ("ct/**/y/**/*.png", "ct/", []),
        ("ct/**/a.*", "ct/", ["a.dcm", "a.png", "x/a.dcm", "x/y/a.dcm", "x.dcm/a.png"]),
    ],
)
def test_a_pattern_names_objects(pattern: str, prefix: str, expected: list[str]) -> None:
    found = read_pattern(f"S3://bucket/{pattern}")
    assert found.text == f"s3://bucket/{pattern}"
    assert found.prefix == f"s3://bucket/{prefix}"
    listed = [name for name in OBJECTS if f"ct/{name}".startswith(prefix)]
    assert [name for name in listed if found.matches(f"s3://bucket/ct/{name}")] == expected


def test_the_name_of_an_object_begins_after_the_prefix() -> None:
    assert read_pattern("gs://b/a/*/c").name_of("gs://b/a/x/c") == "x/c"


def test_the_names_of_files_are_compared_without_percent_encoding() -> None:
    pattern = read_pattern("file:///data/**/a?b.dcm")
    assert pattern.matches("file:///data/x%20y/a%20b.dcm")
    assert not pattern.matches("file:///data/a%20%20b.dcm")
    encoded = read_pattern("file:///data/a%20*/%2A%3f%5B50%*.dcm")
    assert encoded.matches("file:///data/a%20b/%2A%3F%5B50%25x.dcm")
    assert not encoded.matches("file:///data/a%20b/x%3F%5B50%25x.dcm")
    assert not read_pattern("s3://b/a%20*").matches("s3://b/a b")


def test_a_dicomweb_query_is_listed_as_it_is() -> None:
    pattern = read_pattern("dicomweb+https://pacs/rs/studies?PatientName=A*")
    assert pattern.prefix == pattern.text == "dicomweb+https://pacs/rs/studies?PatientName=A*"
    assert pattern.matches("dicomweb+https://pacs/rs/studies/1/series/2/instances/3")


@pytest.mark.parametrize(
    "pattern",
    [
        "s3://bucket/a.dcm",
        "s3://buck*t/a",
        "s3://bucket/../*",
        "s3://bucket/a**/b",
        "https://host/*.dcm",
        "ftp://host/*",
        "*.dcm",
        "",
        "s3://bucket/\n*",
        "s3://bucket/" + "a" * 4096 + "*",
    ],
)
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(SourceInvalid):
        read_pattern(pattern)


def test_the_time_of_a_comparison_does_not_explode() -> None:
    pattern = read_pattern("s3://b/" + "**/*a*a*a*a*a*a*a*b/" * 30 + "c")
    assert not pattern.matches("s3://b/" + "/".join(["a" * 30] * 30))
