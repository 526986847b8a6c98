"""Pages of the items of a running job: what they hold, and that they read no more than their own parts."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import httpx
import pytest
import redis

from api.dependencies.archive import Archive
from api.jobs import completed_items, dead_letters
from api.jobs.items import read_page
from api.jobs.lookup import find_job
from api.jobs.running_outcomes import running_item, visible_line
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.storage.stored_records import write_records
from tests.support.counted_storage import CountedStorage
from tests.support.drivers.api_jobs import accepted, failed, plan, settle, succeeded, write_part
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import RunningApi
from worker.sweep.reconcile import reconcile

#: The frames of each item: photographs, and volumes whose frames are settled in several parts.
FRAMES = (1, 3, 1, 1, 8, 2, 1, 12, 1, 1, 1, 5)
Settled = list[list[int]]


def items() -> list[PlannedItem]:
    firsts = [sum(FRAMES[:number]) for number in range(len(FRAMES))]
    return [
        PlannedItem(item=number, custom_id=str(number), first=first, frames=FRAMES[number])
        for number, first in enumerate(firsts)
    ]


@pytest.fixture
def job(api: RunningApi, north: httpx.Client) -> str:
    """A running job of these items, planned completely."""
    job = accepted(north, *(b"%d" % number for number in range(len(FRAMES))), options={"lane": "bulk"})
    planned = items()
    api.storage.put(keys.item_part(job, 0), b"".join(item.model_dump_json().encode() + b"\n" for item in planned))
    lease = api.ledger.step_leases.take("plan")
    assert lease is not None
    spans = [(item.first, item.frames) for item in planned if item.frames > 1]
    told = {"first": 0, "n": sum(FRAMES), "spans": spans, "last": True, "lane": "bulk", "items": len(FRAMES)}
    assert api.ledger.step_leases.extend(lease, 0, **told)
    return job


def outcome(frame: int) -> Outcome:
    item = next(item for item in items() if item.first <= frame < item.first + item.frames)
    return failed(frame).model_copy(update={"item": item.item, "index": frame - item.first})


def settle_in_parts(api: RunningApi, job: str, sizes: Sequence[int], seed: int = 1) -> Settled:
    """Settle frames in parts of these sizes, out of order as many children do; the frames of each part."""
    tokens: dict[int, str] = {}
    while isinstance(claim := api.ledger.claims.take(0, ["bulk"]), Claim):
        tokens |= dict.fromkeys(claim.frames(), claim.token)
    waiting = sorted(tokens)
    random.Random(seed).shuffle(waiting)
    parts: Settled = []
    for number, size in enumerate(sizes, len(api.ledger.jobs.parts(job))):
        frames, waiting = waiting[:size], waiting[size:]
        name = f"{1_000_000 + number:016d}-0123abcd-{number:06d}"
        write_part(api, job, name, *map(outcome, frames))
        lines = [Settlement(tokens[frame], frame, failed=True) for frame in frames]
        assert api.ledger.claims.settle(job, name, lines) == set(frames)
        parts.append(frames)
    for frame in waiting:
        api.ledger.claims.release(tokens[frame], frame)
    return parts


def in_volumes(api: RunningApi, job: str) -> dict[int, int | None]:
    """The part number of each frame of an item of several frames."""
    volumes = [range(item.first, item.first + item.frames) for item in items() if item.frames > 1]
    numbers = api.ledger.jobs.part_numbers(job, volumes)
    assert None not in numbers
    pairs = (zip(frames, known or [], strict=True) for frames, known in zip(volumes, numbers, strict=True))
    return dict(chain.from_iterable(pairs))


def completed(parts: Settled) -> list[str]:
    """The items in the order in which they are complete."""
    left = Counter({item.item: item.frames for item in items()})
    order = []
    for frame in (frame for frames in parts for frame in frames):
        item = outcome(frame).item
        left[item] -= 1
        if left[item] == 0:
            order.append(str(item))
    return order


def paged(client: httpx.Client, job: str, limit: int) -> Iterator[list[dict[str, Any]]]:
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = client.get(f"/v1/jobs/{job}/items", params=query).json()
        yield page["items"]
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


def listed(client: httpx.Client, job: str, limit: int) -> list[str]:
    return [item["custom_id"] for page in paged(client, job, limit) for item in page]


@pytest.mark.parametrize("earlier_release", [False, True])
def test_items_come_in_the_order_of_completion_whatever_the_size_of_a_page(
    api: RunningApi, north: httpx.Client, job: str, empty_valkey: str, earlier_release: bool
) -> None:
    parts = settle_in_parts(api, job, [3, 1, 7, 2, 9, 1, 4])
    if earlier_release:  # which did not record part numbers
        with redis.Redis.from_url(empty_valkey) as client:
            client.setrange(f"mr:part_numbers:{job}", 4 * 33, bytes(4))
    expected = completed(parts)
    assert 3 < len(expected) < len(FRAMES)
    for limit in (1, 2, 5, 100):
        assert listed(north, job, limit) == expected
    whole = [item for page in paged(north, job, 100) for item in page]
    assert [len(item.get("frames", [None])) for item in whole] == [FRAMES[int(name)] for name in expected]


def test_what_is_settled_between_two_pages_comes_in_a_later_one(api: RunningApi, north: httpx.Client, job: str) -> None:
    parts = settle_in_parts(api, job, [14, 10])
    pages = paged(north, job, 1)
    found = [*next(pages)]
    parts += settle_in_parts(api, job, [5, 8], seed=2)
    found += [item for page in pages for item in page]
    assert [item["custom_id"] for item in found] == completed(parts)


def test_items_are_paged_after_a_loss_of_redis(
    api: RunningApi, north: httpx.Client, job: str, empty_valkey: str
) -> None:
    parts = settle_in_parts(api, job, [3, 8, 2, 11])
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    assert listed(north, job, 3) == completed(parts)  # from storage
    planned = [PlannedFrame(frame=n, item=0, source="s", size=1, sha256="", prompts=("a",)) for n in range(sum(FRAMES))]
    write_records(api.storage, keys.frame_part(job, 0), planned)
    reconcile(parts_of(api))
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert record.frames.failed == 24
    expected = {frame: number for number, frames in enumerate(parts) for frame in frames}
    assert in_volumes(api, job) == {frame: expected.get(frame) for frame in in_volumes(api, job)}
    assert listed(north, job, 3) == completed(parts)


def test_frames_that_finish_reopens_have_no_part_until_they_are_settled_again(api: RunningApi, job: str) -> None:
    settle_in_parts(api, job, [20, 17])
    lease = api.ledger.step_leases.take("finish")
    assert lease is not None
    assert api.ledger.step_leases.reopen(lease, [2, 24])
    assert {frame for frame, number in in_volumes(api, job).items() if number is None} == {2, 24}
    settle_in_parts(api, job, [2])
    numbers = in_volumes(api, job)
    assert (numbers[2], numbers[24]) == (2, 2)
    assert sorted(set(numbers.values())) == [0, 1, 2]


def test_an_item_whose_frames_finish_reopens_is_counted_again_when_they_are_settled(
    api: RunningApi, north: httpx.Client, job: str
) -> None:
    def counts() -> dict[str, int]:
        return dict(north.get(f"/v1/jobs/{job}").json()["counts"])

    settle_in_parts(api, job, [20, 17])
    whole = counts()
    assert whole["failed"] == len(FRAMES)
    lease = api.ledger.step_leases.take("finish")
    assert lease is not None
    assert api.ledger.step_leases.reopen(lease, [0, 2, 3])  # a photograph, and two frames of one volume
    assert counts() == {**whole, "failed": len(FRAMES) - 2}
    settle_in_parts(api, job, [3])
    assert counts() == whole


def test_an_item_whose_part_is_lost_is_left_out(api: RunningApi, north: httpx.Client, job: str) -> None:
    parts = settle_in_parts(api, job, [10, 10, 10])
    name, _ = api.ledger.jobs.parts(job)[0]
    api.storage.delete(keys.outcome_part(job, name))
    lost = {str(outcome(frame).item) for frame in parts[0]}
    assert listed(north, job, 4) == [item for item in completed(parts) if item not in lost]


def test_a_file_of_a_running_job_is_found(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    claim = api.ledger.claims.take(0, ["interactive"])
    assert isinstance(claim, Claim)
    name = f"{1_000_000:016d}-0123abcd-000001"
    write_part(api, job, name, succeeded(api, job, claim.first))
    api.ledger.claims.settle(job, name, [Settlement(claim.token, claim.first, failed=False)])
    files = f"/v1/jobs/{job}/artifacts"
    assert north.get(f"{files}/{claim.first}-{claim.first}-0.mask.png").status_code == 200
    assert north.get(f"{files}/{1 - claim.first}-{1 - claim.first}-0.mask.png").status_code == 404


def test_a_page_reads_its_own_parts_and_no_others(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, *(b"%d" % number for number in range(30)))
    plan(api, job)
    for number in range(30):
        settle(api, job, number, failed(number))
    dependencies: Any = _Dependencies(api)
    known = find_job(dependencies, "north", job)
    cursor, read = None, []
    while not read or cursor is not None:
        storage = dependencies.fresh()
        page = read_page(dependencies, known, cursor, 2)
        assert len(page.lines) == 2
        read.append(sum(1 for key in storage.read.elements() if key.startswith(keys.outcomes(job))))
        cursor = page.next
    assert len(read) == 15
    assert max(read) <= 1 + 1 + 2  # a page needs three lines: its own, and the first of the next page


def test_an_item_of_a_running_job_is_found_near_its_place_in_the_list_of_parts(
    api: RunningApi, north: httpx.Client
) -> None:
    job = accepted(north, *(b"%d" % number for number in range(30)))
    plan(api, job)
    late = 3  # was tried again, so its part is far from its place
    order = [number for number in range(26) if number != late] + [late]
    for place, number in enumerate(order):
        settle(api, job, place, failed(number))
    dependencies: Any = _Dependencies(api)
    known = find_job(dependencies, "north", job)

    def parts_read(item: int) -> int:
        storage = dependencies.fresh()
        line = running_item(dependencies, known, item)
        assert line == visible_line(dependencies, known, item, item)
        assert (line.item if line else None) == (item if item < 26 else None)
        return sum(1 for key in storage.read if key.startswith(keys.outcomes(job)))

    assert max(parts_read(item) for item in order[:-1]) <= 8
    assert parts_read(late) <= 26
    assert parts_read(29) == 0


def test_a_page_of_the_failed_frames_reads_a_bounded_number_of_parts_even_if_hardly_any_frame_failed(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PARTS_OF_PAGE", 4)
    job = accepted(north, *(b"%d" % number for number in range(30)))
    plan(api, job)
    for number in range(30):
        settle(api, job, number, failed(number) if number in {0, 29} else succeeded(api, job, number))
    dependencies: Any = _Dependencies(api)
    known = find_job(dependencies, "north", job)
    cursor, read, found = None, [], []
    while not read or cursor is not None:
        storage = dependencies.fresh()
        page = dead_letters.read_dead_letters(dependencies, known, cursor, 10, None)
        found += [one.custom_id for one in page.dead_letters]
        read.append(sum(1 for key in storage.read.elements() if key.startswith(keys.outcomes(job))))
        cursor = page.next
    assert found == ["0", "29"]
    assert max(read) <= 5


def test_a_page_ends_when_few_items_of_many_parts_are_complete(
    api: RunningApi, north: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completed_items, "PARTS_OF_PAGE", 4)
    parts = settle_in_parts(api, job, [1] * 30)
    pages = list(paged(north, job, 100))
    assert [item["custom_id"] for page in pages for item in page] == completed(parts)
    assert len(pages) >= 5


class _Dependencies:
    """What reading a page needs, with a cold cache for each page."""

    def __init__(self, api: RunningApi) -> None:
        self.ledger = api.ledger
        self._storage = api.storage
        self.fresh()

    def fresh(self) -> CountedStorage:
        self.storage = CountedStorage(self._storage)
        self.archive = Archive(self.storage)  # type: ignore[arg-type]
        return self.storage
