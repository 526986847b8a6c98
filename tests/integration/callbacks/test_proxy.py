"""Callbacks through an HTTP proxy: the proxy looks names up, and its own failures are not the receiver's."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender, DeliveryResult
from maskrelay.callbacks.signature import derive_secret
from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import read_proxy
from tests.support.builders.certificates import Authority, server_context
from tests.support.proxies.http_proxies import HttpProxy, http_proxy
from tests.support.servers.receivers import receiver, status

SECRET = derive_secret(b"a server key of some length ......", "job")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("server", "127.0.0.1", "receiver.example")


@pytest.fixture(autouse=True)
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))


@pytest.fixture(params=["http", "https"])
def proxy(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[HttpProxy]:
    tls = server_context(certificate) if request.param == "https" else None
    with http_proxy(tls, names={"receiver.example": "127.0.0.1"}) as running:
        yield running


def never(_host: str, _port: int) -> list[str]:
    raise AssertionError("names are the proxy's to look up")


def send(url: str, proxy_url: str, allow: tuple[str, ...] = ()) -> DeliveryResult:
    through = read_proxy(proxy_url, "MASKRELAY_CALLBACK_PROXY")
    sender = CallbackSender(AddressGuard(allow, never), timedelta(seconds=10), client_context(), proxy=through)
    return sender.send(url, [SECRET], "evt_1", b"{}", 1_700_000_000)


def test_over_tls_the_way_is_opened_by_connect(proxy: HttpProxy, certificate: tuple[Path, Path]):
    with receiver(status(200), server_context(certificate)) as hook:
        result = send(hook.url("receiver.example", "https"), proxy.url)
    assert result.reason == "ok"
    assert proxy.asked == [f"CONNECT receiver.example:{hook.port} HTTP/1.1"]
    assert "proxy-authorization" not in hook.received[0].headers


def test_without_tls_the_proxy_is_asked(proxy: HttpProxy):
    with receiver(status(503)) as hook:
        result = send(hook.url("receiver.example"), proxy.url)
    assert (result.reason, result.status) == ("http_error", 503)
    assert "proxy-authorization" not in hook.received[0].headers


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "0x7f.1", "localhost"])
def test_an_inner_address_is_not_even_asked_of_the_proxy(host: str, proxy: HttpProxy):
    assert send(f"http://{host}/", proxy.url).reason == "forbidden_address"
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_our_password_is_to_blame_and_nobody_else(scheme: str, proxy: HttpProxy):
    assert send(f"{scheme}://receiver.example/", proxy.address).reason == "proxy"
    assert proxy.refused == 1


def test_a_proxy_that_is_not_there_is_to_blame():
    assert send("https://receiver.example/", "http://127.0.0.1:9").reason == "proxy"


def test_a_receiver_that_the_proxy_does_not_reach_or_permit_is_said_so():
    def forbids(sock) -> None:
        sock.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

    with http_proxy(misbehave=forbids) as running:
        assert send("https://receiver.example/", running.url).reason == "proxy_refused"


def test_the_environments_proxies_are_not_used_for_callbacks(monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiver(status(200)) as hook:
        sender = CallbackSender(AddressGuard(["127.0.0.1"]), timedelta(seconds=10))
        assert sender.send(hook.url(), [SECRET], "evt_1", b"{}", 1).reason == "ok"
