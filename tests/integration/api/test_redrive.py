"""What failed is done again as a new job that is linked with the old one."""

from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
import redis

from maskrelay.callbacks.sealing import unseal
from maskrelay.callbacks.signature import derive_secret
from maskrelay.client import Client
from maskrelay.contract.records import keys
from maskrelay.errors import NothingToRedrive
from tests.support.builders.phantoms import (
    ball,
    oblique,
    series,
    voxels,
)
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import accepted, items_of, submission_of
from tests.support.drivers.cleanup_passes import later, parts_of, removed
from tests.support.drivers.driven_jobs import (
    by_frame,
    driven,
    ended,
    frames_of,
    letters,
    planned,
    scored,
)
from tests.support.servers.apis import SERVER_KEY, RunningApi
from worker.cleanup.deleted_jobs import remove_gone
from worker.context.halted_jobs import halt
from worker.sweep.reconcile import reconcile

ONLY_MASKS = {"outputs": ["mask"]}


def redriven(client: httpx.Client, job: str, **query: Any) -> str:
    answer = client.post(f"/v1/jobs/{job}/redrive", params=query)
    assert answer.status_code in {200, 202}, answer.text
    return str(answer.json()["id"])


def uploaded(client: httpx.Client, files: Sequence[bytes], names: Sequence[str]) -> str:
    """A job of these files under these custom ids."""
    ids = [client.post("/v1/uploads", content=file).json()["uploads"][0]["id"] for file in files]
    items = [{"upload": one, "custom_id": name} for one, name in zip(ids, names, strict=True)]
    return str(client.post("/v1/jobs", json={"items": items, "prompts": ["liver"], "options": ONLY_MASKS}).json()["id"])


def test_a_job_without_failures_has_no_dead_letters_and_nothing_to_redrive(
    api: RunningApi, north: httpx.Client
) -> None:
    job = ended(api, north, 2, {})
    assert letters(north, job) == {"dead_letters": [], "redriven_as": [], "next": None}
    assert "dead_letters" not in north.get(f"/v1/jobs/{job}").json()["links"]
    answer = north.post(f"/v1/jobs/{job}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_redrive")


def test_a_job_that_has_not_ended_is_not_redriven(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    planned(api)
    scored(api, by_frame({0: "truncated"}))
    answer = north.post(f"/v1/jobs/{job}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ended")


def test_a_job_that_was_halted_is_said_to_be_for_an_operator(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    halt(parts_of(api), job, "plan")
    answer = north.post(f"/v1/jobs/{job}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ended")
    assert "maskrelay recover" in answer.json()["detail"]


def test_the_failed_items_are_done_again_as_a_new_job_and_the_old_result_stays(
    api: RunningApi, north: httpx.Client
) -> None:
    options = {**ONLY_MASKS, "metadata": {"study": 7}, "one_prompt_per_request": True, "lane": "bulk"}
    job = ended(api, north, 4, {1: "truncated", 3: "scoring_failed"}, **options)
    before = api.storage.get(keys.result(job))
    answer = north.post(f"/v1/jobs/{job}/redrive")
    new = answer.json()
    assert (answer.status_code, new["redrive_of"], new["counts"]["total"]) == (202, job, 2)
    assert answer.headers["location"].endswith(new["id"])
    old, again = submission_of(api, job), submission_of(api, new["id"])
    same = {"outputs", "pixels", "endpoint", "one_prompt_per_request", "metadata", "lane", "tenant"}
    assert again.model_dump(include=same) == old.model_dump(include=same)
    assert items_of(api, new["id"]) == [items_of(api, job)[1], items_of(api, job)[3]]
    result = driven(api, new["id"])
    assert (result.state, result.counts.succeeded) == ("succeeded", 2)
    assert [one["custom_id"] for one in north.get(f"/v1/jobs/{new['id']}/items").json()["items"]] == ["1", "3"]
    assert letters(north, job)["redriven_as"] == [new["id"]]
    assert api.storage.get(keys.result(job)) == before


def test_what_no_second_try_can_change_is_left_out_unless_it_is_named(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 3, {0: "not_an_image", 1: "scoring_failed", 2: "burned_in_annotation"})
    assert [item.custom_id for item in items_of(api, redriven(north, job))] == ["1"]
    assert [item.custom_id for item in items_of(api, redriven(north, job, code="not_an_image"))] == ["0"]
    hopeless = ended(api, north, 1, {0: "not_an_image"})
    answer = north.post(f"/v1/jobs/{hopeless}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_redrive")


def test_a_repeated_redrive_is_the_same_job_also_when_redis_is_empty(
    api: RunningApi, north: httpx.Client, api_valkey: str
) -> None:
    job = ended(api, north, 2, {0: "truncated", 1: "scoring_failed"})
    first = redriven(north, job)
    assert redriven(north, job) == first
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    assert redriven(north, job) == first
    other = redriven(north, job, code="truncated")
    assert other != first
    assert [item.custom_id for item in items_of(api, other)] == ["0"]
    assert set(letters(north, job)["redriven_as"]) == {first, other}
    reconcile(parts_of(api))
    driven(api, first)
    answer = north.post(f"/v1/jobs/{job}/redrive")
    assert (answer.status_code, answer.json()["id"]) == (200, first)


def test_a_redrive_that_was_never_accepted_is_not_named(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 1, {0: "truncated"})
    api.storage.put(keys.redriven(job, "a" * 26), b"")
    assert letters(north, job)["redriven_as"] == []


def test_what_fails_again_is_redriven_from_the_new_job(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 3, {0: "scoring_failed", 2: "scoring_failed"})
    second = redriven(north, job)
    driven(api, second, lambda frame: "scoring_failed" if frame.frame == 1 else None)
    third = redriven(north, second)
    assert third not in {job, second}
    assert [item.custom_id for item in items_of(api, third)] == ["2"]


def test_of_a_zip_only_the_failed_members_are_done_again_under_their_names(
    api: RunningApi, north: httpx.Client
) -> None:
    pictures = [(f"{number}.png", saved(gradient(40 + number, 30), "PNG")) for number in range(5)]
    job = uploaded(north, [a_zip(*pictures, ("notes.txt", b"hi")), saved(gradient(), "PNG")], ["box", "alone"])
    driven(api, job, by_frame({1: "truncated", 4: "truncated"}))
    old = frames_of(api, job)
    new = redriven(north, job)
    result = driven(api, new, lambda frame: "truncated" if frame.frame == 1 else None)
    assert (result.counts.total, result.counts.failed) == (2, 1)
    names = [one["custom_id"] for one in north.get(f"/v1/jobs/{new}/items").json()["items"]]
    assert names == ["box/1", "box/4"]
    assert [frame.extent for frame in frames_of(api, new)] == [old[1].extent, old[4].extent]
    third = redriven(north, new)
    driven(api, third)
    assert [one["custom_id"] for one in north.get(f"/v1/jobs/{third}/items").json()["items"]] == ["box/4"]


def test_a_series_with_a_failed_slice_is_done_again_as_a_whole(api: RunningApi, north: httpx.Client) -> None:
    raster = oblique((40, 36, 6), (1.0, 1.0, 3.0))
    slices = series(raster, voxels(raster, ball((0, 0, 0), 9)), np.arange(6))
    other = saved(gradient(), "PNG")
    zipped = a_zip(*((f"{number}.dcm", file) for number, file in enumerate(slices[4:])), ("x.png", other))
    names = [*"abcd", "box", "alone"]
    job = uploaded(north, [*slices[:4], zipped, other], names)
    driven(api, job, lambda frame: "scoring_failed" if frame.of == 6 and frame.index == 2 else None)
    assert [len(one.get("frames", [0])) for one in north.get(f"/v1/jobs/{job}/items").json()["items"]] == [6, 1, 1]
    new = redriven(north, job)
    driven(api, new)
    [item] = north.get(f"/v1/jobs/{new}/items").json()["items"]
    assert (item["custom_id"], item["members"], len(item["frames"])) == ("a", [*"abcd", "box"], 6)


def test_a_zip_that_could_not_be_read_is_done_again_as_a_whole(api: RunningApi, north: httpx.Client) -> None:
    broken = a_zip(("1.png", saved(gradient(), "PNG")))[:-30]
    job = uploaded(north, [broken, saved(gradient(), "PNG")], ["box", "alone"])
    driven(api, job)
    assert [one["custom_id"] for one in letters(north, job)["dead_letters"]] == ["box"]
    new = redriven(north, job)
    assert driven(api, new).counts.total == 1
    assert [item.only for item in items_of(api, new)] == [None]


def test_a_redriven_job_that_is_cancelled_before_it_is_planned_names_what_it_was_to_do(
    api: RunningApi, north: httpx.Client
) -> None:
    zipped = a_zip(*((f"{number}.png", saved(gradient(40 + number, 30), "PNG")) for number in range(3)))
    job = uploaded(north, [zipped], ["box"])
    driven(api, job, by_frame({1: "truncated", 2: "truncated"}))
    new = redriven(north, job)
    north.post(f"/v1/jobs/{new}/cancel")
    assert driven(api, new).state == "cancelled"
    names = [one["custom_id"] for one in north.get(f"/v1/jobs/{new}/items").json()["items"]]
    assert names == ["box/1", "box/2"]


def test_many_items_lie_beside_the_submission_as_in_any_job(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 25, dict.fromkeys(range(24), "scoring_failed"))
    new = redriven(north, job)
    assert submission_of(api, new).items_key is not None
    assert driven(api, new).counts.succeeded == 24


def test_a_callback_is_told_of_the_new_job_under_its_own_secret(api: RunningApi, north: httpx.Client) -> None:
    given = "whsec_" + "A" * 40
    callback = {"url": "http://127.0.0.1:9/hook", "secret": given, "events": ["job.failed"]}
    job = ended(api, north, 1, {0: "truncated"}, callback=callback)
    new = submission_of(api, redriven(north, job)).callback
    assert new is not None
    assert new.sealed is not None
    assert (new.url, new.events) == (callback["url"], ("job.failed",))
    assert unseal(SERVER_KEY.encode(), new.sealed, redriven(north, job)) == given
    generated = ended(api, north, 1, {0: "truncated"}, callback={"url": callback["url"]})
    secrets = [north.post(f"/v1/jobs/{generated}/redrive").json()["callback"]["secret"] for _ in range(2)]
    assert secrets == [derive_secret(SERVER_KEY.encode(), redriven(north, generated))] * 2


def test_uploads_outlive_the_old_job_as_long_as_the_new_one_uses_them(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 2, {0: "truncated"})
    new = redriven(north, job)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{job}").status_code == 204
    removed(api)
    assert north.get(f"/v1/jobs/{new}").json()["redrive_of"] == job
    assert driven(api, new).state == "succeeded"
    assert api.storage.head(items_of(api, new)[0].source).size > 0
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{new}")
    removed(api)
    assert api.objects("uploads/") == []
    assert north.post(f"/v1/jobs/{new}/redrive").status_code == 410


def test_an_upload_that_is_gone_is_told_and_nothing_is_accepted(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 2, {0: "truncated", 1: "scoring_failed"})
    api.storage.delete(items_of(api, job)[0].source)
    before = api.objects()
    answer = north.post(f"/v1/jobs/{job}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_gone")
    assert answer.json()["detail"].startswith("1 of 2 uploads")
    assert api.objects() == before
    assert [item.custom_id for item in items_of(api, redriven(north, job, code="scoring_failed"))] == ["1"]


def test_a_redriven_job_that_was_deleted_is_gone_and_not_made_once_more(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 1, {0: "truncated"})
    new = redriven(north, job)
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{new}")
    assert north.post(f"/v1/jobs/{job}/redrive").json()["code"] == "gone"
    remove_gone(parts_of(api), later())
    assert north.get(f"/v1/jobs/{job}").json()["state"] == "failed"


def test_nothing_of_another_tenants_failures_is_seen_or_redriven(
    api: RunningApi, north: httpx.Client, south: httpx.Client
) -> None:
    job = ended(api, north, 1, {0: "truncated"})
    before = api.objects()
    assert south.get(f"/v1/jobs/{job}/dead-letters").status_code == 404
    assert south.post(f"/v1/jobs/{job}/redrive").status_code == 404
    everything = south.post("/v1/redrive").json()
    assert everything == {"jobs": [], "refused": [], "next": None}
    assert api.objects() == before


def test_all_of_a_tenants_failures_are_redriven_page_by_page_and_a_repeat_changes_nothing(
    api: RunningApi, north: httpx.Client, south: httpx.Client
) -> None:
    jobs = [ended(api, north, 2, {0: "truncated"}) for _ in range(3)]
    ended(api, north, 1, {})
    other = ended(api, south, 1, {0: "truncated"})
    lost = ended(api, north, 1, {0: "scoring_failed"})
    api.storage.delete(items_of(api, lost)[0].source)
    with Client(api.url, "north") as client:
        done = client.redrive_all()
        again = client.redrive_all()
        assert client.redrive_all(code="not_an_image").jobs == []
    assert {job.redrive_of for job in done.jobs} == set(jobs)
    assert [(one.job, one.error.code) for one in done.refused] == [(lost, "upload_gone")]
    assert {job.id for job in again.jobs} == {job.id for job in done.jobs}
    assert letters(south, other)["redriven_as"] == []
    answer = north.post("/v1/redrive", params={"limit": 2}).json()
    assert answer["next"] is not None


def test_the_client_redrives_one_job_and_lists_what_failed(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 3, {0: "truncated", 1: "scoring_failed"})
    with Client(api.url, "north") as client:
        assert [one.error.code for one in client.dead_letters(job)] == ["truncated", "scoring_failed"]
        assert [one.custom_id for one in client.dead_letters(job, "truncated")] == ["0"]
        new = client.redrive(job, "truncated")
        assert (new.redrive_of, new.counts.total) == (job, 1)
        with pytest.raises(NothingToRedrive):
            client.redrive(job, "not_an_image")
