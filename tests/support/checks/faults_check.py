"""The check with which every fault test ends, and what it returns for the table."""

import hashlib
import json
from collections import Counter, defaultdict
from datetime import timedelta

from maskrelay.contract.records import keys
from maskrelay.contract.records.delivery_records import DeliveryEnd
from maskrelay.contract.records.events import EVENT_TYPES, event_id
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import Result
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.views.job_views import JobShown
from maskrelay.storage.protocol import has
from tests.support.checks.leftovers import leaks, orphans
from tests.support.drivers.stack_behind_proxies import (
    PATIENCE_S,
    PROCESSES,
    Scene,
    Sent,
)
from tests.support.servers.simulators import eventually

LONG = timedelta(minutes=4)


def check(scene: Scene, *, failed: dict[str, str] | None = None, cancelled: bool = False) -> int:
    """Check that every accepted frame has one visible outcome, every job is terminal, and nothing is left over.

    Each transition must also have only one event id. `failed` gives the codes of the items that must have failed, by
    custom id. Return how many frames were scored more than once.
    """
    done = [_ended(scene, job) for job in scene.sent]
    for job, ended in zip(scene.sent, done, strict=True):
        _check_job(scene, job, ended, failed or {}, cancelled=cancelled)
    assert scene.accepted() == {job.id for job in scene.sent}, "a job that nobody was told of"
    assert scene.listed() <= scene.accepted(), "a job is shown that was not accepted"
    _check_events(scene)
    _check_left(scene)
    assert eventually(lambda: scene.stack.processes.keys() >= PROCESSES), "a process has ended"
    once = sum(ended.frames.succeeded for ended in done)
    return max(0, scene.scored() - once)


def _ended(scene: Scene, job: Sent) -> JobShown:
    with scene.client(job.tenant) as client:
        return client.wait(job.id, timedelta(seconds=PATIENCE_S))


def _check_job(scene: Scene, job: Sent, ended: JobShown, failed: dict[str, str], *, cancelled: bool) -> None:
    with scene.client(job.tenant) as client:
        items = list(client.items(job.id))
    numbers = [str(number) for number in range(len(job.frames))]
    assert Counter(item.custom_id for item in items) == Counter(numbers), "lost or doubled in the answer"
    assert ended.counts.total == len(job.frames), f"{ended.counts.total} items of {len(job.frames)}"
    if cancelled:
        assert ended.state in {"cancelled", "succeeded"}, f"the job is {ended.state}"
    else:
        errors = {item.custom_id: item.error.code for item in items if item.error}
        assert errors == failed, f"{len(errors)} items failed, {len(failed)} were to: {sorted(set(errors.values()))}"
        assert ended.state == ("partial" if failed else "succeeded"), f"the job is {ended.state}"
    _check_storage(scene, job, cancelled=cancelled)


def _check_storage(scene: Scene, job: Sent, *, cancelled: bool) -> None:
    """Check what `result.json` states: one line for each item, and each mask in its source's geometry and
    named by a part.
    """
    store = scene.storage
    result = Result.model_validate_json(store.get(keys.result(job.id)))
    body = store.get(result.items.key)
    assert hashlib.sha256(body).hexdigest() == result.items.sha256, "the final object is another"
    lines = [ItemLine.model_validate_json(line) for line in body.splitlines()]
    assert [line.item for line in lines] == list(range(len(job.frames))), "lost or doubled in storage"
    known = {
        _as_found(outcome)
        for key in store.list(keys.outcomes(job.id))
        for outcome in map(Outcome.model_validate_json, store.get(key).splitlines())
    }
    for line, frames in zip(lines, job.frames, strict=True):
        assert cancelled or len(line.outcomes) == frames, "lost or doubled frames of an item"
        for outcome in line.outcomes:
            assert outcome.state == "cancelled" or _as_found(outcome) in known, "an outcome of no part"
            _check_masks(scene, outcome, job.size(line.item))


def _as_found(outcome: Outcome) -> str:
    """Return the outcome without the flags of its masks, because finishing judges them again with those
    of the whole job.
    """
    masks = (mask.model_copy(update={"flags": ()}) for mask in outcome.masks)
    return outcome.model_copy(update={"masks": tuple(masks)}).model_dump_json()


def _check_masks(scene: Scene, outcome: Outcome, size: tuple[int, int]) -> None:
    for mask in outcome.masks:
        assert mask.rle.size == size, "a mask of another size"
        assert mask.mask is not None, "a mask without its file"
        body = scene.storage.get(mask.mask.key, mask.mask.offset, mask.mask.length)
        assert hashlib.sha256(body).hexdigest() == mask.mask.sha256, "a file of other bytes"


def _check_events(scene: Scene) -> None:
    """Check that each job sent one end, under one id and with one body, even if it was sent several times,
    and nothing after it.
    """
    for job in scene.sent:
        result = Result.model_validate_json(scene.storage.get(keys.result(job.id)))
        terminal = event_id(job.id, f"job.{result.state}")
        assert eventually(lambda one=terminal: one in told(scene), within_s=60), "no callback"
        assert eventually(lambda job=job: _is_over(scene, job), within_s=60), "an event is not over"
    bodies = defaultdict(set)
    for got in scene.told.received:
        bodies[got.headers["webhook-id"]].add(got.body)
    assert all(len(all_of_one) == 1 for all_of_one in bodies.values()), "one event in two bodies"
    ours = {job.id for job in scene.sent}
    types = Counter((event["data"]["id"], event["type"]) for event in map(json.loads, _once(scene)))
    assert {job for job, _ in types} <= ours, "an event of another job"
    assert set(types.values()) <= {1}, "two ids of one transition"


def _once(scene: Scene) -> list[bytes]:
    """Return the body of each event id."""
    return list({got.headers["webhook-id"]: got.body for got in scene.told.received}.values())


def told(scene: Scene) -> Counter[str]:
    """Return how often each event arrived."""
    return Counter(got.headers["webhook-id"] for got in scene.told.received)


def delivered(scene: Scene) -> set[str]:
    """Return the events that have their delivery marker."""
    everything = ((job, event_id(job.id, kind)) for job in scene.sent for kind in EVENT_TYPES)
    return {event for job, event in everything if has(scene.storage, keys.delivered(job.id, event))}


def _is_over(scene: Scene, job: Sent) -> bool:
    """Return whether every event that happened has its marker, and the marker says that it was delivered."""
    happened = [event_id(job.id, kind) for kind in EVENT_TYPES]
    happened = [event for event in happened if has(scene.storage, keys.event(job.id, event))]
    markers = [keys.delivered(job.id, event) for event in happened]
    if not all(has(scene.storage, marker) for marker in markers):
        return False
    ends = [DeliveryEnd.model_validate_json(scene.storage.get(marker)) for marker in markers]
    return all(end.status == 204 for end in ends)


def _check_left(scene: Scene) -> None:
    """Check that no lease, slot, step or delivery is held, no job is live, and after a sweep, no object is unused."""
    left: list[str] = []

    def nothing() -> bool:
        left[:] = [*leaks(scene), *orphans(scene)]
        return not left

    assert eventually(nothing, within_s=min(30, PATIENCE_S)), left
