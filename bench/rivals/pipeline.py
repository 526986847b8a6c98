"""What the other ways of `bench.resume` have in common: where everything is, and how a row becomes a result.

This runs in the environment of `bench/rivals/requirements.lock`, so it imports nothing of the project but the textbook
steps of `bench.peers.textbook`.
"""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs
from PIL import Image

from bench.peers.textbook import body, canvas, maps


@dataclass(frozen=True, slots=True)
class Setup:
    """The places and limits of a run, from the command line as JSON."""

    #: A folder with Parquet files of the columns `id` and `url` (`s3://…`), `batch` rows in each.
    manifest: str
    #: Empty folders for the results and for the checkpoints.
    out: str
    checkpoints: str
    s3: str
    endpoint: str
    key: str
    prompt: str
    #: The number of rows whose results are written together.
    batch: int
    #: The most requests at a time.
    in_flight: int
    timeout_s: float
    retries: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}

    @classmethod
    def of_command_line(cls) -> "Setup":
        return cls(**json.loads(sys.argv[1]))

    def read(self, url: str) -> bytes:
        """Return an image."""
        scheme, host = self.s3.split("://")
        keys = {"access_key": "test", "secret_key": "test", "region": "us-east-1"}
        store = pyarrow.fs.S3FileSystem(endpoint_override=host, scheme=scheme, **keys)
        with store.open_input_file(url.removeprefix("s3://")) as opened:
            return opened.read()

    def files(self) -> list[str]:
        return sorted(str(path) for path in Path(self.manifest).glob("*.parquet"))


def request_of(image: bytes, prompt: str) -> dict[str, Any]:
    """Return the body of the request for an image file."""
    with Image.open(io.BytesIO(image)) as opened:
        return body(canvas(np.asarray(opened.convert("RGB"))), [prompt])


def area_of(answer: Any) -> int:
    """Return the number of foreground pixels of the canvas."""
    return int(np.count_nonzero(maps(answer)[0] >= 128))
