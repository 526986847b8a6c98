"""The masks of a finished job as CSV and as Parquet: the rows, the columns, and who gets them."""

import csv
import io
import json
from typing import Any

import duckdb
import httpx
import pyarrow.parquet as pq
import pytest

from api.jobs import result_tables
from maskrelay.contract.records.outcomes import Outcome, Rle
from maskrelay.contract.tables.table_schema import MASKS
from maskrelay.delta import parquet_rows
from tests.support.drivers.api_jobs import PROMPT, accepted, failed, finish, succeeded
from tests.support.servers.apis import RunningApi

ITEMS = 5


@pytest.fixture
def job(api: RunningApi, north: httpx.Client) -> str:
    """A finished job whose last item has failed."""
    made = accepted(north, *(b"%d" % number for number in range(ITEMS)))
    outcomes = [succeeded(api, made, number) for number in range(ITEMS - 1)]
    finish(api, made, *outcomes, failed(ITEMS - 1))
    return made


def csv_rows(client: httpx.Client, job: str) -> list[dict[str, str]]:
    answer = client.get(f"/v1/jobs/{job}/results.csv")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"] == f'attachment; filename="{job}.masks.csv"'
    return list(csv.DictReader(io.StringIO(answer.text)))


def parquet_rows_of(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{job}/results.parquet")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apache.parquet")
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    return rows


def test_each_mask_is_a_row_and_so_is_each_failed_frame(api: RunningApi, north: httpx.Client, job: str) -> None:
    rows = csv_rows(north, job)
    assert list(rows[0])[: len(MASKS)] == [column.name for column in MASKS]
    assert [(row["item"], row["prompt"], row["error_code"]) for row in rows] == [
        *((str(item), PROMPT, "") for item in range(ITEMS - 1)),
        (str(ITEMS - 1), "", "truncated"),
    ]
    first = rows[0]
    assert (first["run"], first["custom_id"], first["area_px"], first["empty"]) == (job, "0", "12", "false")
    assert (first["height"], first["width"], first["rle_counts"]) == ("8", "8", "0@")
    assert north.get(first["link"]).status_code == 200


def test_parquet_has_the_same_rows_with_their_types(north: httpx.Client, job: str) -> None:
    typed, texts = parquet_rows_of(north, job), csv_rows(north, job)
    assert (typed[0]["area_px"], typed[0]["empty"], typed[0]["mean_probability"]) == (12, False, 0.9)
    for row, text in zip(typed, texts, strict=True):
        assert row.keys() == text.keys()
        for name, value in row.items():
            shown = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            assert shown == text[name], name


def test_a_long_table_is_sent_in_pieces_and_is_one_file(
    north: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(parquet_rows, "_BATCH", 2)
    monkeypatch.setattr(result_tables, "_ROWS_PER_CHUNK", 2)
    assert len(csv_rows(north, job)) == ITEMS
    path = tmp_path / "masks.parquet"
    path.write_bytes(north.get(f"/v1/jobs/{job}/results.parquet").content)
    assert duckdb.sql(f"select count(*), sum(area_px) from '{path}'").fetchall() == [(ITEMS, 12 * (ITEMS - 1))]


def test_a_table_has_the_reviews_that_you_may_see(api: RunningApi, north: httpx.Client, job: str) -> None:
    with api.client("admin") as second:
        second.put(f"/v1/jobs/{job}/items/1/review", json={"verdict": "reject"}).raise_for_status()
        assert {row["review"] for row in csv_rows(north, job)} == {""}
        north.put(f"/v1/jobs/{job}/items/1/review", json={"verdict": "accept", "grade": 4}).raise_for_status()
    rows = parquet_rows_of(north, job)
    assert [(row["review"], row["review_grade"]) for row in rows] == [(None, None), ("accept", 4), *[(None, None)] * 3]
    assert list(json.loads(rows[1]["reviews_json"]).values()) == ["reject"]


def test_no_text_of_a_caller_is_a_formula_in_csv(api: RunningApi, north: httpx.Client) -> None:
    texts = ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\r=x", "plain", "2-1", "'x"]
    job = accepted(north, *(text.encode() for text in texts))
    finish(api, job, *(renamed(succeeded(api, job, number), text) for number, text in enumerate(texts)))
    shown = ["'=1+1", "'+1", "'-2", "'@SUM(A1)", "'\tx", "'\r=x", "plain", "2-1", "'x"]
    assert [row["category"] for row in csv_rows(north, job)] == shown
    assert [row["category"] for row in parquet_rows_of(north, job)] == texts


def renamed(outcome: Outcome, category: str, **news: Any) -> Outcome:
    """Return the outcome with another category of its mask, and other changes of the mask."""
    return outcome.model_copy(update={"masks": (outcome.masks[0].model_copy(update={"category": category, **news}),)})


def test_numbers_and_run_lengths_are_no_text(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    lengths = Rle(size=(8, 8), counts="=30")
    finish(api, job, renamed(succeeded(api, job, 0), "eye", rle=lengths, mean_probability=-0.5))
    (row,) = csv_rows(north, job)
    assert (row["rle_counts"], row["mean_probability"]) == ("=30", "-0.5")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_who_may_not_see_a_job_or_comes_too_early_gets_no_table(
    north: httpx.Client, south: httpx.Client, job: str, ending: str
) -> None:
    assert south.get(f"/v1/jobs/{job}/results.{ending}").status_code == 404
    answer = north.get(f"/v1/jobs/{accepted(north)}/results.{ending}")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ended")
    head = north.head(f"/v1/jobs/{job}/results.{ending}")
    assert (head.status_code, head.content) == (200, b"")
