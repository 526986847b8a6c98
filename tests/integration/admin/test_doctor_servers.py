"""`maskrelay doctor` finds what is planted in Redis, stores and endpoints, one thing at a time, in real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from maskrelay.stack.loopback import free_port
from tests.support.builders.certificates import write_certificate
from tests.support.drivers.doctors import (
    Environment,
    binary_endpoint_with_a_slow_clock,
    findings,
    old_redis,
    planted,
)
from tests.support.lean_script import LEAN_SCRIPT
from tests.support.proxies.s3_proxy import FaultyProxy, faulty_proxy
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.azurite import running_azurite
from tests.support.servers.s3_servers import RunningS3, running_s3
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey, running_valkey


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as running:
        yield running


@pytest.mark.parametrize(
    ("options", "check", "state", "word"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "redis eviction", "wrong", "allkeys-lru"),
        (("--appendonly", "no"), "redis persistence", "warn", "append-only file is off"),
        (("--cluster-enabled", "yes"), "redis mode", "wrong", "cluster"),
        (("--replicaof", "127.0.0.1 9"), "redis mode", "wrong", "replica"),
        (("--requirepass", "hidden"), "redis", "wrong", "requires a password"),
    ],
)
def test_a_redis_that_would_lose_or_refuse(
    environment: Environment, options: tuple[str, ...], check: str, state: str, word: str, tmp_path: Path
) -> None:
    running = RunningValkey(tmp_path, persist=True, options=options)
    try:
        running.client.connection_pool.connection_kwargs["password"] = "hidden" if "hidden" in options else None
        running.start()
        planted(environment | {"MASKRELAY_REDIS_URL": running.url}, check, state, word)
    finally:
        running.kill()
        running.client.close()


def test_a_redis_that_is_nearly_full(environment: Environment) -> None:
    with running_valkey() as running:
        running.client.setrange("much", (30 << 20) - 1, b"x")  # a value that is sent fills the client's buffer as well
        running.client.config_set("maxmemory", running.client.info("memory")["used_memory"] * 9 // 8)
        planted(environment | {"MASKRELAY_REDIS_URL": running.url}, "redis memory", "warn", "in use", "maxmemory")


def test_a_redis_that_is_too_old(environment: Environment) -> None:
    with old_redis() as url:
        planted(environment | {"MASKRELAY_REDIS_URL": url}, "redis version", "wrong", "6.2.14", "7")


def test_a_redis_that_is_not_there(environment: Environment) -> None:
    away = environment | {"MASKRELAY_REDIS_URL": f"redis://:hidden@127.0.0.1:{free_port()}/0"}
    planted(away, "redis", "wrong", "nothing listens")


def test_a_wrong_password_and_a_user_without_rights(environment: Environment, good_valkey: RunningValkey) -> None:
    good_valkey.client.acl_setuser("weak", enabled=True, passwords=["+hidden"], keys=["mr:*"], categories=["+@read"])
    good_valkey.client.acl_setuser("weak", enabled=True, commands=["+info", "+ping", "+time"])
    try:
        wrong = environment | {"MASKRELAY_REDIS_URL": good_valkey.url.replace("//", "//weak:hidden-other@")}
        planted(wrong, "redis", "wrong", "the user name or the password is wrong")
        weak = environment | {"MASKRELAY_REDIS_URL": good_valkey.url.replace("//", "//weak:hidden@")}
        planted(weak, "redis rights", "wrong", "lacks permissions", "+@all")
    finally:
        good_valkey.client.acl_deluser("weak")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("rediss://127.0.0.1:{plain}/0", "rediss://"),
        ("rediss://127.0.0.1:{tls}/0", "an unknown authority"),
        ("redis://127.0.0.1:{tls}/0", "rediss://"),
        ("http://127.0.0.1:{plain}/0", "not a Redis URL"),
        ("redis+sentinel://127.0.0.1/", "a Redis URL for Sentinels must be"),
    ],
)
def test_a_url_that_does_not_fit_the_port(
    environment: Environment,
    good_valkey: RunningValkey,
    tmp_path: Path,
    url: str,
    word: str,
) -> None:
    folder = write_certificate(tmp_path)
    with tls_before(good_valkey.port, folder / "ca.crt", folder / "key") as tls:
        environment["MASKRELAY_REDIS_URL"] = url.format(plain=good_valkey.port, tls=tls)
        planted(environment, "redis", "wrong", word)


def test_tls_with_its_certificate_is_good(environment: Environment, good_valkey: RunningValkey, tmp_path: Path) -> None:
    folder = write_certificate(tmp_path)
    with tls_before(good_valkey.port, folder / "ca.crt", folder / "key") as tls:
        environment["MASKRELAY_REDIS_URL"] = f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs={folder / 'ca.crt'}"
        assert findings(environment, "redis")[0].state == "ok"


@pytest.fixture
def on_s3(environment: Environment, s3: RunningS3) -> Iterator[tuple[Environment, FaultyProxy]]:
    with faulty_proxy(s3.endpoint_url) as proxy:
        yield environment | {"MASKRELAY_STORAGE_URL": s3.storage_url, "MASKRELAY_S3_ENDPOINT_URL": proxy.url}, proxy


def test_an_object_store_that_ignores_the_condition(on_s3: tuple[Environment, FaultyProxy]) -> None:
    environment, proxy = on_s3
    assert findings(environment, "store creates once")[0].state == "ok"
    proxy.drop_conditions = True
    planted(environment, "store creates once", "wrong", "accepts two creates of one key", "If-None-Match")


def test_a_bucket_that_is_not_there(on_s3: tuple[Environment, FaultyProxy]) -> None:
    environment, _ = on_s3
    environment["MASKRELAY_STORAGE_URL"] = "s3://nobodys/runs"
    planted(environment, "store", "wrong", "NoSuchBucket", "create the bucket")


def test_a_container_of_azure_that_is_good_and_one_that_is_not_there(environment: Environment) -> None:
    with running_azurite() as azurite:
        environment["MASKRELAY_STORAGE_URL"] = azurite.storage_url
        environment["MASKRELAY_AZURE_CONNECTION_STRING"] = azurite.connection_string
        for check in ("store", "store creates once"):
            assert [found.state for found in findings(environment, check)] == ["ok"]
        environment["MASKRELAY_STORAGE_URL"] = "az://nobodys/runs"
        planted(environment, "store", "wrong", "ContainerNotFound", "create the container")
        wrong = azurite.connection_string.replace("AccountKey=", "AccountKey=AAAA")
        environment["MASKRELAY_AZURE_CONNECTION_STRING"] = wrong
        planted(environment, "store", "wrong", "AuthorizationFailure", "permissions")


def test_a_folder_that_is_not_there(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "store").rmdir()
    planted(environment, "store", "wrong", "MASKRELAY_STORAGE_URL")


def test_a_wrong_key_of_the_endpoint(environment: Environment, simulator: RunningSimulator) -> None:
    environment |= {"MASKRELAY_ENDPOINT_URL": simulator.url, "MASKRELAY_ENDPOINT_KEY": "hidden"}
    planted(environment, "endpoint default", "wrong", "401", "current key")


def test_a_wrong_path_of_the_endpoint(environment: Environment, simulator: RunningSimulator) -> None:
    elsewhere = simulator.url.replace("/score", "/swagger.json")
    environment |= {"MASKRELAY_ENDPOINT_URL": elsewhere, "MASKRELAY_ENDPOINT_KEY": simulator.key}
    planted(environment, "endpoint default", "wrong", "424", "ends with /score")
    planted(environment, "endpoint default settings", "warn", "does not end with /score")


def test_an_endpoint_of_which_no_deployment_takes_traffic(
    environment: Environment, simulator: RunningSimulator
) -> None:
    environment |= {"MASKRELAY_ENDPOINT_URL": simulator.url, "MASKRELAY_ENDPOINT_KEY": simulator.key}
    simulator.set(traffic=False)
    planted(environment, "endpoint default", "wrong", "404", "has traffic")
    simulator.set(traffic=True)


def test_an_endpoint_that_is_away(environment: Environment) -> None:
    away = f"http://127.0.0.1:{free_port()}/score"
    environment |= {"MASKRELAY_ENDPOINT_URL": away, "MASKRELAY_ENDPOINT_KEY": "hidden"}
    planted(environment, "endpoint default", "wrong", "cannot be reached", "DNS")


def test_a_wrong_encoding_either_way(environment: Environment, simulator: RunningSimulator) -> None:
    environment |= {"MASKRELAY_ENDPOINT_URL": simulator.url, "MASKRELAY_ENDPOINT_KEY": simulator.key}
    planted(environment | {"MASKRELAY_ENDPOINT_ENCODING": "binary01"}, "endpoint default", "wrong", "encoding")
    with binary_endpoint_with_a_slow_clock() as url:
        planted(environment | {"MASKRELAY_ENDPOINT_URL": url}, "endpoint default", "wrong", "binary01")


def test_an_endpoints_clock_that_is_an_hour_off(environment: Environment) -> None:
    with binary_endpoint_with_a_slow_clock() as url:
        environment |= {"MASKRELAY_ENDPOINT_URL": url, "MASKRELAY_ENDPOINT_KEY": "hidden"}
        planted(environment, "endpoint default clock", "wrong", "s behind this machine's clock", "NTP")


@pytest.mark.parametrize(("lean", "state", "word"), [(True, "ok", "the same maps"), (False, "warn", "does not offer")])
def test_the_wire_format_is_tried_out(environment: Environment, lean: bool, state: str, word: str) -> None:
    with running_simulator(lean=LEAN_SCRIPT) as lean_simulator:
        lean_simulator.set(lean=lean)
        about = {"MASKRELAY_ENDPOINT_URL": lean_simulator.url, "MASKRELAY_ENDPOINT_KEY": lean_simulator.key}
        [found] = findings({**environment, **about, "MASKRELAY_ENDPOINT_WIRE": "lean2d"}, "endpoint default wire")
    assert found.state == state
    assert word in found.said
