"""Jobs whose sources are files of a folder: submitted by URL, planned, segmented and finished by the worker's steps."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.builders.phantoms import ball, oblique, voxels
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.segmenting import segment_waiting_frames
from worker.assemble.assemble_step import assemble_items
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs

PROMPT = "liver"
RASTER = oblique((24, 20, 4), (1.0, 1.0, 3.0))
SLICES = voxels(RASTER, ball((0, 0, 0), 6))


def put(data: Path, name: str, body: bytes) -> str:
    """Write a file. Return its URL."""
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_bytes(body)
    return (data / name).as_uri()


def post(client: httpx.Client, *items: Any, **more: Any) -> httpx.Response:
    """Submit a job with these items. An item that is a string is the URL of a source."""
    named = [{"source": item} if isinstance(item, str) else item for item in items]
    return client.post("/v1/jobs", json={"items": named, "prompts": [PROMPT], **more})


def submitted(client: httpx.Client, *items: Any, **more: Any) -> str:
    """Submit a job with these items. Return its id."""
    answer = post(client, *items, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def run(worker: WorkerContext) -> None:
    """Plan, segment, assemble and finish everything that can be."""
    plan_jobs(worker, time.monotonic() + 60)
    finish(worker)


def finish(worker: WorkerContext) -> None:
    """Segment, assemble and finish what is planned."""
    asyncio.run(segment_waiting_frames(worker))
    finish_jobs(worker, time.monotonic() + 60)
    assemble_items(worker, time.monotonic() + 60)
    finish_jobs(worker, time.monotonic() + 60)


def outcomes(client: httpx.Client, job: str) -> dict[str, Any]:
    """Return the state of each item, or the code of its error, by its custom id."""
    page = client.get(f"/v1/jobs/{job}/items").json()
    return {item["custom_id"]: item.get("error", {}).get("code") or item["state"] for item in page["items"]}


def picture(shade: int = 0) -> bytes:
    return saved(gradient(24, 20 + shade), "PNG")
