"""Settings: unknown names, missing ones and clocks out of order are refused; secrets are not shown."""

from pathlib import Path

import pytest

from maskrelay.errors import SettingsError
from maskrelay.settings import Settings, secret_files

LEAST = {
    "MASKRELAY_REDIS_URL": "redis://:hidden-password@127.0.0.1/0",
    "MASKRELAY_STORAGE_URL": "file:///srv/results",
    "MASKRELAY_SERVER_KEY": "hidden-server-key-of-thirty-two-letters",
}


def read(**given: str) -> Settings:
    return Settings.from_environment(LEAST | {f"MASKRELAY_{name}": value for name, value in given.items()})


def test_the_least_is_enough_and_other_programs_names_are_ignored():
    settings = Settings.from_environment(
        LEAST | {"PATH": "/bin", "MASKRELAY_URL": "http://x", "MASKRELAY_API_KEY": "y"}
    )
    assert settings.endpoint_max_in_flight == 2
    assert settings.endpoint_max_requests_per_s == 500


def test_an_unknown_name_is_refused_with_a_suggestion():
    with pytest.raises(
        SettingsError, match=r"MASKRELAY_ENDPOINT_URI is not a setting; did you mean MASKRELAY_ENDPOINT_URL\?"
    ):
        read(ENDPOINT_URI="http://127.0.0.1/score")


@pytest.mark.parametrize("name", sorted(LEAST))
def test_a_missing_setting_is_named(name):
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({other: value for other, value in LEAST.items() if other != name})


def test_what_one_process_needs_is_named_when_it_asks():
    with pytest.raises(SettingsError, match="MASKRELAY_ENDPOINT_URL, MASKRELAY_ENDPOINT_KEY must be set"):
        read().require("endpoint_url", "endpoint_key")


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({"SCORE_TIMEOUT_S": "120"}, "score_timeout < slot_lease"),
        ({"RENEWAL_PERIOD_S": "20"}, "renewal_period < claim_lease"),
        ({"CLAIM_LEASE_S": "45"}, "renewal_period < claim_lease"),
        ({"TASK_BUDGET_S": "55"}, "task_budget \\+ score_timeout < soft_shutdown"),
        ({"SOFT_SHUTDOWN_S": "180"}, "soft_shutdown < termination_grace"),
        ({"TERMINATION_GRACE_S": "600"}, "termination_grace < visibility_timeout"),
        ({"SLOT_LEASE_S": "600"}, "slot_lease < visibility_timeout"),
        ({"CALLBACK_TIMEOUT_S": "45"}, "callback_timeout < delivery_lease"),
        ({"SWEEP_PERIOD_S": "45"}, "sweep_period < delivery_lease"),
    ],
)
def test_clocks_out_of_order_are_refused(given, order):
    with pytest.raises(SettingsError, match=f"clocks out of order: {order}"):
        read(**given)


def test_a_wrong_value_is_named_and_a_secret_never_shown():
    with pytest.raises(SettingsError, match="MASKRELAY_ENDPOINT_MAX_IN_FLIGHT") as refused:
        read(ENDPOINT_MAX_IN_FLIGHT="many", ENDPOINT_KEY="hidden-endpoint-key")
    settings = read(ENDPOINT_KEY="hidden-endpoint-key")
    assert "hidden" not in f"{refused.value}{settings!r}{settings}"


def test_a_secret_may_lie_in_a_file_and_the_space_around_it_is_no_part_of_it(tmp_path: Path):
    (tmp_path / "url").write_text(LEAST["MASKRELAY_REDIS_URL"] + "\n")
    (tmp_path / "key").write_text("  " + LEAST["MASKRELAY_SERVER_KEY"] + "\n")
    settings = Settings.from_environment(
        {
            "MASKRELAY_REDIS_URL_FILE": str(tmp_path / "url"),
            "MASKRELAY_STORAGE_URL": LEAST["MASKRELAY_STORAGE_URL"],
            "MASKRELAY_SERVER_KEY_FILE": str(tmp_path / "key"),
        }
    )
    assert settings.redis_url.get_secret_value() == LEAST["MASKRELAY_REDIS_URL"]
    assert settings.server_key.get_secret_value() == LEAST["MASKRELAY_SERVER_KEY"]


def test_every_secret_has_its_file_and_one_that_is_read_again_keeps_its_own(tmp_path: Path):
    assert secret_files() == {
        "MASKRELAY_REDIS_URL_FILE": "redis_url",
        "MASKRELAY_AZURE_CONNECTION_STRING_FILE": "azure_connection_string",
        "MASKRELAY_SERVER_KEY_FILE": "server_key",
        "MASKRELAY_SERVER_KEY_BEFORE_FILE": "server_key_before",
        "MASKRELAY_METRICS_KEY_FILE": "metrics_key",
        "MASKRELAY_CALLBACK_PROXY_FILE": "callback_proxy",
        "MASKRELAY_ENDPOINT_PROXY_FILE": "endpoint_proxy",
    }
    assert read(ENDPOINT_KEY_FILE=str(tmp_path / "none")).endpoint_key is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "MASKRELAY_SERVER_KEY_FILE cannot be read: No such file"),
        (b" \n", "MASKRELAY_SERVER_KEY_FILE names an empty file"),
        (b"\xff\xfe", "MASKRELAY_SERVER_KEY_FILE is not text"),
        (b"too short", "MASKRELAY_SERVER_KEY: .*at least 32"),
    ],
)
def test_a_file_that_holds_no_secret_is_named_with_the_reason(tmp_path: Path, content: bytes | None, why: str):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    least = {name: value for name, value in LEAST.items() if name != "MASKRELAY_SERVER_KEY"}
    with pytest.raises(SettingsError, match=why) as refused:
        Settings.from_environment(least | {"MASKRELAY_SERVER_KEY_FILE": str(tmp_path / "key")})
    assert str(tmp_path) not in f"{refused.value}"


def test_a_secret_and_its_file_exclude_each_other(tmp_path: Path):
    with pytest.raises(SettingsError, match="MASKRELAY_SERVER_KEY and MASKRELAY_SERVER_KEY_FILE cannot both be set"):
        read(SERVER_KEY_FILE=str(tmp_path / "key"))


@pytest.mark.parametrize(
    "name",
    [f"MASKRELAY_{end}" for end in ("PORT", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_80_TCP_ADDR", "API_PORT")],
)
def test_what_kubernetes_adds_for_a_service_of_our_name_is_known_as_that(name: str) -> None:
    with pytest.raises(SettingsError, match="enableServiceLinks: false"):
        Settings.from_environment({name: "tcp://10.0.0.1:80"})
