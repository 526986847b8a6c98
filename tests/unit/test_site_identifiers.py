"""The pseudonyms of a site: by mapping or by keyed hash, and never the identifier itself."""

import hmac
import json
from pathlib import Path

import pytest

from maskrelay.errors import IdentifierUnmapped, SettingsError
from maskrelay.site_identifiers import SiteIdentifiers, read_key, read_mapping, read_site_file

KEY = "a key of the site's own"


def written(folder: Path, **entries: dict[str, object]) -> SiteIdentifiers:
    (folder / "site.json").write_text(json.dumps(entries))
    return SiteIdentifiers(str(folder / "site.json"))


def test_a_keyed_hash_is_what_the_site_computes_itself(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    site = written(tmp_path, north={"key": KEY}, south={"key_file": str(tmp_path / "key")})
    expected = hmac.digest(KEY.encode(), b"1.2.3", "sha256").hex()
    assert site.pseudonym("north", "1.2.3") == site.pseudonym("south", "1.2.3") == expected


def test_a_mapping_names_what_it_has_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text('identifier,pseudonym\n1.2.3,"Subject 7, CT"\n1.2.4,S8\n')
    mapping = {"north": {"mapping": {"1.2.3": "S7"}}, "south": {"mapping_file": str(tmp_path / "map.csv")}}
    site = written(tmp_path, **mapping)
    assert (site.pseudonym("north", "1.2.3"), site.pseudonym("south", "1.2.3")) == ("S7", "Subject 7, CT")
    for tenant, identifier in (("north", "1.2.4"), ("south", "1.2.5"), ("east", "1.2.3")):
        with pytest.raises(IdentifierUnmapped) as missing:
            site.pseudonym(tenant, identifier)
        assert identifier not in missing.value.detail


def test_a_mapping_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "map.csv"
    file.write_text("identifier,pseudonym\n1.2.3,S7\n")
    site = written(tmp_path, north={"mapping_file": str(file)})
    assert site.pseudonym("north", "1.2.3") == "S7"
    file.write_text("identifier,pseudonym\n1.2.3,S7\n\n1.2.4,S8\n\n")
    assert site.pseudonym("north", "1.2.4") == "S8"


@pytest.mark.parametrize("path", [None, "/hidden/site.json"])
def test_without_a_file_no_identifier_has_a_pseudonym(path: str | None) -> None:
    with pytest.raises(IdentifierUnmapped) as missing:
        SiteIdentifiers(path).pseudonym("north", "1.2.3")
    assert "hidden" not in missing.value.detail


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{"north": {}}', "exactly one"),
        ('{"north": {"key": "short"}}', "north.key"),
        ('{"north": {"key": "0123456789abcdef", "mapping": {}}}', "exactly one"),
        ('{"north": {"mapping": {"1.2.3": ""}}}', "north.mapping"),
        ('{"A b": {"mapping": {}}}', "match"),
        ("{", "JSON"),
    ],
)
def test_a_file_that_is_not_valid_is_refused_without_quoting_it(tmp_path: Path, content: str, place: str) -> None:
    (tmp_path / "site.json").write_text(content)
    with pytest.raises(SettingsError, match=place) as refused:
        read_site_file(tmp_path / "site.json")
    assert "1.2.3" not in refused.value.detail
    assert "short" not in refused.value.detail


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"uid,name\n", "line 1"),
        (b"", "line 1"),
        (b"identifier,pseudonym\n1.2.3,S7\n1.2.3,S8\n", "line 3"),
        (b"identifier,pseudonym\n1.2.3\n", "line 2"),
        (b"identifier,pseudonym\n1.2.3,\n", "line 2"),
        (b"identifier,pseudonym\n1.2.3,\xff\n", "UTF-8"),
    ],
)
def test_a_mapping_that_is_not_valid_is_refused_by_its_line(tmp_path: Path, content: bytes, line: str) -> None:
    (tmp_path / "map.csv").write_bytes(content)
    with pytest.raises(SettingsError, match=line):
        read_mapping(tmp_path / "map.csv")


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short\n")
    with pytest.raises(SettingsError, match="16 bytes"):
        read_key(tmp_path / "key")
