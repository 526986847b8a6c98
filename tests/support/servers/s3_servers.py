"""A real S3 server (moto) as a child process on a free loopback port. Its objects are in memory.

`python -m tests.support.servers.s3_servers` is the child process. It prints its port on one line and serves
until it is ended.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

ROOT = Path(__file__).parents[3]
BUCKET = "maskrelay-test"
#: What a process needs to use the server. It is set here for the test's own process and for what that process starts.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class RunningS3:
    endpoint_url: str
    bucket: str
    environment: dict[str, str]
    pid: int

    @property
    def storage_url(self) -> str:
        return f"s3://{self.bucket}/runs"


@contextmanager
def running_s3(bucket: str = BUCKET) -> Iterator[RunningS3]:
    """Start the server, create `bucket`, and set fake AWS credentials in `os.environ` while it runs."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.servers.s3_servers"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        port = child.stdout.readline().strip()
        assert port, "the S3 server did not start"
        url = f"http://127.0.0.1:{port}"
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ENVIRONMENT.items():
                patch.setenv(name, value)
            boto3.session.Session().client("s3", endpoint_url=url).create_bucket(Bucket=bucket)
            yield RunningS3(url, bucket, dict(ENVIRONMENT), child.pid)
    finally:
        child.kill()
        child.communicate()


def serve() -> None:
    """Serve moto until killed. Conditional writes are made atomic, which S3 guarantees and moto's threads do not."""
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    dispatcher = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def application(environ: dict, start_response) -> Iterable[bytes]:
        if "HTTP_IF_NONE_MATCH" not in environ:
            return dispatcher(environ, start_response)
        with one_at_a_time:
            return dispatcher(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    os.environ["MOTO_PORT"] = str(server.server_port)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    serve()
