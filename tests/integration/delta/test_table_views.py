"""The views for IDC, OMOP and COCO over real tables, in DuckDB."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from deltalake import DeltaTable as DeltaReader
from pycocotools import mask as coco

from maskrelay.contract.tables.table_rows import Row
from maskrelay.contract.tables.table_schema import TABLES
from maskrelay.delta.delta_table import DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.storage.file_store import FileStorage

ROOT = Path(__file__).parents[3]
VIEWS = ("seg_index", "image_feature", "measurement", "coco_categories", "coco_images", "coco_annotations")
#: The columns of MEASUREMENT in the OMOP CDM 5.4.
MEASUREMENT = (
    "measurement_id person_id measurement_concept_id measurement_date measurement_datetime measurement_time "
    "measurement_type_concept_id operator_concept_id value_as_number value_as_concept_id unit_concept_id range_low "
    "range_high provider_id visit_occurrence_id visit_detail_id measurement_source_value "
    "measurement_source_concept_id unit_source_value unit_source_concept_id value_source_value measurement_event_id "
    "meas_event_field_concept_id"
)


def row(table: str, **values: Any) -> Row:
    """Return a row with these values, and null in all other columns."""
    unknown = values.keys() - {column.name for column in TABLES[table]}
    assert unknown == set()
    return {**dict.fromkeys(column.name for column in TABLES[table]), **values}


def segment(number: int, slices: int, volume: float | None, run: str = "a", *, final: bool = True) -> Row:
    numbered = {"prompt_number": number, "prompt": f"organ {number}", "SegmentNumber": number + 1}
    model = {"AlgorithmName": "MedImageParse", "AlgorithmType": "AUTOMATIC", "model_version": "2"}
    series = {"segmented_SeriesInstanceUID": "1.2.3", "SeriesInstanceUID": "2.25.7", "SegmentationType": "BINARY"}
    found = {"slices": slices, "volume_ml": volume, "SegmentedPropertyType_CodeValue": "10200004"}
    return row("segments", run=run, item=0, final=final, **numbered, **model, **series, **found)


def mask(frame: int, number: int, counts: str | None) -> Row:
    placed = {"height": 8, "width": 6, "run_frame": frame, "frame": frame, "prompt_number": number}
    found = {"empty": counts is None, "rle_counts": counts or "`1", "area_px": 12 if counts else 0}
    box = dict(zip(("bbox_x", "bbox_y", "bbox_width", "bbox_height"), (1, 2, 3, 4), strict=True)) if counts else {}
    return row("masks", run="a", item=0, custom_id="ct", prompt=f"organ {number}", **placed, **found, **box)


@pytest.fixture
def lake(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """A database with the four tables, a table of OMOP, and the views."""
    counts = coco.encode(_square())["counts"].decode()
    rows: dict[str, list[Row]] = {
        "masks": [mask(0, 0, counts), mask(0, 1, None), mask(1, 0, counts)],
        "segments": [
            segment(0, 2, 1.5),
            segment(1, 0, 0.0),
            segment(0, 2, 1.2, "b"),
            segment(0, 1, 1.1, "c", final=False),
        ],
        "items": [row("items", run="a", item=0)],
        "runs": [
            row("runs", run="a", finished_at=datetime(2026, 1, 2, tzinfo=UTC), final=True),
            row("runs", run="b", final=False),  # its rows of segments are final, and that of the run is added next
            row("runs", run="c", final=False),
        ],
    }
    found = duckdb.connect()
    for name, columns in TABLES.items():
        table = DeltaTable(FileStorage(tmp_path), f"{name}/", name, columns)
        table.add(TablePart("a", 1, parquet_files(columns, rows[name])))
        files = DeltaReader(str(tmp_path / name)).file_uris()
        found.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files})")
    found.execute(
        "CREATE TABLE image_occurrence AS SELECT 5 image_occurrence_id, 9 person_id, 4 visit_occurrence_id, "
        "DATE '2019-05-06' image_occurrence_date, '1.2.3' image_series_uid"
    )
    found.execute((ROOT / "deploy" / "tables" / "duckdb.sql").read_text())
    return found


def _square() -> Any:
    pixels = np.zeros((8, 6), np.uint8, order="F")
    pixels[2:6, 1:4] = 1
    return pixels


def of_view(lake: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    answer = lake.execute(f"SELECT * FROM {name}")
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, values, strict=True)) for values in answer.fetchall()]


def test_seg_index_has_the_columns_of_idc(lake: duckdb.DuckDBPyConnection):
    assert of_view(lake, "seg_index") == [
        {
            "SeriesInstanceUID": "2.25.7",
            "SegmentationType": "BINARY",
            "total_segments": 2,
            "AlgorithmType": "AUTOMATIC",
            "AlgorithmName": "MedImageParse",
            "segmented_SeriesInstanceUID": "1.2.3",
        }
    ]


def test_a_volume_is_a_feature_and_a_measurement_of_omop(lake: duckdb.DuckDBPyConnection):
    [feature] = of_view(lake, "image_feature")
    [measurement] = of_view(lake, "measurement")
    assert list(measurement) == MEASUREMENT.split()
    assert feature["image_feature_event_id"] == measurement["measurement_id"] > 0
    assert (feature["image_occurrence_id"], feature["person_id"]) == (5, 9)
    assert feature["alg_system"] == "MedImageParse 2"
    assert (measurement["value_as_number"], measurement["unit_concept_id"]) == (1.5, 8587)
    assert measurement["measurement_source_value"] == "10200004"
    assert (measurement["measurement_date"], measurement["visit_occurrence_id"]) == (date(2019, 5, 6), 4)
    assert feature["alg_datetime"].year == 2026


def test_the_keys_of_the_views_follow_from_the_names_of_the_rows_alone(lake: duckdb.DuckDBPyConnection):
    [feature] = of_view(lake, "image_feature")
    assert feature["image_feature_id"] == int(hashlib.md5(b"a/0/0").hexdigest()[:15], 16)
    assert {image["id"] for image in of_view(lake, "coco_images")} == {
        int(hashlib.md5(name).hexdigest()[:15], 16) for name in (b"a/0", b"a/1")
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_the_views_of_coco_are_a_file_that_pycocotools_reads(lake: duckdb.DuckDBPyConnection):
    images, annotations = of_view(lake, "coco_images"), of_view(lake, "coco_annotations")
    assert sorted(image["frame"] for image in images) == [0, 1]
    assert {annotation["image_id"] for annotation in annotations} == {image["id"] for image in images}
    assert [category["name"] for category in of_view(lake, "coco_categories")] == ["organ 0", "organ 1"]
    first = json.loads(json.dumps(annotations[0]))
    assert (first["area"], first["bbox"], first["category_id"]) == (12, [1, 2, 3, 4], 1)
    assert (coco.decode(first["segmentation"]) == _square()).all()


def test_both_dialects_have_the_same_views():
    def created(lines: Iterable[str]) -> list[str]:
        return [line.split()[4] for line in lines if line.startswith("CREATE OR REPLACE VIEW ")]

    found = {name: created((ROOT / "deploy" / "tables" / f"{name}.sql").read_text().splitlines()) for name in DIALECTS}
    assert found["duckdb"] == found["databricks"]
    assert set(VIEWS) <= set(found["duckdb"])


DIALECTS = ("duckdb", "databricks")
