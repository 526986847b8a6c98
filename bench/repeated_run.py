"""What a repeated run over a bucket pays: calls to the endpoint, bytes read from the bucket, and time.

    python -m bench.repeated_run [--images 1000] [--added 1000]

The images are in a local S3 server behind a proxy that counts the bytes of its responses. The endpoint declares a model
version, so answers are reused. Each row of the table is one job over the same pattern: a first run, the same run again,
a run after `--added` images were added, the first prompt in the one-prompt mode, a second prompt beside it, and a run
after `--twins` copies of one new image were added.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3

from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import print_head, print_table
from bench.resume import BUCKET, put_images
from bench.service import running_service
from bench.sources import PROMPTS
from maskrelay.client import Client
from tests.support.proxies.s3_proxy import FaultyProxy, faulty_proxy
from tests.support.servers.s3_servers import running_s3

PATTERN = f"s3://{BUCKET}/images/**/*.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.repeated_run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--added", type=int, default=1000)
    parser.add_argument("--twins", type=int, default=100)
    asked = parser.parse_args()
    total = asked.images + asked.added
    with (
        running_s3(BUCKET) as server,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        faulty_proxy(server.endpoint_url) as proxy,
        running_endpoint(max_concurrent=64) as endpoint,
        running_service(
            endpoint,
            Path(folder) / "data",
            endpoint_max_in_flight=16,
            endpoint_max_bytes_per_s=1e9,
            endpoint_model_version="1",
            credentials_file=_credentials(Path(folder), proxy.url),
        ) as service,
        service.client() as client,
    ):
        run = _Runs(client, endpoint, proxy)
        put_images(server.endpoint_url, asked.images)
        run(f"first run, {asked.images} images", PROMPTS[:1])
        run("the same run again", PROMPTS[:1])
        put_images(server.endpoint_url, total, asked.images)
        run(f"{asked.added} images added", PROMPTS[:1])
        run("the same prompt, in the one-prompt mode", PROMPTS[:1], one_prompt_per_request=True)
        run("a second prompt beside it", PROMPTS[:2], one_prompt_per_request=True)
        _put_twins(server.endpoint_url, total, asked.twins)
        run(f"{asked.twins} copies of one new image added", PROMPTS[:1])
    print_head("Runs over the same bucket", 1)
    head = ("run", "state", "images", "calls to the endpoint", "bytes read from images", "listing, MB", "seconds")
    print_table(head, run.rows)


class _Runs:
    """The runs, each with a row of the table."""

    def __init__(self, client: Client, endpoint: RunningEndpoint, proxy: FaultyProxy) -> None:
        self._client, self._endpoint, self._proxy = client, endpoint, proxy
        self.rows: list[list[str]] = []

    def __call__(self, name: str, prompts: tuple[str, ...], **options: Any) -> None:
        calls, objects, listings = self._calls(), *self._bytes()
        began = time.monotonic()
        job = self._client.run(PATTERN, list(prompts), outputs=["mask"], options=options)
        job = self._client.wait(job.id)
        seconds = time.monotonic() - began
        read, listed = self._bytes()
        self.rows.append(
            [
                name,
                job.state,
                f"{job.counts.succeeded:,}",
                f"{self._calls() - calls:,}",
                f"{read - objects:,}",
                f"{(listed - listings) / 1e6:.2f}",
                f"{seconds:.0f}",
            ]
        )

    def _calls(self) -> int:
        return int(self._endpoint.counters()["rows"])

    def _bytes(self) -> tuple[int, int]:
        """Return the bytes that were read so far: of the images, and of everything else."""
        answered = dict(self._proxy.answered)
        images = sum(size for request, size in answered.items() if ".jpg" in request)
        return images, sum(answered.values()) - images


def _credentials(folder: Path, url: str) -> Path:
    credential = {
        "name": "lake",
        "kind": "s3",
        "reads": {"local": [f"s3://{BUCKET}/"]},
        "endpoint_url": url,
        "region": "us-east-1",
        "access_key_id": "test",
        "secret": "test",
    }
    path = folder / "credentials.json"
    path.write_text(json.dumps([credential]))
    return path


def _put_twins(endpoint_url: str, number: int, copies: int) -> None:
    """Put an image that is not in the bucket yet, under several keys."""
    client = boto3.session.Session().client("s3", endpoint_url=endpoint_url)
    put_images(endpoint_url, number + 1, number)
    key = f"images/{number:05}.jpg"
    image = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    for copy in range(1, copies):
        client.put_object(Bucket=BUCKET, Key=f"images/{number:05}-{copy}.jpg", Body=image)


if __name__ == "__main__":
    main()
