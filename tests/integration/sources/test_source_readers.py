"""One behaviour of sources in folders, in S3, in Azure and on web servers: facts, ranges, pins, rights and outages."""

import os
from collections.abc import Callable
from pathlib import Path

import obstore
import pytest
from obstore.store import AzureStore

from maskrelay.contract.records.result_names import url_beside
from maskrelay.errors import SourceChanged, SourceForbidden, SourceNotFound, SourceUnavailable
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.sources.writable_stores import SourceFolders
from tests.integration.sources.places import Place, https_credential, pinned
from tests.support.builders.credentials import s3_credential, write_credentials
from tests.support.servers.azurite import ACCOUNT, KEY, RunningAzurite, container_sas

BODY = os.urandom(3 << 20)  # several chunks


def test_an_object_is_read_whole_and_by_ranges(place: Place, reading: Callable[..., SourceReaders]) -> None:
    place.put("a b.png", BODY)
    readers = reading(place.entry)
    space = " " if place.base.startswith(("s3:", "az:")) else "%20"
    source = pinned(readers, f"{place.base}a{space}b.png", place.entry["name"])
    assert source.size == len(BODY)
    assert b"".join(readers.stream(source)) == BODY
    assert b"".join(readers.stream(source, 1_500_000, 10)) == BODY[1_500_000:1_500_010]
    assert b"".join(readers.stream(source, len(BODY) - 5, 100)) == BODY[-5:]
    assert b"".join(readers.stream(source, len(BODY), 100)) == b""


def test_an_empty_object_has_no_bytes(place: Place, reading: Callable[..., SourceReaders]) -> None:
    place.put("empty", b"")
    readers = reading(place.entry)
    source = pinned(readers, f"{place.base}empty", place.entry["name"])
    assert (source.size, b"".join(readers.stream(source))) == (0, b"")


@pytest.mark.parametrize("after", [b"changed", b"original but longer", b"short"])
def test_an_object_that_has_changed_yields_not_one_byte(
    place: Place, reading: Callable[..., SourceReaders], after: bytes
) -> None:
    place.put("a.png", b"content")
    readers = reading(place.entry)
    source = pinned(readers, f"{place.base}a.png", place.entry["name"])
    place.put("a.png", after)
    with pytest.raises(SourceChanged):
        next(readers.stream(source, 6, 1))


def test_an_object_that_is_gone_is_not_found(place: Place, reading: Callable[..., SourceReaders]) -> None:
    place.put("a.png", b"content")
    readers = reading(place.entry)
    source = pinned(readers, f"{place.base}a.png", place.entry["name"])
    place.delete("a.png")
    with pytest.raises(SourceNotFound):
        next(readers.stream(source))
    with pytest.raises(SourceNotFound):
        readers.stat("north", source.url, None)


def test_a_right_that_was_withdrawn_takes_effect_at_once(
    place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    place.put("a.png", b"content")
    readers = reading(place.entry)
    source = pinned(readers, f"{place.base}a.png", place.entry["name"])
    write_credentials(tmp_path / "credentials.json", {**place.entry, "reads": {"south": place.entry["reads"]["north"]}})
    with pytest.raises(SourceForbidden):
        next(readers.stream(source))


def test_an_error_says_nothing_of_the_object(place: Place, reading: Callable[..., SourceReaders]) -> None:
    readers = reading(place.entry)
    with pytest.raises(SourceNotFound) as caught:
        readers.stat("north", f"{place.base}patient-smith.png", None)
    assert "smith" not in caught.value.detail
    assert caught.value.__cause__ is None


def test_objects_below_a_prefix_are_listed_in_the_order_of_their_urls(
    listed_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    names = ["1.png", "1/a.png", "1/b/c.png", "10.png", "2.png", "z/1.png"]
    for name in reversed(names):
        listed_place.put(name, name.encode())
    readers = reading(listed_place.entry)
    found = list(readers.list("north", listed_place.base, None))
    assert [facts.url.removeprefix(listed_place.base) for facts in found] == names
    assert [facts.size for facts in found] == list(map(len, names))
    assert found[2] == readers.stat("north", found[2].url, None)
    for number, facts in enumerate(found):
        rest = readers.list("north", listed_place.base, None, after=facts.url)
        assert [each.url for each in rest] == [each.url for each in found[number + 1 :]]


def test_keys_that_are_no_paths_are_listed_and_end_no_listing(
    s3_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    names = ["1.dcm", "a//2.dcm", "b/../3.dcm", "c/4\x7f.dcm", "d/5.dcm"]
    for name in (*names, "d/"):
        s3_place.put(name, b"content" if name != "d/" else b"")
    readers, base = reading(s3_place.entry), s3_place.base
    found = list(readers.list("north", base, None))
    assert [facts.url.removeprefix(base) for facts in found] == names
    assert found[-1] == readers.stat("north", found[-1].url, None)
    assert [facts.url for facts in readers.list("north", base, None, after=f"{base}a//2.dcm")] == [
        facts.url for facts in found[2:]
    ]
    with pytest.raises(SourceForbidden):
        readers.stat("north", found[1].url, None)


def test_a_name_of_azure_that_is_no_path_is_no_outage(
    azure_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    azure_place.put("a//1.dcm", b"content")
    with pytest.raises(SourceForbidden) as caught:
        list(reading(azure_place.entry).list("north", azure_place.base, None))
    assert "empty segment" in caught.value.detail


def test_the_markers_of_folders_are_not_listed(
    listed_place: Place, reading: Callable[..., SourceReaders], request: pytest.FixtureRequest
) -> None:
    """Consoles create them with every folder, also for the prefix itself. An empty file is listed."""
    markers = [] if "file_place" in request.node.name else ["", "ct/", "ct/1/", "empty/", "z/"]
    for name in (*markers, "ct/1/1.dcm", "ct/0.dcm", "ct/2.dcm"):
        listed_place.put(name, b"")
    found = reading(listed_place.entry).list("north", listed_place.base, None)
    names = [facts.url.removeprefix(listed_place.base) for facts in found]
    assert names == ["ct/0.dcm", "ct/1/1.dcm", "ct/2.dcm"]


def test_the_folders_of_a_hierarchical_namespace_are_not_listed(
    azure: RunningAzurite, azure_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    options = {"account_name": ACCOUNT, "account_key": KEY, "endpoint": azure.url}
    store = AzureStore(azure.container, **options, client_options={"allow_http": True})
    folder = azure_place.base.removeprefix(f"az://{azure.container}/")
    for name in ("ct", "empty"):
        obstore.put(store, f"{folder}{name}", b"", attributes={"hdi_isfolder": "true"})
    azure_place.put("ct/1.dcm", b"content")
    azure_place.put("file", b"")
    found = reading(azure_place.entry).list("north", azure_place.base, None)
    assert [facts.url.removeprefix(azure_place.base) for facts in found] == ["ct/1.dcm", "file"]


def test_a_prefix_without_objects_lists_nothing(s3_place: Place, reading: Callable[..., SourceReaders]) -> None:
    assert list(reading(s3_place.entry).list("north", f"{s3_place.base}none/", None)) == []


@pytest.mark.parametrize("auth", ["account_key", "sas"])
def test_an_azure_account_is_opened_with_its_secret_and_not_with_that_of_the_services_own_account(
    auth: str,
    azure: RunningAzurite,
    azure_place: Place,
    reading: Callable[..., SourceReaders],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    azure_place.put("a.png", b"content")
    secret = KEY if auth == "account_key" else container_sas(azure)
    entry = {**azure_place.entry, "auth": auth, "secret": secret, "account": ACCOUNT, "endpoint_url": azure.url}
    for name in ("STORAGE_ACCOUNT_KEY", "STORAGE_TOKEN", "TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"AZURE_{name}", "b3duIGFjY291bnQ=")
    assert reading(entry).stat("north", f"{azure_place.base}a.png", None).size == 7


def test_a_wrong_secret_is_refused(web_place: Place, s3_place: Place, reading: Callable[..., SourceReaders]) -> None:
    s3_place.put("a.png", b"content")
    web_place.put("a.png", b"content")
    readers = reading({**web_place.entry, "secret": "Bearer wrong"})
    with pytest.raises(SourceForbidden) as caught:
        readers.stat("north", f"{web_place.base}a.png", None)
    assert "401" in caught.value.detail


@pytest.mark.parametrize("of", ["s3", "web"])
def test_a_store_that_is_away_is_unavailable_and_rests(of: str, reading: Callable[..., SourceReaders]) -> None:
    now = [0.0]
    url = "https://127.0.0.1:1" if of == "web" else "s3://images"
    entry = https_credential(url) if of == "web" else s3_credential("images", "http://127.0.0.1:1")
    readers = reading(entry)
    readers._clock = lambda: now[0]
    with pytest.raises(SourceUnavailable) as first:
        readers.stat("north", f"{url}/a.png", None)
    with pytest.raises(SourceUnavailable) as second:
        readers.stat("north", f"{url}/a.png", None)
    now[0] = 60.0
    with pytest.raises(SourceUnavailable) as third:
        readers.stat("north", f"{url}/a.png", None)
    assert [caught.value.reason == "resting" for caught in (first, second, third)] == [False, True, False]


def test_what_is_written_beside_a_source_can_be_read_and_is_not_listed(
    listed_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    listed_place.put("CT #1/scan ä 50%.nii.gz", b"content")
    entry = {**listed_place.entry, "writes": listed_place.entry["reads"]}
    readers, base = reading(entry), listed_place.base
    [facts] = readers.list("north", base, None)
    folders = SourceFolders(CredentialFile.open(str(tmp_path / "credentials.json")), "north", entry["name"])
    url = url_beside(facts.url, "a" * 26, "0.labels.nii.gz")
    for body in (b"0" * (9 << 20), b"result"):  # in parts, and as one object, which replaces the first
        with folders.writer(url, "application/gzip") as writer:
            assert list(readers.list("north", base, None)) == [facts]
            writer.write(body)
            assert list(readers.list("north", base, None)) == [facts]
            writer.commit()
        assert list(readers.list("north", base, None)) == [facts]
        assert b"".join(readers.stream(pinned(readers, url, entry["name"]))) == body
