"""Several files of a job in one response, as `multipart/mixed` (RFC 2046). Each part has the headers of its file."""

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.dependencies import dependencies_of, in_thread, tenant_of
from api.http.headers import PRIVATE
from api.http.middleware.request_audit import note
from api.jobs.artifacts import Artifact, disposition, find_several
from maskrelay.storage.protocol import Storage

#: The largest number of files in one response. With longer names, the request would be too long for some proxies.
MOST = 100
#: Files that follow each other in one object are read together, up to this many bytes with those in between.
_TOGETHER = 1 << 20
#: A chunk of the response has at least this many bytes, unless it is the last one.
_CHUNK = 256 << 10

Names = Annotated[
    list[str],
    Query(alias="name", min_length=1, max_length=MOST, description="The name of a file; repeat it for each file."),
]


async def send_artifacts(request: Request, job: str, names: Names) -> Response:
    """Return several files of the job in one response, in the order of their names in the request.

    The body is `multipart/mixed`. Each part has the headers `Content-Type`, `Content-Length`, `Content-Disposition` and
    `ETag` that the file has when it is requested by itself. If the job has no file with one of the names, the response
    is 404.
    """
    dependencies = dependencies_of(request)
    artifacts = await in_thread(find_several, dependencies, tenant_of(request), job, names)
    note(request, artifacts=tuple(names))
    boundary = secrets.token_hex(16)
    heads = [_head(boundary, artifact) for artifact in artifacts]
    end = f"--{boundary}--\r\n".encode()
    length = sum(map(len, heads)) + sum(artifact.ref.length + 2 for artifact in artifacts) + len(end)
    headers = {**PRIVATE, "Content-Length": str(length), "X-Content-Type-Options": "nosniff"}
    media_type = f"multipart/mixed; boundary={boundary}"
    if getattr(request.state, "head", False):
        return Response(headers=headers, media_type=media_type)
    chunks = _joined(_content(dependencies.storage, heads, artifacts, end))
    first = await in_thread(next, chunks)  # an object that is missing is an error before the response begins
    return StreamingResponse(_streamed(first, chunks), headers=headers, media_type=media_type)


async def _streamed(first: bytes, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    while chunk := await in_thread(next, chunks, b""):
        yield chunk


def _head(boundary: str, artifact: Artifact) -> bytes:
    ref = artifact.ref
    lines = (
        f"--{boundary}",
        f"Content-Type: {ref.content_type}",
        f"Content-Length: {ref.length}",
        f"Content-Disposition: {disposition(artifact.human_name)}",
        f'ETag: "{ref.sha256}"',
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _content(storage: Storage, heads: Sequence[bytes], artifacts: Sequence[Artifact], end: bytes) -> Iterator[bytes]:
    """Yield the body of the response. Raises ObjectMissing or StorageUnavailable."""
    for first, after in _neighbours(artifacts):
        begin, key = artifacts[first].ref.offset, artifacts[first].ref.key
        last = artifacts[after - 1].ref
        if after - first == 1:
            yield heads[first]
            yield from storage.stream(key, begin, last.length)
            yield b"\r\n"
            continue
        read = storage.get(key, begin, last.offset + last.length - begin)
        for head, artifact in zip(heads[first:after], artifacts[first:after], strict=True):
            start = artifact.ref.offset - begin
            yield head + read[start : start + artifact.ref.length] + b"\r\n"
    yield end


def _neighbours(artifacts: Sequence[Artifact]) -> Iterator[tuple[int, int]]:
    """Yield the ranges (first, after the last) of files that are read together."""
    first = 0
    for number in range(1, len(artifacts) + 1):
        if number == len(artifacts) or not _are_near(artifacts[first], artifacts[number - 1], artifacts[number]):
            yield first, number
            first = number


def _are_near(first: Artifact, before: Artifact, after: Artifact) -> bool:
    return (
        first.ref.key == after.ref.key
        and before.ref.offset + before.ref.length <= after.ref.offset
        and after.ref.offset + after.ref.length - first.ref.offset <= _TOGETHER
    )


def _joined(chunks: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= _CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
