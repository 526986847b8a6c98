"""Azure Blob Storage: lost answers, credentials, presigned URLs, accounts with directories, and its error codes."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import httpx
import jwt
import pytest

from maskrelay.errors import ObjectExists, ObjectMissing, SettingsError, StorageUnavailable
from maskrelay.storage import azure_requests
from maskrelay.storage.azure_account import AzureAccount, azure_account
from maskrelay.storage.azure_store import AzureStorage
from maskrelay.storage.factory import check_create_once, open_storage
from tests.support.builders.certificates import Authority
from tests.support.proxies.s3_proxy import FaultyProxy, faulty_proxy
from tests.support.servers.azurite import (
    ACCOUNT,
    KEY,
    RunningAzurite,
    container_sas,
    running_azurite,
    without_azure,
)
from tests.support.servers.scripted_server import Seen, hang_up, http, serving

MINUTE = timedelta(minutes=1)


def sends(answer: bytes) -> Callable[[socket.socket, Seen], None]:
    return lambda sock, _: sock.sendall(answer)


@pytest.fixture(scope="module")
def azurite() -> Iterator[RunningAzurite]:
    with running_azurite() as server:
        yield server


@pytest.fixture
def proxy(azurite: RunningAzurite) -> Iterator[FaultyProxy]:
    with faulty_proxy(azurite.url) as proxy:
        yield proxy


def account_at(url: str) -> AzureAccount:
    return azure_account(name=ACCOUNT, url=url, key=KEY)


@pytest.fixture
def storage(azurite: RunningAzurite, proxy: FaultyProxy, request: pytest.FixtureRequest) -> AzureStorage:
    return AzureStorage.open(account_at(f"{proxy.url}/{ACCOUNT}"), azurite.container, f"{request.node.name}/")


def test_a_create_whose_answer_is_lost_knows_its_own_object(storage, proxy):
    proxy.lose_answers = 1
    storage.create("a", b"mine")
    assert proxy.puts == 2
    assert storage.get("a") == b"mine"


def test_a_lost_answer_does_not_make_anothers_object_ours(azurite, storage, proxy, request):
    AzureStorage.open(azurite.account, azurite.container, f"{request.node.name}/").create("a", b"theirs")
    proxy.lose_answers = 1
    with pytest.raises(ObjectExists):
        storage.create("a", b"mine")
    assert storage.get("a") == b"theirs"


def test_a_busy_server_is_tried_again_and_then_unavailable(storage, proxy):
    proxy.answer_503 = 2
    storage.create("a", b"created")
    proxy.answer_503 = 2
    storage.put("b", b"put")
    assert (storage.get("a"), storage.get("b")) == (b"created", b"put")
    proxy.answer_503 = 100
    for write in (storage.create, storage.put):
        proxy.puts = 0
        with pytest.raises(StorageUnavailable):
            write("c", b"")
        assert proxy.puts == 3


def test_a_server_that_ignores_the_condition_is_refused_at_start(azurite, proxy):
    """Only with a shared access signature: the signature of an account key covers the condition."""
    account = azure_account(url=f"{proxy.url}/{ACCOUNT}", sas=container_sas(azurite))
    storage = AzureStorage.open(account, azurite.container, "conditions/")
    proxy.drop_conditions = True
    with pytest.raises(SettingsError, match="two creates"):
        check_create_once(storage)
    assert list(storage.list("")) == []


def test_a_large_object_that_is_not_finished_is_not_visible_and_does_not_disturb_the_next_writer(storage, proxy):
    with storage.writer("a") as writer:
        writer.write(bytes(9 << 20))
        proxy.answer_503 = 100
        with pytest.raises(StorageUnavailable):
            writer.write(bytes(9 << 20))
    proxy.mend()
    assert list(storage.list("")) == []
    with storage.writer("a") as writer:
        writer.write(b"x" * (9 << 20))
        writer.commit()
    assert storage.get("a") == b"x" * (9 << 20)


def test_a_list_of_many_pages_is_whole(storage, monkeypatch):
    monkeypatch.setattr(azure_requests, "PAGE_NAMES", 3)
    keys = [f"many/{number}" for number in range(8)]
    storage.put_all(dict.fromkeys(keys, b""))
    assert list(storage.list("many/")) == keys
    assert list(storage.list("many/", "many/4")) == keys[5:]


def test_a_strangers_blob_is_not_listed_and_ends_no_list(azurite, storage, request):
    requests = storage._requests
    for name in ("folder/", "a//b", "a b", "a%zz", "ä"):
        requests.put(f"{request.node.name}/{name}", b"", "text/plain")
    storage.put("folder/a", b"")
    assert list(storage.list("")) == ["folder/a"]


def test_a_presigned_url_reads_one_blob_as_long_as_it_is_valid(azurite):
    storage = open_storage(azurite.storage_url, None)
    storage.put("jobs/a", b"body")
    url = storage.presign("jobs/a", MINUTE)
    assert url is not None
    assert httpx.get(url).text == "body"
    assert httpx.get(url.replace("jobs/a", "jobs/b")).status_code == 403
    assert httpx.put(url, content=b"x", headers={"x-ms-blob-type": "BlockBlob"}).status_code == 403
    assert httpx.get(str(storage.presign("jobs/a", timedelta(minutes=-1)))).status_code == 403


def test_a_shared_access_signature_is_enough_and_is_never_given_away(azurite):
    string = f"BlobEndpoint={azurite.url};SharedAccessSignature={container_sas(azurite)}"
    storage = open_storage(f"az://{azurite.container}/signed", None, string)
    check_create_once(storage)
    with storage.writer("large") as writer:
        writer.write(bytes(9 << 20))
        writer.commit()
    assert list(storage.list("")) == ["large"]
    assert storage.presign("large", MINUTE) is None


@contextmanager
def identity(monkeypatch: pytest.MonkeyPatch, lifetime_s: int) -> Iterator[list[str]]:
    """The service that gives tokens to this machine. Yields the lines of its requests."""
    now = int(time.time())
    claims = {"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/t/", "ver": "1.0"}
    times = {"nbf": now - 60, "iat": now - 60, "exp": now + 600}
    token = jwt.encode(claims | times, "key-of-nobody-in-particular-32-bytes", "HS256")
    body = {"access_token": token, "expires_on": str(now + lifetime_s), "token_type": "Bearer", "resource": "r"}
    asked: list[str] = []
    with serving(sends(http(200, json.dumps(body).encode(), Content_Type="application/json"))) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        yield asked
        asked += [seen.line for seen in server.seen]


@pytest.mark.parametrize(("lifetime_s", "fetched"), [(3600, 1), (60, 3)])
def test_a_managed_identity_is_enough_and_its_token_is_renewed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lifetime_s: int, fetched: int
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("azure", "127.0.0.1")
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    oauth = ("--oauth", "basic", "--cert", str(certificate), "--key", str(key))
    with (
        running_azurite("results", *oauth) as server,
        without_azure(),
        identity(monkeypatch, lifetime_s) as asked,
    ):
        storage = AzureStorage.open(azure_account(name=ACCOUNT, url=server.url), "results")
        storage.create("a", b"body")
        assert storage.get("a") == b"body"
        storage.delete("a")
        assert storage.presign("a", MINUTE) is None
    assert len(asked) == fetched
    assert all("resource=https://storage.azure.com" in unquote(line) for line in asked)


def test_a_machine_without_an_identity_is_an_unavailable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(sends(http(403, b'{"message": "no identity"}'))) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        storage = AzureStorage.open(azure_account(name="results"), "container")
        with pytest.raises(StorageUnavailable, match="NoCredentialsError") as caught:
            storage.create("a", b"")
    assert caught.value.__cause__ is None


DIRECTORIES = b"""<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>
<Blob><Name>p/a</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>
<Blob><Name>p/a/b</Name><Properties><ResourceType>file</ResourceType></Properties></Blob>
<Blob><Name>p/c</Name><Properties /><Metadata><hdi_isfolder>true</hdi_isfolder></Metadata></Blob>
<Blob><Name Encoded="true">p/%EF%BF%BE</Name><Properties /></Blob>
</Blobs><NextMarker /></EnumerationResults>"""


def test_a_directory_of_an_account_with_a_hierarchical_namespace_is_no_object() -> None:
    def answer(sock, request):
        is_list = "comp=list" in request.line
        method = request.line.split()[0]
        body = DIRECTORIES if is_list else b""
        told = {"Last_Modified": "Sun, 29 Nov 2026 20:00:00 GMT", "x_ms_resource_type": "directory"}
        sock.sendall(http(200, b"" if method == "HEAD" else body, length=len(body), **told))

    with serving(answer) as server:
        storage = AzureStorage.open(account_at(server.url.removesuffix("/score")), "container", "p/")
        assert list(storage.list("")) == ["a/b"]
        for read in (storage.get, storage.head):
            with pytest.raises(ObjectMissing):
                read("a")


@pytest.mark.parametrize(
    ("status", "code", "reason", "refused"),
    [
        (403, "AuthorizationPermissionMismatch", "AuthorizationPermissionMismatch", True),
        (403, "AuthenticationFailed", "AuthenticationFailed", True),
        (404, "ContainerNotFound", "ContainerNotFound", True),
        (404, "", "404", True),
        (409, "ContainerBeingDeleted", "ContainerBeingDeleted", False),
        (429, "", "429", False),
        (500, "InternalError", "InternalError", False),
        (503, "ServerBusy", "ServerBusy", False),
        (400, "words of a <stranger>", "400", True),
    ],
)
def test_a_refusal_is_named_by_azures_code(status: int, code: str, reason: str, refused: bool) -> None:
    more = {"x_ms_error_code": code} if code else {}
    with serving(sends(http(status, b"", **more))) as server:
        storage = AzureStorage.open(account_at(server.url.removesuffix("/score")), "container")
        with pytest.raises(StorageUnavailable) as caught:
            storage._send(lambda requests: requests.put("a", b"", "text/plain"))
        assert (caught.value.reason, caught.value.refused) == (reason, refused)


@pytest.mark.parametrize("code", ["BlobAlreadyExists", "ConditionNotMet", "BlobImmutableDueToPolicy"])
@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_and_a_failed_condition_are_one_error(status: int, code: str) -> None:
    with serving(sends(http(status, b"", x_ms_error_code=code))) as server:
        storage = AzureStorage.open(account_at(server.url.removesuffix("/score")), "container")
        with pytest.raises(ObjectExists):
            storage._send(lambda requests: requests.put("a", b"", "text/plain", "nonce"))


def test_a_whole_blob_is_no_part_of_it() -> None:
    with serving(sends(http(200, b"the whole"))) as server:
        storage = AzureStorage.open(account_at(server.url.removesuffix("/score")), "container")
        with pytest.raises(StorageUnavailable, match="ResponseParserError"):
            storage.get("a", 4, 5)


def test_an_answer_that_is_cut_off_is_an_unavailable_store_and_not_a_short_object() -> None:
    def answer(sock, request):
        sock.sendall(http(200, b"half", length=8))
        hang_up(sock)

    with serving(answer) as server:
        storage = AzureStorage.open(account_at(server.url.removesuffix("/score")), "container")
        with pytest.raises(StorageUnavailable, match="ConnectionClosedError"):
            storage.get("a")
