import json
import os
import re
from pathlib import Path

import pytest

from maskrelay.errors import SettingsError, StackError
from maskrelay.settings import Settings
from maskrelay.stack.local_secrets import write_keys
from maskrelay.stack.loopback import free_port
from maskrelay.stack.stack_processes import (
    SHORT_CLOCKS,
    StackLayout,
    hold,
    lay_out,
)
from maskrelay.stack.up import welcome
from simulator.__main__ import arguments_of


def laid_out(tmp_path: Path, **given: str) -> StackLayout:
    return lay_out({f"MASKRELAY_{name}": value for name, value in given.items()}, tmp_path, free_port())


def names(layout: StackLayout) -> list[list[str]]:
    return [[child.name for child in stage] for stage in layout.stages]


def test_with_nothing_given_everything_is_embedded_and_the_settings_are_valid(tmp_path: Path) -> None:
    layout = laid_out(tmp_path)
    assert names(layout) == [["valkey"], ["simulator"], ["api"], ["segment", "assemble", "control", "deliver"]]
    settings = Settings.from_environment(layout.environment)
    assert settings.storage_url == (tmp_path / "storage").as_uri()
    assert settings.score_timeout.total_seconds() == float(SHORT_CLOCKS["MASKRELAY_SCORE_TIMEOUT_S"])
    assert settings.endpoint_max_in_flight == 2


def test_an_endpoint_key_that_begins_with_a_dash_is_still_a_key(tmp_path: Path) -> None:
    (tmp_path / "endpoint-key").write_text("-random\n")
    (simulator,) = laid_out(tmp_path).stages[1]
    assert arguments_of(list(simulator.command[3:])).key == "-random"


def test_a_given_clock_wins_and_the_others_stay_short(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, SLOT_LEASE_S="22")
    assert layout.environment["MASKRELAY_SLOT_LEASE_S"] == "22"
    assert layout.environment["MASKRELAY_CLAIM_LEASE_S"] == SHORT_CLOCKS["MASKRELAY_CLAIM_LEASE_S"]


def test_a_given_clock_that_fits_the_long_ones_only_makes_all_long(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, SCORE_TIMEOUT_S="90")
    assert layout.environment["MASKRELAY_SCORE_TIMEOUT_S"] == "90"
    assert "MASKRELAY_SLOT_LEASE_S" not in layout.environment


def test_clocks_are_left_alone_beside_an_endpoint_that_is_given(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, ENDPOINT_URL="https://example.org/score", ENDPOINT_KEY="k")
    assert not SHORT_CLOCKS.keys() & layout.environment.keys()
    assert layout.simulator is None


def test_a_wrong_setting_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MASKRELAY_HANDS"):
        laid_out(tmp_path, HANDS="many")


def test_with_a_keys_file_of_ones_own_no_key_is_made(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    write_keys(own, "a key of my own")
    layout = laid_out(tmp_path, KEYS_FILE=str(own))
    assert layout.api_key is None
    assert layout.environment["MASKRELAY_KEYS_FILE"] == str(own)
    assert not (tmp_path / "api-key").exists()


#: What no process could work with, by the setting that the error names.
UNUSABLE = [
    ({"ENDPOINT_URL": "foo", "ENDPOINT_KEY": "k"}, "the URL of endpoint default"),
    ({"ENDPOINT_URL": "https://user@example.org/score", "ENDPOINT_KEY": "k"}, "the URL of endpoint default"),
    ({"ENDPOINT_URL": "https://example.org/score"}, "key"),
    (
        {"ENDPOINT_URL": "https://example.org/score", "ENDPOINT_KEY": "two words"},
        "endpoint default: the endpoint's key",
    ),
    ({"ENDPOINT_URL": "https://example.org/score", "ENDPOINT_KEY_FILE": "/nowhere"}, "endpoint default: .*key file"),
    ({"ENDPOINTS_FILE": "/nowhere"}, "MASKRELAY_ENDPOINTS_FILE"),
    ({"REDIS_URL": "http://127.0.0.1:6379"}, "MASKRELAY_REDIS_URL|Redis URL"),
    ({"STORAGE_URL": "ftp://here"}, "the storage URL"),
    ({"STORAGE_URL": "s3://bucket/p", "S3_ENDPOINT_URL": "minio:9000"}, "the S3 endpoint URL"),
    ({"KEYS_FILE": "/nowhere"}, "the keys file"),
    ({"CALLBACK_ALLOW": "http://pacs"}, "MASKRELAY_CALLBACK_ALLOW"),
    ({"PUBLIC_URL": "maskrelay.example"}, "MASKRELAY_PUBLIC_URL"),
    ({"CODES_FILE": "/nowhere"}, "MASKRELAY_CODES_FILE"),
    ({"OIDC_ISSUER": "https://issuer.example"}, "MASKRELAY_OIDC_AUDIENCE"),
]


@pytest.mark.parametrize(("given", "named"), UNUSABLE)
def test_a_setting_that_some_process_could_not_work_with_is_named_before_anything_starts(
    tmp_path: Path, given: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        laid_out(tmp_path, **given)
    assert re.search(named, caught.value.detail)
    assert "user@" not in caught.value.detail
    assert "two words" not in caught.value.detail


def test_a_redis_url_and_a_server_key_in_files_replace_the_embedded_ones(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://127.0.0.1:1/0")
    (tmp_path / "key").write_text("s" * 40)
    layout = laid_out(tmp_path, REDIS_URL_FILE=str(tmp_path / "url"), SERVER_KEY_FILE=str(tmp_path / "key"))
    assert layout.valkey is None
    assert "MASKRELAY_REDIS_URL" not in layout.environment
    assert layout.settings.redis_url.get_secret_value() == "redis://127.0.0.1:1/0"


def test_a_file_of_endpoints_replaces_the_simulator(tmp_path: Path) -> None:
    pool = [{"name": name, "url": f"https://{name}.example/score", "key": "k"} for name in ("a", "b")]
    (tmp_path / "pool.json").write_text(json.dumps(pool))
    layout = laid_out(tmp_path, ENDPOINTS_FILE=str(tmp_path / "pool.json"))
    assert layout.simulator is None
    assert [endpoint.name for endpoint in layout.endpoints] == ["a", "b"]


def test_the_welcome_shows_where_things_are_and_no_secret(tmp_path: Path) -> None:
    layout = laid_out(
        tmp_path,
        REDIS_URL="redis://someone:redis-secret@127.0.0.1:6390/3",
        ENDPOINT_URL="https://eye.example/score?code=url-secret",
        ENDPOINT_KEY="endpoint-secret",
        ENDPOINT_MAX_IN_FLIGHT="8",
    )
    said = "\n".join(welcome(layout, tmp_path, tmp_path / "logs").splitlines())
    assert "default: https://eye.example/score, at most 8 concurrent requests" in said
    assert "redis://127.0.0.1:6390/3" in said
    assert (tmp_path / "storage").as_uri() in said
    for secret in ("redis-secret", "url-secret", "endpoint-secret"):
        assert secret not in said


def test_the_welcome_has_lines_that_a_shell_takes(tmp_path: Path) -> None:
    layout = laid_out(tmp_path, API_KEY="a key; of my own")
    assert "\n  export MASKRELAY_API_KEY='a key; of my own'\n" in welcome(layout, tmp_path, tmp_path)
    assert f"\n  export MASKRELAY_URL={layout.url}\n" in welcome(layout, tmp_path, tmp_path)
    write_keys(tmp_path / "own.json", "somebody's key")
    layout = laid_out(tmp_path, KEYS_FILE=str(tmp_path / "own.json"))
    assert "\n  export MASKRELAY_API_KEY=  # a key whose hash" in welcome(layout, tmp_path, tmp_path)


def test_a_data_folder_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    os.close(hold(tmp_path / "data"))
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(tmp_path: Path) -> None:
    layout = lay_out({"NO_PROXY": "intern.example", "HTTP_PROXY": "http://proxy:1"}, tmp_path, free_port())
    assert layout.environment["NO_PROXY"] == "intern.example,127.0.0.1,localhost"
    assert layout.environment["no_proxy"] == "127.0.0.1,localhost"


def test_a_data_folder_belongs_to_one_stack_at_a_time(tmp_path: Path) -> None:
    held = hold(tmp_path / "data")
    with pytest.raises(StackError, match="another stack is running in"):
        hold(tmp_path / "data")
    os.close(held)
    os.close(hold(tmp_path / "data"))


def test_a_data_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be used as the data folder"):
        hold(tmp_path / "file" / "data")
