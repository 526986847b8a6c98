"""The sweep removes what losing tries left, and no more."""

import httpx
import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.errors import StorageUnavailable
from maskrelay.ledger.claims import Claim
from maskrelay.storage.file_store import FileStorage
from tests.support.drivers.api_jobs import failed, succeeded
from tests.support.drivers.cleanup_passes import (
    aged,
    later,
    parts_of,
    removed,
)
from tests.support.drivers.driven_jobs import (
    driven,
    finished,
    planned,
    scored,
)
from tests.support.drivers.superseded_attempts import (
    LOST,
    TRY,
    links,
    lost_claim,
    other_try,
    with_losers,
    written,
)
from tests.support.servers.apis import RunningApi
from worker.cleanup.cleanup_pass import clear
from worker.cleanup.stray_objects import named_keys
from worker.context.job_records.outcome_parts import RecordedPart, part_name, write_part


def test_what_losing_tries_left_is_swept_once_all_is_quiet_and_every_file_stays(
    api: RunningApi, north: httpx.Client, two: str
) -> None:
    stray = with_losers(api, two)
    kept = set(api.objects()) - set(stray)
    result = api.storage.get(keys.result(two))
    clear(parts_of(api), later(minutes=9))
    assert set(api.objects()) == kept | set(stray)
    clear(parts_of(api), later(minutes=11))
    assert set(api.objects()) == kept
    assert api.objects(keys.SWEEPING) == []
    assert api.storage.get(keys.result(two)) == result
    answers = [north.get(link) for link in links(north, two)]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert len(answers) >= 2


def test_files_that_share_a_pack_stay_with_it_and_a_pack_that_lost_goes(
    api: RunningApi, north: httpx.Client, two: str
) -> None:
    planned(api)
    lost, held = lost_claim(api, two)
    for number, claim, worker in ((1, held, TRY), (2, lost, LOST)):
        pixels = f"pixels of {worker}".encode()
        outcome = succeeded(api, two, claim.first, content=pixels)
        assert outcome.overlay is not None
        files = {outcome.overlay.key: pixels}
        recorded = [(claim.token, RecordedPart(outcome, files))]
        write_part(api.storage, api.ledger.claims, two, part_name(number, worker, number), recorded)
    scored(api)
    finished(api, two)
    assert len(api.objects(keys.packs(two))) == 2
    clear(parts_of(api), later(minutes=11))
    assert api.objects(keys.packs(two)) == [keys.pack(two, part_name(1, TRY, 1))]
    item = north.get(f"/v1/jobs/{two}/items").json()["items"][held.first]
    assert north.get(item["links"]["overlay"]).content == f"pixels of {TRY}".encode()


def test_a_worker_that_wakes_after_the_sweep_has_its_job_swept_once_more(api: RunningApi, two: str) -> None:
    planned(api)
    lost, held = lost_claim(api, two)
    written(api, 1, held, failed(held.first))
    scored(api)
    finished(api, two)
    clear(parts_of(api), later(minutes=11))
    kept = api.objects()
    assert written(api, 2, lost, other_try(api, two, lost.first), worker=LOST) == set()
    clear(parts_of(api), later(minutes=9))
    assert len(api.objects()) > len(kept)
    clear(parts_of(api), later(minutes=11))
    assert [key for key in api.objects() if LOST in key] == []
    assert set(kept) - set(api.objects()) == set()


def test_nothing_of_a_job_that_has_not_ended_is_swept(api: RunningApi, two: str) -> None:
    planned(api)
    lost, held = lost_claim(api, two)
    written(api, 1, held, succeeded(api, two, held.first))
    written(api, 2, lost, other_try(api, two, lost.first), worker=LOST)
    before = api.objects("jobs/", keys.SWEEPING)
    assert keys.sweeping(two) in before
    clear(parts_of(api), later(days=1))
    assert api.objects("jobs/", keys.SWEEPING) == before


def test_an_answer_that_broke_the_contract_stays_while_its_frame_failed(api: RunningApi, two: str) -> None:
    answers = [keys.rejected_answer(two, frame, frame, TRY) for frame in range(2)]
    for key in answers:
        api.storage.put(key, b"{}")
    driven(api, two, lambda frame: "answer_invalid" if frame.frame == 1 else None)
    clear(parts_of(api), later(minutes=11))
    assert [key for key in answers if key in api.objects()] == answers[1:]


def test_the_mark_of_a_job_that_was_deleted_goes(api: RunningApi, two: str) -> None:
    driven(api, two)
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{two}")
    removed(api)
    clear(parts_of(api), later(minutes=11))
    assert api.objects("jobs/", "live/", "uploads/", keys.SWEEPING, keys.REMOVING) == [keys.gone(two)]


def test_a_sweep_that_dies_half_way_is_done_again(api: RunningApi, two: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = with_losers(api, two)
    kept = set(api.objects()) - set(stray)
    delete, deleted = FileStorage.delete, []

    def failing(storage: FileStorage, key: str) -> None:
        deleted.append(key)
        if len(deleted) > 2:
            raise StorageUnavailable
        delete(storage, key)

    with monkeypatch.context() as broken:
        broken.setattr(FileStorage, "delete", failing)
        with pytest.raises(StorageUnavailable):
            clear(parts_of(api), later(minutes=11))
    clear(parts_of(api), later(minutes=11))
    assert set(api.objects()) == kept


def test_a_try_that_is_refused_while_its_job_is_swept_is_swept_next(
    api: RunningApi, two: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_losers(api, two)
    aged(api, keys.sweeping(two))
    delete = FileStorage.delete

    def meanwhile(storage: FileStorage, key: str) -> None:
        if LOST in key:  # a part of the losing worker goes, and just then it writes another
            monkeypatch.setattr(FileStorage, "delete", delete)
            assert written(api, 7, lost, other_try(api, two, 0), worker="3" * 8) == set()
        delete(storage, key)

    lost = Claim("a lost token", two, "north", "interactive", 0, 1, False, (), 0)
    monkeypatch.setattr(FileStorage, "delete", meanwhile)
    clear(parts_of(api), later())
    assert api.objects(keys.SWEEPING) == [keys.sweeping(two)]
    clear(parts_of(api), later(minutes=11))
    assert [key for key in api.objects() if LOST in key or "3" * 8 in key] == []


def test_names_are_found_wherever_a_stream_is_cut_and_not_in_a_callers_words(api: RunningApi, two: str) -> None:
    outcome = succeeded(api, two, 0)
    words = outcome.masks[0].model_copy(update={"prompt": '"key":"jobs/of a caller"'})
    line = ItemLine(
        item=0, custom_id='x","key":"y', state="succeeded", outcomes=(outcome.model_copy(update={"masks": (words,)}),)
    )
    raw = line.model_dump_json(exclude_none=True).encode()
    assert words.mask is not None
    assert outcome.overlay is not None
    wanted = {words.mask.key, outcome.overlay.key}
    for size in (1, 7, 100, 10_000):
        assert named_keys(raw[place : place + size] for place in range(0, len(raw), size)) == wanted
