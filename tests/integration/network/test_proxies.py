"""The way out through an HTTP proxy that wants a user and a password, and what a proxy's own failures mean."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.auth.jwks import IssuerKeys
from maskrelay.admin.azure.bearer import GivenToken
from maskrelay.admin.azure.control_plane_calls import Calls
from maskrelay.client import Client
from maskrelay.endpoints import Endpoint, read_endpoints
from maskrelay.errors import EndpointError, ProxyDenied, ProxyUnavailable, ServiceUnreachable, SettingsError
from maskrelay.network.proxies import read_proxy
from maskrelay.rules.endpoint_gate import report_of
from maskrelay.scoring.token_sources import ControlPlane
from maskrelay.scoring.tokens import RenewedToken, Token
from maskrelay.settings import Settings
from maskrelay.storage.s3 import S3Storage
from maskrelay.telemetry.otlp import Otlp
from tests.integration.scoring.scoring_cases import (
    BODY,
    GOOD,
    KEY,
    MAPS,
    ROWS,
    client_of,
)
from tests.support.builders.certificates import Authority, server_context
from tests.support.proxies.http_proxies import (
    PASSWORD,
    QUOTED,
    HttpProxy,
    http_proxy,
)
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.s3_servers import running_s3
from tests.support.servers.scripted_server import ScriptedServer, http, serving

VARIABLES = [case(f"{name}_proxy") for name in ("http", "https", "all", "no") for case in (str.lower, str.upper)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("server", "127.0.0.1", "endpoint.example")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))


@pytest.fixture(params=["http", "https"])
def proxy(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[HttpProxy]:
    """A proxy that is itself spoken to over plain HTTP, and over TLS."""
    tls = server_context(certificate) if request.param == "https" else None
    with http_proxy(tls, names={"endpoint.example": "127.0.0.1"}) as running:
        yield running


def script(sock, request) -> None:
    """Whatever is asked for in these tests, by its path."""
    path, now = request.line.split()[1], time.time()
    host = f"https://{request.headers['host']}"
    answers = {
        "/score": GOOD,
        "/token": http(200, json.dumps({"accessToken": "t", "expiryTimeUtc": now + 900}).encode()),
        "/providers/Microsoft.Authorization/x": http(200, b'{"properties": {}}'),
        "/.well-known/openid-configuration": http(200, json.dumps({"issuer": host, "jwks_uri": host + "/k"}).encode()),
        "/k": http(200, b'{"keys": []}'),
        "/v1/endpoints": http(200, b'{"endpoints": []}'),
    }
    sock.sendall(answers.get(path.partition("?")[0], http(200, b"{}")))


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[ScriptedServer]:
    with serving(script, tls=server_context(certificate)) as running:
        yield running


def tried(url: str, *, times: int = 1, proxy: str | None = None):
    """What the last of `times` scores gives, or its error."""

    async def run():
        endpoint = Endpoint(url=url, key=KEY, proxy=proxy)
        client = client_of(url, endpoint=endpoint)
        try:
            for _ in range(times):
                scored = await client.score(BODY, ROWS, request_id="r")
        except EndpointError as error:
            return error
        finally:
            await client.aclose()
        return scored

    return asyncio.run(run())


def test_the_scorer_goes_through_its_proxy_and_keeps_the_connection(server: ScriptedServer, proxy: HttpProxy):
    scored = tried(server.url, times=3, proxy=proxy.url)
    assert scored.answers[0].maps.raw == MAPS
    port = server.url.split(":")[2].removesuffix("/score")
    assert proxy.asked == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"]
    assert [seen.connection for seen in server.seen] == [0, 0, 0]
    assert "proxy-authorization" not in server.seen[0].headers


def test_a_host_name_is_looked_up_by_the_proxy(server: ScriptedServer, proxy: HttpProxy):
    scored = tried(server.url.replace("127.0.0.1", "endpoint.example"), proxy=proxy.url)
    assert scored.answers[0].maps.raw == MAPS


def test_an_endpoint_without_tls_is_asked_of_the_proxy(proxy: HttpProxy):
    with serving(script) as plain:
        scored = tried(plain.url, times=2, proxy=proxy.url)
    assert scored.answers[0].maps.raw == MAPS
    assert proxy.asked == [f"POST {plain.url} HTTP/1.1"] * 2
    assert "proxy-authorization" not in plain.seen[0].headers
    assert plain.seen[0].body == BODY


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_used_where_the_endpoint_has_none(name, server, proxy, monkeypatch):
    monkeypatch.setenv(name, proxy.url)
    assert tried(server.url).answers
    assert len(proxy.asked) == 1


def test_what_no_proxy_lists_is_reached_directly(server, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,127.0.0.0/8,::1")
    assert tried(server.url).answers
    assert proxy.asked == []


def answering(*pieces: bytes):
    return lambda sock: [sock.sendall(piece) for piece in pieces]


FAILURES = {
    "407": (answering(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"), ProxyDenied, "proxy_auth", 407),
    "403": (answering(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno"), ProxyDenied, "proxy_refused", 403),
    "502": (answering(b"HTTP/1.1 502 No\r\n\r\n"), ProxyUnavailable, "proxy_gateway", 502),
    "503 after 100": (
        answering(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\n\r\n"),
        ProxyUnavailable,
        "proxy_gateway",
        503,
    ),
    "302": (answering(b"HTTP/1.1 302 Login\r\nlocation: /\r\n\r\n"), ProxyUnavailable, "proxy_gateway", 302),
    "no HTTP": (answering(b"SSH-2.0-x\r\n"), ProxyUnavailable, "proxy_unreachable", None),
    "nothing": (answering(), ProxyUnavailable, "proxy_unreachable", None),
    "endless": (
        answering(b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 9000 + b"\r\n"] * 20),
        ProxyUnavailable,
        "proxy_unreachable",
        None,
    ),
    "more than was asked": (answering(b"HTTP/1.1 200 OK\r\n\r\nhello"), ProxyUnavailable, "proxy_unreachable", None),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_proxys_own_failure_is_coded_frees_the_slot_and_blames_no_frame(name: str, server: ScriptedServer):
    misbehave, leaf, kind, status = FAILURES[name]
    with http_proxy(misbehave=misbehave) as proxy:
        error = tried(server.url, proxy=proxy.url)
    assert type(error) is leaf
    assert (error.kind, error.status, error.still_working) == (kind, status, False)
    report = report_of(error)
    assert (report.kind, report.reason, report.keep_slot) == ("denied" if leaf is ProxyDenied else "busy", kind, False)
    assert PASSWORD not in f"{error!r} {vars(error)}"
    assert QUOTED not in f"{error!r} {vars(error)}"
    assert error.__context__ is None
    assert server.seen == []


def test_a_proxy_that_does_not_answer_is_late(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("maskrelay.scoring.endpoint_client.CONNECT_TIMEOUT_S", 0.2)
    with http_proxy(misbehave=lambda _sock: proxy.released.wait(20)) as proxy:
        error = tried(server.url, proxy=proxy.url)
    assert (type(error), error.kind) == (ProxyUnavailable, "proxy_timeout")


def test_a_proxy_that_is_not_there_is_unreachable(server: ScriptedServer):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid:1"):
        assert tried(server.url, proxy=address).kind == "proxy_unreachable"


def test_a_wrong_password_is_the_proxys_to_refuse(server: ScriptedServer, proxy: HttpProxy):
    error = tried(server.url, proxy=proxy.url.replace(QUOTED, "user:wr0ng"))
    assert (type(error), error.kind) == (ProxyDenied, "proxy_auth")
    with serving(script) as plain:
        error = tried(plain.url, proxy=proxy.url.replace(QUOTED, "user:wr0ng"))
    assert (type(error), error.kind) == (ProxyDenied, "proxy_auth")
    assert plain.seen == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_socks_proxy_is_refused_by_name_where_it_would_be_used(name, server, monkeypatch):
    monkeypatch.setenv(name, "socks5://user:s3cret@127.0.0.1:1080")
    for make in (
        lambda: client_of(server.url),
        lambda: Client(server.url, "k"),
        lambda: IssuerKeys(server.url),
        lambda: Calls(server.url, GivenToken("t")),
        lambda: S3Storage.open("bucket", "", server.url),
        lambda: Otlp.start(server.url, "test"),
        lambda: ControlPlane(server.url, RenewedToken(Opener())),
    ):
        with pytest.raises(SettingsError, match=f"{name} names a SOCKS proxy") as caught:
            make()
        assert "s3cret" not in str(caught.value)


class Opener:
    async def fetch(self) -> Token:
        return Token("opener", time.time() + 900, time.time() + 1000)


def origin(server: ScriptedServer) -> str:
    return server.url.removesuffix("/score")


def managed(url: str, proxy: HttpProxy | None = None) -> None:
    through = read_proxy(proxy.url, "the proxy") if proxy else None
    with closing(Calls(url, GivenToken("t"), through)) as calls:
        calls.get("/providers/Microsoft.Authorization/x")


def asked(url: str) -> None:
    with Client(url, KEY, timeout=timedelta(seconds=10)) as client:
        client.endpoints()


def traced(url: str) -> None:
    spans = Otlp.start(url, "test")
    with spans.span("one"):
        pass
    spans.end()


WAYS = {
    "aml_token": lambda url: asyncio.run(ControlPlane(f"{url}/token", RenewedToken(Opener())).fetch()),
    "control plane": managed,
    "issuer": lambda url: asyncio.run(IssuerKeys(url).key("k")),
    "client": asked,
    "traces": traced,
}


@pytest.mark.parametrize("way", WAYS)
def test_everything_else_goes_through_the_environments_proxy(way, server, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    WAYS[way](origin(server))
    assert server.seen
    assert proxy.refused == 0
    assert {line.split()[0] for line in proxy.asked} == {"CONNECT"}


def test_the_tokens_and_the_control_plane_go_through_the_endpoints_proxy(server, proxy):
    through = read_proxy(proxy.url, "the proxy")
    asyncio.run(ControlPlane(f"{origin(server)}/token", RenewedToken(Opener()), through).fetch())
    managed(origin(server), proxy)
    assert len(proxy.asked) == 2


def test_a_tokens_failure_at_the_proxy_is_the_proxys(server):
    with http_proxy() as proxy:
        source = ControlPlane(f"{origin(server)}/token", RenewedToken(Opener()), read_proxy(proxy.address, "the proxy"))
        with pytest.raises(ProxyDenied) as caught:
            asyncio.run(source.fetch())
    assert caught.value.kind == "proxy_auth"


def test_the_client_says_that_it_is_the_proxy(server, monkeypatch):
    monkeypatch.setattr("maskrelay.client.service_calls._TRIES", 1)
    with http_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        with Client(server.url, "k") as client, pytest.raises(ServiceUnreachable, match=r"proxy.*407"):
            client.endpoints()


def test_the_object_store_is_reached_through_the_environments_proxy(certificate, proxy, monkeypatch):
    with running_s3() as s3, tls_before(int(s3.endpoint_url.rpartition(":")[2]), *certificate) as port:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        storage = S3Storage.open(s3.bucket, "private/", f"https://127.0.0.1:{port}")
        storage.put("a", b"one")
        assert storage.get("a") == b"one"
    assert proxy.refused == 0
    assert proxy.asked


def test_a_pools_endpoints_go_through_the_setting_unless_they_have_a_proxy_of_their_own(tmp_path):
    file, secret = tmp_path / "endpoints.json", tmp_path / "proxy"
    one = {"name": "a", "url": "https://a/score", "key": "k"}
    file.write_text(json.dumps([one, {**one, "name": "b", "proxy": "http://own:1"}]))
    secret.write_text(f"http://{QUOTED}@usual:1\n")
    settings = Settings.from_environment(
        {
            "MASKRELAY_REDIS_URL": "redis://r",
            "MASKRELAY_STORAGE_URL": "file:///",
            "MASKRELAY_SERVER_KEY": "k" * 32,
            "MASKRELAY_ENDPOINTS_FILE": str(file),
            "MASKRELAY_ENDPOINT_PROXY_FILE": str(secret),
        }
    )
    assert QUOTED not in repr(settings)
    found = [endpoint.proxy for endpoint in read_endpoints(settings)]
    assert found == [SecretStr(f"http://{QUOTED}@usual:1"), SecretStr("http://own:1")]


def test_what_workers_announce_of_an_endpoint_holds_neither_its_proxy_nor_its_files(ledger):
    ways = {"key": KEY, "proxy": f"http://{QUOTED}@proxy:1", "cert_file": "/own/cert", "cert_key_file": "/own/key"}
    ledger.endpoints.announce([Endpoint(url="https://a/score", **ways)])
    [known] = ledger.endpoints.known()
    assert (known.proxy, known.cert_file, known.cert_key_file) == (None, None, None)
    told = repr(ledger.scripts.ask("HVALS", "mr:endpoints"))
    assert not [word for word in (QUOTED, KEY, "/own/") if word in told]
