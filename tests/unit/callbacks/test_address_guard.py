import threading
from datetime import timedelta

import pytest

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.errors import CallbackForbidden, SettingsError

SECOND = timedelta(seconds=1)
FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # metadata, Alibaba
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # platform services, Azure
    "169.254.169.254",  # metadata, nearly everywhere
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # metadata, Oracle
    "192.0.2.1",
    "192.31.196.1",  # AS112
    "192.52.193.1",  # AMT
    "192.88.99.1",  # relay of 6to4
    "192.175.48.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # 127.0.0.1, long deprecated form
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",  # 127.0.0.1 by NAT64
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2001::1",
    "2001:0:808:808::1",  # Teredo
    "2001:2::1",  # benchmarks
    "2001:10::1",  # ORCHID
    "2001:1ff::1",
    "2002:808:808::1",  # 6to4, whatever is inside
    "2620:4f:8000::1",  # AS112
    "3ffe::1",
    "3fff::1",  # documentation
    "4000::1",  # assigned to nobody
    "5f00::1",  # segment routing
    "100::1",  # discard
    "2606:4700::5efe:808:808",  # ISATAP
    "2606:4700::200:5efe:a00:1",
    "2606:4700::1111%eth0",
    "2001:db8::1",
    "2002:7f00:1::",  # 127.0.0.1 by 6to4
    "2002:a00:1::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata, AWS
    "fd20:ce::254",  # metadata, Google
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "192.0.3.1",
    "192.88.98.1",
    "198.20.0.1",
    "223.255.255.255",
    "2001:200::1",
    "2a00:1450::8",
]


def guard(*addresses: str, allow=()) -> AddressGuard:
    """A guard for whose resolver every name is at `addresses`."""
    return AddressGuard(allow, lambda _host, _port: addresses)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_inside_is_refused(address):
    with pytest.raises(CallbackForbidden):
        guard(address).resolve("receiver.example", 443, SECOND)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address):
    assert guard(address).resolve("receiver.example", 443, SECOND) == (address,)


@pytest.mark.parametrize("addresses", [("8.8.8.8", "10.0.0.1"), ("::1", "8.8.8.8")])
def test_one_address_inside_is_enough_to_refuse_a_name(addresses):
    with pytest.raises(CallbackForbidden):
        guard(*addresses).resolve("receiver.example", 443, SECOND)


@pytest.mark.parametrize(
    ("allow", "host", "address"),
    [
        ("10.1.0.0/16", "receiver.example", "10.1.2.3"),
        ("10.1.2.3", "receiver.example", "10.1.2.3"),
        ("10.1.0.0/16", "receiver.example", "::ffff:10.1.2.3"),
        ("fd00:1::/32", "receiver.example", "fd00:1::5"),
        ("[::1]", "::1", "::1"),
        ("pacs.hospital.local", "PACS.hospital.local.", "192.168.1.5"),
        ("Pacs.Hospital.local", "pacs.hospital.local", "192.168.1.5"),
        ("räntgen.local", "xn--rntgen-bua.local", "192.168.1.5"),
        ("localhost", "localhost", "127.0.0.1"),
        ("localhost:80", "localhost", "127.0.0.1"),
        ("pacs.hospital.local:80", "pacs.hospital.local", "192.168.1.5"),
        ("10.1.0.0/16:80", "receiver.example", "10.1.2.3"),
        ("[fd00:1::/32]:80", "receiver.example", "fd00:1::5"),
        ("192.88.99.0/24", "receiver.example", "192.88.99.7"),
    ],
)
def test_what_the_operator_allows_is_taken(allow, host, address):
    assert guard(address, allow=[allow]).resolve(host, 80, SECOND) == (address,)


@pytest.mark.parametrize(
    ("allow", "host", "address"),
    [
        ("10.1.0.0/16", "receiver.example", "10.2.0.1"),
        ("hospital.local", "evil.hospital.local", "10.0.0.1"),
        ("hospital.local", "hospital.local.evil.example", "10.0.0.1"),
        ("10.0.0.1", "receiver.example", "10.0.0.2"),
        ("pacs.hospital.local:8443", "pacs.hospital.local", "192.168.1.5"),
        ("10.1.0.0/16:443", "receiver.example", "10.1.2.3"),
        ("[::1]:81", "::1", "::1"),
    ],
)
def test_nothing_else_is(allow, host, address):
    with pytest.raises(CallbackForbidden):
        guard(address, allow=[allow]).resolve(host, 80, SECOND)


@pytest.mark.parametrize(
    "entry",
    ["http://host", "host:0", "host:65536", "host:x", "10.1.2.3/16", "[::1", "[::1]x", "*.hospital.local", "a b", ""],
)
def test_an_allowed_entry_that_is_no_host_and_no_network_is_a_settings_error(entry):
    with pytest.raises(SettingsError, match="MASKRELAY_CALLBACK_ALLOW"):
        AddressGuard([entry])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "receiver.example/path",
        "//receiver.example",
        "ftp://receiver.example",
        "file:///etc/passwd",
        "http://",
        "https:///path",
        "https://user@receiver.example",
        "https://user:password@receiver.example",
        "https://receiver.example:65536",
        "https://receiver.example\n.evil",
        "https://[::1",
        "https://xn--/",
        "https://xn--a.example/",
    ],
)
def test_a_url_that_is_no_plain_http_address_is_refused(url):
    with pytest.raises(CallbackForbidden):
        guard("8.8.8.8").check_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "0",
        "2130706433",  # forms of 127.0.0.1 that the system's resolver reads
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "2130706433.",
        "127\u30020\u30020\u30021",  # ideographic full stops
        "\uff11\uff12\uff17.0.0.1",  # full-width digits
        "%31%32%37.0.0.1",
        "LOCALHOST.",
        "a.localhost",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[::1%25lo]",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
        "192.88.99.1",
        "203.0.113.9",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_literal_inside_is_refused_in_every_spelling(scheme, host):
    with pytest.raises(CallbackForbidden):
        AddressGuard([]).check_url(f"{scheme}://{host}:8080/hook")


def test_a_name_that_does_not_resolve_passes_for_now():
    def nowhere(_host, _port):
        raise OSError

    assert AddressGuard([], nowhere).resolve("receiver.example", 443, SECOND) == ()
    AddressGuard([], nowhere).check_url("https://receiver.example/hook")


def test_a_resolver_that_does_not_answer_holds_nobody():
    ended = threading.Event()

    def stuck(_host, _port):
        ended.wait()
        return ["10.0.0.1"]

    try:
        assert AddressGuard([], stuck).resolve("receiver.example", 443, timedelta(seconds=0.05)) == ()
    finally:
        ended.set()


@pytest.mark.parametrize(
    "url", ["https://Receiver.example:8443/hook?x=1", "http://8.8.8.8/", "https://[2606:4700::1111]/x"]
)
def test_a_public_url_passes_and_no_name_is_looked_up(url):
    def lookup(_host, _port):
        raise AssertionError("whoever submits must not wait for a resolver")

    AddressGuard([], lookup).check_url(url)


def test_the_port_of_the_url_is_the_one_that_is_allowed():
    guarded = AddressGuard(["127.0.0.1:8443"])
    guarded.check_url("https://127.0.0.1:8443/")
    with pytest.raises(CallbackForbidden):
        guarded.check_url("https://127.0.0.1/")


def test_stuck_look_ups_take_a_bounded_number_of_threads():
    ended, begun = threading.Event(), []

    def stuck(_host, _port):
        begun.append(1)
        ended.wait()
        return []

    guarded = AddressGuard([], stuck)
    try:
        for _ in range(100):
            assert guarded.resolve("receiver.example", 443, timedelta(0)) == ()
        assert len(begun) <= 32
    finally:
        ended.set()
