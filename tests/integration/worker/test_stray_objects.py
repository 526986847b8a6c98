"""The sweep removes uploads, marks and markers that nothing came of, once they are old."""

import os
from datetime import timedelta

import httpx

from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import accepted, submission_of
from tests.support.drivers.cleanup_passes import aged, later, parts_of
from tests.support.drivers.driven_jobs import driven
from tests.support.servers.apis import RunningApi, running_api
from worker.cleanup.unused_uploads import expire_uploads
from worker.sweep.reconcile import reconcile


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


def test_the_upload_of_a_request_that_was_stopped_and_repeated_goes_and_that_of_the_job_stays(
    api: RunningApi, north: httpx.Client
) -> None:
    """The API was killed after it had marked the upload. The repeated request made the same job with another upload."""
    stopped = keys.upload("north", "a" * 26)
    job = accepted(north)
    upload = submission_of(api, job).items[0].source
    api.storage.put(stopped, b"pixels")
    api.storage.put(keys.upload_use(stopped, job), b"")
    assert expire_uploads(parts_of(api), later(hours=23)) == 0
    assert expire_uploads(parts_of(api), later(hours=25)) == 1
    assert api.objects("uploads/") == [upload, keys.upload_use(upload, job)]


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
    api.ledger.jobs.end_accepting(job, "another request")
    assert reconcile(parts_of(api))["unaccepted submissions removed"] == 1
    assert api.objects() == []


def test_a_marker_of_cancelling_that_was_left_alone_goes(api: RunningApi, two: str) -> None:
    driven(api, two)
    alone = [keys.live_cancel(two), keys.live_cancel("c" * 26)]
    for key in alone:
        api.storage.put(key, b"")
    aged(api, *alone)
    reconcile(parts_of(api))
    assert api.objects("live/") == []
