"""One behaviour of sources in folders, in S3, in Azure and on web servers: facts, ranges, pins, rights and outages."""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from maskrelay.contract.records.result_names import url_beside
from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.errors import (
    CredentialUnknown,
    KeyInvalid,
    SourceChanged,
    SourceForbidden,
    SourceInvalid,
    SourceNotAllowed,
    SourceNotFound,
    SourceUnavailable,
    SourceUnpinned,
)
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.file_reader import FileReader
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.sources.writable_stores import SourceFolders
from maskrelay.storage.azure_requests import AzureRequests
from tests.support.builders.certificates import Authority, server_context
from tests.support.builders.credentials import folder_credential, s3_credential, write_credentials
from tests.support.servers.azurite import ACCOUNT, KEY, RunningAzurite, running_azurite
from tests.support.servers.s3_servers import RunningS3, running_s3
from tests.support.servers.scripted_server import hang_up, http, serving
from tests.support.servers.web_folders import web_folder

TOKEN = "a-token-of-the-archive"
BODY = os.urandom(3 << 20)  # several chunks


@dataclass(frozen=True)
class Place:
    """Where the objects of a test are. `base` is the prefix that the tenant may read."""

    base: str
    entry: dict[str, Any]
    put: Callable[[str, bytes], None]
    delete: Callable[[str], None]


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3("images") as running:
        yield running


@pytest.fixture(scope="module")
def azure() -> Iterator[RunningAzurite]:
    with running_azurite("images") as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def web(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("web")
    with web_folder(folder, authority.issue("web", "127.0.0.1"), TOKEN) as url:
        yield url, folder


def in_folder(folder: Path, base: str, entry: dict[str, Any]) -> Place:
    def put(name: str, body: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)

    return Place(base, entry, put, lambda name: (folder / name).unlink())


def https_credential(url: str, **more: Any) -> dict[str, Any]:
    kind = {"kind": "https", "reads": {"north": [f"{url}/"]}, "secret": f"Bearer {TOKEN}", "allow": ["127.0.0.1"]}
    return {"name": "web", **kind, **more}


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    folder = tmp_path / "data"
    folder.mkdir()
    return in_folder(folder, f"{folder.as_uri()}/", folder_credential(folder))


@pytest.fixture
def s3_place(s3: RunningS3) -> Place:
    client = boto3.session.Session().client("s3", endpoint_url=s3.endpoint_url)
    for found in client.list_objects_v2(Bucket=s3.bucket, Prefix="ct/").get("Contents", []):
        client.delete_object(Bucket=s3.bucket, Key=found["Key"])
    return Place(
        f"s3://{s3.bucket}/ct/",
        s3_credential(s3.bucket, s3.endpoint_url, "ct/"),
        lambda name, body: client.put_object(Bucket=s3.bucket, Key=f"ct/{name}", Body=body),
        lambda name: client.delete_object(Bucket=s3.bucket, Key=f"ct/{name}"),
    )


@pytest.fixture
def azure_place(azure: RunningAzurite) -> Place:
    prefix = f"{secrets.token_hex(8)}/"
    base = f"az://{azure.container}/{prefix}"
    entry = {"name": "lake", "kind": "azure", "reads": {"north": [base]}}
    entry |= {"auth": "connection_string", "secret": azure.connection_string}
    requests = AzureRequests(azure.account, azure.container)
    return Place(
        base,
        entry,
        lambda name, body: requests.put(f"{prefix}{name}", body, "application/octet-stream"),
        lambda name: requests.delete(f"{prefix}{name}"),
    )


@pytest.fixture
def web_place(web: tuple[str, Path], authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Place:
    url, folder = web
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    return in_folder(folder, f"{url}/", https_credential(url))


@pytest.fixture(params=["file_place", "s3_place", "azure_place", "web_place"])
def place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["file_place", "s3_place", "azure_place"])
def listed_place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)


@pytest.fixture
def reading(tmp_path: Path) -> Callable[..., SourceReaders]:
    def readers(*entries: dict[str, Any]) -> SourceReaders:
        return SourceReaders(CredentialFile.open(str(write_credentials(tmp_path / "credentials.json", *entries))))

    return readers


def pinned(readers: SourceReaders, url: str, name: str) -> PinnedSource:
    facts = readers.stat("north", url, None)
    return PinnedSource(url=url, tenant="north", credential=name, size=facts.size, etag=facts.etag)


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


def test_a_prefix_without_objects_lists_nothing(s3_place: Place, reading: Callable[..., SourceReaders]) -> None:
    assert list(reading(s3_place.entry).list("north", f"{s3_place.base}none/", None)) == []


def test_an_azure_account_is_opened_with_its_key(
    azure: RunningAzurite, azure_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    azure_place.put("a.png", b"content")
    entry = {**azure_place.entry, "auth": "account_key", "secret": KEY, "account": ACCOUNT, "endpoint_url": azure.url}
    assert reading(entry).stat("north", f"{azure_place.base}a.png", None).size == 7


def test_a_wrong_secret_is_refused(web_place: Place, s3_place: Place, reading: Callable[..., SourceReaders]) -> None:
    s3_place.put("a.png", b"content")
    web_place.put("a.png", b"content")
    readers = reading({**web_place.entry, "secret": "Bearer wrong"})
    with pytest.raises(SourceForbidden) as caught:
        readers.stat("north", f"{web_place.base}a.png", None)
    assert "401" in caught.value.detail


def test_a_server_at_a_private_address_is_not_reached_unless_it_is_allowed(
    web_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    web_place.put("a.png", b"content")
    with pytest.raises(SourceForbidden, match="address"):
        reading({**web_place.entry, "allow": []}).stat("north", f"{web_place.base}a.png", None)


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


def test_the_requests_of_one_tenant_do_not_keep_another_from_a_store(
    web_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    web_place.put("a.png", b"content")
    readers = reading({**web_place.entry, "reads": {"north": [web_place.base], "south": [web_place.base]}})
    pinned_by_north = pinned(readers, f"{web_place.base}a.png", web_place.entry["name"])
    readers._rests[("south", web_place.entry["name"], web_place.base.removesuffix("/"))] = float("inf")
    with pytest.raises(SourceUnavailable):
        readers.stat("south", pinned_by_north.url, None)
    assert b"".join(readers.stream(pinned_by_north)) == b"content"


@pytest.mark.parametrize("secret", ["Bearer a\nb", "Bearer \u00fc\u20ac"])
def test_a_secret_that_http_cannot_send_is_a_refusal_and_no_outage(
    secret: str, web_place: Place, reading: Callable[..., SourceReaders]
) -> None:
    web_place.put("a.png", b"content")
    with pytest.raises(SourceForbidden) as caught:
        reading({**web_place.entry, "secret": secret}).stat("north", f"{web_place.base}a.png", None)
    assert secret not in caught.value.detail


def test_the_name_of_a_file_may_be_any_bytes(
    file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    names = [b"a\\b.png", b"latin-\xfc.png", b"line\nbreak.png", b"semi;colon.png"]
    for name in names:
        (tmp_path / "data" / os.fsdecode(name)).write_bytes(name)
    readers = reading(file_place.entry)
    found = list(readers.list("north", file_place.base, None))
    read = [b"".join(readers.stream(pinned(readers, facts.url, "disk"))) for facts in found]
    assert sorted(read) == sorted(names)


def test_a_file_whose_url_is_too_long_is_listed_and_refused(
    file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    for _ in range(6):  # each byte takes three letters of the URL
        folder = folder / ("\u00fc" * 120)
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"content")
    file_place.put("b.png", b"content")
    readers = reading(file_place.entry)
    *_, long = sorted(readers.list("north", file_place.base, None), key=lambda facts: len(facts.url))
    assert len(long.url) > 4096
    with pytest.raises(SourceForbidden):
        readers.stat("north", long.url, None)


def scripted(authority: Authority, answers: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A web server that gives these answers, one to each request, and then hangs up."""
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))

    def script(sock: Any, seen: Any) -> None:
        sock.sendall(answers[seen.connection])
        hang_up(sock)

    return serving(script, tls=server_context(authority.issue("scripted", "127.0.0.1")))


def test_a_read_that_is_cut_goes_on_where_it_ended(
    authority: Authority, reading: Callable[..., SourceReaders], monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = {"ETag": '"1"'}
    answers = [
        http(206, b"0123", length=10, **etag, **{"Content-Range": "bytes 0-9/10"}),
        http(206, b"456789", **etag, **{"Content-Range": "bytes 4-9/10"}),
    ]
    with scripted(authority, answers, monkeypatch) as server:
        url = server.url.removesuffix("/score")
        source = PinnedSource(url=f"{url}/a.png", tenant="north", credential="web", size=10, etag='"1"')
        assert b"".join(reading(https_credential(url)).stream(source)) == b"0123456789"
    assert [seen.headers["range"] for seen in server.seen] == ["bytes=0-9", "bytes=4-9"]


def test_a_cut_read_never_goes_on_in_another_version(
    authority: Authority, reading: Callable[..., SourceReaders], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        http(206, b"0123", length=10, **{"ETag": '"1"', "Content-Range": "bytes 0-9/10"}),
        http(206, b"456789", **{"ETag": '"2"', "Content-Range": "bytes 4-9/10"}),
    ]
    got: list[bytes] = []
    with scripted(authority, answers, monkeypatch) as server:
        url = server.url.removesuffix("/score")
        source = PinnedSource(url=f"{url}/a.png", tenant="north", credential="web", size=10, etag='"1"')
        with pytest.raises(SourceChanged):
            got.extend(reading(https_credential(url)).stream(source))
    assert b"".join(got) in (b"", b"0123")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(302, b"", Location="https://127.0.0.1:1/"), SourceForbidden),
        (http(200, b"12345"), SourceUnpinned),
    ],
)
def test_a_redirect_is_not_followed_and_a_server_without_versions_is_refused(
    answer: bytes,
    error: type[Exception],
    authority: Authority,
    reading: Callable[..., SourceReaders],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted(authority, [answer, answer], monkeypatch) as server:
        url = server.url.removesuffix("/score")
        with pytest.raises(error):
            reading(https_credential(url)).stat("north", f"{url}/a.png", None)


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_out_of_the_folder_is_not_followed(
    link: str, file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.png").write_bytes(b"another tenant's")
    target = tmp_path / "secret" / "a.png" if link == "file" else tmp_path / "secret"
    (tmp_path / "data" / "link").symlink_to(target)
    url = f"{file_place.base}link" if link == "file" else f"{file_place.base}link/a.png"
    readers = reading(file_place.entry)
    with pytest.raises(SourceForbidden):
        readers.stat("north", url, None)
    assert list(readers.list("north", file_place.base, None)) == []


def test_a_link_inside_of_the_folder_is_followed(
    file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    file_place.put("annex/1", b"content")
    (tmp_path / "data" / "a.png").symlink_to("annex/1")
    assert reading(file_place.entry).stat("north", f"{file_place.base}a.png", None).size == 7


def test_a_named_pipe_does_not_block(file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data" / "pipe")
    with pytest.raises(SourceForbidden):
        reading(file_place.entry).stat("north", f"{file_place.base}pipe", None)


def test_a_secret_file_is_read_again(web_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path) -> None:
    web_place.put("a.png", b"content")
    secret = tmp_path / "token"
    secret.write_text("Bearer old\n")
    entry = {name: value for name, value in web_place.entry.items() if name != "secret"}
    readers = reading({**entry, "secret_file": str(secret)})
    with pytest.raises(SourceForbidden):
        readers.stat("north", f"{web_place.base}a.png", None)
    secret.write_text(f"Bearer {TOKEN}\n")
    assert readers.stat("north", f"{web_place.base}a.png", None).size == 7


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


def test_a_reader_of_folders_leaves_out_results_by_their_names(file_place: Place) -> None:
    results = [f"scan.maskrelay-{'a' * 26}.0.labels.nii.gz", f"inner/scan.maskrelay-{'b' * 26}.0.seg.dcm"]
    for name in ("scan.nii.gz", *results):
        file_place.put(name, b"content")
    listed = FileReader((file_place.base,)).list(file_place.base, None)
    assert [facts.url for facts in listed] == [f"{file_place.base}scan.nii.gz"]


def test_nothing_is_written_outside_of_the_prefixes_of_the_tenant(file_place: Place, tmp_path: Path) -> None:
    folder, outside = tmp_path / "data", tmp_path / "outside"
    outside.mkdir()
    (folder / "link").symlink_to(outside)
    entry = {**file_place.entry, "writes": {"north": [file_place.base]}}
    credentials = CredentialFile.open(str(write_credentials(tmp_path / "credentials.json", entry)))
    folders = SourceFolders(credentials, "north", "disk")
    for url, error in (
        (f"{file_place.base}link/a.png", KeyInvalid),
        (f"{outside.as_uri()}/a.png", SourceNotAllowed),
        (f"{file_place.base}../outside/a.png", SourceInvalid),
        (f"{file_place.base}%2E%2E/outside/a.png", SourceInvalid),
        ("s3://images/a.png", SourceNotAllowed),
    ):
        with pytest.raises(error):
            folders.writer(url)
    with pytest.raises(CredentialUnknown):
        SourceFolders(credentials, "south", "disk").writer(f"{file_place.base}a.png")
    assert list(outside.iterdir()) == []
