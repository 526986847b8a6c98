"""Sources in a DICOMweb service, shown with a real Orthanc: facts, ranges, lists, queries, rights and refusals."""

import io
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pydicom
import pytest
from pydicom.data import get_testdata_file

from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.errors import SourceChanged, SourceForbidden, SourceInvalid, SourceNotFound, SourceUnavailable
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.credential_kinds import DicomwebCredential
from maskrelay.sources.dicomweb_urls import read_dicomweb_url
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.sources.stow_sender import StowSender
from tests.support.builders.certificates import Authority, server_context
from tests.support.builders.credentials import write_credentials
from tests.support.drivers.api_jobs import items_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.apis import running_api
from tests.support.servers.orthancs import running_orthanc
from tests.support.servers.scripted_server import Seen, http, serving
from worker.sweep.watch_pass import WatchPass

PASSWORD = "a-password-of-the-archive"
AUTHORIZATION = httpx.BasicAuth("maskrelay", PASSWORD)._auth_header
#: Two series of one study, and one of another, with three instances each.
STUDIES = ("1.2.3", "1.2.3.4")
SERIES = (("1.2.3", "1.2.3.1"), ("1.2.3", "1.2.3.10"), ("1.2.3.4", "1.2.3.4.1"))


def instances() -> dict[tuple[str, str, str], bytes]:
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    made = {}
    for study, series in SERIES:
        for number in range(3):
            uid = f"{series}.{number}"
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = study, series, uid
            dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.PatientID, dataset.InstanceNumber = f"patient-{study}", 9 - number
            saved = io.BytesIO()
            dataset.save_as(saved, enforce_file_format=True)
            made[study, series, uid] = saved.getvalue()
    return made


@dataclass(frozen=True)
class Archive:
    """An Orthanc with a password, over TLS. `root` is its DICOMweb service, as a source."""

    root: str
    authority: Path
    files: dict[str, bytes]

    @property
    def entry(self) -> dict[str, Any]:
        place = {"reads": {"north": [self.root]}, "allow": ["127.0.0.1"], "secret": AUTHORIZATION}
        return {"name": "pacs", "kind": "dicomweb", **place}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("orthanc")
    authority = Authority(folder)
    with (
        running_orthanc(folder, PASSWORD) as url,
        tls_before(urlsplit(url).port or 0, *authority.issue("pacs", "127.0.0.1")) as port,
    ):
        api = httpx.Client(auth=("maskrelay", PASSWORD), base_url=url.removesuffix("dicom-web"))
        root, files = f"dicomweb+https://127.0.0.1:{port}/dicom-web/", {}
        for (study, series, uid), body in instances().items():
            assert api.post("instances", content=body).status_code == 200
            files[f"{root}studies/{study}/series/{series}/instances/{uid}"] = body
        api.close()
        yield Archive(root, authority.file, files)


@pytest.fixture
def readers(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceReaders:
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(archive.authority))
    return readers_of(archive.entry, tmp_path)


def readers_of(entry: dict[str, Any], folder: Path) -> SourceReaders:
    return SourceReaders(CredentialFile.open(str(write_credentials(folder / "credentials.json", entry))))


def pinned(readers: SourceReaders, url: str) -> PinnedSource:
    pin = readers.stat("north", url, "pacs").pin
    return PinnedSource(url=url, tenant="north", credential="pacs", size=pin.size, etag=pin.etag, version=pin.version)


def test_an_instance_is_pinned_by_its_size_and_read_in_ranges(archive: Archive, readers: SourceReaders) -> None:
    url, body = next(iter(archive.files.items()))
    assert not readers.is_collection("north", url, None)
    assert readers.stat("north", url, None).size == len(body)
    source = pinned(readers, url)
    assert b"".join(readers.stream(source)) == body
    for start, length in ((0, 132), (128, 4), (1000, None), (len(body) - 5, 5), (len(body) - 5, 100)):
        end = None if length is None else start + length
        assert b"".join(readers.stream(source, start, length)) == body[start:end]


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("studies/1.2.3/series/1.2.3.10", [1]),
        ("studies/1.2.3/series/1.2.3.10/instances", [1]),
        ("studies/1.2.3", [0, 1]),
        ("studies/1.2.3/series?Modality=CT", [0, 1]),
        ("studies/1.2.3/series?SeriesInstanceUID=1.2.3.1", [0]),
        ("studies?PatientID=patient-1.2.3.4", [2]),
        ("series?PatientID=patient-1.2.3", [0, 1]),
        ("studies?ModalitiesInStudy=CT", [0, 1, 2]),
        ("studies?PatientID=nobody", []),
    ],
)
def test_a_study_a_series_and_a_query_are_lists_of_instances(
    archive: Archive, readers: SourceReaders, path: str, of: list[int]
) -> None:
    url = archive.root + path
    assert readers.is_collection("north", url, None)
    wanted = {"studies/{}/series/{}/".format(*SERIES[number]) for number in of}
    expected = sorted(known for known in archive.files if any(one in known for one in wanted))
    found = list(readers.list("north", url, None))
    assert [facts.url for facts in found] == expected
    assert [facts.size for facts in found] == [len(archive.files[known]) for known in expected]
    if expected:
        assert [facts.url for facts in readers.list("north", url, None, after=expected[1])] == expected[2:]


def test_what_is_not_there_or_may_not_be_read_has_its_own_error(
    archive: Archive, readers: SourceReaders, tmp_path: Path
) -> None:
    known = next(iter(archive.files))
    with pytest.raises(SourceNotFound):
        readers.stat("north", f"{archive.root}studies/1.2.3/series/1.2.3.1/instances/9.9", None)
    with pytest.raises(SourceForbidden):
        readers.stat("south", known, None)
    wrong = readers_of(archive.entry | {"secret": "Basic bm9ib2R5Om5vdGhpbmc="}, tmp_path)
    with pytest.raises(SourceForbidden, match="401") as caught:
        wrong.stat("north", known, None)
    assert "1.2.3" not in str(caught.value)
    nowhere = readers_of({**archive.entry, "allow": []}, tmp_path)
    with pytest.raises(SourceForbidden, match="address"):
        nowhere.stat("north", known, None)


@pytest.mark.parametrize("path", ["studies", "series", "instances", "patients/1", "studies/../x", "studies/1/series/a"])
def test_a_query_without_a_condition_and_other_resources_are_refused(path: str) -> None:
    with pytest.raises((SourceForbidden, SourceInvalid)):
        read_dicomweb_url(f"dicomweb+https://pacs.example/dicom-web/{path}")


def test_an_instance_with_another_size_than_at_planning_has_changed(archive: Archive, readers: SourceReaders) -> None:
    source = pinned(readers, next(iter(archive.files)))
    for more in (1, -1):
        with pytest.raises(SourceChanged):
            b"".join(readers.stream(source.model_copy(update={"size": source.size + more})))


@pytest.mark.parametrize("declares", [True, False])
def test_an_answer_that_is_cut_off_is_an_outage_and_not_a_short_instance(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declares: bool
) -> None:
    """Also if the server declares no length of the part, as many do."""
    authority = Authority(tmp_path, "scripted")
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    about = "\r\nContent-Length: 8" if declares else ""
    whole = f"--b\r\nContent-Type: application/dicom{about}\r\n\r\n12345678\r\n--b--".encode()
    bodies = [whole, whole[:-7], whole[:-7]]

    def answer(sock, request):
        sock.sendall(http(200, bodies.pop(0), Content_Type='multipart/related; boundary="b"'))

    with serving(answer, tls=server_context(authority.issue("web", "127.0.0.1"))) as server:
        root = f"dicomweb+{server.url.removesuffix('score')}"
        readers = readers_of(archive.entry | {"reads": {"north": [root]}}, tmp_path)
        source = pinned(readers, f"{root}studies/1/series/2/instances/3")
        assert source.size == 8
        with pytest.raises(SourceUnavailable):
            b"".join(readers.stream(source))


def test_a_listing_for_a_watch_asks_for_no_instance(archive: Archive, readers: SourceReaders) -> None:
    url = f"{archive.root}studies?PatientID=patient-1.2.3"
    listed = list(readers.list("north", url, "pacs", pinned=False))
    assert [facts.url for facts in listed] == sorted(url for url in archive.files if "/studies/1.2.3/" in url)
    assert not any(facts.is_pinned for facts in listed)


@contextmanager
def scripted_archive(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], bytes]
) -> Iterator[tuple[SourceReaders, str]]:
    """Yield readers of an archive that gives `answer(path)` to each request, and the URL of its service."""
    authority = Authority(tmp_path, "scripted")
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))

    def script(sock: socket.socket, request: Seen) -> None:
        sock.sendall(answer(request.line.split()[1].removeprefix("/")))

    with serving(script, tls=server_context(authority.issue("web", "127.0.0.1"))) as server:
        root = f"dicomweb+{server.url.removesuffix('score')}"
        yield readers_of(archive.entry | {"reads": {"north": [root]}}, tmp_path), root


def page_of(results: list[dict[str, Any]], path: str) -> bytes:
    """Return at most three results, from the offset in the path on."""
    offset = int(dict(parse_qsl(path.partition("?")[2]))["offset"])
    return http(200, json.dumps(results[offset : offset + 3]).encode())


def test_a_query_that_changes_while_it_is_read_repeats_nothing_and_goes_on(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new study moves the others to later pages, one is gone, one has no UID, and segmentations are not input."""
    ct, seg = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"
    found = [result("1.1", "1.1.1", "1.1.1.1", ct), result("1.1", "1.1.2", "1.1.2.1", seg)]
    studies = [result("1.1"), result("1.2"), result("1.3"), result("../1")]

    def answer(path: str) -> bytes:
        if path.startswith("studies?"):
            page = page_of(studies, path)
            studies[:] = [result("1.0"), *studies] if len(studies) == 4 else studies
            return page
        return page_of(found, path) if path.startswith("studies/1.1/instances?") else http(404, b"")

    with scripted_archive(archive, tmp_path, monkeypatch, answer) as (readers, root):
        query = f"{root}studies?ModalitiesInStudy=CT"
        expected = ["studies/", "studies/1.1/series/1.1.1/instances/1.1.1.1"]
        assert [
            facts.url.removeprefix(root) for facts in readers.list("north", query, "pacs", pinned=False)
        ] == expected
        with pytest.raises(SourceForbidden):  # a job lists everything, or fails
            list(readers.list("north", query, "pacs"))


@pytest.mark.parametrize("removed", [1, 2, 3, 4])
def test_a_query_from_which_results_are_removed_while_it_is_read_misses_none_of_the_others(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    found = [result("1.1", "1.1.1", f"1.1.1.{number}") for number in range(10)]
    asked = []

    def answer(path: str) -> bytes:
        asked.append(path)
        page = page_of(found, path)
        if len(asked) == 3:
            del found[:removed]
        return page

    with scripted_archive(archive, tmp_path, monkeypatch, answer) as (readers, root):
        listed = list(readers.list("north", f"{root}studies/1.1", "pacs", pinned=False))
    assert [facts.url[-1] for facts in listed] == list("0123456789")


def test_a_query_that_changes_all_the_time_is_an_outage(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()

    def answer(_: str) -> bytes:
        return http(200, json.dumps([result("1", "2", f"3.{next(numbers)}") for _ in range(2)]).encode())

    monkeypatch.setattr(time, "sleep", lambda _: None)
    scripted = scripted_archive(archive, tmp_path, monkeypatch, answer)
    with scripted as (readers, root), pytest.raises(SourceUnavailable) as caught:
        list(readers.list("north", f"{root}studies/1", "pacs", pinned=False))
    assert caught.value.reason == "changing"


@pytest.mark.parametrize(
    "page", [b"[" * 100_000, b'[{"00080016": {"Value": [["1.2"]]}, "00080018": {"Value": [{}]}}]'], ids=["deep", "odd"]
)
def test_a_page_that_is_not_dicom_json_has_its_own_error(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: bytes
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with scripted_archive(archive, tmp_path, monkeypatch, lambda _: http(200, page)) as (readers, root):
        with pytest.raises((SourceUnavailable, SourceForbidden)):
            list(readers.list("north", f"{root}studies/1", "pacs"))
        with pytest.raises(SourceUnavailable):
            readers.last_change("north", f"{root}changes", "pacs")


def test_a_page_in_html_is_an_outage_and_no_instance(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    page = http(200, b"<html>Sign in</html>", Content_Type="text/html; charset=utf-8")
    scripted = scripted_archive(archive, tmp_path, monkeypatch, lambda _: page)
    with scripted as (readers, root), pytest.raises(SourceUnavailable):
        readers.stat("north", f"{root}studies/1/series/2/instances/3", "pacs")


def result(study: str, series: str = "", instance: str = "", sop_class: str = "") -> dict[str, Any]:
    """Return one result of a query as DICOM JSON."""
    values = {"0020000D": study, "0020000E": series, "00080018": instance, "00080016": sop_class}
    return {tag: {"vr": "UI", "Value": [value]} for tag, value in values.items() if value}


def test_segmentations_that_were_sent_to_the_archive_are_not_listed(
    archive: Archive, readers: SourceReaders, tmp_path: Path
) -> None:
    url = f"{archive.root}studies/1.2.3"
    before = list(readers.list("north", url, "pacs"))
    dataset = pydicom.dcmread(io.BytesIO(next(iter(archive.files.values()))))
    dataset.SeriesInstanceUID = dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.99"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    dataset.Modality = "SEG"
    saved = io.BytesIO()
    dataset.save_as(saved, enforce_file_format=True)
    sender = StowSender(DicomwebCredential.model_validate(archive.entry))
    body = saved.getvalue()
    assert sender.send(archive.root.removeprefix("dicomweb+"), "1.2.3.99", [body], len(body)).state == "stored"
    for query in ("studies/1.2.3", "studies/1.2.3/series", "studies?PatientID=patient-1.2.3"):
        assert list(readers.list("north", f"{archive.root}{query}", "pacs")) == before


def test_the_last_change_of_an_orthanc_is_read(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(archive.authority))
    base = archive.root.removesuffix("dicom-web/")
    readers = readers_of({**archive.entry, "reads": {"north": [base]}}, tmp_path)
    assert readers.last_change("north", f"{base}changes", None) > 0
    with pytest.raises(SourceNotFound):
        readers.last_change("north", f"{base}no-changes", None)
    with pytest.raises(SourceForbidden):
        readers.last_change("south", f"{base}changes", None)


def test_a_watch_of_an_orthanc_looks_as_soon_as_it_changes(
    empty_valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    (tmp_path / "orthanc").mkdir()
    with (
        running_orthanc(tmp_path / "orthanc", PASSWORD) as url,
        tls_before(urlsplit(url).port or 0, *authority.issue("pacs", "127.0.0.1")) as port,
        httpx.Client(auth=("maskrelay", PASSWORD), base_url=url.removesuffix("dicom-web")) as orthanc,
    ):
        base = f"dicomweb+https://127.0.0.1:{port}/"
        reads = {"reads": {"north": [base]}, "allow": ["127.0.0.1"], "secret": AUTHORIZATION}
        credentials = write_credentials(tmp_path / "credentials.json", {"name": "pacs", "kind": "dicomweb", **reads})
        asked = {
            "source": f"{base}dicom-web/studies?PatientID=patient-1.2.3",
            "changes": f"{base}changes",
            "prompts": ["liver"],
            "settle_s": 0,
            "period_s": 3600,
        }
        with (
            running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as api,
            api.client() as client,
        ):
            for wrong in ({"changes": f"{base}changes?last"}, {"changes": "https://127.0.0.1/changes"}):
                answer = client.post("/v1/watches", json={**asked, **wrong})
                assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/changes")
            everything = client.post("/v1/watches", json={**asked, "source": f"{base}dicom-web/studies"})
            assert (everything.status_code, everything.json()["code"]) == (422, "source_invalid")
            assert client.post("/v1/watches", json=asked).json()["changes"] == f"{base}changes"
            watch_pass = WatchPass(parts_of(api))
            assert [watch_pass.make() for _ in range(2)] == [0, 0]
            for body in instances().values():
                assert orthanc.post("instances", content=body).status_code == 200
            assert [watch_pass.make() for _ in range(3)] == [2, 0, 0]  # a job of each of the two series
            jobs = [key.split("/")[1] for key in api.storage.list("jobs/") if key.endswith("/job.json")]
            items = [items_of(api, job) for job in jobs]
            assert [len(each) for each in items] == [3, 3]
            assert all(item.pin is None for each in items for item in each)
