"""Which jobs are planned without a worker. That the plan is that of the plan step is shown with the API."""

from datetime import UTC, datetime
from typing import Any

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import CallbackTarget, Item, PixelOptions, Submission
from maskrelay.rules.plain_image import plan_of_plain_image

JOB, SHA256 = "a" * 26, "0" * 64


def item(**fields: Any) -> Item:
    given = {"source": keys.upload("north", "b" * 26), "size": 7, "sha256": SHA256, "custom_id": "0"}
    return Item.model_validate({**given, "prompts": ("tumor",), **fields})


def submission(*items: Item, **fields: Any) -> Submission:
    about = {"id": JOB, "tenant": "north", "created_at": datetime.now(UTC), "lane": "interactive", "outputs": ()}
    return Submission.model_validate({**about, "fingerprint": SHA256, "total": len(items), "items": items, **fields})


def callback(*events: str) -> CallbackTarget:
    return CallbackTarget(url="https://receiver.example", events=events)


@pytest.mark.parametrize(
    "planned",
    [
        submission(item()),
        submission(item(source_name="eye.png"), outputs=("overlay", "probability"), metadata={"study": 7}),
        submission(item(), pixels=PixelOptions(square_pixels=True, slice_axis="axial", identifiers="none")),
        submission(item(), callback=callback("job.succeeded", "job.failed"), endpoint="first", lane="bulk"),
    ],
)
def test_one_plain_image_is_planned_without_a_worker(planned: Submission) -> None:
    found = plan_of_plain_image(planned)
    assert found is not None
    assert (found[0].frames, found[0].outputs) == (1, found[1].outputs)
    assert found[1].source == planned.items[0].source


@pytest.mark.parametrize(
    "other",
    [
        submission(item(), item(custom_id="1")),
        submission(total=1, items_key=f"jobs/{JOB}/items-1.ndjson"),
        submission(item(kind="dicom")),
        submission(item(kind="tiff")),
        submission(item(source="s3://archive/eye.png")),
        submission(item(only={0: "again"})),
        submission(item(options={"outputs": ["mask"]})),
        submission(item(), outputs=("mask", "contact-sheet")),
        submission(item(), pixels=PixelOptions(intensity="percentile-all")),
        submission(item(), callback=callback("job.running", "job.succeeded")),
        submission(item(), callback=callback("job.accepted")),
        submission(item(), redrive_of="c" * 26),
        submission(item(), option_of_a_later_version=True),
        submission(item(option_of_a_later_version=True)),
    ],
)
def test_a_worker_plans_every_job_whose_plan_needs_more(other: Submission) -> None:
    assert plan_of_plain_image(other) is None
