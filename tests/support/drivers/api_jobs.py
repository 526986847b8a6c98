"""Jobs that a test brings step by step to the state that it needs: planned, settled part by part, or finished."""

import hashlib
import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import item_line
from maskrelay.contract.records.job import (
    ANY_FLAG,
    Counts,
    FinalObject,
    FlaggedItems,
    Frames,
    Item,
    Result,
    Submission,
)
from maskrelay.contract.records.outcomes import (
    ArtifactRef,
    MaskOutcome,
    Outcome,
    Rle,
)
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.ledger.claims import Claim, Settlement
from tests.support.servers.apis import RunningApi

PNG = b"\x89PNG\r\n\x1a\n"
PROMPT = "optic disc in retinal fundus"


def submit(client: httpx.Client, *images: bytes, prompts: Sequence[str] = (PROMPT,), **more: Any) -> httpx.Response:
    """Submit a form with these images. `options` and `headers` may be given."""
    files = [("image", (f"eye {number}.png", image, "image/png")) for number, image in enumerate(images)]
    data: dict[str, Any] = {"prompt": list(prompts)}
    if "options" in more:
        data["options"] = json.dumps(more["options"])
    return client.post("/v1/jobs", files=files, data=data, headers=more.get("headers"))


def accepted(client: httpx.Client, *images: bytes, **more: Any) -> str:
    """Submit a job and return its id."""
    answer = submit(client, *(images or (b"pixels",)), **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def submission_of(api: RunningApi, job: str) -> Submission:
    return Submission.model_validate_json(api.storage.get(keys.accepted(job)))


def items_of(api: RunningApi, job: str) -> list[Item]:
    submission = submission_of(api, job)
    if submission.items_key is None:
        return list(submission.items)
    return [Item.model_validate_json(line) for line in api.storage.get(submission.items_key).splitlines()]


def plan(api: RunningApi, job: str) -> None:
    """Let all frames be claimed at once, one for each item."""
    lease = None
    while lease is None or lease.job != job:
        lease = api.ledger.step_leases.take("plan")
        assert lease is not None, "nothing is to be planned"
    items = planned_of(api, job)
    api.storage.put(keys.item_part(job, 0), b"".join(item.model_dump_json().encode() + b"\n" for item in items))
    told = {"first": 0, "n": len(items), "spans": [], "last": True, "lane": "interactive", "items": len(items)}
    assert api.ledger.step_leases.extend(lease, 0, **told)


def planned_of(api: RunningApi, job: str) -> list[PlannedItem]:
    """Return every submitted item as an item of one frame."""
    return [
        PlannedItem(item=number, custom_id=item.custom_id, source_name=item.source_name, first=number, frames=1)
        for number, item in enumerate(items_of(api, job))
    ]


def succeeded(
    api: RunningApi, job: str, frame: int, *, content: bytes = PNG, item: int | None = None, index: int = 0
) -> Outcome:
    """Return the outcome of a frame with one mask and an overlay, both in storage.

    `item` is required if an item before it has several frames.
    """
    item = frame if item is None else item

    def stored(key: str) -> ArtifactRef:
        api.storage.put(key, content)
        return ArtifactRef(key=key, length=len(content), sha256=hashlib.sha256(content).hexdigest())

    mask = MaskOutcome(
        prompt=items_of(api, job)[item].prompts[0],
        category="eye anatomies",
        empty=False,
        area_px=12,
        bbox=(1, 2, 3, 4),
        centroid=(2.0, 3.5),
        components=1,
        mean_probability=0.9,
        rle=Rle(size=(8, 8), counts="0@"),
        mask=stored(keys.mask(job, item, frame, 0, "0123abcd")),
    )
    overlay = stored(keys.overlay(job, item, frame, "0123abcd"))
    return Outcome(frame=frame, item=item, index=index, state="succeeded", masks=(mask,), overlay=overlay)


def failed(frame: int) -> Outcome:
    error = Failure(code="truncated", detail="The image file ends too early or is damaged.")
    return Outcome(frame=frame, item=frame, state="failed", error=error)


def settle(api: RunningApi, job: str, number: int, *outcomes: Outcome) -> str:
    """Write a part with these outcomes, whose frames are claimed now, and settle it. Return its name."""
    part = f"{1_000_000 + number:016d}-0123abcd-{number:06d}"
    write_part(api, job, part, *outcomes)
    claims = {}
    while not {outcome.frame for outcome in outcomes} <= claims.keys():
        claim = api.ledger.claims.take(0, ["interactive", "bulk"])
        assert isinstance(claim, Claim), "no frame waits"
        claims.update(dict.fromkeys(claim.frames(), claim.token))
    lines = [Settlement(claims[one.frame], one.frame, one.state == "failed") for one in outcomes]
    assert api.ledger.claims.settle(job, part, lines) == {one.frame for one in outcomes}
    for frame in claims.keys() - {outcome.frame for outcome in outcomes}:
        api.ledger.claims.release(claims[frame], frame)
    return part


def write_part(api: RunningApi, job: str, part: str, *outcomes: Outcome) -> None:
    body = b"".join(outcome.model_dump_json().encode() + b"\n" for outcome in outcomes)
    api.storage.create(keys.outcome_part(job, part), body)


def finish(api: RunningApi, job: str, *outcomes: Outcome, known: bool = True) -> Result:
    """Write the final objects and `result.json`. With `known`, report the end to the ledger.

    Of the items with a flag, those with more flags are listed as more suspicious.
    """
    submission = submission_of(api, job)
    begins, lines = [], b""
    for item, outcome in zip(planned_of(api, job), outcomes, strict=True):
        begins.append(struct.pack(">Q", len(lines)))
        line = item_line(item, (outcome,))
        lines += line.model_dump_json(exclude_none=True).encode() + b"\n"
    good = sum(outcome.state == "succeeded" for outcome in outcomes)
    bad = len(outcomes) - good
    now = datetime.now(UTC)
    result = Result(
        job=job,
        tenant=submission.tenant,
        state="succeeded" if not bad else "partial" if good else "failed",
        created_at=submission.created_at,
        started_at=submission.created_at,
        finished_at=now,
        counts=Counts(total=len(outcomes), succeeded=good, failed=bad),
        frames=Frames(planned=len(outcomes), succeeded=good, failed=bad),
        rescored=0,
        items=_final(api, job, "items.ndjson", lines),
        index=_final(api, job, "items.index", b"".join(begins)),
        flagged=_flagged(api, job, outcomes),
        software={},
        pixels={},
        endpoints=(),
    )
    api.storage.create(keys.result(job), result.model_dump_json().encode())
    if known:
        conclude(api, submission, result)
    return result


def conclude(api: RunningApi, submission: Submission, result: Result) -> None:
    api.ledger.jobs.conclude(
        submission.id,
        tenant=submission.tenant,
        lane=submission.lane,
        created_at=submission.created_at,
        state=result.state,
        items=result.counts.model_dump(),
        frames=result.frames,
    )


def _flagged(api: RunningApi, job: str, outcomes: Sequence[Outcome]) -> FinalObject | None:
    flags = {number: [flag for mask in outcome.masks for flag in mask.flags] for number, outcome in enumerate(outcomes)}
    order = sorted(flags, key=lambda number: -len(flags[number]))
    names = {flag for found in flags.values() for flag in found}
    lists = {flag: [number for number in order if flag in flags[number]] for flag in sorted(names)}
    lists[ANY_FLAG] = [number for number in order if flags[number]]
    lines = [FlaggedItems(flag=flag, items=tuple(items)).model_dump_json() for flag, items in lists.items()]
    return _final(api, job, "flagged.ndjson", "\n".join(lines).encode()) if names else None


def _final(api: RunningApi, job: str, name: str, body: bytes) -> FinalObject:
    key = keys.final(job, "0123456789abcdef", name)
    api.storage.put(key, body)
    return FinalObject(key=key, length=len(body), sha256=hashlib.sha256(body).hexdigest())
