"""Several files of a job in one response, as `multipart/mixed` (RFC 2046). Each part has the headers of its file."""

import secrets
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.dependencies import dependencies_of, in_thread, side_by_side, tenant_of
from api.http.headers import PRIVATE
from api.http.middleware.request_audit import note
from api.jobs.artifacts import Artifact, disposition, find_several, streamed
from maskrelay.contract.views.job_views import MOST_TOGETHER
from maskrelay.errors import ArtifactsElsewhere, Malformed
from maskrelay.storage.protocol import Storage

#: Files that follow each other in one object are read together, up to this many bytes with those in between.
_TOGETHER = 1 << 20
#: A chunk of the response has at least this many bytes, unless it is the last one.
_CHUNK = 256 << 10
#: The number of reads of the store that are made at the same time.
_AHEAD = 8

Names = Annotated[
    list[str] | None,
    Query(alias="name", max_length=MOST_TOGETHER, description="The name of a file; repeat it for each file."),
]


async def send_artifacts(request: Request, job: str, names: Names = None) -> Response:
    """Return several files of the job in one response, in the order of their names in the request.

    The body is `multipart/mixed`. Each part has the headers `Content-Type`, `Content-Length`, `Content-Disposition` and
    `ETag` that the file has when it is requested by itself. If the job has no file with one of the names, the response
    is 404. If the operator has enabled redirects to files in the store, it is 422.
    """
    dependencies = dependencies_of(request)
    artifacts = await in_thread(find_several, dependencies, tenant_of(request), job, names or [])
    if names is None:
        raise Malformed("At least one name is needed.", pointer="#/query/name")
    if dependencies.presigned_lifetime:
        raise ArtifactsElsewhere
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
    return StreamingResponse(streamed(chunks, first), headers=headers, media_type=media_type)


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


def _content(
    storage: Storage, heads: Sequence[bytes], artifacts: Sequence[Artifact], end: bytes
) -> Generator[bytes, None, None]:
    """Yield the body of the response. Raises ObjectMissing or StorageUnavailable."""
    ranges = list(_neighbours(artifacts))
    for place in range(0, len(ranges), _AHEAD):
        several = ranges[place : place + _AHEAD]
        small = [found for found in several if _bytes_of(artifacts, *found) <= _TOGETHER]
        read = dict(zip(small, side_by_side(lambda found: _read(storage, artifacts, *found), small), strict=True))
        for first, after in several:
            if (content := read.pop((first, after), None)) is not None:
                begin = artifacts[first].ref.offset
                for head, artifact in zip(heads[first:after], artifacts[first:after], strict=True):
                    start = artifact.ref.offset - begin
                    yield head + content[start : start + artifact.ref.length] + b"\r\n"
                continue
            ref = artifacts[first].ref
            yield heads[first]
            with closing(storage.stream(ref.key, ref.offset, ref.length)) as chunks:
                yield from chunks
            yield b"\r\n"
    yield end


def _read(storage: Storage, artifacts: Sequence[Artifact], first: int, after: int) -> bytes:
    """Return the bytes from the beginning of the first file to the end of the last one."""
    ref = artifacts[first].ref
    return storage.get(ref.key, ref.offset, _bytes_of(artifacts, first, after))


def _bytes_of(artifacts: Sequence[Artifact], first: int, after: int) -> int:
    last = artifacts[after - 1].ref
    return last.offset + last.length - artifacts[first].ref.offset


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


def _joined(chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    waiting: list[bytes] = []
    size = 0
    with closing(chunks):
        for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size >= _CHUNK:
                yield b"".join(waiting)
                waiting, size = [], 0
        yield b"".join(waiting)
