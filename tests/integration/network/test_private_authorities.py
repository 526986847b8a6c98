"""A private certificate authority, as a hospital has: every connection of the service and of its users trusts it."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from api.auth.jwks import IssuerKeys
from maskrelay.admin.azure.bearer import GivenToken
from maskrelay.admin.azure.control_plane_calls import Calls
from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender
from maskrelay.callbacks.signature import derive_secret
from maskrelay.client import Client
from maskrelay.endpoints import Endpoint
from maskrelay.errors import (
    AzureUnreachable,
    EndpointError,
    IssuerUnavailable,
    ServiceUnreachable,
    SettingsError,
    StorageUnavailable,
)
from maskrelay.network.certificates import client_context
from maskrelay.scoring.token_sources import ControlPlane, Entra
from maskrelay.scoring.tokens import RenewedToken, Token
from maskrelay.storage.s3 import S3Storage
from maskrelay.telemetry.otlp import Otlp
from tests.integration.scoring.scoring_cases import (
    BODY,
    GOOD,
    KEY,
    ROWS,
    client_of,
)
from tests.support.builders.certificates import Authority, server_context
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.s3_servers import RunningS3, running_s3
from tests.support.servers.scripted_server import ScriptedServer, http, serving

REFUSED = (EndpointError, AzureUnreachable, StorageUnavailable, ServiceUnreachable, IssuerUnavailable)
SECRET = derive_secret(b"a server key of some length ......", "job")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("server", "127.0.0.1")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in many images: the libraries' own variables name the usual authorities."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "MASKRELAY_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    usual = str(Authority(tmp_path, "usual").file)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "OTEL_EXPORTER_OTLP_CERTIFICATE"):
        monkeypatch.setenv(name, usual)


@pytest.fixture(params=["MASKRELAY_CA_FILE", "SSL_CERT_FILE"])
def trusted(request: pytest.FixtureRequest, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(request.param, str(authority.file))


def script(sock, request) -> None:
    """An endpoint, a control plane, an identity service, an issuer, a collector, a receiver and a maskrelay in one."""
    path, now = request.line.split()[1], time.time()
    host = f"https://{request.headers['host']}"
    answers = {
        "/score": GOOD,
        "/token": http(200, json.dumps({"accessToken": "t", "expiryTimeUtc": now + 900}).encode()),
        "/identity": http(
            200,
            json.dumps({"access_token": "entra", "expires_on": str(int(now) + 900), "token_type": "Bearer"}).encode(),
            content_type="application/json",
        ),
        "/providers/Microsoft.Authorization/resource": http(200, b'{"properties": {}}'),
        "/.well-known/openid-configuration": http(
            200, json.dumps({"issuer": host, "jwks_uri": f"{host}/keys"}).encode()
        ),
        "/keys": http(200, b'{"keys": []}'),
        "/v1/endpoints": http(200, b'{"endpoints": []}'),
    }
    sock.sendall(answers.get(path.partition("?")[0], http(200, b"{}")))


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[ScriptedServer]:
    with serving(script, tls=server_context(certificate)) as running:
        yield running


class Opener:
    """The control plane's own token, at hand."""

    async def fetch(self) -> Token:
        return Token("opener", time.time() + 900, time.time() + 1000)


async def scored(url: str) -> None:
    client = client_of(f"{url}/score")
    await client.score(BODY, ROWS, request_id="r")
    await client.aclose()


def delivered(url: str) -> None:
    sender = CallbackSender(AddressGuard(["127.0.0.0/8"]), timedelta(seconds=10))
    if sender.send(url, [SECRET], "evt_1", b"{}", 1_700_000_000).reason != "ok":
        raise ServiceUnreachable


def traced(url: str) -> None:
    spans = Otlp.start(url, "test")
    with spans.span("one"):
        pass
    spans.end()


def asked(url: str) -> None:
    with Client(url, KEY, timeout=timedelta(seconds=10)) as client:
        client.endpoints()


def managed(url: str) -> None:
    with closing(Calls(url, GivenToken("t"))) as calls:
        calls.get("/providers/Microsoft.Authorization/resource")


WAYS: dict[str, Callable[[str], object]] = {
    "scorer": lambda url: asyncio.run(scored(url)),
    "aml_token": lambda url: asyncio.run(ControlPlane(f"{url}/token", RenewedToken(Opener())).fetch()),
    "control plane": managed,
    "issuer": lambda url: asyncio.run(IssuerKeys(url).key("k")),
    "callback": delivered,
    "traces": traced,
    "client": asked,
}


def origin(server: ScriptedServer) -> str:
    return server.url.removesuffix("/score")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("trusted")
def test_a_server_of_a_private_authority_is_reached(way: str, server: ScriptedServer):
    WAYS[way](origin(server))
    assert server.seen


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"control plane", "client"}))  # those two try again for seconds
def test_without_it_nothing_is_sent_there(way: str, server: ScriptedServer):
    try:
        WAYS[way](origin(server))
    except REFUSED:
        pass
    else:
        assert way == "traces", "the exporter tells nobody"
    assert server.seen == []


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as running:
        yield running


@pytest.mark.usefixtures("trusted")
def test_the_object_store_is_reached(s3: RunningS3, certificate: tuple[Path, Path]):
    with tls_before(int(s3.endpoint_url.rpartition(":")[2]), *certificate) as port:
        storage = S3Storage.open(s3.bucket, "private/", f"https://127.0.0.1:{port}")
        storage.put("a", b"one")
        assert storage.get("a") == b"one"


def test_without_it_the_object_store_is_unavailable(s3: RunningS3, certificate: tuple[Path, Path]):
    with tls_before(int(s3.endpoint_url.rpartition(":")[2]), *certificate) as port:
        with pytest.raises(StorageUnavailable) as caught:
            S3Storage.open(s3.bucket, "private/", f"https://127.0.0.1:{port}").get("a")
        assert caught.value.reason == "SSLError"


@pytest.mark.usefixtures("trusted")
def test_the_identity_service_is_reached(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{origin(server)}/identity")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    assert asyncio.run(Entra("https://ml.azure.com/.default").fetch()).text == "entra"


def test_a_client_certificate_is_shown_to_an_endpoint_that_insists(authority, certificate, monkeypatch):
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    cert_file, key_file = authority.issue("scorer")

    async def run(**more: str) -> None:
        endpoint = Endpoint(url=server.url, key=KEY, **more)
        client = client_of(server.url, endpoint=endpoint)
        try:
            await client.score(BODY, ROWS, request_id="r")
        finally:
            await client.aclose()

    with serving(script, tls=server_context(certificate, clients=authority.file)) as server:
        with pytest.raises(EndpointError):
            asyncio.run(run())
        asyncio.run(run(cert_file=str(cert_file), cert_key_file=str(key_file)))
    assert len(server.seen) == 1


def test_a_client_certificate_is_shown_to_a_receiver_that_insists(authority, certificate, monkeypatch):
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    shown = client_context(*map(str, authority.issue("deliverer")))
    guard = AddressGuard(["127.0.0.0/8"])
    with serving(script, tls=server_context(certificate, clients=authority.file)) as server:
        reasons = [
            CallbackSender(guard, timedelta(seconds=10), tls).send(server.url, [SECRET], "e", b"{}", 1).reason
            for tls in (None, shown)
        ]
    assert reasons == ["no_answer", "ok"]


def test_an_encrypted_private_key_is_refused_where_the_client_is_made(authority):
    cert_file, key_file = authority.issue("locked", passphrase=b"word")
    with pytest.raises(SettingsError, match="default: the private key is encrypted"):
        client_of(
            "https://127.0.0.1/score",
            endpoint=Endpoint(
                url="https://127.0.0.1/score", key=KEY, cert_file=str(cert_file), cert_key_file=str(key_file)
            ),
        )
    assert os.environ.get("SSL_CERT_FILE") is None
