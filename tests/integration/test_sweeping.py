"""The sweep removes what nothing names, and no more; sends what fell silent on its way; and comes on request."""

import os
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import redis

from maskrelay.client.cli import main
from maskrelay.contract import keys
from maskrelay.contract.jobs import Result
from maskrelay.contract.lines import ItemLine
from maskrelay.contract.outcomes import Outcome
from maskrelay.errors import StorageUnavailable
from maskrelay.ledger.claims import Claim
from maskrelay.storage.files import FileStorage
from tests.api_jobs import accepted, failed, submission_of, succeeded
from tests.apis import SERVER_KEY, RunningApi, running_api
from tests.clearing import later, parts_of, removed
from tests.driven import claims_of, driven, finished, planned, scored
from worker import listing
from worker.artifacts import Recorded, store_loose
from worker.clearing import clear
from worker.losing import named_keys
from worker.outcome_parts import part_name, write_part
from worker.reconcile import reconcile
from worker.recovery import recover
from worker.uploads import expire_uploads

TRY, LOST = "1" * 8, "2" * 8


@pytest.fixture
def two(north: httpx.Client) -> str:
    """A job of two pictures, not planned yet."""
    return accepted(north, b"a", b"b", options={"outputs": ["mask", "overlay"]})


def written(api: RunningApi, number: int, claim: Claim, *outcomes: Outcome, worker: str = TRY) -> set[int]:
    """Write these outcomes as a worker's part and settle them under a claim, perhaps one that is lost."""
    part = part_name(1_000_000 + number, worker, number)
    held = [(claim.token, Recorded(one)) for one in outcomes]
    return write_part(api.storage, api.ledger.claims, claim.job, part, held)


def other_try(api: RunningApi, job: str, frame: int) -> Outcome:
    """An outcome of a worker that lost its claim, with files of its own try."""
    outcome = succeeded(api, job, frame)
    body = outcome.model_dump_json().replace("0123abcd", LOST)
    mine = Outcome.model_validate_json(body)
    refs = [mine.masks[0].mask, mine.overlay]
    store_loose(api.storage, {ref.key: b"late" for ref in refs if ref is not None})
    return mine


def lost_claim(api: RunningApi, job: str) -> tuple[Claim, Claim]:
    """The claim of a worker that was taken for dead, and that of who has its frame now."""
    first = next(iter(claims_of(api)))
    assert api.ledger.claims.release(first.token, first.first)
    again = next(claim for claim in claims_of(api) if claim.first == first.first)
    return first, again


def links(client: httpx.Client, job: str) -> Iterator[str]:
    for item in client.get(f"/v1/jobs/{job}/items").json()["items"]:
        yield from (link for mask in item["masks"] for link in mask["links"].values())
        yield from (link for output, link in item["links"].items() if output == "overlay")


def with_losers(api: RunningApi, job: str) -> list[str]:
    """Bring the job to its end with a try that lost, another finisher's files and another submission's items; what is
    stray of it.
    """
    planned(api)
    before = set(api.objects())
    lost, held = lost_claim(api, job)
    loser = other_try(api, job, lost.first)
    assert written(api, 1, held, succeeded(api, job, held.first)) == {held.first}
    assert written(api, 2, lost, loser, worker=LOST) == set()
    scored(api, lambda _: None)
    assert finished(api, job).rescored == 1
    for key in (keys.final(job, "f" * 16, "items.ndjson"), keys.items(job, "f" * 16)):
        api.storage.put(key, b"")
    mine = [key for key in api.objects() if LOST in key or "f" * 16 in key]
    assert len(mine) == 5
    assert not before & set(mine)
    return mine


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
        recorded = [(claim.token, Recorded(outcome, files))]
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


def test_what_lies_beside_an_upload_that_is_not_there_goes(api: RunningApi, north: httpx.Client) -> None:
    gone, there = (
        keys.upload("north", north.post("/v1/uploads", content=content).json()["uploads"][0]["id"])
        for content in (b"gone", b"there")
    )
    api.storage.put(keys.upload_use(gone, "a" * 26), b"")
    api.storage.delete(gone)
    expire_uploads(parts_of(api), later(minutes=59))
    assert keys.upload_facts(gone) in api.objects()
    expire_uploads(parts_of(api), later(minutes=61))
    assert api.objects("uploads/") == [there, keys.upload_facts(there)]


def test_the_mark_of_a_submission_that_never_came_goes_and_the_upload_stays_with_its_job(
    api: RunningApi, north: httpx.Client, two: str
) -> None:
    upload = submission_of(api, two).items[0].source
    api.storage.put(keys.upload_use(upload, "a" * 26), b"")
    expire_uploads(parts_of(api), later(hours=25))
    assert api.objects(keys.upload_use(upload, "")) == [keys.upload_use(upload, two)]
    assert upload in api.objects()


def test_an_old_upload_that_is_just_being_used_is_kept(tmp_path, empty_valkey: str) -> None:
    with running_api(tmp_path / "store", empty_valkey, upload_lifetime=timedelta(hours=2)) as api:
        with api.client() as north:
            upload = keys.upload("north", north.post("/v1/uploads", content=b"x").json()["uploads"][0]["id"])
        moment = later(hours=3)
        api.storage.put(keys.upload_use(upload, "a" * 26), b"")
        # a mark is young for an hour: at the upload's age of three hours this one is written anew
        young = moment - timedelta(minutes=30)
        path = api.folder / keys.upload_use(upload, "a" * 26)
        os.utime(path, (young.timestamp(), young.timestamp()))
        assert expire_uploads(parts_of(api), moment) == 0
        assert upload in api.objects()
        assert expire_uploads(parts_of(api), later(hours=4)) == 1


def test_what_a_submission_left_that_was_never_accepted_goes_after_an_hour(api: RunningApi) -> None:
    job = "b" * 26
    left = [keys.items(job, "0" * 16), keys.live(job), keys.live_cancel(job)]
    for key in left:
        api.storage.put(key, b"")
    reconcile(parts_of(api))
    assert sorted(api.objects()) == sorted(left)
    aged(api, *left)
    assert api.ledger.jobs.begin_accepting(job, "another request", timedelta(minutes=2))
    reconcile(parts_of(api))
    assert sorted(api.objects()) == sorted(left)
    api.ledger.jobs.end_accepting(job)
    assert reconcile(parts_of(api))["submissions never accepted removed"] == 1
    assert api.objects() == []


def test_a_marker_of_cancelling_that_was_left_alone_goes(api: RunningApi, two: str) -> None:
    driven(api, two)
    alone = [keys.live_cancel(two), keys.live_cancel("c" * 26)]
    for key in alone:
        api.storage.put(key, b"")
    aged(api, *alone)
    reconcile(parts_of(api))
    assert api.objects("live/") == []


def aged(api: RunningApi, *of: str) -> None:
    """Let these objects be two hours old."""
    then = later(hours=-2).timestamp()
    for key in of:
        os.utime(api.folder / key, (then, then))


@pytest.mark.parametrize("kind", ["plan", "finish"])
def test_a_step_whose_worker_fell_silent_is_sent_on_its_way_again(
    api: RunningApi, two: str, empty_valkey: str, kind: str
) -> None:
    if kind == "finish":
        planned(api)
        scored(api)
    taken = api.ledger.steps.take(kind)
    assert taken is not None
    assert recovered(api)[f"wake-ups sent: {kind}"] == 0
    lapse(empty_valkey, f"mr:step:{kind}")
    assert recovered(api)[f"wake-ups sent: {kind}"] == 1
    again = api.ledger.steps.take(kind)
    assert again is not None
    assert (again[0], api.ledger.steps.renew(kind, *taken)) == (two, False)
    lapse(empty_valkey, f"mr:step:{kind}")
    assert driven(api, two).counts.succeeded == 2


def test_an_item_whose_assembling_fell_silent_is_sent_on_its_way_again(
    api: RunningApi, two: str, empty_valkey: str
) -> None:
    planned(api)
    scored(api)
    step = api.ledger.steps.take("finish")
    assert step is not None
    assert api.ledger.steps.assemble(two, step[1], [(0, 0)])
    assert api.ledger.assembling.take() is not None
    assert recovered(api)["wake-ups sent: assemble"] == 0
    lapse(empty_valkey, "mr:assembling")
    assert recovered(api)["wake-ups sent: assemble"] == 1
    again = api.ledger.assembling.take()
    assert (again.job, again.tries) == (two, 2)


def lapse(url: str, queue: str) -> None:
    """Let every lease of the queue be over, and every wake-up lost."""
    with redis.Redis.from_url(url) as client:
        client.zadd(queue, dict.fromkeys(client.zrange(queue, 0, -1), 1))
        client.delete(*client.keys("mr:woken:*"), "none")


def recovered(api: RunningApi) -> dict[str, int]:
    return recover(parts_of(api), later())


def listed(client: httpx.Client) -> list[str]:
    return [job["id"] for job in client.get("/v1/jobs").json()["jobs"]]


def test_finished_jobs_are_listed_again_after_redis_was_emptied(
    api: RunningApi, north: httpx.Client, south: httpx.Client, empty_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "KEYS_A_PASS", 10)
    jobs = [accepted(north, b"a") for _ in range(3)]
    other, deleted = accepted(south, b"a"), accepted(north, b"a")
    driven(api, other)
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{deleted}")
    before = listed(north)
    assert before == jobs[::-1]
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
        assert listed(north) == []
        for _ in range(len(api.objects("jobs/")) // 10 + 2):
            clear(parts_of(api), later())
        assert (listed(north), listed(south)) == (before, [other])
        client.delete("mr:tenant:north")
        clear(parts_of(api), later())  # Redis is the same one: nothing is walked through again
        assert listed(north) == []


def test_a_deleted_job_whose_objects_are_still_there_is_not_listed_again(
    api: RunningApi, two: str, empty_valkey: str
) -> None:
    driven(api, two)
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{two}")
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    assert keys.result(two) in api.objects("jobs/")
    assert listing.relist(parts_of(api), api.objects("jobs/")) == 0
    assert api.ledger.jobs.listed("north", None, 10) == []


def test_recovering_puts_an_emptied_ledger_right_at_once_and_a_second_time_finds_nothing(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    done, waiting, running = (accepted(north, b"a") for _ in range(3))
    driven(api, done)
    unplanned = accepted(north, b"b")
    before = set(listed(north))
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    found = recovered(api)
    assert (found["live jobs compared"], found["records restored"]) == (1, 1)
    assert found["finished jobs listed again"] == 3
    assert found["wake-ups sent: plan"] == 1
    assert set(listed(north)) == before == {done, waiting, running, unplanned}
    again = recovered(api)
    assert {what: count for what, count in again.items() if count} == {"live jobs compared": 1}


def test_recovering_sweeps_everything_and_removes_nothing_that_counts(
    api: RunningApi, north: httpx.Client, two: str
) -> None:
    stray = with_losers(api, two)
    kept = set(api.objects()) - set(stray)
    found = recover(parts_of(api), later(minutes=11))
    assert found["objects of losing tries removed"] == len(stray)
    assert set(api.objects()) == kept
    assert Result.model_validate_json(api.storage.get(keys.result(two))).state == "succeeded"


def test_the_command_says_what_it_found_and_did(
    api: RunningApi, two: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASKRELAY_REDIS_URL", api.settings.redis_url.get_secret_value())
    monkeypatch.setenv("MASKRELAY_STORAGE_URL", api.settings.storage_url)
    monkeypatch.setenv("MASKRELAY_SERVER_KEY", SERVER_KEY)
    assert main(["recover"]) == 0
    told = dict(reversed(line.split(maxsplit=1)) for line in capsys.readouterr().out.splitlines())
    assert (told["live jobs compared"], told["records restored"], told["stray uploads removed"]) == ("1", "0", "0")
    assert api.ledger.sweeps.begin_reconciling(timedelta(0))
    assert main(["recover"]) == 0
    assert capsys.readouterr().out.startswith("another process is comparing storage with the ledger")
    monkeypatch.setenv("MASKRELAY_REDIS_URL", "redis://127.0.0.1:9/0")
    assert main(["recover"]) == 3
