"""Scores that were sent before are not sent again: over a real API, a real Valkey and the simulator."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PIL import Image

from maskrelay.client import Client
from maskrelay.contract.records import keys
from maskrelay.contract.views.job_views import ItemShown, JobShown
from maskrelay.errors import Truncated
from tests.support.builders.pictures import noise, saved
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.drivers.segmenting import segment_waiting_frames, with_endpoint
from tests.support.servers.apis import RunningApi, a_valkey, running_api
from tests.support.servers.simulators import RunningSimulator, running_simulator
from worker.context import WorkerContext
from worker.segment import frame, loop

DISC, CUP = "optic disc in retinal fundus", "optic cup in retinal fundus"


NUMBERS = itertools.count()


@dataclass
class Service:
    api: RunningApi
    simulator: RunningSimulator
    #: Tests have different images, so that no test uses the answers of another.
    images: int = 0
    before: int = 0

    def picture(self, number: int) -> bytes:
        return saved(Image.fromarray(noise(64, 64, 100 * self.images + number)), "PNG")

    def run(
        self, *pictures: bytes, prompts: list[str], key: str = "north", version: str | None = "7", **more: Any
    ) -> JobShown:
        """Run a job to its end, with an endpoint of this declared version."""
        options = {"outputs": ["mask", "overlay", "probability"], **more}
        with Client(self.api.url, key) as client:
            job = client.submit(list(pictures), prompts, options=options)
            planned(self.api)
            asyncio.run(segment_waiting_frames(self.worker(version)))
            finished(self.api, job.id)
            return client.wait(job.id)

    def worker(self, version: str | None) -> WorkerContext:
        context = with_endpoint(parts_of(self.api), self.simulator)
        if version is None:
            return context
        settings = context.settings.model_copy(update={"endpoint_model_version": version})
        return WorkerContext(settings, context.storage, context.ledger)

    def items(self, job: JobShown, key: str = "north") -> list[ItemShown]:
        with Client(self.api.url, key) as client:
            return list(client.items(job.id))

    def scored(self) -> int:
        """Return how often the prompts of these tests were scored, without test images."""
        counted = self.simulator.counters()["prompts"]
        return int(counted.get(DISC, 0) + counted.get(CUP, 0))

    def sent(self) -> int:
        """Return how many prompts were sent in this test."""
        return self.scored() - self.before


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("reuse")
    with (
        pytest.MonkeyPatch.context() as patched,
        running_simulator(max_concurrent=8) as simulator,
        a_valkey() as valkey,
        running_api(folder / "store", valkey) as api,
    ):
        patched.setattr(loop, "IDLE", 0.2)  # every run ends soon after its last frame
        yield Service(api, simulator)


@pytest.fixture
def service(running: Service) -> Service:
    """The running service, for a test with images of its own."""
    running.images = next(NUMBERS)
    running.before = running.scored()
    return running


def facts(item: ItemShown) -> list[dict[str, Any]]:
    return [mask.model_dump(exclude={"links"}) for mask in item.masks]


def test_a_repeated_job_sends_nothing_and_has_the_same_results(service: Service) -> None:
    pictures = [service.picture(number) for number in range(3)]
    first = service.run(*pictures, prompts=[DISC, CUP])
    sent = service.sent()
    again = service.run(*pictures, prompts=[DISC, CUP])
    assert (first.state, again.state) == ("succeeded", "succeeded")
    assert service.sent() == sent
    before, after = service.items(first), service.items(again)
    assert [facts(item) for item in after] == [facts(item) for item in before]
    for number, item in enumerate(after):
        assert item.reused_from is not None
        assert [(score.job, score.frame, score.prompts) for score in item.reused_from] == [
            (first.id, number, [DISC, CUP])
        ]
    assert all(item.reused_from is None for item in before)
    assert files(service, again) == files(service, first)


def files(service: Service, job: JobShown) -> list[bytes]:
    with service.api.client() as client:
        return [
            client.get(link).content
            for item in service.items(job)
            for links in (item.links, *(mask.links for mask in item.masks))
            for link in links.model_dump().values()
            if link
        ]


def test_an_extended_job_sends_what_is_new(service: Service) -> None:
    service.run(service.picture(0), service.picture(1), prompts=[DISC])
    service.run(service.picture(0), service.picture(1), service.picture(2), prompts=[DISC])
    assert service.sent() == 3


def test_a_prompt_more_in_the_one_prompt_mode_is_one_score_a_frame(service: Service) -> None:
    mode = {"one_prompt_per_request": True}
    service.run(service.picture(0), service.picture(1), prompts=[DISC], **mode)
    job = service.run(service.picture(0), service.picture(1), prompts=[CUP, DISC], **mode)
    assert service.sent() == 4
    assert [score.prompts for item in service.items(job) for score in item.reused_from or []] == [[DISC], [DISC]]


@pytest.mark.parametrize("lane", ["interactive", "bulk"])
def test_equal_images_of_a_job_are_scored_once(service: Service, lane: str) -> None:
    job = service.run(*[service.picture(0)] * 6, service.picture(1), prompts=[DISC], lane=lane)
    assert service.sent() == 2
    items = service.items(job)
    assert sum(item.reused_from is not None for item in items) == 5
    assert all(facts(item) == facts(items[0]) for item in items[:6])


def test_equal_images_of_a_run_are_scored_once_even_if_no_version_is_declared(service: Service) -> None:
    with service.api.client() as client:
        upload = client.post("/v1/uploads", files={"file": service.picture(0)}).json()["uploads"][0]["id"]
        lines = [{"prompts": [DISC]}, *({"upload": upload} for _ in range(5))]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        job = client.post("/v1/jobs", content=body, headers={"content-type": "application/x-ndjson"}).json()["id"]
    planned(service.api)
    asyncio.run(segment_waiting_frames(service.worker(None)))
    finished(service.api, job)
    assert service.sent() == 1
    with Client(service.api.url, "north") as client:
        assert client.job(job).counts.succeeded == 5


def test_without_a_declared_version_a_job_that_is_no_run_sends_everything(service: Service) -> None:
    service.run(*[service.picture(0)] * 3, prompts=[DISC], version=None)
    assert service.sent() == 3


def test_nothing_is_reused_where_it_may_not_be(service: Service) -> None:
    service.run(service.picture(0), prompts=[DISC])
    assert service.sent() == 1
    service.run(service.picture(0), prompts=[DISC], reuse=False)
    assert service.sent() == 2
    service.run(service.picture(0), prompts=[DISC], key="south")
    assert service.sent() == 3
    service.run(service.picture(0), prompts=[DISC], version="8")
    assert service.sent() == 4
    service.run(service.picture(0), prompts=[DISC], version=None)
    service.run(service.picture(0), prompts=[DISC], version=None)
    assert service.sent() == 6
    service.run(service.picture(0), prompts=[DISC, CUP])
    assert service.sent() == 8


def test_an_answer_that_is_gone_or_damaged_is_sent_for_again(service: Service) -> None:
    first = service.run(service.picture(0), prompts=[DISC], lane="bulk")
    [pack] = service.api.storage.list(keys.packs(first.id))
    body = service.api.storage.get(pack)
    service.api.storage.put(pack, body[:-30] + bytes(30))
    again = service.run(service.picture(0), prompts=[DISC], lane="bulk")
    assert (again.state, service.sent()) == ("succeeded", 2)
    [pack] = service.api.storage.list(keys.packs(again.id))
    service.api.storage.delete(pack)
    third = service.run(service.picture(0), prompts=[DISC], lane="bulk")
    assert (third.state, service.sent()) == ("succeeded", 3)
    scripts = service.api.ledger.scripts
    names = list(scripts.walk("SCAN", options=("MATCH", "mr:scores:*")))
    assert names
    scripts.ask("DEL", *names)
    assert service.run(service.picture(0), prompts=[DISC]).state == "succeeded"
    assert service.sent() == 4


def test_a_frame_that_fails_after_its_score_lets_others_score(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image was dropped to save memory, and its source is gone when the overlay is drawn."""

    @asynccontextmanager
    async def gone(*_: Any) -> AsyncIterator[None]:
        raise Truncated
        yield

    with monkeypatch.context() as patched:
        patched.setattr(frame, "keep_picture", lambda _context, prepared, *_: replace(prepared, picture=None))
        patched.setattr(frame, "opened_source", gone)
        job = service.run(service.picture(0), prompts=[DISC])
    assert (job.state, service.sent()) == ("failed", 1)
    assert list(service.api.ledger.scripts.walk("SCAN", options=("MATCH", "mr:scoring:*"))) == []
    assert service.run(service.picture(0), prompts=[DISC]).state == "succeeded"
    assert service.sent() == 2
