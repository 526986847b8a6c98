"""Where Redis is, read off the URL."""

from datetime import timedelta

import pytest

from maskrelay.errors import SettingsError
from maskrelay.ledger.broker import broker
from maskrelay.ledger.redis_connection import (
    Address,
    Sentinels,
    connect,
    read_address,
    sentinels_of,
)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("redis+sentinel://one/mymaster", Sentinels((("one", 26379),), "mymaster", 0, "")),
        (
            "redis+sentinel://mr:s%40cret@one:5000,two,three:5002/mymaster/3",
            Sentinels((("one", 5000), ("two", 26379), ("three", 5002)), "mymaster", 3, "mr:s%40cret"),
        ),
    ],
)
def test_sentinels_are_read_off_the_url(url: str, meant: Sentinels):
    assert sentinels_of(url) == meant


def test_the_master_is_asked_with_its_user_and_the_sentinels_without():
    sentinels = sentinels_of("redis+sentinel://mr:s%40cret@one,two/mymaster/3")
    assert sentinels is not None
    assert sentinels.as_broker() == "sentinel://mr:s%40cret@one:26379/3;sentinel://mr:s%40cret@two:26379/3"
    known = sentinels.client(socket_timeout=1).connection_pool.connection_kwargs
    assert (known["username"], known["password"], known["db"]) == ("mr", "s@cret", 3)


@pytest.mark.parametrize("url", ["redis://one/0", "rediss://u:p@one:6380/0", "unix:///run/redis.sock"])
def test_any_other_url_has_none(url: str):
    assert sentinels_of(url) is None


@pytest.mark.parametrize("rest", ["one", "one/", "one:x/mymaster", ",two/mymaster", "one/mymaster/x", "/mymaster"])
def test_a_url_of_the_wrong_shape_is_refused_without_its_password(rest: str):
    with pytest.raises(SettingsError, match=r"a Redis URL for Sentinels must be redis\+sentinel") as refused:
        sentinels_of(f"redis+sentinel://user:hidden@{rest}")
    assert "hidden" not in str(refused.value)


def read(url: str) -> Address:
    address = read_address(url)
    assert isinstance(address, Address)
    return address


@pytest.mark.parametrize(
    ("url", "as_broker"),
    [
        ("redis://one", "redis://one:6379/0"),
        ("redis:///3", "redis://localhost:6379/3"),
        ("redis://one:6380/?db=4", "redis://one:6380/4"),
        ("redis://[::1]:6380/2", "redis://[::1]:6380/2"),
        ("redis://:p%40ss%23w%2F%3F;d@one/0", "redis://:p%40ss%23w%2F%3F%3Bd@one:6379/0"),
        ("redis://mr:p@ss@one/0", "redis://mr:p%40ss@one:6379/0"),
        ("redis://mr@one/0?protocol=3&socket_timeout=7.5&client_name=mr", "redis://mr@one:6379/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://mr:p%23@/run/a%20b.sock?db=2", "redis+socket://mr:p%23@/run/a%20b.sock?virtual_host=2"),
    ],
)
def test_both_libraries_are_told_the_same(url: str, as_broker: str):
    address = read(url)
    assert address.as_broker() == as_broker
    client = connect(url).connection_pool.connection_kwargs
    kombu = broker(url, visibility_timeout=timedelta(minutes=10)).connection_for_write()
    if address.path:
        return  # how the transport reads this, only a connection shows
    told = (kombu.hostname, kombu.port, int(kombu.virtual_host), kombu.userid or None, kombu.password or None)
    assert told == tuple(client[name] for name in ("host", "port", "db", "username", "password"))


def test_timeouts_of_the_url_hold_for_both():
    url = "redis://one/0?socket_timeout=7.5&socket_connect_timeout=2&health_check_interval=9&socket_keepalive=no"
    client = connect(url, socket_timeout=5).connection_pool.connection_kwargs
    kombu = broker(url, visibility_timeout=timedelta(minutes=10)).connection_for_write().transport_options
    for known in (client, kombu):
        assert (known["socket_timeout"], known["socket_connect_timeout"]) == (7.5, 2)
        assert (known["health_check_interval"], known["socket_keepalive"]) == (9, False)


def test_a_server_behind_tls_is_verified_unless_the_url_says_otherwise():
    assert read("rediss://one/0").is_verified()
    assert read("rediss://one/0").tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    assert not read("rediss://one/0?ssl_check_hostname=false").is_verified()
    relaxed = read("rediss://one/0?ssl_cert_reqs=CERT_NONE")
    assert relaxed.tls == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    assert not relaxed.is_verified()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hid#den@one/0",
        "redis://:hid/den@one/0",
        "redis://:hid?den@one/0",
        "redis://:hid[den@one/0",
        "redis://:hid den@one/0",
        "redis://:hidden@one:port/0",
        "redis://:hidden@one:99999/0",
        "redis://:hidden@one:0/0",
        "redis://:hidden@one/zero",
        "redis://:hidden@one/-1",
        "redis://:hidden@one/0?db=x",
        "redis://:hidden@one/0?unknown=hidden",
        "redis://:hidden@one/0?protocol=4",
        "redis://:hidden@one/0?socket_timeout=hidden",
        "redis://:hidden@one/0?socket_timeout=0.1",
        "redis://:hidden@one/0?ssl_ca_certs=/hidden",
        "rediss://:hidden@one/0?ssl_ca_certs=/hidden",
        "rediss://:hidden@one/0?ssl_cert_reqs=hidden",
        "http://:hidden@one/0",
        "unix://:hidden@one/run/redis.sock",
        "hidden",
        "",
    ],
)
def test_a_url_that_one_of_them_would_read_otherwise_is_refused_without_any_part_of_it(url: str):
    with pytest.raises(SettingsError) as refused:
        read_address(url)
    said = f"{refused.value!r} {refused.value.detail} {refused.value.__cause__!r}"
    assert "hid" not in said
    assert "den@" not in said
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_password_is_in_no_representation():
    assert "hidden" not in repr(read("redis://:hidden@one/0"))
    assert "hidden" not in repr(sentinels_of("redis+sentinel://mr:hidden@one/mymaster"))
