"""Segmentations of a job that are sent to an archive, over a real API and a scripted DICOMweb service with TLS."""

import hashlib
import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
import redis
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.planned_items import Assembled
from maskrelay.imaging.masks.rle import encode_rle
from maskrelay.storage.stored_records import read_record
from tests.support.builders.certificates import Authority, server_context
from tests.support.builders.credentials import write_credentials
from tests.support.builders.masks import mask_of
from tests.support.builders.phantoms import ball, oblique, series, voxels
from tests.support.drivers.api_jobs import accepted, failed, settle, submission_of, succeeded
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.drivers.sending import send_all
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.scripted_server import Seen, hang_up, http, serving
from worker.assemble.assemble_step import assemble_items
from worker.deliver.archive_delivery import send_to_archive
from worker.deliver.storing_result import CONTINUES, StoringResult
from worker.finish.finish_step import finish_jobs

#: What the archive does with the object that has this number.
Script = Callable[[socket.socket, int], None]
LEASE = timedelta(seconds=2)


class Archive:
    """A DICOMweb service that notes the numbers of the objects that it was sent."""

    def __init__(self) -> None:
        self.root = ""
        self.got: list[int] = []
        self.script: Script = lambda sock, _: sock.sendall(http(200, b"{}"))

    def answer(self, sock: socket.socket, request: Seen) -> None:
        found = re.search(rb"2\.25\.9(\d)", request.body)
        assert found is not None
        self.got.append(int(found[1]))
        self.script(sock, int(found[1]))


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    authority = Authority(tmp_path)
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    found = Archive()
    with serving(found.answer, tls=server_context(authority.issue("pacs", "127.0.0.1"))) as server:
        found.root = f"dicomweb+{server.url.removesuffix('score')}"
        yield found


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, archive: Archive) -> Iterator[RunningApi]:
    entry = {"name": "pacs", "kind": "dicomweb", "writes": {"north": [archive.root]}, "allow": ["127.0.0.1"]}
    credentials = write_credentials(tmp_path / "credentials.json", entry)
    short = {"delivery_lease": LEASE, "callback_timeout": LEASE / 2, "sweep_period": LEASE / 4}
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials), **short) as running:
        yield running


@pytest.fixture
def job(api: RunningApi, north: httpx.Client) -> str:
    """Return a finished job with four items, of which all but the second have a segmentation."""
    job = accepted(north, *(b"%d" % number for number in range(4)), options={"outputs": ["mask"], "store_to": "pacs"})
    planned(api)
    settle(api, job, 1, *(succeeded(api, job, frame) for frame in range(4)))
    finished(api, job)
    for item in range(4):
        body, key = segmentation(item), f"jobs/{job}/artifacts/{item}/seg.dcm"
        api.storage.put(key, body)
        file = ArtifactRef(key=key, length=len(body), sha256=hashlib.sha256(body).hexdigest())
        record = Assembled(item=item, files={"nifti" if item == 1 else "seg": file})
        api.storage.put(keys.assembled_item(job, item), record.model_dump_json().encode())
    return job


def segmentation(number: int) -> bytes:
    dataset, body = pydicom.dcmread(str(get_testdata_file("CT_small.dcm"))), io.BytesIO()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.9{number}")
    dataset.save_as(body, enforce_file_format=True)
    return body.getvalue()


def full(outcome: Outcome) -> Outcome:
    """Return the outcome with a mask that covers the frame."""
    rle = encode_rle(mask_of(np.ones((8, 8), np.bool_)))
    return outcome.model_copy(update={"masks": (outcome.masks[0].model_copy(update={"rle": rle}),)})


def shown(north: httpx.Client, job: str) -> tuple[str, str | None, int]:
    [found] = north.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
    return found["state"], found.get("reason"), found["attempts"]


def attempt(api: RunningApi, job: str) -> StoringResult:
    """Make an attempt whose time is over when it begins."""
    context, submission = parts_of(api), submission_of(api, job)
    return send_to_archive(
        context, submission, context.credentials.destination("north", "pacs", None), time.monotonic()
    )


def test_an_object_on_which_the_archive_hangs_does_not_stop_the_others(
    api: RunningApi, north: httpx.Client, archive: Archive, job: str
) -> None:
    stores = archive.script
    archive.script = lambda sock, number: stores(sock, number) if number else hang_up(sock)
    send_all(api)
    assert (archive.got, shown(north, job)[0]) == ([0], "waiting")
    send_all(api)
    assert (archive.got, shown(north, job)[0]) == ([0, 2, 3, 0], "waiting")
    archive.script = stores
    send_all(api)
    assert archive.got == [0, 2, 3, 0, 0]
    assert shown(north, job) == ("delivered", "ok", 3)


def test_every_attempt_makes_progress_however_many_objects_were_sent_before(
    api: RunningApi, archive: Archive, job: str
) -> None:
    found = [attempt(api, job).reason for _ in range(3)]
    assert (found, archive.got) == ([CONTINUES, CONTINUES, "ok"], [0, 2, 3])
    assert attempt(api, job) == StoringResult(is_over=True, reason="ok", status=200)
    assert archive.got == [0, 2, 3]


def test_an_attempt_in_which_nothing_was_stored_is_a_failure_also_if_its_time_ends(
    api: RunningApi, archive: Archive, job: str
) -> None:
    archive.script = lambda sock, _: sock.sendall(http(503, b""))
    assert attempt(api, job) == StoringResult(is_over=False, reason="status_503", status=503)
    assert attempt(api, job) == StoringResult(is_over=False, reason="status_503", status=503)
    assert archive.got == [0, 2]


def test_a_refused_object_is_reported_when_all_others_are_stored(api: RunningApi, archive: Archive, job: str) -> None:
    refusal = json.dumps({"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA900]}}]}}).encode()
    stores = archive.script
    archive.script = lambda sock, number: stores(sock, number) if number else sock.sendall(http(409, refusal))
    assert [attempt(api, job).reason for _ in range(3)] == [CONTINUES, CONTINUES, "failure_a900"]
    assert archive.got == [0, 2, 3]


def test_the_segmentation_of_a_series_with_a_failed_slice_is_another_object(
    api: RunningApi, north: httpx.Client
) -> None:
    """Otherwise, an archive that has it would not store that of the whole series, which a later job makes."""
    raster = oblique((8, 8, 3), (1.0, 1.0, 3.0))
    slices = series(raster, voxels(raster, ball((0, 0, 0), 3)), np.arange(3))

    def uids(*failing: int) -> tuple[str, str]:
        job = accepted(north, *slices, options={"outputs": ["seg"]})
        planned(api)
        outcomes = [full(succeeded(api, job, frame, item=0, index=frame)) for frame in range(3)]
        for frame in failing:
            outcomes[frame] = failed(frame).model_copy(update={"item": 0, "index": frame})
        settle(api, job, 1, *outcomes)
        context = parts_of(api)
        for step in (finish_jobs, assemble_items):
            step(context, time.monotonic() + 60)
        finished(api, job)
        record = read_record(api.storage, keys.assembled_item(job, 0), Assembled)
        body = api.storage.get(record.files["seg"].key, record.files["seg"].offset, record.files["seg"].length)
        return str(record.seg_series), str(pydicom.dcmread(io.BytesIO(body)).SOPInstanceUID)

    whole, partial, other = uids(), uids(1), uids(2)
    assert len({*whole, *partial, *other}) == 6
    assert (uids(), uids(1)) == (whole, partial)


def test_no_other_worker_takes_a_delivery_while_the_archive_takes_its_time(
    api: RunningApi, north: httpx.Client, archive: Archive, job: str
) -> None:
    stores, until, lapsed = archive.script, list[float](), list[bytes]()

    def slow(sock: socket.socket, number: int) -> None:
        with redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client:
            while len(until) < 6 and not lapsed:  # it was renewed for longer than a lease
                [(_, lapses)] = client.zrange("mr:outbox", 0, -1, withscores=True)
                until.extend([lapses] if lapses not in until else [])
                lapsed.extend(client.zrangebyscore("mr:outbox", "-inf", time.time() * 1000))
                time.sleep(0.01)
        stores(sock, number)

    archive.script = slow
    send_all(api)
    assert (shown(north, job), archive.got, lapsed) == (("delivered", "ok", 1), [0, 2, 3], [])
