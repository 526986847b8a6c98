"""A service for the client's tests: a real HTTP server that answers from a list, in order, and keeps what it saw."""

import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from maskrelay.client import Client
from tests.support.servers.scripted_server import ScriptedServer, Seen, serving

JOB = {
    "id": "j1",
    "state": "succeeded",
    "planned": True,
    "created_at": "2025-01-02T03:04:05Z",
    "counts": {"total": 2, "succeeded": 2},
    "frames": {"planned": 2, "succeeded": 2},
    "links": {"self": "/v1/jobs/j1", "items": "/v1/jobs/j1/items", "cancel": "/v1/jobs/j1/cancel"},
}


@dataclass(frozen=True)
class Answer:
    """`body`: JSON, or bytes as they are. `cut`: only so many bytes of it are sent. None instead of one: hang up."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None

    def raw(self) -> bytes:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} X", f"content-length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content[: self.cut]


@dataclass(frozen=True)
class Service:
    client: Client
    server: ScriptedServer
    url: str

    @property
    def lines(self) -> list[str]:
        return [seen.line.removesuffix(" HTTP/1.1") for seen in self.server.seen]


def problem(status: int, code: str, detail: str = "No.", **more: Any) -> Answer:
    body = {"type": f"urn:x:{code}", "title": "Title.", "status": status, "detail": detail, "code": code, **more}
    return Answer(status, body, (("content-type", "application/problem+json"),))


def job(**changes: Any) -> Answer:
    return Answer(200, {**JOB, **changes})


def item(custom_id: str, **links: str) -> dict[str, Any]:
    """Return an item with one mask. `links` are those of its files, by the name of the output."""
    mask = {
        "prompt": "disc",
        "category": None,
        "empty": False,
        "area_px": 1,
        "bbox": [0, 0, 1, 1],
        "centroid": [0, 0],
        "components": 1,
        "mean_probability": 0.9,
        "border": [],
        "flags": [],
        "links": {name: link for name, link in links.items() if name != "overlay"},
    }
    overlay = {"overlay": links["overlay"]} if "overlay" in links else {}
    return {"custom_id": custom_id, "state": "succeeded", "masks": [mask], "links": overlay}


def items(*shown: dict[str, Any]) -> Answer:
    """Answers with these items, all on one page."""
    return Answer(200, {"items": list(shown), "next": None})


def artifact(content: bytes, name: str, *, sha256: str | None = None, cut: int | None = None) -> Answer:
    """Answers with a file. `name` is its `Content-Disposition`, and `sha256` is its ETag, by default the right one."""
    tag = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
    return Answer(200, content, (("etag", f'"{tag}"'), ("content-disposition", name)), cut)


#: One item with one mask, and the file of its mask.
ONE = items(item("a", mask="http://public.example/base/v1/jobs/j1/artifacts/0-0-0.mask.png"))
MASK = artifact(b"mask", "attachment; filename=\"m.png\"; filename*=UTF-8''r%C3%B8ntgen-disc.mask.png")


def with_files(shown: Answer, *files: Answer) -> Callable[[Seen], Answer]:
    """Answers a request for an artifact with the file of its link, in the order of the links, and others with `shown`.

    The client fetches several artifacts at a time, so their order is not known. As an older service, it cannot send
    several in one response.
    """
    links = re.findall(r"/v1/jobs/\w+/artifacts/[^\"]+", json.dumps(shown.body))

    def answer(seen: Seen) -> Answer:
        path = seen.line.split()[1]
        if "/artifacts?" in path:
            return problem(404, "not_found")
        return files[links.index(path)] if path in links else shown

    return answer


@contextmanager
def service(
    *answers: Answer | Callable[[Seen], Answer] | None, timeout: timedelta = timedelta(seconds=5)
) -> Iterator[Service]:
    """Answers in order; the last one again and again. An answer may depend on the request."""
    left = list(answers)

    def script(sock: socket.socket, seen: Seen) -> None:
        given = left.pop(0) if len(left) > 1 else left[0]
        answer = given(seen) if callable(given) else given
        if answer is None or answer.cut is not None:
            sock.sendall(answer.raw() if answer else b"")
            sock.shutdown(socket.SHUT_RDWR)
            return
        sock.sendall(answer.raw())

    with serving(script) as server:
        url = server.url.removesuffix("/score")
        with Client(url, "the-key", timeout) as client:
            yield Service(client, server, url)


def parts_of(seen: Seen) -> list[tuple[str, bytes]]:
    """(header lines, content) of each part of a multipart body."""
    boundary = seen.headers["content-type"].partition("boundary=")[2].encode()
    found: Sequence[bytes] = seen.body.split(b"--" + boundary)[1:-1]
    split = [part.strip(b"\r\n").partition(b"\r\n\r\n") for part in found]
    return [(head.decode(), content) for head, _, content in split]
