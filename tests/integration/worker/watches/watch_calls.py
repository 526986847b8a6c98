"""Calls that add a watch, fill its folder and look at it, and the jobs that it has made."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from maskrelay.contract.records import keys
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import RunningApi
from worker.context import WorkerContext
from worker.sweep.watch_pass import WatchPass

PROMPT = "liver in abdomen CT"
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
PICTURE = saved(gradient(), "PNG")


def add(client: httpx.Client, data: Path, **more: Any) -> dict[str, Any]:
    asked = {"source": f"{data.as_uri()}/", "prompts": [PROMPT], "settle_s": 0.0, "period_s": 1, **more}
    answer = client.post("/v1/watches", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()


def series(data: Path, name: str, objects: int = 2) -> Path:
    folder = data / name
    folder.mkdir()
    for number in range(objects):
        (folder / f"{number}.png").write_bytes(PICTURE)
    return folder


def jobs_of(api: RunningApi) -> list[str]:
    return [key.split("/")[1] for key in api.storage.list(keys.JOBS) if key.endswith("/job.json")]


def looked(context: WorkerContext) -> int:
    """Look at every watch that is due. Return the number of submitted folders."""
    watch_pass = WatchPass(context)
    submitted = watch_pass.make()
    while watch_pass.looks:
        submitted += watch_pass.make(begin=False)
    return submitted


def until(check: Callable[[], bool], api: RunningApi) -> None:
    """Make passes until the check holds."""
    context, deadline = parts_of(api), time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        looked(context)


def notify(client: httpx.Client, watch: dict[str, Any], name: str) -> None:
    body = {"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"object": {"key": f"{name}/1.png"}}}]}
    assert client.post(watch["events"], json=body).json() == {}
