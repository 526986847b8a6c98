"""The entry in the file of endpoints."""

import pytest

from maskrelay.admin.azure.config_entry import merged, read_entries, write
from maskrelay.errors import SettingsError

ENTRY = {"name": "east", "url": "http://new/score", "auth": "entra", "model_version": "10", "concurrency": 16}


def test_an_entry_replaces_its_namesake_in_its_place_and_keeps_what_was_set_by_hand():
    old = [
        {"name": "west", "url": "http://w"},
        {"name": "east", "url": "http://old", "key": "k", "tenants": ["a"]},
        {"name": "x"},
    ]
    assert merged(old, ENTRY) == [old[0], {"name": "east", "tenants": ["a"]} | ENTRY, old[2]]
    assert merged([], ENTRY) == [ENTRY]


def test_an_entry_that_the_service_would_not_read_is_refused_without_its_value():
    with pytest.raises(SettingsError) as refused:
        merged([], ENTRY | {"name": "Not A Name"})
    assert "name" in refused.value.detail
    with pytest.raises(SettingsError, match="weight"):
        merged([{"name": "east", "weight": "a secret"}], ENTRY)


@pytest.mark.parametrize("text", ["{}", "[1]", "", "no json"])
def test_a_file_of_something_else_is_an_error_and_none_is_an_empty_one(tmp_path, text):
    path = tmp_path / "endpoints.json"
    assert read_entries(path) == []
    path.write_text(text)
    with pytest.raises(SettingsError):
        read_entries(path)


def test_a_file_is_replaced_as_a_whole_and_with_its_mode(tmp_path):
    path = tmp_path / "key"
    path.write_text("old and longer")
    path.chmod(0o644)
    for mode in (0o600, 0o644):
        write(path, "new", mode=mode)
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", mode)
    assert [one.name for one in tmp_path.iterdir()] == ["key"]
