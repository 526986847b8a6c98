"""The rows of the result tables."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from pycocotools import mask as coco

from maskrelay.contract.record import Failure
from maskrelay.contract.records.item_lines import ItemLine, item_line
from maskrelay.contract.records.job import Counts, FinalObject, Frames, Result, Submission
from maskrelay.contract.records.outcomes import ArtifactRef, MaskOutcome, Outcome, SelfCheck
from maskrelay.contract.records.planned_items import Assembled, PlannedItem
from maskrelay.contract.records.source_frames import Grid
from maskrelay.contract.tables.table_rows import (
    RowContext,
    item_row,
    mask_rows,
    run_row,
    running_row,
    segment_rows,
    slice_distance,
)
from maskrelay.contract.tables.table_schema import ITEMS, MASKS, RUNS, SEGMENTS, TABLES
from maskrelay.imaging.masks.rle import encode_rle
from tests.support.builders.masks import mask_of

REF = ArtifactRef(key="jobs/x/artifacts/0/0-0.01234567.mask.png", length=3, sha256="0" * 64)
CONTEXT = RowContext("abc", "https://masks.example/")
AFFINE = ((0.0, 0.5, 0.0, 1.0), (-0.5, 0.0, 0.0, 2.0), (0.0, 0.0, 2.5, 3.0))
GRID = Grid(shape=(8, 8, 3), affine=AFFINE, places=(0, 1, 2))


def mask(prompt: str, box: tuple[int, int, int, int] | None, *flags: str, area_mm2: float | None = 1.5) -> MaskOutcome:
    pixels = np.zeros((8, 6), np.bool_)
    x, y, width, height = box or (0, 0, 0, 0)
    pixels[y : y + height, x : x + width] = True
    return MaskOutcome(
        prompt=prompt,
        category="liver",
        empty=box is None,
        area_px=int(pixels.sum()),
        area_mm2=area_mm2 if box or area_mm2 is None else 0.0,
        bbox=box,
        centroid=(2.0, 3.5) if box else None,
        components=1 if box else 0,
        mean_probability=0.75,
        border=("left", "top"),
        flags=flags,
        rle=encode_rle(mask_of(pixels)),
        self_check=SelfCheck(shift_px=0.25, padding_px=0, ok=True),
        mask=REF if box else None,
    )


def outcome(index: int, *masks: MaskOutcome) -> Outcome:
    return Outcome(
        frame=10 + index,
        item=3,
        index=index,
        state="succeeded" if masks else "failed",
        error=None if masks else Failure(code="truncated", detail="It ends too early."),
        masks=masks,
        instance=f"1.2.{index}",
        model_version="v2",
        endpoint="east",
        intensity="ct-abdomen",
    )


PLANNED = PlannedItem(
    item=3,
    custom_id="ct",
    source_name="folder/ct.dcm",
    first=10,
    frames=3,
    kind="dicom",
    modality="CT",
    identifiers={"study": "1.1", "series": "1.2", "frame_of_reference": "1.3"},
    grid=GRID,
    findings={"gaps": 1},
)


NOTHING = mask("tumor in liver CT", None, "empty")


def line(*middle: MaskOutcome) -> ItemLine:
    """Return an item with three frames. The masks of the middle one are given; without masks, it failed."""
    outcomes = (
        outcome(0, mask("liver in abdomen CT", (1, 2, 3, 4)), NOTHING),
        outcome(1, *middle),
        outcome(2, mask("liver in abdomen CT", (0, 0, 2, 2), "size_outlier"), NOTHING),
    )
    return item_line(PLANNED, outcomes, Assembled(item=3, files={"seg": REF}, seg_series="2.25.7"))


def test_every_row_has_exactly_the_columns_of_its_table():
    rows = {
        "masks": [*mask_rows(CONTEXT, line())],
        "segments": [*segment_rows(CONTEXT, line(), PLANNED), *segment_rows(CONTEXT, line())],
        "items": [item_row(CONTEXT, line(), PLANNED), item_row(CONTEXT, line())],
        "runs": [running_row(submission(), "running"), run_row(submission(), result())],
    }
    for table, columns in TABLES.items():
        for row in rows[table]:
            assert row.keys() == {column.name for column in columns}, table


def test_the_columns_are_flat_and_named_once():
    for columns in (MASKS, SEGMENTS, ITEMS, RUNS):
        assert len({column.name.lower() for column in columns}) == len(columns)  # some readers ignore the case
        assert {column.type for column in columns} <= {"string", "long", "double", "boolean", "timestamp"}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_a_mask_is_a_row_that_pycocotools_reads():
    first, absent, *others = mask_rows(CONTEXT, line())
    assert len(others) == 2
    assert (first["run"], first["item"], first["custom_id"]) == ("abc", 3, "ct")
    assert (first["frame"], first["run_frame"]) == (0, 10)
    assert (first["StudyInstanceUID"], first["segmented_SeriesInstanceUID"]) == ("1.1", "1.2")
    assert (first["segmented_SOPInstanceUID"], others[0]["segmented_SOPInstanceUID"]) == ("1.2.0", "1.2.2")
    assert (first["prompt_number"], first["prompt"], absent["prompt_number"]) == (0, "liver in abdomen CT", 1)
    assert (first["bbox_x"], first["bbox_y"], first["bbox_width"], first["bbox_height"]) == (1, 2, 3, 4)
    assert (absent["bbox_x"], absent["centroid_x"], absent["link"], absent["flags"]) == (None, None, None, "empty")
    assert first["link"] == "https://masks.example/v1/jobs/abc/artifacts/3-10-0.mask.png"
    size = [first["height"], first["width"]]
    pixels = coco.decode({"size": size, "counts": first["rle_counts"]})
    assert pixels.shape == (8, 6)
    assert int(pixels.sum()) == first["area_px"] == 12
    assert coco.toBbox({"size": size, "counts": first["rle_counts"]}).tolist() == [1, 2, 3, 4]


def test_a_segment_sums_the_masks_of_its_prompt():
    liver, tumor = segment_rows(CONTEXT, line(), PLANNED)
    assert (liver["slices"], liver["first_slice"], liver["last_slice"], liver["frames"]) == (2, 0, 2, 2)
    assert (liver["area_px"], liver["area_mm2"], liver["components"]) == (16, 3.0, 2)
    assert liver["mean_probability"] == pytest.approx(0.75)
    assert (liver["flags"], tumor["flags"]) == ("size_outlier", "empty")
    assert (liver["SegmentNumber"], tumor["SegmentNumber"], liver["SegmentationType"]) == (1, 2, "BINARY")
    assert liver["SeriesInstanceUID"] == tumor["SeriesInstanceUID"] == "2.25.7"
    assert liver["SegmentedPropertyType_CodeValue"] == "10200004"
    assert liver["seg_link"] == "https://masks.example/v1/jobs/abc/artifacts/3.seg.dcm"
    assert (tumor["slices"], tumor["area_mm2"], tumor["mean_probability"]) == (0, 0.0, None)


def test_a_segment_has_a_volume_if_every_slice_was_segmented():
    whole = line(mask("liver in abdomen CT", None, "empty"), NOTHING)
    liver, tumor = segment_rows(CONTEXT, whole, PLANNED)
    assert (liver["frames"], liver["volume_ml"]) == (3, pytest.approx(3.0 * 2.5 / 1000))
    assert tumor["volume_ml"] == 0.0
    assert [row["volume_ml"] for row in segment_rows(CONTEXT, line(), PLANNED)] == [None, None]  # a frame failed
    gap = GRID.model_copy(update={"shape": (8, 8, 4), "places": (0, 1, 3)})
    missing = PLANNED.model_copy(update={"grid": gap})
    assert [row["volume_ml"] for row in segment_rows(CONTEXT, whole, missing)] == [None, None]


def test_a_single_slice_has_neither_a_distance_to_others_nor_a_volume():
    grid = GRID.model_copy(
        update={"shape": (8, 8, 1), "places": (0,)}
    )  # whose affine may have 1 mm for an unknown thickness
    planned = PLANNED.model_copy(update={"grid": grid, "frames": 1})
    single = item_line(planned, (outcome(0, mask("liver", (1, 2, 3, 4))),))
    [row] = segment_rows(CONTEXT, single, planned)
    assert (row["area_mm2"], row["volume_ml"]) == (1.5, None)
    assert item_row(CONTEXT, single, planned)["slice_distance_mm"] is None


def test_the_area_of_a_segment_that_was_not_found_is_unknown_without_a_pixel_spacing():
    absent = item_line(PLANNED, (outcome(0, mask("liver", None, "empty", area_mm2=None)),))
    [row] = segment_rows(CONTEXT, absent, PLANNED)
    assert (row["area_px"], row["area_mm2"], row["volume_ml"]) == (0, None, None)


def test_without_a_pixel_spacing_or_a_grid_there_is_no_volume():
    spaceless = item_line(PLANNED, (outcome(0, mask("liver", (1, 2, 3, 4), area_mm2=None)),))
    [row] = segment_rows(CONTEXT, spaceless, PLANNED)
    assert (row["area_mm2"], row["volume_ml"], row["SegmentNumber"]) == (None, None, None)
    assert [row["volume_ml"] for row in segment_rows(CONTEXT, line())] == [None, None]
    assert [*segment_rows(CONTEXT, item_line(PLANNED, (outcome(0),)))] == []


def test_the_slice_distance_is_that_of_the_planes():
    sheared = ((1.0, 0.0, 3.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 4.0, 0.0))
    assert slice_distance(GRID) == pytest.approx(2.5)
    assert slice_distance(GRID.model_copy(update={"affine": sheared})) == pytest.approx(4.0)
    assert slice_distance(GRID.model_copy(update={"axis": 0})) == pytest.approx(0.5)


def test_an_item_has_its_geometry_its_error_and_its_files():
    row = item_row(CONTEXT, line(), PLANNED)
    assert (row["state"], row["error_code"], row["frames"], row["frames_failed"]) == ("partial", "truncated", 3, 1)
    assert (row["height"], row["width"], row["slice_distance_mm"]) == (8, 6, pytest.approx(2.5))
    assert (row["SeriesInstanceUID"], row["FrameOfReferenceUID"], row["Modality"]) == ("1.2", "1.3", "CT")
    assert json.loads(row["grid_json"])["shape"] == [8, 8, 3]
    assert json.loads(row["files_json"]) == {"seg": "https://masks.example/v1/jobs/abc/artifacts/3.seg.dcm"}
    assert (row["flags"], json.loads(row["findings_json"])) == ("empty,size_outlier", {"gaps": 1})


def test_a_link_is_a_path_if_the_public_url_is_unknown():
    first, *_ = mask_rows(RowContext("abc"), line())
    assert first["link"] == "/v1/jobs/abc/artifacts/3-10-0.mask.png"


def submission() -> Submission:
    return Submission(
        id="abc",
        tenant="north",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        lane="bulk",
        outputs=("table",),
        total=2,
        fingerprint="0",
        metadata={"study": "é"},
    )


def result() -> Result:
    final = FinalObject(key="jobs/abc/final/0/items.ndjson", length=0, sha256="0" * 64)
    return Result(
        job="abc",
        tenant="north",
        state="partial",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        started_at=None,
        finished_at=datetime(2026, 1, 3, tzinfo=UTC),
        counts=Counts(total=2, succeeded=1, failed=1),
        frames=Frames(planned=5, succeeded=4, failed=1),
        rescored=1,
        items=final,
        index=final,
        flags={"empty": 2},
        software={"maskrelay": "0.1.0"},
        pixels={"canvas": 1024},
        endpoints=({"name": "east"},),
    )


def test_a_run_has_its_counts_and_its_provenance():
    row = run_row(submission(), result())
    assert (row["state"], row["items"], row["items_failed"], row["frames_succeeded"]) == ("partial", 2, 1, 4)
    assert (row["finished_at"], row["final"], row["started_at"]) == (datetime(2026, 1, 3, tzinfo=UTC), True, None)
    assert json.loads(row["metadata_json"]) == {"study": "é"}
    assert json.loads(row["options_json"])["identifiers"] == "uids"
    running = running_row(submission(), "failed", "planning_failed")
    assert (running["state"], running["error_code"], running["final"]) == ("failed", "planning_failed", False)
