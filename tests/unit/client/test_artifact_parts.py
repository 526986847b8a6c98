"""Several artifacts that arrive in one response."""

import hashlib
from pathlib import Path

import httpx
import pytest

from maskrelay.client.artifact_body import ArtifactBody
from maskrelay.client.artifact_parts import ArtifactParts, address_of
from maskrelay.errors import ServiceAnswerUnknown

FILES = {"a.png": b"first\r\n--boundary\r\n\r\n", "b.png": b"", "c.png": bytes(range(256)) * 20}


def response(files: dict[str, bytes] = FILES, *, damaged: bool = False) -> bytes:
    parts = []
    for name, content in files.items():
        head = {
            "Content-Type": "image/png",
            "Content-Length": str(len(content)),
            "Content-Disposition": f'attachment; filename="{name}"',
            "ETag": f'"{hashlib.sha256(content + b"x" * damaged).hexdigest()}"',
        }
        lines = "".join(f"{key}: {value}\r\n" for key, value in head.items())
        parts.append(f"--boundary\r\n{lines}\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + b"--boundary--\r\n"


def bodies(folder: Path, existing: Path | None = None) -> list[ArtifactBody]:
    def equal(name: str, _sha256: str | None) -> Path | None:
        return existing if existing is not None and existing.name == name else None

    return [ArtifactBody(folder, f"/v1/jobs/j/artifacts/{name}", equal) for name in FILES]


def received(found: list[ArtifactBody], raw: bytes, size: int = 1 << 20) -> None:
    parts = ArtifactParts(found).receive(200, httpx.Headers({"content-length": str(len(raw))}))
    for begin in range(0, len(raw), size):
        parts.feed(raw[begin : begin + size])
    parts.end()


def content(body: ArtifactBody) -> bytes:
    assert body.temporary is not None
    return body.temporary.read_bytes()


@pytest.mark.parametrize("size", [1, 2, 3, 64, 1000, 1 << 20])
def test_parts_arrive_whole_however_the_response_is_cut_into_pieces(size: int, tmp_path: Path) -> None:
    found = bodies(tmp_path)
    received(found, response(), size)
    assert {body.name: content(body) for body in found} == FILES


def test_a_file_that_is_there_already_is_skipped(tmp_path: Path) -> None:
    there = tmp_path / "c.png"
    there.write_bytes(FILES["c.png"])
    found = bodies(tmp_path, there)
    received(found, response())
    assert found[2].existing == there
    assert found[2].temporary is None
    assert content(found[0]) == FILES["a.png"]


@pytest.mark.parametrize(
    "raw",
    [
        response()[:-1000],
        response({"a.png": b"one only"}),
        response({**FILES, "d.png": b"one too many"}),
        response(damaged=True),
        b"--boundary\r\nContent-Type: image/png\r\n\r\nwithout a length",
        b"x" * 100_000,
        b"",
    ],
)
def test_a_response_that_is_not_these_files_is_an_error(raw: bytes, tmp_path: Path) -> None:
    found = bodies(tmp_path)
    with pytest.raises(ServiceAnswerUnknown):
        received(found, raw)
    for body in found:
        body.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_repeated_response_begins_anew(tmp_path: Path) -> None:
    found = bodies(tmp_path)
    parts = ArtifactParts(found)
    parts.receive(200, httpx.Headers()).feed(response()[:500])
    again = parts.receive(200, httpx.Headers())
    again.feed(response())
    again.end()
    assert [content(body) for body in found] == list(FILES.values())
    assert len(list(tmp_path.iterdir())) == len(FILES)


def test_the_address_names_each_file() -> None:
    links = ["http://h/v1/jobs/j/artifacts/0-0-0.mask.png", "http://h/v1/jobs/j/artifacts/1-1-0.mask.png"]
    assert address_of(links) == "http://h/v1/jobs/j/artifacts?name=0-0-0.mask.png&name=1-1-0.mask.png"
