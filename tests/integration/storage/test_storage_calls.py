"""How many requests to the object store a picture of a bulk job takes, from its upload to the result of its job."""

import asyncio
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

from PIL import Image

from maskrelay.client import Client
from tests.support.builders.pictures import noise, saved
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.drivers.segmenting import segment_waiting_frames, with_endpoint
from tests.support.proxies.s3_proxy import faulty_proxy
from tests.support.servers.apis import RunningApi, a_valkey, running_api
from tests.support.servers.s3_servers import running_s3
from tests.support.servers.simulators import running_simulator

PICTURES = 100
NAMES = re.compile(r"[0-9a-z]{26}|[0-9a-f-]{16,}|[0-9]{4,}")


def state_of(api: RunningApi, job: str) -> str:
    record = api.ledger.jobs.get(job)
    assert record is not None
    return record.state


def kind(request: str) -> str:
    """The request without ids, times and its query."""
    return NAMES.sub("*", request.partition("?")[0])


def test_a_picture_of_a_bulk_job_takes_at_most_six_requests(tmp_path: Path) -> None:
    """Five are its own: two write the upload, one its use, and two read these again. All share what their job takes.

    The audit log of a worker is not counted. It is written every few seconds, whatever the worker does.
    """
    with (
        running_simulator(max_concurrent=8, canned=True) as simulator,
        running_s3() as s3,
        faulty_proxy(s3.endpoint_url) as proxy,
        a_valkey() as valkey,
        running_api(
            tmp_path / "store",
            valkey,
            storage_url=s3.storage_url,
            s3_endpoint_url=proxy.url,
            bulk_part_wait=30,  # however slow the machine is, an outcome waits until it can share its object
        ) as api,
        Client(api.url, "north", timeout=timedelta(seconds=200)) as client,
    ):
        before = len(proxy.seen)
        pictures = [saved(Image.fromarray(noise(64, 64, number)), "PNG") for number in range(PICTURES)]
        job = client.submit(pictures, ["optic disc in retinal fundus"])
        planned(api)
        while state_of(api, job.id) == "running":
            asyncio.run(segment_waiting_frames(with_endpoint(parts_of(api), simulator)))
        result = finished(api, job.id)
        seen = [line for line in proxy.seen[before:] if "/worker" not in line]
    told = "\n".join(f"{count / PICTURES:5.2f} {what}" for what, count in Counter(map(kind, seen)).most_common())
    assert (result.state, result.counts.total) == ("succeeded", PICTURES)
    assert len(seen) <= 6 * PICTURES, told
