"""The requests that obstore sends in place of boto3: the same errors, the same configuration, the same borders."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.handlers import add_expect_header

from maskrelay.errors import ObjectExists, ObjectMissing, StorageError, StorageUnavailable
from maskrelay.storage import s3_clients
from maskrelay.storage.obstore_requests import LONGEST_BODY_BYTES
from maskrelay.storage.s3 import S3Storage
from tests.support.builders.certificates import server_context, write_certificate
from tests.support.servers.s3_servers import ENVIRONMENT, ROOT, RunningS3, running_s3
from tests.support.servers.scripted_server import ScriptedServer, Seen, hang_up, http, serving

FOUND = {"ETag": '"e"', "Last_Modified": "Sun, 29 Nov 2026 20:00:00 GMT"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**ENVIRONMENT, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr("maskrelay.storage.bucket_store._CREATE_PAUSES", ())


def origin(server: ScriptedServer) -> str:
    return server.url.removesuffix("/score")


def found(sock: socket.socket, request: Seen) -> None:
    """Every object is there, with the same four bytes."""
    method = request.line.split()[0]
    sock.sendall(http(200, b"body" if method == "GET" else b"", length=4 if method in {"GET", "HEAD"} else 0, **FOUND))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(found) as running:
        yield running


def sender(request: Seen) -> str:
    """The library that sent a request."""
    return "obstore" if request.headers["user-agent"].startswith("object_store/") else "boto3"


def by_boto3(url: str) -> S3Storage:
    """A store whose requests boto3 sends, without waiting for a 100 that these servers do not send."""
    storage = S3Storage.open("bucket", "", url, before_fork=True)
    storage._clients.now().boto3._client.meta.events.unregister("before-call.s3", add_expect_header)
    return storage


def both(url: str) -> tuple[S3Storage, S3Storage]:
    """The same store by obstore and by boto3."""
    return S3Storage.open("bucket", "", url), by_boto3(url)


def write(storage: S3Storage) -> None:
    with storage.writer("a") as writer:
        writer.write(b"x")
        writer.commit()


CALLS: dict[str, Callable[[S3Storage], object]] = {
    "create": lambda storage: storage.create("a", b"x"),
    "put": lambda storage: storage.put("a", b"x"),
    "writer": write,
    "get": lambda storage: storage.get("a"),
    "head": lambda storage: storage.head("a"),
    "delete": lambda storage: storage.delete("a"),
}


def test_every_request_for_one_small_object_is_sent_by_obstore(server: ScriptedServer):
    storage = S3Storage.open("bucket", "p/", origin(server))
    for name in ("create", "put", "writer", "get", "head", "delete"):
        CALLS[name](storage)
    assert [sender(request) for request in server.seen] == ["obstore"] * 6
    lines = [request.line.removesuffix(" HTTP/1.1").replace(" /bucket/p/a", "") for request in server.seen]
    assert lines == ["PUT", "PUT", "PUT", "GET", "HEAD", "DELETE"]
    assert server.seen[0].headers["if-none-match"] == "*"
    assert len(server.seen[0].headers["x-amz-meta-nonce"]) == 32
    assert {request.connection for request in server.seen} == {0}  # it is kept


def test_a_long_body_is_sent_by_boto3(server: ScriptedServer):
    S3Storage.open("bucket", "", origin(server)).put("a", bytes(LONGEST_BODY_BYTES + 1))
    assert [sender(request) for request in server.seen] == ["boto3"]


def outcome(call: Callable[[S3Storage], object], storage: S3Storage) -> tuple[type[StorageError] | None, object, bool]:
    """The error that a call raises: its class, its reason, and whether it is a refusal."""
    try:
        call(storage)
    except StorageError as error:
        return type(error), getattr(error, "reason", None), bool(getattr(error, "refused", False))
    return None, None, False


ANSWERS = [
    (400, "ExpiredToken"),
    (400, "InvalidRequest"),
    (400, "no such key: patients/4711"),
    (403, "AccessDenied"),
    (403, "SignatureDoesNotMatch"),
    (403, "RequestTimeTooSkewed"),
    (403, ""),
    (404, "NoSuchBucket"),
    (404, "NoSuchKey"),
    (404, ""),
    (409, "ConditionalRequestConflict"),
    (412, "PreconditionFailed"),
    (429, "TooManyRequests"),
    (500, "InternalError"),
    (501, "NotImplemented"),
    (503, "SlowDown"),
    (503, ""),
]


@pytest.mark.parametrize(("status", "code"), ANSWERS)
def test_an_answer_means_the_same_whichever_library_receives_it(status: int, code: str):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode() if code else b""

    def script(sock: socket.socket, request: Seen) -> None:
        sock.sendall(http(status, b"" if request.line.startswith("HEAD") else body))

    with serving(script) as server:
        ours, boto3s = both(origin(server))
        for name in ("put", "get", "head", "delete", "create"):
            assert outcome(CALLS[name], ours) == outcome(CALLS[name], boto3s), name
        assert {sender(request) for request in server.seen} == {"obstore", "boto3"}


@pytest.mark.parametrize("body", [b"", b"<html><body>404 page not found</body></html>"])
def test_a_404_of_a_proxy_is_no_missing_object(body: bytes):
    """A job whose record seems to be missing would be taken for a deleted one."""

    def of_proxy(sock: socket.socket, request: Seen) -> None:
        sock.sendall(http(404, b"" if request.line.startswith("HEAD") else body))

    def of_server(sock: socket.socket, request: Seen) -> None:
        is_bucket = request.line.startswith("HEAD /bucket ")
        sock.sendall(http(200 if is_bucket else 404, b""))

    with serving(of_proxy) as server:
        assert {outcome(CALLS["get"], storage)[0] for storage in both(origin(server))} == {StorageUnavailable}
    with serving(of_server) as server:
        assert {outcome(CALLS["get"], storage)[0] for storage in both(origin(server))} == {ObjectMissing}


def test_a_whole_object_is_no_part_of_it():
    with serving(lambda sock, _: sock.sendall(http(200, b"the whole", **FOUND))) as server:
        for storage in both(origin(server)):
            with pytest.raises(StorageUnavailable, match="ResponseParserError"):
                storage.get("a", 4, 5)


def failing(script: Callable[[socket.socket, Seen], None]) -> list[tuple[type[StorageError] | None, object, bool]]:
    """What a get raises by obstore and by boto3 when the server acts by this script."""
    with serving(script) as server:
        return [outcome(CALLS["get"], storage) for storage in both(origin(server))]


def test_a_connection_that_breaks_means_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(s3_clients, "_READ_SECONDS", 0.2)
    for word, script in {
        "ConnectionClosedError": lambda sock, _: hang_up(sock),
        "ReadTimeoutError": lambda _sock, _: None,
    }.items():
        assert failing(script) == [(StorageUnavailable, word, False)] * 2
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for storage in both(f"http://127.0.0.1:{port}"):
        assert outcome(CALLS["get"], storage) == (StorageUnavailable, "EndpointConnectionError", False)


def test_a_body_that_is_cut_off_is_no_object():
    def script(sock: socket.socket, _: Seen) -> None:
        sock.sendall(http(200, b"half of", length=100, **FOUND))
        hang_up(sock)

    assert {error for error, _, _ in failing(script)} == {StorageUnavailable}


def test_the_number_of_attempts_is_boto3s(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("maskrelay.storage.bucket_store._LONGEST_PAUSE", 0)
    with serving(lambda sock, _: sock.sendall(http(500, b""))) as server:
        storage = S3Storage.open("bucket", "", origin(server))
        for name in ("put", "get", "delete"):
            assert outcome(CALLS[name], storage) == (StorageUnavailable, "500", False)
            assert len(server.seen) == 2
            server.seen.clear()
    with serving(lambda sock, _: sock.sendall(http(403, b""))) as server:
        assert outcome(CALLS["put"], S3Storage.open("bucket", "", origin(server))) == (StorageUnavailable, "403", True)
        assert len(server.seen) == 1, "a refusal is not repeated"


def test_variables_that_only_obstore_knows_change_nothing(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch):
    given = {
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_UNSIGNED_PAYLOAD": "true",
        "AWS_CONDITIONAL_PUT": "disabled",
        "AWS_REQUEST_PAYER": "true",
        "AWS_S3_EXPRESS": "true",
        "AWS_PROXY_URL": "http://127.0.0.1:1",
        "AWS_ALLOW_HTTP": "false",
        "AWS_TIMEOUT": "1ms",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    storage = S3Storage.open("bucket", "", origin(server))
    storage.create("a", b"x")
    [seen] = server.seen
    assert sender(seen) == "obstore"
    assert seen.headers["if-none-match"] == "*"
    assert seen.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=test/")
    assert len(seen.headers["x-amz-content-sha256"]) == 64
    assert "x-amz-request-payer" not in seen.headers


@pytest.mark.parametrize("name", ["AWS_SERVER_SIDE_ENCRYPTION", "AWS_CHECKSUM_ALGORITHM", "AWS_COPY_IF_NOT_EXISTS"])
def test_a_variable_that_obstore_cannot_ignore_leaves_the_requests_to_boto3(
    name: str, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, "AES256")
    S3Storage.open("bucket", "", origin(server)).get("a")
    assert [sender(request) for request in server.seen] == ["boto3"]


def test_checksums_are_sent_and_checked_where_they_are_asked_for(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    S3Storage.open("bucket", "", origin(server)).put("a", b"x")
    assert sender(server.seen[-1]) == "obstore"
    assert "x-amz-checksum-sha256" in server.seen[-1].headers
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_supported")
    S3Storage.open("bucket", "", origin(server)).get("a")
    assert (sender(server.seen[-1]), server.seen[-1].headers["x-amz-checksum-mode"]) == ("boto3", "ENABLED")


def test_rotated_credentials_are_used_for_the_next_request(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def rotate(key: str, token: str) -> None:
        lines = ["[default]", f"aws_access_key_id = {key}", "aws_secret_access_key = s", token]
        (tmp_path / "new").write_text("\n".join(lines))
        (tmp_path / "new").replace(tmp_path / "credentials")

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    rotate("FIRST", "aws_session_token = temporary")
    storage = S3Storage.open("bucket", "", origin(server))
    storage.get("a")
    rotate("SECOND", "")
    storage.get("a")
    assert [request.headers["authorization"].split("=")[1].split("/")[0] for request in server.seen] == [
        "FIRST",
        "SECOND",
    ]
    assert [request.headers.get("x-amz-security-token") for request in server.seen] == ["temporary", None]
    assert {sender(request) for request in server.seen} == {"obstore"}


def test_temporary_credentials_are_renewed_by_boto3(server: ScriptedServer, tmp_path: Path, monkeypatch):
    """A process that gives out credentials which expire at once: every request needs new ones."""
    issuer = tmp_path / "issue.py"
    issuer.write_text(
        "import json, pathlib, sys\n"
        "count = pathlib.Path(sys.argv[1])\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 's',\n"
        "    'SessionToken': 't', 'Expiration': '2999-01-01T00:00:00Z' if number > 2 else '2000-01-01T00:00:00Z'}))\n"
    )
    (tmp_path / "config").write_text(
        f"[default]\ncredential_process = {sys.executable} {issuer} {tmp_path / 'count'}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    storage = S3Storage.open("bucket", "", origin(server))
    assert outcome(CALLS["get"], storage)[0] is StorageUnavailable
    storage.get("a")
    storage.get("a")
    assert {request.headers["authorization"].split("=")[1].split("/")[0] for request in server.seen} == {"KEY3"}


def test_no_proxy_is_obeyed_as_everywhere_else(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch):
    with serving(found) as proxy:
        monkeypatch.setenv("HTTP_PROXY", origin(proxy))
        S3Storage.open("bucket", "", origin(server)).put("a", b"x")
        assert (len(proxy.seen), len(server.seen)) == (1, 0)
        assert sender(proxy.seen[0]) == "obstore"
        monkeypatch.setenv("NO_PROXY", f"127.0.0.1:{urlsplit(server.url).port}")
        S3Storage.open("bucket", "", origin(server)).put("a", b"x")
        assert (len(proxy.seen), len(server.seen)) == (1, 1)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, server: ScriptedServer):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for storage in both(origin(server)):
        assert outcome(CALLS["get"], storage) == (StorageUnavailable, "ProxyConnectionError", False)


def test_a_certificate_that_only_openssl_accepts_leaves_the_requests_to_boto3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A self-signed certificate that is trusted itself, as self-hosted servers have it."""
    folder = write_certificate(tmp_path)
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(folder / "ca.crt"))
    tls = server_context((folder / "ca.crt", folder / "key"))
    with serving(found, tls=tls) as server:
        storage = S3Storage.open("bucket", "", origin(server))
        assert storage.get("a") == b"body"
        assert storage.get("a") == b"body"
    assert [sender(request) for request in server.seen] == ["boto3", "boto3"]
    assert [record.reason for record in caplog.records if "sent by boto3" in record.getMessage()] == ["certificate"]


def test_the_region_of_a_bucket_is_found_as_boto3_finds_it():
    def script(sock: socket.socket, request: Seen) -> None:
        if "/eu-north-1/s3/" in request.headers["authorization"]:
            return sock.sendall(http(200, b"body", x_amz_bucket_region="eu-north-1", **FOUND))
        body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>"
        return sock.sendall(http(400, body, x_amz_bucket_region="eu-north-1"))

    with serving(script) as server:
        assert S3Storage.open("bucket", "", origin(server)).get("a") == b"body"


def test_no_error_names_the_server_the_key_or_a_credential():
    def script(sock: socket.socket, _: Seen) -> None:
        sock.sendall(http(403, b"<Error><Code>AccessDenied</Code><Key>folder/name</Key></Error>"))

    with serving(script) as server:
        storage = S3Storage.open("bucket-name", "", origin(server))
        with pytest.raises(StorageUnavailable) as caught:
            storage.put("folder/name", b"x")
    error = caught.value
    said = f"{error!r} {error} {vars(error)} {error.__cause__} {error.__suppress_context__}"
    assert not [secret for secret in ("127.0.0.1", "bucket-name", "folder", "test/") if secret in said]


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as running:
        yield running


FORKS = """
import os, signal, sys
import maskrelay.storage.obstore_requests  # as in a process that imports everything once and then forks
from maskrelay.storage.s3 import S3Storage

bucket, url = sys.argv[1:]
S3Storage.open(bucket, "forks/", url, before_fork=True).put("parent", b"x")
child = os.fork()
if child == 0:
    signal.alarm(100)
    storage = S3Storage.open(bucket, "forks/", url)
    storage.put("child", b"y")
    assert storage.get("child") == b"y"
    assert storage._clients.now().obstore is not None
    os._exit(0)
print(os.waitpid(child, 0)[1], len(os.listdir("/proc/self/task")))
"""


def test_a_process_that_is_going_to_fork_starts_no_thread_and_its_child_uses_obstore(s3: RunningS3):
    """obstore's threads end with a fork, and a request in the child would never return."""
    environment = {**os.environ, **s3.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FORKS, s3.bucket, s3.endpoint_url]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=200)
    assert ended.stdout.split() == ["0", "1"], ended.stderr


def test_presigned_urls_and_obstore_agree_on_the_address(server: ScriptedServer):
    storage = S3Storage.open("bucket", "p/", origin(server))
    storage.get("a")
    address = urlsplit(storage.presign("a", timedelta(minutes=1)))
    assert server.seen[0].line.split()[1] == address.path
    assert server.seen[0].headers["host"] == address.netloc


def test_the_first_of_two_writers_wins_across_the_libraries(s3: RunningS3):
    ours = S3Storage.open(s3.bucket, "both/", s3.endpoint_url)
    boto3s = S3Storage.open(s3.bucket, "both/", s3.endpoint_url, before_fork=True)
    ours.create("a", b"first")
    with pytest.raises(ObjectExists):
        boto3s.create("a", b"second")
    boto3s.create("b", b"first")
    with pytest.raises(ObjectExists):
        ours.create("b", b"second")
    ours.delete("a")
    with pytest.raises(ObjectMissing):
        boto3s.get("a")
