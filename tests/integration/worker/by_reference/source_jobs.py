"""Jobs and runs whose sources are files of a folder: submitted by URL, and run by the worker's own steps."""

import asyncio
import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from maskrelay.contract.records.job import Item
from maskrelay.storage.submitted_items import read_items
from tests.support.builders.phantoms import ball, oblique, voxels
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import submission_of
from tests.support.drivers.segmenting import segment_waiting_frames
from tests.support.servers.apis import RunningApi
from worker.assemble.assemble_step import assemble_items
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs

PROMPT = "liver"
RASTER = oblique((24, 20, 4), (1.0, 1.0, 3.0))
SLICES = voxels(RASTER, ball((0, 0, 0), 6))


def picture(shade: int = 0) -> bytes:
    return saved(gradient(24, 20 + shade), "PNG")


PICTURE = picture()


def put(data: Path, name: str, body: bytes = PICTURE) -> str:
    """Write a file. Return its URL."""
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_bytes(body)
    return (data / name).as_uri()


def manifest(rows: list[dict[str, Any]], kind: str) -> bytes:
    """Return a manifest in a format: `ndjson`, `parquet` or `csv`."""
    if kind == "ndjson":
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if kind == "parquet":
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), file)
        return file.getvalue()
    text = io.StringIO()
    writer = csv.DictWriter(text, ["custom_id", "source", "prompts"])
    writer.writeheader()
    writer.writerows({**row, "prompts": ";".join(row.get("prompts", []))} for row in rows)
    return text.getvalue().encode()


def post(client: httpx.Client, *items: Any, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    """Submit a job with these items, or the run that `body` describes. A string is an item with this URL as source."""
    named = {"items": [{"source": item} if isinstance(item, str) else item for item in items]} if items else {}
    return client.post("/v1/jobs", json={"prompts": [PROMPT], **named, **body}, headers=headers)


def submitted(client: httpx.Client, *items: Any, **body: Any) -> str:
    """Submit a job or a run, which must be accepted. Return its id."""
    answer = post(client, *items, **body)
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


def shown(client: httpx.Client, job: str) -> dict[str, Any]:
    return dict(client.get(f"/v1/jobs/{job}").json())


def items_of_run(api: RunningApi, job: str) -> list[Item]:
    """Return the items of a run that has been read."""
    return list(read_items(api.storage, submission_of(api, job)))
