"""A job of many small pictures, and the one check that every fault ends with."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import redis
from PIL import Image, PngImagePlugin

from maskrelay.client import Client
from maskrelay.contract import keys
from maskrelay.contract.jobs import Result
from maskrelay.contract.lines import ItemLine
from maskrelay.contract.outcomes import Outcome
from maskrelay.contract.shown import JobShown
from maskrelay.storage.open import open_storage
from tests.pictures import noise, saved
from tests.receivers import Receiver
from tests.simulators import eventually
from tests.stacks import RunningStack

PROMPT = "tumor in abdomen CT"
LONG = timedelta(minutes=4)


def pictures(folder: Path, count: int, hostile: str | None = None) -> list[Path]:
    """PNG files no two of which are alike, in sizes from 40×30 on; the middle one holds the marker `hostile`."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(count):
        info = PngImagePlugin.PngInfo()
        if hostile and number == count // 2:
            info.add_text("Comment", hostile)
        image = Image.fromarray(noise(40 + number, 30, seed=number))
        paths.append(folder / f"{number:03d}.png")
        paths[-1].write_bytes(saved(image, "PNG", pnginfo=info))
    return paths


def submit(stack: RunningStack, folder: Path, count: int, told: Receiver, hostile: str | None = None) -> JobShown:
    with stack.client() as client:
        files = pictures(folder, count, hostile)
        return client.submit(files, [PROMPT], outputs=["mask"], callback=told.url())


def settled(client: Client, job: str) -> int:
    frames = client.job(job).frames
    return frames.succeeded + frames.failed


def under_way(stack: RunningStack, job: str, count: int) -> None:
    """Wait until some frames have their outcome and others do not."""
    with stack.client() as client:
        assert eventually(lambda: settled(client, job) >= count, within_s=60)


@contextmanager
def whenever(act, every_s: float = 0.02) -> Iterator[None]:
    """Call `act` again and again meanwhile."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_s):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ledger(stack: RunningStack) -> redis.Redis:
    return redis.Redis.from_url(stack.valkey)


def check(stack: RunningStack, job: JobShown, count: int, told: Receiver, failed: dict[str, str] | None = None) -> None:
    """Every frame has one visible outcome, the job is terminal, its callback one event id, and nothing is left over."""
    failed = failed or {}
    with stack.client() as client:
        ended = client.wait(job.id, LONG)
        items = list(client.items(job.id))
    assert ended.counts.total == count
    assert ended.state == ("partial" if failed else "succeeded")
    assert Counter(item.custom_id for item in items) == Counter(str(number) for number in range(count))
    assert {item.custom_id: item.error.code for item in items if item.error} == failed
    _check_storage(stack, job.id, count)
    terminal = f"job.{ended.state}"
    assert eventually(lambda: terminal in _types(told), within_s=60)
    ids = {got.headers["webhook-id"] for got in told.received if json.loads(got.body)["type"] == terminal}
    assert len(ids) == 1
    store = open_storage(stack.environment["MASKRELAY_STORAGE_URL"], None)
    assert eventually(lambda: not list(store.list(keys.LIVE)), within_s=30)
    with ledger(stack) as client:
        assert eventually(lambda: client.zcard("mr:leases") == 0, within_s=30)


def _check_storage(stack: RunningStack, job: str, count: int) -> None:
    """What `result.json` vouches for: one line an item, each mask in its source's geometry, and named by a part."""
    store = open_storage(stack.environment["MASKRELAY_STORAGE_URL"], None)
    result = Result.model_validate_json(store.get(keys.result(job)))
    lines = [ItemLine.model_validate_json(line) for line in store.get(result.items.key).splitlines()]
    assert [line.item for line in lines] == list(range(count))
    known = {
        outcome.model_dump_json()
        for key in store.list(keys.outcomes(job))
        for outcome in map(Outcome.model_validate_json, store.get(key).splitlines())
    }
    for line in lines:
        (outcome,) = line.outcomes
        assert outcome.model_dump_json() in known
        for mask in outcome.masks:
            assert mask.rle.size == (30, 40 + line.item)
            assert mask.mask is not None
            body = store.get(mask.mask.key, mask.mask.offset, mask.mask.length)
            assert hashlib.sha256(body).hexdigest() == mask.mask.sha256


def _types(told: Receiver) -> list[str]:
    return [json.loads(got.body)["type"] for got in told.received]
