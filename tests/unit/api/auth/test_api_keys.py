"""Keys of a file: several a tenant, each with its time; a file that says a thing twice or wrongly is refused."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.auth.api_keys import KeysFile
from maskrelay.errors import SettingsError
from maskrelay.ledger.quotas import Usage

NOW = datetime.now(UTC)
PAST, FUTURE = (NOW - timedelta(hours=1)).isoformat(), (NOW + timedelta(hours=1)).isoformat()


def entry(key: str, **more: Any) -> dict[str, Any]:
    return {"tenant": "north", "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": ["read"], **more}


def keys_file(folder: Path, *entries: Any) -> KeysFile:
    path = folder / "keys.json"
    path.write_text(json.dumps(entries))
    return KeysFile.open(path)


def test_a_tenant_has_several_keys_while_one_follows_another(tmp_path: Path) -> None:
    keys = keys_file(tmp_path, entry("old", not_after=FUTURE), entry("new", scopes=["submit"], not_before=PAST))
    old, new = keys.caller("old"), keys.caller("new")
    assert old is not None
    assert new is not None
    assert (old.tenant, new.tenant) == ("north", "north")
    assert (old.scopes, new.scopes) == ({"read"}, {"submit"})
    assert keys.caller("other") is None


def test_a_key_is_compared_with_every_entry_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_file(tmp_path, *(entry(name) for name in ("a", "b", "c")))
    compared: list[str] = []
    compare = hmac.compare_digest

    def watched(known: str, given: str) -> bool:
        compared.append(known)
        return compare(known, given)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    for given in ("a", "c", "none of them"):
        keys.caller(given)
        assert len(compared) == 3
        compared.clear()


@pytest.mark.parametrize("when", [{"not_after": PAST}, {"not_before": FUTURE}])
def test_a_key_counts_in_its_time_alone(tmp_path: Path, when: dict[str, str]) -> None:
    assert keys_file(tmp_path, entry("key", **when)).caller("key") is None


def test_a_caller_is_called_by_the_keys_name_and_never_by_the_key(tmp_path: Path) -> None:
    keys = keys_file(tmp_path, entry("secret-1", name="pacs-1"), entry("secret-2"))
    named, unnamed = keys.caller("secret-1"), keys.caller("secret-2")
    assert named is not None
    assert unnamed is not None
    assert named.name == "key:pacs-1"
    assert unnamed.name == "key:" + hashlib.sha256(b"secret-2").hexdigest()[:8]


def test_a_tenants_quotas_differ_from_the_settings_where_one_of_its_keys_says_so(tmp_path: Path) -> None:
    default = Usage(jobs=5, frames=6, interactive=7, bytes=8)
    given = {"jobs": 0, "bytes": 1}
    keys = keys_file(tmp_path, entry("a"), entry("b", quotas=given), entry("c", quotas=given))
    assert keys.quotas("north", default) == Usage(jobs=0, frames=6, interactive=7, bytes=1)
    assert keys.quotas("south", default) == default


@pytest.mark.parametrize(
    "entries",
    [
        [entry("a"), entry("a", tenant="south")],
        [entry("a", tenant="../north")],
        [entry("a", scopes=["everything"])],
        [entry("a", not_after="2026-01-01T00:00:00")],
        [entry("a", name="two words")],
        [entry("a", name="line\nbreak")],
        [entry("a", tenants="north")],
        [entry("a", quotas={"jobs": -1})],
        [entry("a", quotas={"pictures": 1})],
        [entry("a", quotas={"jobs": 1}), entry("b", quotas={"jobs": 2})],
        {"tenant": "north"},
    ],
    ids=[
        "twice",
        "tenant",
        "scope",
        "no offset",
        "name",
        "control",
        "unknown",
        "negative",
        "quota",
        "quotas",
        "no list",
    ],
)
def test_a_file_that_is_not_right_is_refused(tmp_path: Path, entries: Any) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(SettingsError, match="keys file") as refused:
        KeysFile.open(path)
    assert hashlib.sha256(b"a").hexdigest() not in str(refused.value)
