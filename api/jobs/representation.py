"""The representation of jobs and items in responses, including the time that each stage took."""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from api.jobs.lookup import JobSnapshot
from api.jobs.server_sent_events import encoded
from maskrelay.contract.record import Failure
from maskrelay.contract.records.item_lines import PER_PROMPT, ItemLine, flags_of, whole_names
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome
from maskrelay.contract.records.planned_items import IgnoredFile
from maskrelay.contract.views.job_views import (
    CallbackShown,
    CompletedItem,
    CompletedItemLinks,
    ErrorShown,
    FrameLinks,
    FrameShown,
    IgnoredShown,
    ItemLinks,
    ItemShown,
    JobLinks,
    JobShown,
    MaskLinks,
    MaskShown,
    Provenance,
    ReusedShown,
    RleShown,
)
from maskrelay.contract.views.run_views import ForecastShown
from maskrelay.rules.timings import TOTAL, bottleneck, timings

#: The members that are omitted if they have no value. All other members are always present, even if they are null.
_ABSENT = frozenset(
    {
        "grid",
        "deadline",
        "reason",
        "error",
        "errors",
        "callback",
        "secret",
        "result",
        "redrive_of",
        "dead_letters",
        "rejected",
        "report",
        "forecast",
        "frames",
        "members",
        "identifiers",
        "instance",
        "intensity",
    }
    | {"area_mm2", "self_check", "rle", "reused_from", "review", "reviews", "mask", "probability", "overlay", "preview"}
    | set(Provenance.model_fields)
    | {"nifti", "nifti-per-prompt", "seg", "contact-sheet", "geojson"}
)


def body_of(shown: BaseModel) -> Any:
    """Return the JSON value of a response model."""
    return _present(shown.model_dump(mode="json", by_alias=True))


def _present(value: Any) -> Any:
    """Return a JSON value without the members of _ABSENT that have no value."""
    # A page has thousands of scalars, so this function is called only for objects and lists.
    if isinstance(value, dict):
        return {
            name: _present(member) if isinstance(member, dict | list) and name != "metadata" else member
            for name, member in value.items()
            if member is not None or name not in _ABSENT
        }
    if isinstance(value, list):
        return [_present(member) if isinstance(member, dict | list) else member for member in value]
    return value


def job_url(base: str, job: str) -> str:
    return f"{base}/v1/jobs/{job}"


def job_shown(known: JobSnapshot, base: str, *, secret: str | None = None) -> JobShown:
    """Return the representation of a job.

    `secret` is a generated callback secret, which is only shown in the response to the submission.
    """
    url = job_url(base, known.id)
    callback, spent = known.submission.callback, timings_of(known)
    rejected = known.expansion.rejected if known.expansion else None
    return JobShown(
        id=known.id,
        redrive_of=known.submission.redrive_of,
        state=known.state,
        planned=known.planned,
        created_at=known.submission.created_at,
        counts=known.counts(),
        frames=known.frames(),
        rejected=rejected,
        forecast=ForecastShown(**known.forecast.model_dump()) if known.forecast else None,
        warnings=list(known.submission.warnings),
        flags=known.result.flags if known.result is not None else {},
        timings=spent,
        bottleneck=bottleneck(spent),
        eta_s=_eta(known),
        deadline=known.submission.deadline,
        reason=known.reason(),
        error=ErrorShown(code=known.halted.code, detail=known.halted.detail) if known.halted else None,
        metadata=known.submission.metadata,
        callback=CallbackShown(url=callback.url, events=list(callback.events), secret=secret) if callback else None,
        links=JobLinks(
            self=url,
            items=f"{url}/items",
            cancel=f"{url}/cancel",
            result=f"{url}/artifacts/result.json" if known.result is not None else None,
            report=f"{url}/artifacts/report.html" if known.result is not None and known.result.report else None,
            dead_letters=f"{url}/dead-letters" if known.frames().failed else None,
            rejected=f"{url}/rejected" if rejected else None,
        ),
    )


def etag_of(known: JobSnapshot) -> str:
    """Return an ETag that changes with every change of the job.

    It contains the ledger's version counter. It also contains a hash of the state and the counts, because the counter
    restarts if Redis loses its data.
    """
    version = known.record.version if known.record is not None else 0
    shown = f"{known.state} {known.planned} {known.counts()} {known.frames()}"
    return f'"{version}-{hashlib.sha256(shown.encode()).hexdigest()[:16]}"'


def _eta(known: JobSnapshot) -> float | None:
    """Return the estimated number of seconds until the job ends, or None if the pace is unknown."""
    started = known.record.started_at if known.record is not None else None
    frames = known.frames()
    done = frames.succeeded + frames.failed
    if known.state != "running" or not known.planned or started is None or not done:
        return None
    elapsed = max(0.0, (datetime.now(UTC) - started).total_seconds())
    return round(elapsed / done * (frames.planned - done), 1)


def ignored_shown(file: IgnoredFile) -> IgnoredShown:
    return IgnoredShown(
        custom_id=file.custom_id, source_name=file.source_name, reason=ErrorShown(**file.reason.model_dump())
    )


def item_shown(line: ItemLine, url: str, *, rle: bool = False, provenance: bool = False) -> ItemShown:
    """Return what is shown of an item, with its masks and its provenance if requested.

    `url` is the address of its job.
    """
    several = len(line.outcomes) > 1
    first = None if several else next(iter(line.outcomes), None)
    return ItemShown(
        item=line.item,
        custom_id=line.custom_id,
        source_name=line.source_name,
        members=list(line.members) or None,
        state=line.state,
        error=_error(line.error),
        suspicion=line.suspicion,
        findings=line.findings,
        identifiers=line.identifiers or None,
        intensity=next((outcome.intensity for outcome in line.outcomes if outcome.intensity), None),
        masks=_masks(first, url, rle=rle) if first else [],
        reused_from=_reused(first) if first else None,
        frames=[_frame(outcome, url, rle, provenance) for outcome in line.outcomes] if several else None,
        errors={name: ErrorShown(**error.model_dump()) for name, error in line.errors.items()} or None,
        links=_item_links(line, first, url),
        **_provenance(first, provenance),
    )


def _item_links(line: ItemLine, first: Outcome | None, url: str) -> ItemLinks:
    """Return the links of an item. `first` is the outcome of the item if it has only one frame."""
    links = {output: f"{url}/artifacts/{name}" for name, output in whole_names(line).items()}
    each = [link for output, link in links.items() if output.startswith(PER_PROMPT)]
    single = {output: link for output, link in links.items() if not output.startswith(PER_PROMPT)}
    own = _links(first, url).model_dump() if first else {}
    return ItemLinks.model_validate({**single, "nifti-per-prompt": each or None, **own})


def item_body(line: ItemLine, url: str, *, rle: bool = False, provenance: bool = False) -> Any:
    """Return the JSON value of an item. An item with several frames has `frames` instead of `masks`."""
    body = body_of(item_shown(line, url, rle=rle, provenance=provenance))
    if "frames" in body:
        del body["masks"]
    return body


def item_event(line: ItemLine, job: str, url: str, place: str) -> bytes:
    """Return the event that announces a completed item. `url` is the address of its job."""
    links = _links(line.outcomes[0], url) if len(line.outcomes) == 1 else FrameLinks()
    shown = CompletedItem(
        job=job,
        item=line.item,
        custom_id=line.custom_id,
        source_name=line.source_name,
        state=line.state,
        error=_error(line.error),
        flags=dict(Counter(flags_of(line))),
        masks=sum(len(outcome.masks) for outcome in line.outcomes),
        frames=len(line.outcomes),
        links=CompletedItemLinks(**links.model_dump(), self=f"{url}/items/{line.item}"),
    )
    return encoded("item", place, shown.model_dump(mode="json"))


def _frame(outcome: Outcome, url: str, rle: bool, provenance: bool) -> FrameShown:
    return FrameShown(
        frame=outcome.index,
        source_name=outcome.source_name,
        state=outcome.state,
        instance=outcome.instance,
        error=_error(outcome.error),
        masks=_masks(outcome, url, rle=rle),
        reused_from=_reused(outcome),
        links=_links(outcome, url),
        **_provenance(outcome, provenance),
    )


def _provenance(outcome: Outcome | None, wanted: bool) -> dict[str, Any]:
    return outcome.model_dump(include=set(Provenance.model_fields)) if outcome is not None and wanted else {}


def _masks(outcome: Outcome, url: str, *, rle: bool) -> list[MaskShown]:
    return [_mask(outcome, number, mask, url, rle) for number, mask in enumerate(outcome.masks)]


def _reused(outcome: Outcome) -> list[ReusedShown] | None:
    """Return the earlier scores that gave the masks of a frame, or None if all of its scores were sent."""
    return [
        ReusedShown(job=score.job, frame=score.frame, prompts=[outcome.masks[place].prompt for place in score.prompts])
        for score in outcome.reused_from
    ] or None


def _mask(outcome: Outcome, number: int, mask: MaskOutcome, url: str, rle: bool) -> MaskShown:
    stem = f"{url}/artifacts/{outcome.item}-{outcome.frame}-{number}"
    return MaskShown(
        prompt=mask.prompt,
        size=mask.rle.size,
        category=mask.category,
        empty=mask.empty,
        area_px=mask.area_px,
        area_mm2=mask.area_mm2,
        bbox=mask.bbox,
        centroid=mask.centroid,
        components=mask.components,
        mean_probability=mask.mean_probability,
        border=list(mask.border),
        flags=list(mask.flags),
        self_check=mask.self_check,
        rle=RleShown(**mask.rle.model_dump()) if rle else None,
        links=MaskLinks(
            mask=f"{stem}.mask.png" if mask.mask else None,
            probability=f"{stem}.probability.png" if mask.probability else None,
        ),
    )


def _links(outcome: Outcome, url: str) -> FrameLinks:
    stem = f"{url}/artifacts/{outcome.item}-{outcome.frame}"
    return FrameLinks(
        overlay=f"{stem}.overlay.png" if outcome.overlay else None,
        preview=f"{stem}.preview.webp" if outcome.preview else None,
    )


def _error(error: Failure | None) -> ErrorShown | None:
    return ErrorShown(code=error.code, detail=error.detail) if error else None


def timings_of(known: JobSnapshot) -> dict[str, float]:
    """Return the seconds that each stage took, and their sum as `total`.

    Return an empty mapping if no times are known.
    """
    result, record = known.result, known.record
    if result is None:
        return timings(record.moments, record.spent, datetime.now(UTC)) if record is not None else {}
    events_over = record.moments.told if record is not None and known.submission.callback else None
    if events_over is None or not result.timings:
        return result.timings
    callback = max(0, round((events_over - result.finished_at).total_seconds(), 3))
    return {**result.timings, "callback": callback, TOTAL: round(result.timings[TOTAL] + callback, 3)}
