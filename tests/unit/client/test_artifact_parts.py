"""Several artifacts that arrive in one response."""

import hashlib
from pathlib import Path

import httpx
import pytest

from maskrelay.client.artifact_body import ArtifactBody
from maskrelay.client.artifact_parts import ArtifactParts, address_of

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


def received(found: list[ArtifactBody], raw: bytes, size: int = 1 << 20) -> ArtifactParts:
    parts = ArtifactParts(found).receive(200, httpx.Headers({"content-length": str(len(raw))}))
    for begin in range(0, len(raw), size):
        parts.feed(raw[begin : begin + size])
    parts.end()
    return parts


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
    ("raw", "complete"),
    [
        (response()[:-1000], 2),
        (response({"a.png": b"one only"}), 1),
        (response({**FILES, "d.png": b"one too many"}), 3),
        (response(damaged=True), 0),
        (b"--boundary\r\nContent-Type: image/png\r\n\r\nwithout a length", 0),
        (b"--boundary\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nwithout an end", 0),
        ("--boundary\r\nContent-Length: \u0663\r\nü: x\r\n\r\nin other digits".encode(), 0),
        (b"x" * 100_000, 0),
        (b"", 0),
    ],
)
def test_what_has_arrived_before_the_response_went_wrong_counts(raw: bytes, complete: int, tmp_path: Path) -> None:
    found = bodies(tmp_path)
    parts = received(found, raw)
    assert parts.complete == complete
    assert all(body.temporary is not None for body in found[:complete])
    for body in found:
        body.discard()
    assert list(tmp_path.iterdir()) == []


def test_the_address_names_each_file() -> None:
    links = ["http://h/v1/jobs/j/artifacts/0-0-0.mask.png", "http://h/v1/jobs/j/artifacts/1-1-0.mask.png"]
    assert address_of(links) == "http://h/v1/jobs/j/artifacts?name=0-0-0.mask.png&name=1-1-0.mask.png"
