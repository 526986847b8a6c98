"""Create a bulk job of very many frames from a few uploads."""

from collections.abc import Sequence
from pathlib import Path

import httpx

from bench.service import RunningService
from bench.sources import PROMPTS


def begin_bulk(service: RunningService, files: Sequence[Path], frames: int) -> str:
    """Submit one bulk job of this many items from these files, each of which is uploaded once. Return its id."""
    headers = {"authorization": f"Bearer {service.api_key}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=300, trust_env=False) as http:
        sent = [http.post("/v1/uploads", content=path.read_bytes()).raise_for_status() for path in files]
        uploads = [answer.json()["uploads"][0]["id"] for answer in sent]
        items = [{"upload": uploads[number % len(uploads)]} for number in range(frames)]
        body = {"items": items, "prompts": PROMPTS[:1], "options": {"outputs": ["mask"], "lane": "bulk"}}
        return str(http.post("/v1/jobs", json=body).raise_for_status().json()["id"])
