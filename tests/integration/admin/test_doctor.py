"""`maskrelay doctor` finds what is planted, one thing at a time, in real servers; each with its name and a hint."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.admin.checks.diagnosis import diagnose
from maskrelay.admin.checks.finding import Finding
from maskrelay.endpoints import Endpoint
from maskrelay.rules.endpoint_gate import Report
from maskrelay.stack.loopback import free_port
from tests.support.builders.certificates import write_certificate
from tests.support.drivers.doctors import binary_endpoint_with_a_slow_clock, findings, old_redis
from tests.support.lean_script import LEAN_SCRIPT
from tests.support.proxies.s3_proxy import FaultyProxy, faulty_proxy
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.apis import KEYS, write_keys
from tests.support.servers.azurite import running_azurite
from tests.support.servers.s3_servers import RunningS3, running_s3
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey, running_valkey

Environment = dict[str, str]
SERVER_KEY = "0123456789abcdef-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def good_valkey() -> Iterator[RunningValkey]:
    with running_valkey(persist=True) as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as running:
        yield running


@pytest.fixture
def environment(good_valkey: RunningValkey, tmp_path: Path) -> Environment:
    """Of a process that is set up well; without an endpoint, which not every process has."""
    good_valkey.client.flushall()
    good_valkey.client.hset("mr:sweep", "last", good_valkey.client.time()[0] * 1000)
    (tmp_path / "store").mkdir()
    write_keys(tmp_path / "keys.json", KEYS)
    return {
        "PATH": "/usr/bin",
        "MASKRELAY_REDIS_URL": good_valkey.url,
        "MASKRELAY_STORAGE_URL": (tmp_path / "store").as_uri(),
        "MASKRELAY_SERVER_KEY": SERVER_KEY,
        "MASKRELAY_KEYS_FILE": str(tmp_path / "keys.json"),
    }


def planted(environment: Environment, check: str, state: str, *words: str) -> None:
    """The check says so with these words, and what to do; nothing secret and no path is told."""
    for finding in findings(environment, check):
        told = f"{finding.said} → {finding.hint}"
        assert finding.state == state, finding
        assert all(word in told for word in words), told
        assert finding.hint
        for secret in (SERVER_KEY, "hidden", environment["MASKRELAY_STORAGE_URL"].removeprefix("file://")):
            assert secret not in told


def test_nothing_is_wrong_where_nothing_is(environment: Environment, simulator: RunningSimulator) -> None:
    environment |= {"MASKRELAY_ENDPOINT_URL": simulator.url, "MASKRELAY_ENDPOINT_KEY": simulator.key}
    found = list(diagnose(environment))
    assert [one for one in found if one.state in {"warn", "wrong"}] == []
    assert len(found) > 25
    assert simulator.counters()["rows"] >= 1


def test_it_leaves_nothing_behind(environment: Environment, good_valkey: RunningValkey, tmp_path: Path) -> None:
    before = good_valkey.client.keys("*")
    list(diagnose(environment))
    assert good_valkey.client.keys("*") == before
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


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


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"MASKRELAY_ENDPOINT_URL": "http://endpoint.invalid/score"}, "without TLS"),
        ({"MASKRELAY_ENDPOINT_CONCURRENCY": "8"}, "concurrency is 8, but max_in_flight is only 2"),
        ({"MASKRELAY_ENDPOINT_MAX_BYTES_PER_S": "50000"}, "longer than the timeout"),
        ({"MASKRELAY_ENDPOINT_MAX_REQUEST_BYTES": "1048576"}, "one image can be 4 MiB"),
    ],
)
def test_limits_that_do_not_go_together(environment: Environment, given: Environment, word: str) -> None:
    away = f"http://127.0.0.1:{free_port()}/score"
    environment |= {"MASKRELAY_ENDPOINT_URL": away, "MASKRELAY_ENDPOINT_KEY": "hidden", **given}
    planted(environment, "endpoint default settings", "warn", word)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MASKRELAY_SCORE_TIMEOUT_S": "120"}, ("clocks out of order: score_timeout < slot_lease", "change one")),
        ({"MASKRELAY_ENDPOINT_URI": "hidden"}, ("did you mean MASKRELAY_ENDPOINT_URL?",)),
        ({"MASKRELAY_HANDS": "hidden"}, ("MASKRELAY_HANDS",)),
        ({"MASKRELAY_SERVER_KEY": "hidden"}, ("MASKRELAY_SERVER_KEY", "at least 32", "openssl rand")),
        ({"MASKRELAY_SERVER_KEY": ""}, ("MASKRELAY_SERVER_KEY", "required", "openssl rand")),
        ({"MASKRELAY_SERVER_KEY_FILE": "/hidden"}, ("cannot both be set", "remove one")),
        (
            {"MASKRELAY_SERVER_KEY": "", "MASKRELAY_SERVER_KEY_FILE": "/hidden"},
            ("cannot be read: No such file", "mount"),
        ),
    ],
)
def test_a_setting_that_cannot_be_used_hides_nothing_else(
    environment: Environment, given: Environment, words: tuple[str, ...]
) -> None:
    planted(environment | given, "settings", "wrong", *words)
    assert findings(environment | given, "redis")[0].state == "ok"
    assert findings(environment | given, "store")[0].state == "ok"


def test_every_wrong_setting_is_told_at_once(environment: Environment) -> None:
    environment |= {"MASKRELAY_HANDS": "many", "MASKRELAY_REDIS_URI": "x", "MASKRELAY_SWEEP_PERIOD_S": "500"}
    del environment["MASKRELAY_REDIS_URL"]
    found = findings(environment, "settings")
    told = " ".join(one.said for one in found)
    assert [one.state for one in found] == ["wrong"] * 3
    for word in ("MASKRELAY_HANDS", "MASKRELAY_REDIS_URI", "MASKRELAY_REDIS_URL: ", "sweep_period < "):
        assert word in told
    assert findings(environment, "redis") == [
        Finding("redis", "skip", "not checked, because it needs MASKRELAY_REDIS_URL")
    ]


def test_a_server_key_that_was_typed_and_not_drawn(environment: Environment) -> None:
    planted(environment | {"MASKRELAY_SERVER_KEY": "hidden" * 8}, "server key", "warn", "openssl rand")


@pytest.mark.parametrize(
    ("content", "state", "word"),
    [
        (None, "wrong", "cannot be read (No such file"),
        ("[{", "wrong", "is not valid"),
        ('[{"tenant": "A b", "sha256": "hidden", "scopes": ["all"]}]', "wrong", "0.tenant"),
        ("[]", "warn", "requests with an API key are refused"),
    ],
)
def test_a_file_of_keys_that_lets_nobody_in(
    environment: Environment, content: str | None, state: str, word: str, tmp_path: Path
) -> None:
    (tmp_path / "keys.json").unlink()
    if content is not None:
        (tmp_path / "keys.json").write_text(content)
    planted(environment, "keys file", state, word)


@pytest.mark.parametrize(
    ("given", "check", "state", "word"),
    [
        ({"MASKRELAY_PUBLIC_URL": "segment.example"}, "public url", "wrong", "MASKRELAY_PUBLIC_URL"),
        ({"MASKRELAY_PUBLIC_URL": "http://segment.example"}, "public url", "warn", "TLS"),
        ({"MASKRELAY_CALLBACK_ALLOW": "http://pacs/hook"}, "callbacks", "wrong", "MASKRELAY_CALLBACK_ALLOW"),
        ({"MASKRELAY_CALLBACK_ALLOW": "0.0.0.0/0"}, "callbacks", "warn", "metadata"),
        (
            {"MASKRELAY_CALLBACK_PROXY": "socks5://proxy.example"},
            "callbacks",
            "wrong",
            "example: MASKRELAY_CALLBACK_PROXY=",
        ),
        ({"MASKRELAY_CODES_FILE": "/hidden"}, "codes file", "wrong", "cannot be read"),
    ],
)
def test_what_settings_name_is_looked_at(
    environment: Environment, given: Environment, check: str, state: str, word: str
) -> None:
    planted(environment | given, check, state, word)


def test_a_file_of_codes_that_is_none(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "codes.json").write_text(json.dumps({"liver": {"category": "hidden"}}))
    environment["MASKRELAY_CODES_FILE"] = str(tmp_path / "codes.json")
    planted(environment, "codes file", "wrong", "table of codes")


@pytest.mark.parametrize(
    ("content", "check", "state", "word"),
    [
        ('{"north": {"tables_url": "ftp://hidden"}}', "tables of north", "wrong", "storage URL must be"),
        ('{"north": {"tables_url": "file:///hidden", "credential": "c"}}', "tables of north", "wrong", "credential"),
        ('{"north": {"tables_url": "file:///hidden/none"}}', "tables of north", "wrong", "tables_url"),
        ('{"north": {"always": "hidden"}}', "tables file", "wrong", "north.always"),
        (None, "tables file", "wrong", "cannot be read: No such file"),
    ],
)
def test_places_of_tables_that_cannot_be_used(
    environment: Environment, tmp_path: Path, content: str | None, check: str, state: str, word: str
) -> None:
    environment["MASKRELAY_TABLES_FILE"] = str(tmp_path / "tables.json")
    if content is not None:
        (tmp_path / "tables.json").write_text(content)
    planted(environment, check, state, word)


def test_places_of_tables_that_can_be_used(environment: Environment, tmp_path: Path) -> None:
    environment["MASKRELAY_TABLES_FILE"] = str(tmp_path / "tables.json")
    (tmp_path / "lake").mkdir()
    (tmp_path / "tables.json").write_text(json.dumps({"north": {"tables_url": (tmp_path / "lake").as_uri()}}))
    assert {finding.state for finding in findings(environment, "tables of north")} == {"ok"}
    assert [path for path in (tmp_path / "lake").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ('{"north": {"key": "hidden"}}', "north.key"),
        ('{"north": {"mapping_file": "/hidden/map.csv"}}', "mapping cannot be read"),
        ('{"north": {"key_file": "/hidden/key"}}', "key cannot be read"),
        ("[", "not valid"),
    ],
)
def test_pseudonyms_of_a_site_that_cannot_be_read(
    environment: Environment, tmp_path: Path, content: str, word: str
) -> None:
    environment["MASKRELAY_SITE_IDENTIFIERS_FILE"] = str(tmp_path / "site.json")
    (tmp_path / "site.json").write_text(content)
    planted(environment, "site identifiers", "wrong", word)


def test_a_ledger_that_nobody_looks_after(environment: Environment, good_valkey: RunningValkey) -> None:
    good_valkey.client.delete("mr:sweep")
    planted(environment, "sweep", "warn", "no sweep has run", "worker control")
    good_valkey.client.hset("mr:sweep", "last", (good_valkey.client.time()[0] - 600) * 1000)
    planted(environment, "sweep", "warn", "no sweep has run for 60", "worker control")
    good_valkey.client.zadd("mr:step:plan", {"a" * 26: 0})
    planted(environment, "work plan", "warn", "1 wait", "worker control")
    good_valkey.client.set("mr:drain", "gone")
    planted(environment, "drain", "warn", "no expiry time", "DEL mr:drain")


def test_a_gate_that_is_closed_is_told_with_its_reason(environment: Environment, good_valkey: RunningValkey) -> None:
    ledger, endpoint = good_valkey.ledger(), Endpoint(url="http://127.0.0.1/score", auth="entra")
    ledger.endpoints.announce([endpoint])
    flow = ledger.flow([endpoint])
    flow.fresh(endpoint.name)
    minute = timedelta(minutes=1)
    flow.report(endpoint.name, "slot", Report("denied", base=minute, cap=minute, reason="endpoint_denied"), "1", 0.5)
    planted(environment, "gate default", "wrong", "endpoint_denied", "docs/howto/operations.md")


def test_what_breaks_one_check_hides_no_other(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "store").rmdir()
    (tmp_path / "keys.json").write_text("[")
    url = f"http://127.0.0.1:{free_port()}/score"
    environment |= {
        "MASKRELAY_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "MASKRELAY_ENDPOINT_URL": url,
        "MASKRELAY_ENDPOINT_KEY_FILE": os.fspath(tmp_path / "none"),
        "MASKRELAY_SCORE_TIMEOUT_S": "500",
    }
    wrong = {one.check for one in diagnose(environment) if one.state == "wrong"}
    assert wrong == {"settings", "keys file", "redis", "store", "endpoint default"}


def test_a_limit_of_descriptors_that_turns_callers_away(environment: Environment) -> None:
    command = [sys.executable, "-m", "maskrelay.client.cli", "doctor", "--json"]
    ran = subprocess.run(
        command,
        env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),
        capture_output=True,
        check=False,
        timeout=120,
    )
    (found,) = [one for one in json.loads(ran.stdout)["checks"] if one["check"] == "descriptors"]
    assert (found["state"], "1024" in found["said"], "5120" in found["hint"]) == ("warn", True, True)


@pytest.mark.parametrize(("lean", "state", "word"), [(True, "ok", "the same maps"), (False, "warn", "does not offer")])
def test_the_wire_format_is_tried_out(environment: Environment, lean: bool, state: str, word: str) -> None:
    with running_simulator(lean=LEAN_SCRIPT) as lean_simulator:
        lean_simulator.set(lean=lean)
        about = {"MASKRELAY_ENDPOINT_URL": lean_simulator.url, "MASKRELAY_ENDPOINT_KEY": lean_simulator.key}
        [found] = findings({**environment, **about, "MASKRELAY_ENDPOINT_WIRE": "lean2d"}, "endpoint default wire")
    assert found.state == state
    assert word in found.said
