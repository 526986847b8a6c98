"""Each status that the OpenAPI document names is produced here, route by route; a new one needs a way to produce it."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis

from api.routes import PUBLIC
from api.submissions.request_bodies import JSON_BYTES
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Result
from tests.support.builders.answers import documented
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    items_of,
    submission_of,
    submit,
    succeeded,
)
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import by_frame, driven
from tests.support.servers.apis import (
    CLOSED_REDIS,
    KEYS,
    SERVER_KEY,
    SMALL_LIMITS,
    RunningApi,
    running_api,
    write_keys,
)
from tests.support.servers.s3_servers import running_s3
from worker.context.job_records.conclusion import conclude

UNKNOWN = "a" * 26
HOOK = "http://127.0.0.1:9/hook"
#: Looks like a token, so that its issuer is asked.
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
REVIEW = "/v1/jobs/{job}/items/{item}/review"
WATCH = "/v1/watches/{watch}"
ALL_KEYS = {**KEYS, "nobody": ("north", [])}


@dataclass
class World:
    """An API with a finished job that has an event, one whose ledger and issuer are away, and one that allows a tenant
    no live job and no byte.
    """

    api: RunningApi
    away: RunningApi
    tight: RunningApi
    admin: httpx.Client
    job: str
    #: The URL of a prefix that may be watched.
    prefix: str

    def path(self, path: str, job: str | None = None) -> str:
        """A documented path, filled in; a new parameter has to be known here."""
        (event,) = self.admin.get(f"/v1/jobs/{self.job}/deliveries").json()["deliveries"]
        watch = job or (self.watched() if "{watch}" in path else "")
        return path.format(job=job or self.job, watch=watch, item=0, name="result.json", event=event["event"])

    def watched(self) -> str:
        watch: str = self.watch().raise_for_status().json()["id"]
        return watch

    def watch(self, **more: Any) -> httpx.Response:
        return self.admin.post("/v1/watches", json={"source": self.prefix, "prompts": ["liver"], **more})

    def deleted(self) -> str:
        job = accepted(self.admin)
        self.admin.delete(f"/v1/jobs/{job}").raise_for_status()
        return job


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, api_valkey: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("statuses")
    write_keys(folder / "keys.json", ALL_KEYS)
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    credentials = str(write_credentials(folder / "credentials.json", folder_credential(folder)))
    issuer = {"oidc_issuer": "http://127.0.0.1:9", "oidc_audience": "maskrelay"}
    with (
        running_api(folder / "store", api_valkey, credentials_file=credentials, **SMALL_LIMITS) as api,
        running_api(folder / "store", CLOSED_REDIS, **issuer) as away,
        running_api(folder / "store", api_valkey, tenant_jobs=0, tenant_bytes=0, metrics_key="m" * 16) as tight,
        api.client("admin") as admin,
    ):
        job = accepted(admin, b"a", options={"callback": {"url": HOOK}})
        result: Result = finish(api, job, failed(0), known=False)
        conclude(parts_of(api), submission_of(api, job), result)
        yield World(api, away, tight, admin, job, f"{folder.as_uri()}/")


def too_large(world: World, path: str) -> httpx.Response:
    """Send more bytes than any JSON body may have."""
    return world.admin.post(path, content=b" " * (JSON_BYTES + 1))


def unauthorised(world: World, method: str, path: str) -> httpx.Response:
    return httpx.request(method, world.api.url + world.path(path), trust_env=False)


def without_scope(world: World, method: str, path: str) -> httpx.Response:
    with world.api.client("nobody") as client:
        return client.request(method, world.path(path))


def unknown(world: World, method: str, path: str) -> httpx.Response:
    return world.admin.request(method, world.path(path, UNKNOWN))


def gone(world: World, method: str, path: str) -> httpx.Response:
    return world.admin.request(method, world.path(path, world.deleted()))


def unavailable(world: World, method: str, path: str) -> httpx.Response:
    """Without the ledger, else without the issuer of the caller's token."""
    with world.away.client("admin") as client:
        answer = client.request(method, world.path(path, UNKNOWN), json={})
    if answer.status_code == 503 or path in PUBLIC:
        return answer
    with world.away.client(TOKEN) as client:
        return client.request(method, world.path(path, UNKNOWN))


def shown(world: World, method: str, path: str) -> httpx.Response:
    return world.admin.request(method, world.path(path))


def unchanged(world: World, method: str, path: str) -> httpx.Response:
    etag = world.admin.request(method, world.path(path)).headers["etag"]
    return world.admin.request(method, world.path(path), headers={"if-none-match": etag})


def unreadable(world: World, method: str, path: str) -> httpx.Response:
    """A parameter that is too long for any, or not a number."""
    return world.admin.request(
        method,
        world.path(path.replace("{item}", "x")),
        params=dict.fromkeys(("cursor", "modality", "code", "last_event_id", "sample", "redirect"), "x" * 300),
    )


Producer = Callable[[World, str, str], httpx.Response]
#: For any route that names the status.
BY_STATUS: dict[str, Producer] = {
    "200": shown,
    "304": unchanged,
    "400": unreadable,
    "401": unauthorised,
    "403": without_scope,
    "404": unknown,
    "410": gone,
    "503": unavailable,
}


def repeated(world: World) -> httpx.Response:
    """A repeat of a submission whose job has ended."""
    key = {"Idempotency-Key": "ended"}
    job = submit(world.admin, b"x", headers=key).json()["id"]
    world.admin.post(f"/v1/jobs/{job}/cancel")
    finish(world.api, job, failed(0))
    return submit(world.admin, b"x", headers=key)


def still_accepting(world: World) -> httpx.Response:
    """Another request under the same key has not ended yet."""
    job = keys.id_of_bytes(hmac.digest(SERVER_KEY.encode(), b"north\0busy", "sha256"))
    assert world.api.ledger.jobs.begin_accepting(job, "another request", timedelta(seconds=15))
    return submit(world.admin, b"x", headers={"Idempotency-Key": "busy"})


def repeated_after_deleting(world: World) -> httpx.Response:
    key = {"Idempotency-Key": "deleted"}
    world.admin.delete(f"/v1/jobs/{submit(world.admin, b'x', headers=key).json()['id']}")
    return submit(world.admin, b"x", headers=key)


def replayed(world: World) -> httpx.Response:
    return world.admin.post(world.path("/v1/jobs/{job}/deliveries/{event}/replay"))


def failed_job(world: World) -> str:
    """A finished job with a failed frame."""
    job = accepted(world.admin)
    driven(world.api, job, by_frame({0: "truncated"}))
    return job


def redriven(world: World) -> httpx.Response:
    return world.admin.post(f"/v1/jobs/{failed_job(world)}/redrive")


def redriven_to_its_end(world: World) -> httpx.Response:
    """A repeat, when the new job has ended."""
    job = failed_job(world)
    driven(world.api, world.admin.post(f"/v1/jobs/{job}/redrive").json()["id"])
    return world.admin.post(f"/v1/jobs/{job}/redrive")


def redriven_without_upload(world: World) -> httpx.Response:
    job = failed_job(world)
    world.api.storage.delete(items_of(world.api, job)[0].source)
    return world.admin.post(f"/v1/jobs/{job}/redrive")


def submitted_beyond_a_quota(world: World) -> httpx.Response:
    with world.tight.client("admin") as client:
        return submit(client, b"x")


def uploaded_beyond_a_quota(world: World) -> httpx.Response:
    with world.tight.client("admin") as client:
        return client.post("/v1/uploads", content=b"x")


def redriven_beyond_a_quota(world: World) -> httpx.Response:
    with world.tight.client("admin") as client:
        return client.post(f"/v1/jobs/{failed_job(world)}/redrive")


def encoded(world: World, path: str) -> httpx.Response:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    return world.admin.post(path, content=b"x", headers=headers)


def sent_to_the_store(world: World, name: str = "/0-0-0.mask.png") -> httpx.Response:
    """A file of its own object, where addresses of the store are given."""
    url, folder = world.api.settings.redis_url.get_secret_value(), world.api.folder.parent / "s3"
    with running_s3() as s3:
        about = {"storage_url": s3.storage_url, "s3_endpoint_url": s3.endpoint_url, "presigned_lifetime": 60}
        with running_api(folder, url, **about) as api, api.client("admin") as admin:
            job = accepted(admin, b"a")
            finish(api, job, succeeded(api, job, 0))
            return admin.get(f"/v1/jobs/{job}/artifacts{name}")


#: For one route, by method, path and status.
BY_ROUTE: dict[tuple[str, str, str], Callable[[World], httpx.Response]] = {
    ("POST", "/v1/jobs", "200"): repeated,
    # a stream does not end by itself
    ("GET", "/v1/events", "200"): lambda world: world.admin.head("/v1/events"),
    ("GET", "/v1/jobs/{job}/items", "409"): lambda world: world.admin.get(
        f"/v1/jobs/{accepted(world.admin)}/items?offset=0"
    ),
    ("GET", "/v1/jobs/{job}/results.csv", "409"): lambda world: world.admin.get(
        f"/v1/jobs/{accepted(world.admin)}/results.csv"
    ),
    ("GET", "/v1/jobs/{job}/results.parquet", "409"): lambda world: world.admin.get(
        f"/v1/jobs/{accepted(world.admin)}/results.parquet"
    ),
    ("POST", "/v1/watches", "201"): lambda world: world.watch(),
    ("POST", "/v1/watches", "400"): lambda world: world.admin.post("/v1/watches", json=[]),
    ("POST", "/v1/watches", "413"): lambda world: too_large(world, "/v1/watches"),
    ("POST", "/v1/watches", "415"): lambda world: encoded(world, "/v1/watches"),
    ("POST", "/v1/watches", "422"): lambda world: world.watch(prompts=["a & b"]),
    ("POST", f"{WATCH}/events", "422"): lambda world: world.admin.post(
        f"/v1/watches/{'a' * 26}/events", content=b"[" * 40 + b"]" * 40
    ),
    ("DELETE", WATCH, "204"): lambda world: world.admin.delete(world.path(WATCH)),
    ("POST", f"{WATCH}/events", "400"): lambda world: world.admin.post(world.path(f"{WATCH}/events"), content=b"{"),
    ("POST", f"{WATCH}/events", "413"): lambda world: too_large(world, world.path(f"{WATCH}/events")),
    ("POST", f"{WATCH}/events", "415"): lambda world: encoded(world, world.path(f"{WATCH}/events")),
    ("PUT", REVIEW, "200"): lambda world: world.admin.put(world.path(REVIEW), json={"verdict": "accept"}),
    ("PUT", REVIEW, "413"): lambda world: world.admin.put(world.path(REVIEW), content=bytes(20_000)),
    ("GET", "/metrics", "401"): lambda world: httpx.get(f"{world.tight.url}/metrics", trust_env=False),
    ("GET", "/v1/scaling", "401"): lambda world: httpx.get(f"{world.tight.url}/v1/scaling", trust_env=False),
    ("GET", "/v1/jobs/{job}/artifacts", "200"): lambda world: world.admin.get(
        world.path("/v1/jobs/{job}/artifacts?name={name}")
    ),
    ("GET", "/v1/jobs/{job}/artifacts", "422"): lambda world: sent_to_the_store(world, "?name=0-0-0.mask.png"),
    ("GET", "/v1/jobs/{job}/artifacts/{name}", "206"): lambda world: world.admin.get(
        world.path("/v1/jobs/{job}/artifacts/{name}"), headers={"Range": "bytes=0-3"}
    ),
    ("GET", "/v1/jobs/{job}/artifacts/{name}", "307"): sent_to_the_store,
    ("GET", "/v1/jobs/{job}/artifacts/{name}", "416"): lambda world: world.admin.get(
        world.path("/v1/jobs/{job}/artifacts/{name}"), headers={"Range": "bytes=999999999-"}
    ),
    ("POST", "/v1/jobs", "429"): submitted_beyond_a_quota,
    ("POST", "/v1/uploads", "429"): uploaded_beyond_a_quota,
    ("POST", "/v1/jobs/{job}/redrive", "429"): redriven_beyond_a_quota,
    ("POST", "/v1/jobs", "202"): lambda world: submit(world.admin, b"x"),
    ("POST", "/v1/jobs", "400"): lambda world: world.admin.post("/v1/jobs", json=[]),
    ("POST", "/v1/jobs", "409"): still_accepting,
    ("POST", "/v1/jobs", "410"): repeated_after_deleting,
    ("POST", "/v1/jobs", "415"): lambda world: encoded(world, "/v1/jobs"),
    ("POST", "/v1/uploads", "415"): lambda world: encoded(world, "/v1/uploads"),
    ("POST", "/v1/jobs", "413"): lambda world: submit(world.admin, bytes(400_000)),
    ("POST", "/v1/jobs", "422"): lambda world: submit(world.admin, b"x", prompts=["a & b"]),
    ("POST", "/v1/jobs/{job}/cancel", "202"): lambda world: world.admin.post(
        f"/v1/jobs/{accepted(world.admin)}/cancel"
    ),
    ("POST", "/v1/jobs/{job}/cancel", "409"): lambda world: world.admin.post(f"/v1/jobs/{world.job}/cancel"),
    ("DELETE", "/v1/jobs/{job}", "204"): lambda world: world.admin.delete(f"/v1/jobs/{accepted(world.admin)}"),
    ("POST", "/v1/jobs/{job}/deliveries/{event}/replay", "202"): replayed,
    ("POST", "/v1/jobs/{job}/redrive", "200"): redriven_to_its_end,
    ("POST", "/v1/jobs/{job}/redrive", "202"): redriven,
    ("POST", "/v1/jobs/{job}/redrive", "409"): lambda world: world.admin.post(
        f"/v1/jobs/{accepted(world.admin)}/redrive"
    ),
    ("POST", "/v1/jobs/{job}/redrive", "422"): redriven_without_upload,
    ("POST", "/v1/redrive", "202"): lambda world: world.admin.post("/v1/redrive"),
    ("POST", "/v1/uploads", "201"): lambda world: world.admin.post("/v1/uploads", content=b"x"),
    ("POST", "/v1/uploads", "400"): lambda world: world.admin.post(
        "/v1/uploads", content=b"x", headers={"content-type": "multipart/form-data"}
    ),
    ("POST", "/v1/uploads", "413"): lambda world: world.admin.post("/v1/uploads", content=bytes(400_000)),
    ("POST", "/v1/uploads", "422"): lambda world: world.admin.post("/v1/uploads", content=b""),
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [(method, path, status) for (method, path), known in sorted(documented().items()) for status in sorted(known)],
)
def test_every_documented_status_is_produced(world: World, method: str, path: str, status: str) -> None:
    one = BY_ROUTE.get((method, path, status))
    for_any = BY_STATUS.get(status)
    assert one or for_any, "no way is known to produce it: add one to BY_ROUTE, or take it out of the document"
    answer = one(world) if one else for_any(world, method, path)
    assert answer.status_code == int(status), answer.text
