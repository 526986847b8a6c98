"""Sources in folders: files with any names, links, pipes, and what is written there."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from maskrelay.errors import CredentialUnknown, KeyInvalid, SourceForbidden, SourceInvalid, SourceNotAllowed
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.file_reader import FileReader
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.sources.writable_stores import SourceFolders
from tests.integration.sources.places import Place, pinned
from tests.support.builders.credentials import write_credentials


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


def test_a_folder_that_is_removed_or_cannot_be_listed_does_not_end_the_listing_of_a_watch(
    file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    """A folder that a file has replaced is refused like one without permission, which the superuser always has."""
    readers, folder = reading(file_place.entry), tmp_path / "data" / "b"

    def rest_of_listing(*, replaced: bool, pinned: bool) -> list[str]:
        for name in ("a/1.png", "b/1.png", "c/1.png"):
            file_place.put(name, b"content")
        listed = readers.list("north", file_place.base, None, pinned=pinned)
        assert next(listed).url == f"{file_place.base}a/1.png"
        shutil.rmtree(folder)
        if replaced:
            folder.write_bytes(b"")
        try:
            return [facts.url.removeprefix(file_place.base) for facts in listed]
        finally:
            folder.unlink(missing_ok=True)

    assert rest_of_listing(replaced=False, pinned=True) == ["c/1.png"]
    assert rest_of_listing(replaced=True, pinned=False) == ["b/", "c/1.png"]
    with pytest.raises(SourceForbidden):  # a job lists everything, or fails
        rest_of_listing(replaced=True, pinned=True)


def test_a_link_to_itself_does_not_end_a_listing(
    file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path
) -> None:
    file_place.put("b.png", b"content")
    (tmp_path / "data" / "a").symlink_to("a")
    readers = reading(file_place.entry)
    assert [facts.url for facts in readers.list("north", file_place.base, None)] == [f"{file_place.base}b.png"]
    with pytest.raises(SourceForbidden):
        readers.stat("north", f"{file_place.base}a", None)


def test_a_named_pipe_does_not_block(file_place: Place, reading: Callable[..., SourceReaders], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data" / "pipe")
    with pytest.raises(SourceForbidden):
        reading(file_place.entry).stat("north", f"{file_place.base}pipe", None)


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
