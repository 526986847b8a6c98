"""The rows of manifests: the same in each format, from any row on, with the numbers of those that cannot be read."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from maskrelay.contract.records.runs import ManifestFormat
from maskrelay.errors import LineInvalid, ManifestInvalid
from maskrelay.sources.manifest_rows import ManifestRow, format_of, read_rows

ROWS = [{"custom_id": str(number), "source": f"s3://b/{number}.png", "prompts": ["a", "b; c"]} for number in range(25)]
OPTIONS: dict[str, Any] = {
    "outputs": ["mask", "nifti"],
    "intensity": {"window": [-10.0, 90.5]},
    "slice_axis": 2,
    "volume": 1,
    "square_pixels": True,
    "burned_in": "refuse",
}
FORMATS: list[ManifestFormat] = ["ndjson", "csv", "parquet"]


def manifest(kind: ManifestFormat) -> bytes:
    if kind == "ndjson":
        return b"\n".join(json.dumps(row).encode() for row in ROWS)
    if kind == "csv":
        cells = ('"' + json.dumps(row["prompts"]).replace('"', '""') + '"' for row in ROWS)
        rows = (f"{row['source']},{row['custom_id']},{cell}" for row, cell in zip(ROWS, cells, strict=True))
        return "\r\n".join(["\ufeffsource,custom_id,prompts", *rows]).encode()
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=10)
    return file.getvalue()


def rows(body: bytes, kind: ManifestFormat, after: str | None = None) -> list[ManifestRow]:
    def read(start: int, length: int | None) -> Iterator[bytes]:
        end = len(body) if length is None else start + length
        yield from (body[at : min(at + 100, end)] for at in range(start, end, 100))

    return list(read_rows(read, len(body), kind, after))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_the_same_rows_from_any_row_on(kind: ManifestFormat) -> None:
    found = rows(manifest(kind), kind)
    assert [row.value for row in found] == ROWS
    first = 2 if kind == "csv" else 1  # the header is a line too
    assert [row.line for row in found] == list(range(first, first + len(ROWS)))
    for place in (0, 8, 9, 10, 23, 24):
        assert rows(manifest(kind), kind, found[place].after) == found[place + 1 :]


def test_prompts_of_a_csv_are_separated_by_semicolons() -> None:
    found = rows(b"source,prompts\ns3://b/1,left lung; right lung\ns3://b/2,\n", "csv")
    assert [row.value for row in found] == [
        {"source": "s3://b/1", "prompts": ["left lung", "right lung"]},
        {"source": "s3://b/2"},
    ]


def test_the_columns_with_options_are_the_member_options_of_a_line() -> None:
    expected = [{"source": "s3://b/1", "options": OPTIONS}, {"source": "s3://b/2"}]
    line = b"\n".join(json.dumps(row).encode() for row in expected)
    window = '"{""window"": [-10.0, 90.5]}"'
    header = f"source,{','.join(OPTIONS)}"
    text = f"{header}\ns3://b/1,mask; nifti,{window},2,1,true, refuse \ns3://b/2,,, ,,,\n"
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"source": "s3://b/1", **OPTIONS}, {"source": "s3://b/2"}]), file)
    bodies: dict[ManifestFormat, bytes] = {"ndjson": line, "csv": text.encode(), "parquet": file.getvalue()}
    for kind, body in bodies.items():
        assert [row.value for row in rows(body, kind)] == expected


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("outputs", "mask", ["mask"]),
        ("outputs", '["mask", "seg"]', ["mask", "seg"]),
        ("intensity", "ct-liver", "ct-liver"),
        ("slice_axis", "axial", "axial"),
        ("volume", 1.0, 1),
        ("volume", "1.0", 1),
        ("volume", 1.5, 1.5),
        ("volume", "one", "one"),
        ("square_pixels", "false", False),
        ("square_pixels", "yes", "yes"),
    ],
)
def test_a_cell_of_an_option_is_json_or_text(name: str, cell: Any, value: Any) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"source": ["s3://b/1"], name: [cell]}), file)
    assert rows(file.getvalue(), "parquet")[0].value["options"] == {name: value}


def test_a_row_of_a_csv_may_have_several_lines() -> None:
    body = b'source,prompts\ns3://b/1,"a\nb"\ns3://b/2,c\n'
    found = rows(body, "csv")
    assert [(row.line, row.value["prompts"]) for row in found] == [(2, ["a\nb"]), (4, ["c"])]
    assert rows(body, "csv", found[0].after) == found[1:]


def test_numbers_of_a_parquet_file_are_custom_ids() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"source": ["s3://b/1"], "custom_id": [7], "prompts": [None]}), file)
    assert [row.value for row in rows(file.getvalue(), "parquet")] == [{"source": "s3://b/1", "custom_id": "7"}]


BAD_ROWS = [
    ("ndjson", b'{"source": "a"}\n{\n\n{"source": "b"}', [(1, True), (2, False), (4, True)]),
    ("ndjson", b'{"source": "a"}\n' + b"x" * 70_000 + b'\n{"source": "b"}', [(1, True), (2, False), (3, True)]),
    ("csv", b"source\na\nb,c\n\nd\n", [(2, True), (3, False), (5, True)]),
    ("csv", b'source\na\n"b"c\nd\n', [(2, True), (3, False), (4, True)]),
    ("csv", b"source\na\n\xff\nd\n", [(2, True), (3, False), (4, True)]),
    ("csv", b"source\na\n" + b"x" * 70_000 + b"\nd\n", [(2, True), (3, False), (4, True)]),
    ("csv", b'source\na\n"b', [(2, True), (3, False)]),
]


@pytest.mark.parametrize(("kind", "body", "expected"), BAD_ROWS)
def test_a_row_that_cannot_be_read_has_a_number_and_the_others_are_read(
    kind: ManifestFormat, body: bytes, expected: list[tuple[int, bool]]
) -> None:
    found = rows(body, kind)
    assert [(row.line, not isinstance(row.value, LineInvalid)) for row in found] == expected
    for place, row in enumerate(found):
        later = [(each.line, str(each.value)) for each in found[place + 1 :]]
        assert [(each.line, str(each.value)) for each in rows(body, kind, row.after)] == later


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("ndjson", b"source,custom_id\na,b\n", "Line 1"),
        ("ndjson", b"PAR1" + bytes(range(256)), "Line 1"),
        ("csv", b"", "no column `source`"),
        ("csv", b"custom_id\na\n", "no column `source`"),
        ("csv", b"source,sourec\na,b\n", "none of custom_id, source"),
        ("csv", b"source,source\na,b\n", "column twice"),
        ("csv", b"source,group_series\na,true\n", "`group_series` is an option of the whole job"),
        ("csv", b'{"source": "a"}\n', "no column `source`"),
        ("csv", b'"a"b,c\n', "Line 1"),
        ("csv", b"\xff\xfe\n", "Line 1"),
        ("parquet", b"source\na\n", "not a Parquet file"),
        ("parquet", b"PAR1" + b"\xff" * 64 + b"PAR1", "not a Parquet file"),
        ("parquet", b"", "not a Parquet file"),
    ],
)
def test_a_manifest_that_is_not_what_it_says_is_invalid(kind: ManifestFormat, body: bytes, said: str) -> None:
    with pytest.raises(ManifestInvalid, match=said):
        rows(body, kind)


def test_a_damaged_page_of_a_parquet_file_is_invalid() -> None:
    body = bytearray(manifest("parquet"))
    body[4:60] = b"\xff" * 56
    with pytest.raises(ManifestInvalid):
        rows(bytes(body), "parquet")


def test_a_parquet_file_without_sources_is_invalid() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"url": ["s3://b/1"]}), file)
    with pytest.raises(ManifestInvalid, match="no column `source`"):
        rows(file.getvalue(), "parquet")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("s3://b/RUN.CSV", "csv"),
        ("s3://b/run.jsonl", "ndjson"),
        ("s3://b/run.parquet", "parquet"),
        ("s3://b/run", None),
    ],
)
def test_the_ending_gives_the_format(url: str, kind: Any) -> None:
    assert format_of(url) == kind
