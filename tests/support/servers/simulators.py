"""The simulator as a child process, for every test that needs an endpoint."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class RunningSimulator:
    url: str
    key: str

    @property
    def base(self) -> str:
        return self.url.removesuffix("/score")

    def post(self, body: Any = None, *, content: bytes | None = None, **headers: str) -> httpx.Response:
        """POST to `/score` with the key.

        `headers` have underscores for dashes, and may replace what is sent by default.
        """
        sent = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        raw = json.dumps(body).encode() if content is None else content
        return httpx.post(self.url, content=raw, headers=sent, timeout=60)

    def counters(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.base}/_simulator", timeout=10).raise_for_status()
        return dict(answer.json())

    def set(self, **wanted: Any) -> None:
        """Set options while it runs; simulator/README.md lists them."""
        httpx.post(f"{self.base}/_simulator", json=wanted, timeout=10).raise_for_status()


@contextmanager
def running_simulator(key: str = "simulator-key", **switches: Any) -> Iterator[RunningSimulator]:
    """Run `python -m simulator` on a free loopback port. It ends with the block, even after an error.

    `service_time=0.1` becomes `--service-time 0.1`, and `gzip=True` becomes `--gzip`.
    """
    arguments = [f"--key={key}"]
    for name, value in switches.items():
        flag = "--" + name.replace("_", "-")
        arguments += [flag] if value is True else [flag, str(value)]
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        assert line, f"the simulator ended with {process.wait()} before it was ready"
        yield RunningSimulator(json.loads(line)["url"], key)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def eventually(condition: Callable[[], bool], within_s: float = 60) -> bool:
    """Return whether the condition becomes true in time. It is checked repeatedly."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def canvas_png(mode: str = "RGB", shade: int = 180) -> bytes:
    """Return a 1024×1024 image of a bright disc on grey."""
    picture = Image.new("L", (1024, 1024), 60)
    ImageDraw.Draw(picture).ellipse((300, 350, 560, 610), fill=shade)
    out = BytesIO()
    picture.convert(mode).save(out, "PNG", compress_level=1)
    return out.getvalue()


def score_body(*rows: list[Any], **changes: Any) -> dict[str, Any]:
    """Return `{"input_data": …}` for these rows, by default one bright disc with one prompt."""
    data = changes.pop("data", list(rows) or [[base64.b64encode(canvas_png()).decode(), "tumor"]])
    table = {"columns": ["image", "text"], "index": list(range(len(data))), "data": data}
    return {"input_data": {**table, **changes}}
