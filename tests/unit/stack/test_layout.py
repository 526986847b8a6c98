import os
from pathlib import Path

import pytest

from maskrelay.errors import SettingsError, StackError
from maskrelay.settings import Settings
from maskrelay.stack.layout import SHORT_CLOCKS, Layout, hold, lay_out
from maskrelay.stack.loopback import free_port
from simulator.__main__ import arguments_of


def laid_out(tmp_path: Path, **given: str) -> Layout:
    return lay_out({f"MASKRELAY_{name}": value for name, value in given.items()}, tmp_path, free_port())


def names(layout: Layout) -> list[list[str]]:
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
    layout = laid_out(tmp_path, KEYS_FILE="/somewhere/keys.json")
    assert layout.api_key is None
    assert layout.environment["MASKRELAY_KEYS_FILE"] == "/somewhere/keys.json"
    assert not (tmp_path / "api-key").exists()


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(tmp_path: Path) -> None:
    layout = lay_out({"NO_PROXY": "intern.example", "HTTP_PROXY": "http://proxy:1"}, tmp_path, free_port())
    assert layout.environment["NO_PROXY"] == "intern.example,127.0.0.1,localhost"
    assert layout.environment["no_proxy"] == "127.0.0.1,localhost"


def test_a_data_folder_belongs_to_one_stack_at_a_time(tmp_path: Path) -> None:
    held = hold(tmp_path / "data")
    with pytest.raises(StackError, match="another stack runs on"):
        hold(tmp_path / "data")
    os.close(held)
    os.close(hold(tmp_path / "data"))


def test_a_data_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be the data folder"):
        hold(tmp_path / "file" / "data")
