"""Which sources may be used again without reading them: only those whose version says that they are unchanged."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Item, ItemOptions, PixelOptions, PlannedFrame, Submission
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.source_frames import Window
from maskrelay.contract.records.source_pins import UNVERSIONED, PinnedSource
from maskrelay.rules.series.arrangement import Draft
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.stored_records import write_records
from worker.plan.survey_reuse import SurveyReuse
from worker.segment.source_reuse import reuse_key

JOB = "a" * 26
PINS: list[tuple[dict[str, Any], bool]] = [
    ({"etag": '"1"'}, True),
    ({"version": "1"}, True),
    ({"etag": '"1"', "version": UNVERSIONED}, True),
    ({"version": UNVERSIONED}, False),
    ({}, False),
]


def submission() -> Submission:
    about = {"tenant": "north", "created_at": datetime.now(UTC), "lane": "bulk", "outputs": ("mask",)}
    return Submission.model_validate({"id": JOB, **about, "total": 1, "fingerprint": "f"})


def item(**options: Any) -> Item:
    own = ItemOptions(**options) if options else None
    return Item(source="s3://b/a", size=0, sha256="", custom_id="0", prompts=("liver",), options=own)


def pinned(pin: dict[str, Any]) -> PinnedSource:
    url = "dicomweb+https://pacs.example/studies/1/series/2/instances/3"
    return PinnedSource(url=url, tenant="north", credential="pacs", size=8, **pin)


@pytest.mark.parametrize(("pin", "is_reused"), PINS)
def test_an_outcome_is_reused_only_for_a_version_that_identifies_the_content(
    pin: dict[str, Any], is_reused: bool
) -> None:
    source = pinned(pin)
    frame = PlannedFrame(frame=0, item=0, source=source.url, pinned=source, size=8, sha256="", prompts=("liver",))
    assert (reuse_key(frame, submission(), "scope") is not None) == is_reused


@pytest.mark.parametrize(("pin", "is_reused"), PINS)
def test_a_survey_and_a_window_are_reused_only_for_such_a_version(
    tmp_path: Path, pin: dict[str, Any], is_reused: bool
) -> None:
    storage, source = FileStorage(tmp_path), Surveyed(upload=0, kind="dicom", size=8, pinned=pinned(pin))
    reuse, draft = SurveyReuse(storage, submission(), [item()], b"key"), Draft((source,), ((0, 0), (0, 1)))
    write_records(storage, keys.survey_part(JOB, 0), [source])
    reuse.offer(0, None, {0: pinned(pin)})
    reuse.offer_window(draft, "percentile-all", Window(name="percentile-all", low=0, high=1))
    assert reuse.found(pinned(pin), 0) == ([source] if is_reused else [])
    assert (reuse.window(draft, "percentile-all") is not None) == is_reused


def test_a_survey_is_reused_only_for_the_same_options_of_its_item(tmp_path: Path) -> None:
    pin = pinned({"version": "1"})
    storage, source = FileStorage(tmp_path), Surveyed(upload=0, kind="nifti", size=8, pinned=pin)
    write_records(storage, keys.survey_part(JOB, 0), [source])

    def reuse(each: Item, **pixels: Any) -> SurveyReuse:
        return SurveyReuse(storage, submission().model_copy(update={"pixels": PixelOptions(**pixels)}), [each], b"key")

    reuse(item(slice_axis=1)).offer(0, None, {0: pin})
    assert reuse(item()).found(pin, 0) == []
    assert reuse(item(slice_axis=2)).found(pin, 0) == []
    assert reuse(item(slice_axis=1)).found(pin, 0) == [source]
    assert reuse(item(), slice_axis=1).found(pin, 0) == [source]
