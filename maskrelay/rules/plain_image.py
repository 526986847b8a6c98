"""The plan of a job of one plain image (PNG or JPEG), which follows from the submission alone.

No source has to be opened for it, so the API can store the plan when it accepts the job.
"""

from maskrelay.contract.record import Record
from maskrelay.contract.records import keys
from maskrelay.contract.records.events import TERMINAL_EVENTS
from maskrelay.contract.records.job import Item, PixelOptions, PlannedFrame, Submission
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.vocabulary.outputs import OF_FRAME, outputs_of

#: The fields that the plan of a plain image is made from, or that have no influence on it. If another field differs
#: from its default, for example one of a later version, the job is planned by a worker.
_UNDERSTOOD: dict[type[Record], frozenset[str]] = {
    Submission: frozenset(
        {
            *("id", "tenant", "created_at", "lane", "outputs", "pixels", "endpoint", "one_prompt_per_request"),
            *(
                "reuse",
                "metadata",
                "warnings",
                "callback",
                "total",
                "size",
                "items",
                "deadline",
                "fingerprint",
                "traceparent",
            ),
        }
    ),
    Item: frozenset({"source", "size", "sha256", "kind", "custom_id", "source_name", "prompts"}),
    PixelOptions: frozenset(
        {"group_series", "partial_series", "slice_axis", "volume", "square_pixels", "burned_in", "identifiers"}
    ),
}


def plan_of_plain_image(submission: Submission) -> tuple[PlannedItem, PlannedFrame] | None:
    """Return the only item and the only frame of the job, or None if a worker must plan the job.

    The result is the same as that of the plan step. A worker must plan every job with several items or with another
    kind of source, and jobs whose planning does more than to lay out frames: it sends events, or it chooses an
    intensity window.
    """
    if len(submission.items) != 1 or not _is_understood(submission) or not _is_understood(submission.pixels):
        return None
    [asked] = submission.items
    is_upload = keys.upload_of(asked.source) == asked.source
    if not _is_understood(asked) or asked.kind != "still" or not is_upload:
        return None
    events = submission.callback.events if submission.callback else ()
    if not OF_FRAME.issuperset(submission.outputs) or not set(TERMINAL_EVENTS).issuperset(events):
        return None
    item = PlannedItem(
        item=0,
        custom_id=asked.custom_id,
        source_name=asked.source_name,
        first=0,
        frames=1,
        kind=asked.kind,
        outputs=outputs_of(submission.outputs, asked.kind, 1, volume=False),
    )
    frame = PlannedFrame(
        frame=0,
        item=0,
        source=asked.source,
        size=asked.size,
        sha256=asked.sha256,
        prompts=asked.prompts,
        outputs=item.outputs,
        square_pixels=submission.pixels.square_pixels,
    )
    return item, frame


def _is_understood(record: Record) -> bool:
    """Return whether every field that is not in _UNDERSTOOD has its default value."""
    understood, fields = _UNDERSTOOD[type(record)], type(record).model_fields
    return not record.model_extra and all(
        getattr(record, name) == field.get_default(call_default_factory=True)
        for name, field in fields.items()
        if name not in understood
    )
