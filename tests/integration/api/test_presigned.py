"""Files fetched from the store itself: only where that is set, for a short while, and in the audit log all the same."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import httpx
import pytest

from maskrelay.client import Client
from maskrelay.contract.records import keys
from tests.support.checks.audits import done
from tests.support.drivers.api_jobs import (
    PNG,
    accepted,
    finish,
    succeeded,
)
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.s3_servers import RunningS3, running_s3
from tests.support.servers.simulators import eventually

FILE = "/v1/jobs/{job}/artifacts/{name}"


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as server:
        yield server


@contextmanager
def over(s3: RunningS3, folder: Path, valkey: str, **limits: object) -> Iterator[RunningApi]:
    bucket = f"{s3.storage_url}/{uuid4().hex}"
    with running_api(folder / "api", valkey, storage_url=bucket, s3_endpoint_url=s3.endpoint_url, **limits) as api:
        yield api


def mask_of(api: RunningApi, north: httpx.Client) -> str:
    """The path of a finished job's mask, an object of its own."""
    job = accepted(north, b"a")
    finish(api, job, succeeded(api, job, 0))
    return f"/v1/jobs/{job}/artifacts/0-0-0.mask.png"


def test_whoever_fetches_a_file_is_sent_to_the_store_for_as_long_as_is_set(
    s3: RunningS3, tmp_path: Path, empty_valkey: str
) -> None:
    with over(s3, tmp_path, empty_valkey, presigned_lifetime=60) as api, api.client() as north:
        answer = north.get(mask_of(api, north))
        assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (307, b"", "no-store")
        assert answer.headers["etag"] == f'"{hashlib.sha256(PNG).hexdigest()}"'
        assert "eye%200" in answer.headers["content-disposition"]
        address = urlsplit(answer.headers["location"])
        assert f"{address.scheme}://{address.netloc}" == s3.endpoint_url
        asked = parse_qs(address.query)
        assert (asked["X-Amz-Expires"], asked["X-Amz-Algorithm"]) == (["60"], ["AWS4-HMAC-SHA256"])
        assert "eye" not in unquote(answer.headers["location"])
        fetched = httpx.get(answer.headers["location"], trust_env=False)
        assert (fetched.status_code, fetched.content) == (200, PNG)
        own = north.get(mask_of(api, north), params={"redirect": "false"})
        assert (own.status_code, own.content) == (200, PNG)


def test_the_client_fetches_files_from_the_store_and_not_together_through_the_api(
    s3: RunningS3, tmp_path: Path, empty_valkey: str
) -> None:
    with over(s3, tmp_path, empty_valkey, presigned_lifetime=60) as api, api.client() as north:
        path = mask_of(api, north)
        folder, _, name = path.rpartition("/")
        refused = north.get(folder, params={"name": name})
        assert (refused.status_code, refused.json()["code"]) == (422, "artifacts_elsewhere")
        with Client(str(north.base_url), north.headers["authorization"].removeprefix("Bearer ")) as client:
            saved = client.save(path.split("/")[3], tmp_path / "saved")
        assert {file.path.read_bytes() for file in saved} == {PNG}
        assert eventually(lambda: len(done(api.storage, f"GET {FILE}")) == len(saved), within_s=30)
        assert {entry["status"] for entry in done(api.storage, f"GET {FILE}")} == {307}


def test_each_address_that_was_given_is_in_the_audit_log(s3: RunningS3, tmp_path: Path, empty_valkey: str) -> None:
    with over(s3, tmp_path, empty_valkey, presigned_lifetime=60) as api, api.client() as north:
        path = mask_of(api, north)
        north.get(path)
        assert eventually(lambda: done(api.storage, f"GET {FILE}"), within_s=30)
        (entry,) = done(api.storage, f"GET {FILE}")
        told = entry["job"], entry["artifact"], entry["status"], entry["tenant"]
        assert told == (path.split("/")[3], "0-0-0.mask.png", 307, "north")


def test_a_file_within_a_larger_object_comes_through_the_api(s3: RunningS3, tmp_path: Path, empty_valkey: str) -> None:
    with over(s3, tmp_path, empty_valkey, presigned_lifetime=60) as api, api.client() as north:
        job = accepted(north, b"a")
        outcome = succeeded(api, job, 0)
        mask = outcome.masks[0]
        assert mask.mask is not None
        api.storage.put(keys.outcome_part(job, "packed"), PNG + b"another's")
        inside = mask.mask.model_copy(update={"key": keys.outcome_part(job, "packed"), "offset": 0})
        finish(api, job, outcome.model_copy(update={"masks": (mask.model_copy(update={"mask": inside}),)}))
        answer = north.get(f"/v1/jobs/{job}/artifacts/0-0-0.mask.png")
        assert (answer.status_code, answer.content) == (200, PNG)


def test_nobody_is_sent_to_the_store_unless_that_is_set(s3: RunningS3, tmp_path: Path, empty_valkey: str) -> None:
    with over(s3, tmp_path, empty_valkey) as api, api.client() as north:
        answer = north.get(mask_of(api, north))
        assert (answer.status_code, answer.content) == (200, PNG)


def test_another_tenant_is_given_no_address(s3: RunningS3, tmp_path: Path, empty_valkey: str) -> None:
    with (
        over(s3, tmp_path, empty_valkey, presigned_lifetime=60) as api,
        api.client() as north,
        api.client("south") as south,
    ):
        answer = south.get(mask_of(api, north))
        assert (answer.status_code, "location" in answer.headers) == (404, False)


def test_a_folder_has_no_address_to_give(tmp_path: Path, empty_valkey: str) -> None:
    with running_api(tmp_path / "api", empty_valkey, presigned_lifetime=60) as api, api.client() as north:
        answer = north.get(mask_of(api, north))
        assert (answer.status_code, answer.content) == (200, PNG)
