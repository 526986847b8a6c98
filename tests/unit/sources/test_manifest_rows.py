"""The rows of manifests: the same in each format, from any row on, with the numbers of those that cannot be read."""

import hashlib
import io
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from maskrelay.contract.records.runs import ManifestFormat
from maskrelay.errors import LineInvalid, Malformed, ManifestInvalid
from maskrelay.rules.run_lines import read_line
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
LIMITS = SimpleNamespace(prompts=16, prompt_length=200)
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


def test_a_quoted_header_may_have_a_byte_order_mark() -> None:
    found = rows(b'\xef\xbb\xbf"source","custom_id"\r\n"a","1"\r\n', "csv")
    assert [row.value for row in found] == [{"source": "a", "custom_id": "1"}]


@pytest.mark.parametrize("cell", ["['left lung', 'liver']", '["left lung", ]', "[left lung]"])
def test_prompts_in_brackets_that_are_not_json_are_no_prompt(cell: str) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"source": ["a"], "prompts": [cell], "outputs": [cell]}), file)
    [row] = rows(file.getvalue(), "parquet")
    with pytest.raises(Malformed, match="list of prompts"):
        read_line(row.value, "0", None, LIMITS)


def test_a_value_of_a_parquet_file_that_cannot_be_read_rejects_its_row() -> None:
    text = pa.array(["a", "b", "c"]).cast(pa.binary()).to_pylist()
    text[1] = b"\xff\xfe"
    offsets, raw = pa.py_buffer(np.array([0, 1, 3, 4], np.int32)), pa.py_buffer(b"".join(text))
    times = pa.array([1, 2, 2**62], pa.timestamp("us"))
    file = io.BytesIO()
    pq.write_table(pa.table({"source": pa.StringArray.from_buffers(3, offsets, raw), "custom_id": times}), file)
    found = rows(file.getvalue(), "parquet")
    assert [(row.line, isinstance(row.value, LineInvalid)) for row in found] == [(1, False), (2, True), (3, True)]
    assert [row.line for row in rows(file.getvalue(), "parquet", found[0].after)] == [2, 3]


def test_a_large_parquet_file_is_read_a_piece_at_a_time() -> None:
    file = io.BytesIO()
    sources = [f"s3://b/{hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(60_000)]
    pq.write_table(pa.table({"source": sources}), file, use_dictionary=False)
    body, lengths = file.getvalue(), []

    def read(start: int, length: int | None) -> Iterator[bytes]:
        assert length is not None
        lengths.append(length)
        yield body[start : start + length]

    assert len(list(read_rows(read, len(body), "parquet"))) == len(sources)
    assert sum(lengths) >= len(body) > 3 << 20
    assert max(lengths) <= 1 << 20


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
    ("csv", b'source\n"a\nb\nc\n"d"\ne', [(2, False), (3, True), (4, True), (5, True), (6, True)]),
    ("csv", b'source\na\n"b\nc\nd', [(2, True), (3, False), (4, True), (5, True)]),
    ("csv", b'source\n"a\n\xff\nb\n', [(2, False), (3, False), (4, True)]),
    ("csv", b'source\n"a\n' + b"x" * 65_535 + b'\n"b"\n', [(2, False), (3, True), (4, True)]),
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
