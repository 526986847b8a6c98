"""What HTTP tools take for granted of an API, and what a gateway in front of it needs."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.drivers.api_jobs import (
    PNG,
    accepted,
    finish,
    succeeded,
)
from tests.support.servers.apis import RunningApi, running_api

MASK = "/artifacts/0-0-0.mask.png"


@pytest.fixture
def job(api: RunningApi, north: httpx.Client) -> str:
    made = accepted(north, b"a")
    finish(api, made, succeeded(api, made, 0))
    return f"/v1/jobs/{made}"


def test_head_answers_as_get_does_without_a_body(api: RunningApi, north: httpx.Client, job: str) -> None:
    paths = [job, f"{job}/items", f"{job}{MASK}", f"{job}/deliveries", "/v1/jobs", "/v1/prompts", "/livez", "/metrics"]
    for path in paths:
        get, head = north.get(path), north.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
    assert north.head(f"{job}{MASK}").headers["content-length"] == str(len(PNG))
    assert north.head("/v1/jobs/unknown").status_code == 404
    assert httpx.head(f"{api.url}/v1/jobs", trust_env=False).status_code == 401


def test_the_methods_of_a_path_are_named_with_head(north: httpx.Client) -> None:
    assert north.put("/v1/jobs").headers["allow"] == "GET, HEAD, POST"


def test_a_slash_behind_a_path_changes_nothing(north: httpx.Client, job: str) -> None:
    for path in (f"{job}/", f"{job}/items/", "/v1/jobs/"):
        answer = north.get(path)
        assert (answer.status_code, answer.history) == (200, [])


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-3", 0, 4), ("bytes=5-", 5, None), ("bytes=-4", -4, None), ("bytes=2-9999", 2, None)],
)
def test_a_part_of_a_file_is_answered_as_that_part(
    north: httpx.Client, job: str, asked: str, begin: int, end: int | None
) -> None:
    answer = north.get(f"{job}{MASK}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, PNG[begin:end])
    first = begin if begin >= 0 else len(PNG) + begin
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(PNG)}"
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["lines=0-3", "bytes=0-1,3-4", "bytes=4-2", "bytes=-", "bytes=x-y", "0-3"])
def test_what_is_no_single_range_is_answered_with_the_whole(north: httpx.Client, job: str, asked: str) -> None:
    answer = north.get(f"{job}{MASK}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, PNG)


def test_a_range_of_another_version_is_answered_with_the_whole(north: httpx.Client, job: str) -> None:
    etag = north.get(f"{job}{MASK}").headers["etag"]
    same = north.get(f"{job}{MASK}", headers={"Range": "bytes=0-3", "If-Range": etag})
    other = north.get(f"{job}{MASK}", headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)


def test_a_range_behind_the_end_is_refused_with_the_length(north: httpx.Client, job: str) -> None:
    answer = north.get(f"{job}{MASK}", headers={"Range": f"bytes={len(PNG)}-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(PNG)}"


def test_a_body_in_an_encoding_that_is_not_decoded_is_refused(api: RunningApi, north: httpx.Client) -> None:
    for path in ("/v1/uploads", "/v1/jobs"):
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        answer = north.post(path, content=b"\x1f\x8b", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "encoding_unsupported")
    assert north.post("/v1/uploads", content=b"x", headers={"Content-Encoding": "identity"}).status_code == 201
    assert api.objects("jobs/", "live/") == []


def test_a_long_poll_ends_before_a_proxys_minute(api: RunningApi, north: httpx.Client, job: str) -> None:
    answer = north.get(job, headers={"Prefer": "wait=60"})
    assert answer.headers["preference-applied"] == "wait=50"


def test_who_sends_a_large_body_with_a_wrong_key_reads_the_answer_and_no_reset(api: RunningApi) -> None:
    """As a proxy does that has the whole body and passes it on at once."""
    host, port = api.url.removeprefix("http://").split(":")
    body = b"x" * (16 << 20)
    with socket.create_connection((host, int(port)), timeout=30) as caller:
        head = ["POST /v1/uploads HTTP/1.1", "Host: x", "Authorization: Bearer wrong", f"Content-Length: {len(body)}"]
        caller.sendall("\r\n".join([*head, "", ""]).encode())
        caller.sendall(body)
        answer = b""
        while received := caller.recv(65536):
            answer += received
    assert answer.startswith(b"HTTP/1.1 401")
    assert b'"code":"unauthenticated"' in answer


def test_a_body_with_two_lengths_is_refused_and_nothing_after_it_is_read(api: RunningApi) -> None:
    """A proxy in front might see another end of the body, and the next request of somebody else in it."""
    host, port = api.url.removeprefix("http://").split(":")
    head = "Host: x\r\nAuthorization: Bearer north\r\nContent-Type: image/png\r\n"
    inner = f"GET /v1/jobs HTTP/1.1\r\n{head}\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as caller:
        framing = f"Content-Length: {5 + len(inner)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        caller.sendall(f"POST /v1/uploads HTTP/1.1\r\n{head}{framing}{inner}".encode())
        answer = b""
        while received := caller.recv(65536):
            answer += received
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"malformed"' in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.fixture
def shared(tmp_path: Path, empty_valkey: str) -> Iterator[RunningApi]:
    with running_api(tmp_path / "shared", empty_valkey, cors_origins=("https://app.example",)) as running:
        yield running


def test_pages_of_a_named_origin_may_call_and_others_may_not(shared: RunningApi, api: RunningApi) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, idempotency-key",
    }

    def preflight(running: RunningApi, origin: str) -> httpx.Response:
        headers = {"Origin": origin, **asked}
        return httpx.options(f"{running.url}/v1/jobs", headers=headers, trust_env=False)

    allowed = preflight(shared, "https://app.example")
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "https://app.example")
    assert "access-control-allow-origin" not in preflight(shared, "https://evil.example").headers
    assert "access-control-allow-origin" not in preflight(api, "https://app.example").headers
    with shared.client("north", Origin="https://app.example") as page:
        answer = page.get("/v1/jobs")
        refused = page.get("/v1/jobs/unknown")
    for one in (answer, refused):
        assert one.headers["access-control-allow-origin"] == "https://app.example"
    assert "ETag" in answer.headers["access-control-expose-headers"]


def test_metrics_and_scaling_can_ask_for_a_key_of_their_own(tmp_path: Path, empty_valkey: str) -> None:
    key = "a key for the collector"
    with running_api(tmp_path / "closed", empty_valkey, metrics_key=key) as running:
        for path in ("/metrics", "/v1/scaling"):
            asked = {
                given: httpx.get(running.url + path, headers=headers, trust_env=False)
                for given, headers in {
                    "none": {},
                    "a caller's": {"Authorization": "Bearer north"},
                    "its own": {"Authorization": f"Bearer {key}"},
                }.items()
            }
            assert {given: answer.status_code for given, answer in asked.items()} == {
                "none": 401,
                "a caller's": 401,
                "its own": 200,
            }
        assert httpx.get(f"{running.url}/livez", trust_env=False).status_code == 200
