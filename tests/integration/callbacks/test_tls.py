"""Callbacks over TLS: the name of the URL is what the receiver hears and what its certificate has to hold."""

import ssl
from datetime import timedelta

import pytest

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender, DeliveryResult
from maskrelay.callbacks.signature import derive_secret
from tests.support.builders.certificates import Authority, server_context
from tests.support.servers.receivers import receiver, status

SECRET = derive_secret(b"a server key of some length ......", "job")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def server_tls(authority):
    return server_context(authority.issue("receiver", "receiver.example"))


@pytest.fixture
def client_tls(authority):
    return ssl.create_default_context(cafile=str(authority.file))


def send(url, tls=None):
    """One callback; every name is at 127.0.0.1."""
    guard = AddressGuard(["127.0.0.0/8"], lambda _host, _port: ["127.0.0.1"])
    sender = CallbackSender(guard, timedelta(seconds=10), tls)
    return sender.send(url, [SECRET], "evt_1", b"{}", 1_700_000_000)


def test_over_tls_name_and_certificate_are_those_of_the_url(server_tls, client_tls):
    seen = []
    server_tls.sni_callback = lambda _socket, name, _context: seen.append(name)
    with receiver(status(200), server_tls) as hook:
        url = hook.url("receiver.example", "https")
        result = send(url, tls=client_tls)
    assert result.delivered
    assert seen == ["receiver.example"]
    assert hook.received[0].headers["host"] == f"receiver.example:{hook.port}"


def test_a_certificate_for_another_name_is_refused(server_tls, client_tls):
    with receiver(status(200), server_tls) as hook:
        url = hook.url("other.example", "https")
        result = send(url, tls=client_tls)
    assert result == DeliveryResult(delivered=False, status=None, reason="tls")
    assert hook.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused(server_tls):
    with receiver(status(200), server_tls) as hook:
        result = send(hook.url("receiver.example", "https"))
    assert result.reason == "tls"
    assert hook.received == []


def test_https_to_a_port_without_tls_is_a_tls_failure(client_tls):
    with receiver(status(200)) as hook:
        result = send(hook.url(scheme="https"), tls=client_tls)
    assert result.reason == "tls"
    assert hook.received == []
