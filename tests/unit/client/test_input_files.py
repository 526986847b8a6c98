"""The files that a command line names, and the repetition of a command that was interrupted."""

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from maskrelay.client.cli import main
from maskrelay.client.input_files import found_files
from maskrelay.errors import SourceMissing
from tests.support.servers.scripted_server import Seen
from tests.unit.client.services import Answer, job, parts_of, problem, service


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/2.png", "b/1.png", "a.dcm", "b/notes.txt", ".DS_Store", "b/Thumbs.db", ".git/x.png", "out/m.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "in"


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_is_searched_and_what_is_no_image_is_skipped_and_counted(tree: Path) -> None:
    found = found_files([str(tree)], None, tree / "out")
    assert names(found.files, tree) == ["a.dcm", "b/1.png", "b/2.png"]
    assert names(found.skipped, tree) == [".DS_Store", "b/Thumbs.db", "b/notes.txt"]
    assert names(found_files([str(tree / "out/m.png")], None, tree / "out").files, tree) == ["out/m.png"]
    assert found.summary() == "3 files that are not images were skipped (1 .DS_Store, 1 .db, 1 .txt)"


def test_what_jobs_have_written_beside_their_sources_is_submitted_only_if_it_is_named(tree: Path) -> None:
    result = tree / "b" / f"1.maskrelay-{'a' * 26}.0-0-0.mask.png"
    result.write_bytes(b"mask")
    (tree / "b" / f"~{'0a' * 12}").write_bytes(b"a mask that is being written")
    for given in (str(tree / "b"), f"{tree}/b/*[!t]"):
        assert names(found_files([given], None).files, tree) == ["b/1.png", "b/2.png"]
    assert found_files([str(result)], None).files == [result]


def test_patterns_lists_and_doubles_give_each_file_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tree / "list.txt"
    listed.write_text(f"{tree / 'a.dcm'}\n\n{tree / 'b' / '1.png'}\n")
    found = found_files([f"{tree}/**/[12].png", str(tree / "b" / "2.png")], str(listed))
    assert names(found.files, tree) == ["b/1.png", "b/2.png", "a.dcm"]
    with listed.open() as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        assert names(found_files([], "-").files, tree) == ["a.dcm", "b/1.png"]


@pytest.mark.parametrize(("argument", "said"), [("no.png", "does not exist"), ("no*.png", "matches no file")])
def test_what_names_nothing_is_said(tree: Path, argument: str, said: str) -> None:
    with pytest.raises(SourceMissing, match=said):
        found_files([str(tree / argument)], None)


def test_only_files_that_are_no_images_are_nothing_to_submit(tree: Path) -> None:
    with pytest.raises(SourceMissing, match="1 files that are not images were skipped"):
        found_files([str(tree / "b" / "notes.txt")], None)
    with pytest.raises(SourceMissing, match="no files"):
        found_files([], None)


class Uploading:
    """A service that takes uploads, and breaks at the `breaks`-th request of a kind."""

    def __init__(self, **breaks: int) -> None:
        self.breaks = breaks
        self.uploads: list[bytes] = []
        self.fetched: list[str] = []
        self.jobs: list[str] = []
        self.expired: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> Answer:
        method, path, _ = seen.line.split()
        kind = "upload" if path == "/v1/uploads" else "job" if method == "POST" else path.rsplit("/", 1)[-1]
        if kind in self.breaks:
            self.breaks[kind] -= 1
            if self.breaks[kind] == 0:
                return problem(422, "option_invalid", "It breaks here.")
        if kind.startswith("artifacts?"):
            return problem(404, "not_found")  # as an older service, it cannot send several files together
        if kind.endswith(".png"):
            self.fetched.append(kind)
            tag = ("etag", f'"{hashlib.sha256(kind.encode()).hexdigest()}"')
            return Answer(200, kind.encode(), (tag, ("content-disposition", f"attachment; filename={kind}")))
        return {"upload": self.take_uploads, "job": self.accept, "items": self.list_items}.get(kind, self.show)(seen)

    def take_uploads(self, seen: Seen) -> Answer:
        contents = [content for _, content in parts_of(seen)]
        with self._lock:
            first = len(self.uploads)
            self.uploads += contents
        ids = [f"u{first + number}" for number in range(len(contents))]
        return Answer(201, {"uploads": [{"id": one, "size": 1, "sha256": "0" * 64} for one in ids]})

    def accept(self, seen: Seen) -> Answer:
        if self.expired & {item["upload"] for item in json.loads(seen.body)["items"]}:
            return problem(422, "upload_expired", "Too old.")
        self.jobs.append(seen.headers["idempotency-key"])
        return job()

    def list_items(self, _seen: Seen) -> Answer:
        return Answer(200, {"items": [self.item(number) for number in range(3)], "next": None})

    def show(self, _seen: Seen) -> Answer:
        return job()

    def item(self, number: int) -> dict[str, object]:
        mask = {"prompt": "disc", "category": None, "empty": False, "area_px": 1, "bbox": None, "centroid": None}
        mask |= {"components": 1, "mean_probability": 0.9, "border": [], "flags": []}
        mask["links"] = {"mask": f"/v1/jobs/j1/artifacts/{number}.png"}
        return {"custom_id": str(number), "state": "succeeded", "masks": [mask]}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(250):
        (folder / f"{number:03}.png").write_bytes(b"file-%03d" % number)
    return folder


def test_a_command_that_was_interrupted_continues_where_it_was(
    use, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["submit", str(many), "--prompt", "disc", "--save", str(tmp_path / "out")]
    uploading = Uploading(upload=3)
    with service(uploading) as one:
        use(one)
        assert main(command) == 3  # while it uploads
        uploading.breaks = {"items": 1}
        assert main(command) == 3  # after the job was accepted
        uploading.breaks = {"2.png": 1}
        assert main(command) == 3  # while it saves
        for _ in range(2):
            assert main(command) == 0
    assert sorted(uploading.uploads) == [b"file-%03d" % number for number in range(250)]
    assert len(uploading.jobs) == 1
    assert sorted(uploading.fetched) == ["0.png", "1.png", "2.png"]
    saved = {path.name for path in (tmp_path / "out").iterdir()}
    assert saved == {"0.png", "1.png", "2.png", "manifest.json", ".maskrelay-run.jsonl"}
    assert "250/250 files uploaded" in capsys.readouterr().err


def test_a_file_that_was_changed_or_removed_is_fetched_again(use, many: Path, tmp_path: Path) -> None:
    command = ["submit", str(many), "--prompt", "disc", "--save", str(tmp_path / "out")]
    with service(uploading := Uploading()) as one:
        use(one)
        assert main(command) == 0
        (tmp_path / "out" / "0.png").unlink()
        assert main(command) == 0
        assert sorted(uploading.fetched) == ["0.png", "0.png", "1.png", "2.png"]
        state = tmp_path / "out" / ".maskrelay-run.jsonl"
        state.write_bytes(state.read_bytes()[:-20])  # a crash may cut the last line
        assert main(command) == 0
        assert len(uploading.jobs) == 1


def test_a_state_file_that_is_a_link_is_not_followed(
    use, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out" / ".maskrelay-run.jsonl").symlink_to(tmp_path / "mine")
    with service(Uploading()) as one:
        use(one)
        assert main(["submit", str(many), "--prompt", "disc", "--save", str(tmp_path / "out")]) == 3
        assert one.lines == []
    assert ".maskrelay-run.jsonl is a symbolic link" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_file_that_the_state_file_names_outside_the_folder_is_fetched_again(use, many: Path, tmp_path: Path) -> None:
    command = ["submit", str(many), "--prompt", "disc", "--save", str(tmp_path / "out")]
    with service(uploading := Uploading()) as one:
        use(one)
        assert main(command) == 0
        (tmp_path / "out" / "0.png").rename(tmp_path / "0.png")
        state = tmp_path / "out" / ".maskrelay-run.jsonl"
        state.write_text(state.read_text().replace('"path": "0.png"', '"path": "../0.png"'))
        assert main(command) == 0
    assert sorted(uploading.fetched) == ["0.png", "0.png", "1.png", "2.png"]
    assert (tmp_path / "out" / "0.png").is_file()


def test_uploads_that_the_service_no_longer_has_are_made_again(use, many: Path, tmp_path: Path) -> None:
    command = ["submit", str(many), "--prompt", "disc", "--save", str(tmp_path / "out")]
    with service(uploading := Uploading(job=1)) as one:
        use(one)
        assert main(command) == 3
        uploading.expired = {"u0"}
        assert main(command) == 0
    assert len(uploading.uploads) == 500


def test_two_commands_do_not_save_to_one_folder_at_a_time(
    use, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["submit", str(many), "--prompt", "disc", "--save", str(tmp_path / "out")]

    def answer(seen: Seen) -> Answer:
        if seen.line.startswith("GET /v1/jobs/j1 "):
            assert main(command) == 3
        return uploading(seen)

    uploading = Uploading()
    with service(answer) as one:
        use(one)
        assert main(command) == 0
    assert "Another command is saving" in capsys.readouterr().err
    assert len(uploading.jobs) == 1


def test_a_picture_on_the_standard_input_is_submitted(use, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.write(write, b"a picture")
    os.close(write)
    with os.fdopen(read) as standard_input, service(job()) as one:
        monkeypatch.setattr("sys.stdin", standard_input)
        use(one)
        assert main(["submit", "-", "--prompt", "disc"]) == 0
        (image,) = [content for head, content in parts_of(one.server.seen[0]) if 'name="image"' in head]
    assert image == b"a picture"
