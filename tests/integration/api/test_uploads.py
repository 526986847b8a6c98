"""Bodies on their way in: refused before they are read, cut in the middle, and large."""

import hashlib
import os
import select
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import PROMPT
from tests.support.servers.apis import RunningApi, api_process, running_api

GIB = 1 << 30


@contextmanager
def connection(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)  # what we count is then what was taken from us
        raw.connect((parts.hostname, parts.port))
        raw.settimeout(20)
        yield raw


def head(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: api", *headers, "", ""]).encode()


def pour(raw: socket.socket, most: int) -> int:
    """Send zeros until an answer comes or `most` bytes are gone; how many went."""
    sent, piece = 0, bytes(64 << 10)
    while sent < most and not select.select([raw], [], [], 0)[0]:
        if select.select([raw], [raw], [], 5)[1]:
            try:
                sent += raw.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
    return sent


def answer_of(raw: socket.socket) -> bytes:
    """All that is answered until the connection ends."""
    received = b""
    while True:
        try:
            chunk = raw.recv(65536)
        except ConnectionResetError:
            return received
        if not chunk:
            return received
        received += chunk


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/v1/uploads", f"Content-Length: {2 * GIB}"),
        ("/v1/jobs", f"Content-Length: {2 * GIB}"),
        ("/v1/uploads", "Transfer-Encoding: chunked"),
    ],
)
def test_a_wrong_key_is_answered_before_the_body_is_read(api: RunningApi, path: str, length: str) -> None:
    with connection(api.url) as raw:
        raw.sendall(head(path, "Authorization: Bearer wrong", "Content-Type: image/png", length))
        if "chunked" in length:
            raw.sendall(b"80000000\r\n")
        sent = pour(raw, 2 * GIB)
        answer = answer_of(raw)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"code":"unauthenticated"' in answer
    assert sent < 1 << 20
    assert api.files() == []


def test_a_declared_length_over_the_limit_is_413_before_the_body_is_read(tmp_path: Path, empty_valkey: str) -> None:
    with running_api(tmp_path / "store", empty_valkey, max_body_bytes=1000) as api, connection(api.url) as raw:
        raw.sendall(head("/v1/uploads", "Authorization: Bearer north", f"Content-Length: {2 * GIB}"))
        sent = pour(raw, 2 * GIB)
        answer = answer_of(raw)
        assert api.files() == []
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 1 << 20


@pytest.mark.parametrize("length", [f"Content-Length: {2 * GIB}", "Transfer-Encoding: chunked"])
def test_a_sender_that_reads_late_is_held_up_and_finds_the_answer_before_an_error(api: RunningApi, length: str) -> None:
    with connection(api.url) as raw:
        raw.sendall(head("/v1/uploads", "Authorization: Bearer wrong", length))
        if "chunked" in length:
            raw.sendall(b"80000000\r\n")
        while select.select([], [raw], [], 0.5)[1]:  # until no byte more is taken
            raw.send(bytes(64 << 10))
        assert raw.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_a_body_of_unknown_length_ends_at_the_limit(tmp_path: Path, empty_valkey: str) -> None:
    with running_api(tmp_path / "store", empty_valkey, max_body_bytes=1000) as api, api.client() as north:
        answer = north.post("/v1/uploads", content=(b"x" * 600 for _ in range(2)))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert api.files() == []


def test_an_upload_that_grows_too_large_is_stopped_while_it_comes(api: RunningApi) -> None:
    with connection(api.url) as raw:
        raw.sendall(head("/v1/uploads", "Authorization: Bearer north", f"Content-Length: {2 * GIB}"))
        sent = pour(raw, 2 * GIB)
        answer = answer_of(raw)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 4 << 20
    assert api.files() == []


def test_a_caller_who_waits_to_be_asked_for_the_body_never_sends_it(api: RunningApi) -> None:
    with connection(api.url) as raw:
        raw.sendall(
            head("/v1/uploads", "Authorization: Bearer wrong", f"Content-Length: {GIB}", "Expect: 100-continue")
        )
        answer = answer_of(raw)
    assert answer.startswith(b"HTTP/1.1 401 ")


FORM = (
    b'--cut\r\nContent-Disposition: form-data; name="image"; filename="whole.png"\r\n\r\n' + b"w" * 5000 + b"\r\n"
    b'--cut\r\nContent-Disposition: form-data; name="image"; filename="half.png"\r\n\r\n' + b"h" * 5000
)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/uploads"])
def test_a_connection_cut_in_the_middle_of_a_form_leaves_nothing(tmp_path: Path, empty_valkey: str, path: str) -> None:
    form = ("Content-Type: multipart/form-data; boundary=cut", f"Content-Length: {len(FORM) + 5_000_000}")
    with running_api(tmp_path / "store", empty_valkey) as api:
        with connection(api.url) as raw:
            raw.sendall(head(path, "Authorization: Bearer north", *form) + FORM + bytes(4_000_000))
            while len(api.files()) < 2:  # one file is whole, the other under way
                time.sleep(0.01)
        until_empty(api)
        assert api.files() == []


def test_a_connection_cut_in_the_middle_of_a_raw_upload_leaves_nothing(api: RunningApi) -> None:
    with connection(api.url) as raw:
        raw.sendall(head("/v1/uploads", "Authorization: Bearer north", "Content-Length: 250000"))
        raw.sendall(bytes(240_000))
        while not api.files():
            time.sleep(0.01)
    until_empty(api)
    assert api.files() == []


def until_empty(api: RunningApi) -> None:
    """The server hears of the cut in its own time; at the latest with its next request."""
    with api.client() as north:
        deadline = time.monotonic() + 20
        while north.get("/livez").is_success and api.files() and time.monotonic() < deadline:
            time.sleep(0.02)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/uploads"])
@pytest.mark.parametrize("end", [len(FORM), 5100, 40], ids=["no last boundary", "after the first file", "in a header"])
def test_a_form_without_its_end_is_refused_and_leaves_nothing(
    api: RunningApi, north: httpx.Client, path: str, end: int
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=cut"}
    answer = north.post(path, content=FORM[:end], headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_incomplete")
    assert api.files() == []


def test_many_files_of_one_form_are_all_kept_whole_whatever_they_hold(api: RunningApi, north: httpx.Client) -> None:
    bodies = [b"", b"\r\n--", b"\r\n" * 1000, os.urandom(200_000), b"--cut\r\n" * 3]
    answer = north.post("/v1/uploads", files=[("image", (f"{n}.png", body)) for n, body in enumerate(bodies)])
    shown = answer.json()["uploads"]
    assert [one["sha256"] for one in shown] == [hashlib.sha256(body).hexdigest() for body in bodies]
    assert [one["size"] for one in shown] == [len(body) for body in bodies]
    assert [api.storage.get(keys.upload("north", one["id"])) for one in shown] == bodies


def test_an_upload_that_is_too_old_is_refused_by_name(api: RunningApi, north: httpx.Client) -> None:
    upload = north.post("/v1/uploads", content=b"pixels").json()["uploads"][0]["id"]
    facts = keys.upload("north", upload) + ".json"
    api.storage.put(facts, api.storage.get(facts).replace(b'"at":"20', b'"at":"19'))
    answer = north.post("/v1/jobs", json={"items": [{"upload": upload}], "prompts": [PROMPT]})
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_expired")
    assert answer.json()["errors"][0]["pointer"] == "#/items/0/upload"
    assert api.objects("live/", "jobs/") == []


def test_two_gibibytes_pass_through_with_flat_memory(tmp_path: Path, empty_valkey: str) -> None:
    with api_process(tmp_path, empty_valkey) as (url, process):
        headers = {"Authorization": "Bearer north", "Content-Type": "application/octet-stream"}
        with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
            client.post("/v1/uploads", content=b"warm").raise_for_status()
            before, most = process.memory_info().rss, 0
            piece, digest = bytes(1 << 20), hashlib.sha256()

            def pieces() -> Iterator[bytes]:
                nonlocal most
                for number in range(2048):
                    if number % 64 == 0:
                        most = max(most, process.memory_info().rss)
                    yield piece

            answer = client.post("/v1/uploads", content=pieces(), headers={"Content-Length": str(2 * GIB)})
            most = max(most, process.memory_info().rss)
    for _ in range(2048):
        digest.update(piece)
    shutil.rmtree(tmp_path / "store")
    assert answer.status_code == 201
    assert answer.json()["uploads"][0]["size"] == 2 * GIB
    assert answer.json()["uploads"][0]["sha256"] == digest.hexdigest()
    assert most - before < 64 << 20
