"""Callbacks to real receivers on loopback."""

import json
import socket
import threading
import time
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender, DeliveryResult
from maskrelay.callbacks.signature import derive_secret, verify
from tests.support.servers.receivers import receiver, status

SECRET = derive_secret(b"a server key of some length ......", "job")
EVENT = "evt_0123456789abcdef0123456789abcdef"
BODY = json.dumps({"type": "job.succeeded", "data": {"id": "a"}}).encode()
PATIENCE = timedelta(seconds=10)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def send(url, *, guard=None, timeout=PATIENCE, secrets=(SECRET,), traceparent=None, now=None):
    sender = CallbackSender(guard or AddressGuard(["127.0.0.1"]), timeout)
    return sender.send(url, secrets, EVENT, BODY, int(time.time()) if now is None else now, traceparent)


def names(**addresses):
    """A resolver that knows these names only (`_` stands for a dot), a list being answered one by one."""
    known = {name.replace("_", "."): iter(answers) for name, answers in addresses.items()}
    return lambda host, _port: next(known[host])


def test_a_callback_arrives_as_it_was_signed():
    with receiver(status(204)) as hook:
        result = send(hook.url(), traceparent=TRACEPARENT)
    assert result == DeliveryResult(delivered=True, status=204, reason="ok")
    (got,) = hook.received
    assert (got.path, got.body) == ("/hook?job=1", BODY)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == EVENT
    assert got.headers["traceparent"] == TRACEPARENT
    assert got.headers["host"] == f"127.0.0.1:{hook.port}"
    assert Webhook(SECRET).verify(got.body, got.headers) == json.loads(BODY)


def test_during_a_rotation_both_secrets_sign():
    new = derive_secret(b"another server key of some length", "job")
    with receiver(status(200)) as hook:
        assert send(hook.url(), secrets=[SECRET, new]).delivered
    (got,) = hook.received
    for secret in (SECRET, new):
        verify(secret, got.headers, got.body, int(time.time()))
        assert Webhook(secret).verify(got.body, got.headers) == json.loads(BODY)


@pytest.mark.parametrize("traceparent", ["x", "00-é", f"{TRACEPARENT}\r\nx-evil: 1"])
def test_a_malformed_traceparent_is_left_out(traceparent):
    with receiver(status(200)) as hook:
        assert send(hook.url(), traceparent=traceparent).delivered
    assert {"traceparent", "x-evil"}.isdisjoint(hook.received[0].headers)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(code):
    with receiver(status(200)) as behind, receiver(status(code, location=behind.url())) as hook:
        result = send(hook.url())
    assert result == DeliveryResult(delivered=False, status=code, reason="redirect")
    assert behind.received == []


def test_410_wants_no_more():
    with receiver(status(410)) as hook:
        result = send(hook.url())
    assert result == DeliveryResult(delivered=False, status=410, reason="gone", disable=True)


@pytest.mark.parametrize("code", [400, 401, 404, 429, 500, 503])
def test_any_other_status_is_a_failure_to_be_tried_again(code):
    with receiver(status(code)) as hook:
        result = send(hook.url())
    assert result == DeliveryResult(delivered=False, status=code, reason="http_error")


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, 999_999_999),
        ("Tue, 99 Nov 2023 99:99:99 GMT", None),
    ],
)
def test_the_pause_that_a_receiver_asks_for_is_read(field, seconds):
    with receiver(status(503, retry_after=field)) as hook:
        assert send(hook.url(), now=1_700_000_000).retry_after_s == seconds


def test_a_receiver_that_does_not_answer_is_a_timeout():
    ended = threading.Event()
    with receiver(lambda _handler: ended.wait()) as hook:
        result = send(hook.url(), timeout=timedelta(seconds=0.3))
        ended.set()
    assert result == DeliveryResult(delivered=False, status=None, reason="timeout")


def test_a_receiver_that_drips_its_header_does_not_outlast_the_deadline():
    ended = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not ended.wait(0.05):
            handler.wfile.write(b"x-more: 1\r\n")

    with receiver(drip) as hook:
        result = send(hook.url(), timeout=timedelta(seconds=0.5))
        ended.set()
    assert result.reason == "timeout"


def test_an_answer_without_end_is_not_read_to_its_end():
    broken = threading.Event()

    def flood(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            broken.set()
            raise

    with receiver(flood) as hook:
        result = send(hook.url())
        assert broken.wait(10), "the sender went on reading"
    assert result.delivered


def test_a_status_that_came_counts_though_the_body_did_not():
    def promise(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        handler.close_connection = True

    with receiver(promise) as hook:
        assert send(hook.url()).delivered


def test_an_answer_that_is_no_http_is_no_answer():
    def babble(handler):
        handler.wfile.write(b"220 ready to serve\r\n")
        handler.close_connection = True

    def silence(handler):
        handler.close_connection = True

    for answer in (babble, silence):
        with receiver(answer) as hook:
            assert send(hook.url()) == DeliveryResult(delivered=False, status=None, reason="no_answer")


def test_nobody_listening_is_refused():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = send(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert result == DeliveryResult(delivered=False, status=None, reason="refused")


def test_a_name_without_an_address_is_unresolved():
    guard = AddressGuard([], names(receiver_example=[[]]))
    result = send("http://receiver.example/", guard=guard)
    assert result == DeliveryResult(delivered=False, status=None, reason="unresolved")


@pytest.mark.parametrize("url", ["http://localhost:{}/", "http://127.0.0.1:{}/", "http://0x7f.1:{}/"])
def test_loopback_is_not_reached_unless_it_is_allowed(url):
    with receiver(status(200)) as hook:
        result = send(url.format(hook.port), guard=AddressGuard([]))
    assert result == DeliveryResult(delivered=False, status=None, reason="forbidden_address")
    assert hook.received == []


def test_a_name_that_turns_inwards_after_submit_is_not_followed():
    guard = AddressGuard([], names(receiver_example=[["127.0.0.1"]]))
    with receiver(status(200)) as hook:
        url = hook.url("receiver.example")
        guard.check_url(url)
        result = send(url, guard=guard)
    assert result.reason == "forbidden_address"
    assert hook.received == []


def test_a_name_is_looked_up_once_and_its_checked_address_is_the_one_connected_to():
    """A second look-up would find nothing here, and the name means nothing to this machine."""
    guard = AddressGuard(["127.0.0.0/8"], names(receiver_example=[["127.0.0.1"]]))
    with receiver(status(200)) as hook:
        result = send(hook.url("receiver.example"), guard=guard)
    assert result.delivered
    assert hook.received[0].headers["host"] == f"receiver.example:{hook.port}"


def test_the_next_address_is_tried_when_the_first_refuses():
    guard = AddressGuard(["127.0.0.0/8"], names(receiver_example=[["127.0.0.2", "127.0.0.1"]]))
    with receiver(status(200)) as hook:
        assert send(hook.url("receiver.example"), guard=guard).delivered


def test_the_environments_proxies_are_ignored(monkeypatch):
    with receiver(status(200)) as proxy, receiver(status(200)) as hook:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert send(hook.url()).delivered
    assert (len(proxy.received), len(hook.received)) == (0, 1)


def test_several_threads_send_through_one_sender():
    sender = CallbackSender(AddressGuard(["127.0.0.1"]), PATIENCE)
    results = []
    with receiver(status(200)) as hook:
        threads = [
            threading.Thread(
                target=lambda at=at: results.append(sender.send(hook.url(), [SECRET], f"evt_{at}", BODY, 1))
            )
            for at in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [result.reason for result in results] == ["ok"] * 8
    assert {got.headers["webhook-id"] for got in hook.received} == {f"evt_{at}" for at in range(8)}
