"""`maskrelay doctor` finds what is planted in settings and files, one thing at a time; each has its name and a hint."""

import json
import os
import resource
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.admin.checks.diagnosis import diagnose
from maskrelay.admin.checks.finding import Finding
from maskrelay.endpoints import Endpoint
from maskrelay.rules.endpoint_gate import Report
from maskrelay.stack.loopback import free_port
from tests.support.drivers.doctors import (
    Environment,
    findings,
    planted,
)
from tests.support.servers.simulators import RunningSimulator
from tests.support.servers.valkeys import RunningValkey


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
