"""The files of a job.

A name from a caller is only compared with the names in the visible outcomes, and never used as a path.
"""

import hashlib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from api.dependencies import Dependencies, in_thread
from api.jobs.item_order import lines_of_numbers
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.running_outcomes import visible_line
from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import WHOLE_ENDINGS, ItemLine, whole_names
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.result_names import stem_of
from maskrelay.errors import NotFound

RESULT, REPORT = "result.json", "report.html"
#: The largest number of bytes that are read before the response begins.
_AT_ONCE = 256 << 10
_NUMBER = "(0|[1-9][0-9]{0,8})"
_NAME = re.compile(
    rf"{_NUMBER}-{_NUMBER}(?:-{_NUMBER}\.(?P<of_prompt>(?:mask|probability)\.png)|\.(?P<of_frame>overlay\.png|preview\.webp))"
)
_ENDINGS = "|".join(map(re.escape, WHOLE_ENDINGS))
_WHOLE = re.compile(rf"{_NUMBER}(?:-{_NUMBER})?\.({_ENDINGS})")
_ITEM = re.compile(rf"{_NUMBER}[-.]")
#: The number of records of items that are read at the same time.
_LINES = 8
_SLUG_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a job, with the location of its bytes and a readable name."""

    ref: ArtifactRef
    human_name: str


def find(dependencies: Dependencies, tenant: str, job: str, name: str) -> tuple[JobSnapshot, Artifact]:
    """Return the tenant's job, and its artifact with this name. Raises NotFound, and the errors of `find_job`."""
    known = find_job(dependencies, tenant, job)
    return known, _named(dependencies, known, name, _lines_for(dependencies, known, [name]))


def find_several(dependencies: Dependencies, tenant: str, job: str, names: Sequence[str]) -> list[Artifact]:
    """Return the artifacts of the tenant's job with these names. Raises the same errors as `find`."""
    known = find_job(dependencies, tenant, job)
    lines = _lines_for(dependencies, known, names)
    return [_named(dependencies, known, name, lines) for name in names]


def _lines_for(dependencies: Dependencies, known: JobSnapshot, names: Iterable[str]) -> "_Lines":
    return _Lines(dependencies, known, [int(number[1]) for number in map(_ITEM.match, names) if number])


class _Lines:
    """The records of a job's items, of which `items` will be requested.

    If the job has ended, several records are read at the same time. Only the last ones are kept, because the record of
    an item with many frames is large.
    """

    def __init__(self, dependencies: Dependencies, known: JobSnapshot, items: Iterable[int]) -> None:
        self._dependencies = dependencies
        self._known = known
        self._items = sorted(set(items))
        self._kept: dict[int, ItemLine] = {}

    def of(self, item: int, frame: int = 0) -> ItemLine | None:
        """Return the record of an item. While the job runs, it contains only the outcome of the frame."""
        result = self._known.result
        if result is None:
            return visible_line(self._dependencies, self._known, item, frame)
        if item >= result.counts.total:
            return None
        if item not in self._kept:
            place = bisect_left(self._items, item)
            numbers = [number for number in self._items[place : place + _LINES] if number < result.counts.total]
            lines = lines_of_numbers(self._dependencies, result, numbers)
            self._kept = dict(zip(numbers, lines, strict=True))
        return self._kept[item]


def _named(dependencies: Dependencies, known: JobSnapshot, name: str, lines: _Lines) -> Artifact:
    if name == RESULT:
        return _manifest(dependencies, known)
    if name == REPORT:
        return _run_card(known)
    if whole := _WHOLE.fullmatch(name):
        return _of_item(known, name, whole, lines)
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise NotFound
    item, frame = int(parts[1]), int(parts[2])
    line = lines.of(item, frame)
    outcome = (
        next((outcome for outcome in line.outcomes if outcome.frame == frame and outcome.item == item), None)
        if line
        else None
    )
    ref = outcome.artifacts().get(name) if outcome else None
    if line is None or outcome is None or ref is None:
        raise NotFound
    prompt = int(parts[3]) if parts[3] is not None else None
    several = len(line.outcomes) > 1 or _is_of_several(dependencies, known, frame)
    return Artifact(ref, _human_name(line, outcome, prompt, parts["of_prompt"] or parts["of_frame"], several=several))


def _is_of_several(dependencies: Dependencies, known: JobSnapshot, frame: int) -> bool:
    """Return whether the job has no result and the item of this frame has other frames.

    Without a result, the line of the item contains only the requested frame, so the plan is read to find out.
    """
    planned = dependencies.archive.item_of(known.id, frame) if known.result is None else None
    return planned is not None and planned.frames > 1


def _of_item(known: JobSnapshot, name: str, parts: re.Match[str], lines: _Lines) -> Artifact:
    """Return a file of a whole item. Such files are available when the job has ended."""
    line = lines.of(int(parts[1])) if known.result is not None else None
    output = whole_names(line).get(name) if line is not None else None
    if line is None or output is None:
        raise NotFound
    slug = f"-{_slug(line.outcomes[0].masks[int(parts[2])].prompt)}" if parts[2] and line.outcomes[0].masks else ""
    return Artifact(line.files[output], f"{_stem(line.source_name, line.item)}{slug}.{parts[3]}")


def _manifest(dependencies: Dependencies, known: JobSnapshot) -> Artifact:
    if known.result is None:
        raise NotFound("The job has no result yet.")
    body = dependencies.storage.get(keys.result(known.id))
    digest = hashlib.sha256(body).hexdigest()
    ref = ArtifactRef(key=keys.result(known.id), length=len(body), sha256=digest, content_type="application/json")
    return Artifact(ref, f"{known.id}.result.json")


def _run_card(known: JobSnapshot) -> Artifact:
    report = known.result.report if known.result is not None else None
    if report is None:
        raise NotFound("The job has no report.")
    ref = ArtifactRef(**report.model_dump(), content_type="text/html; charset=utf-8")
    return Artifact(ref, f"{known.id}.report.html")


def _human_name(line: ItemLine, outcome: Outcome, prompt: int | None, ending: str, *, several: bool) -> str:
    """Return a name like `{source stem}-{prompt slug}.mask.png`.

    If the item has several frames from one file, the name also contains the frame's number.
    """
    own = outcome.source_name
    frame = f"-{outcome.index:04d}" if several and own is None else ""
    slug = f"-{_slug(outcome.masks[prompt].prompt)}" if prompt is not None else ""
    return f"{_stem(own or line.source_name, line.item)}{frame}{slug}.{ending}"


def _stem(source_name: str | None, item: int) -> str:
    """Return the source's file name without its extension and without its folders."""
    return stem_of((source_name or "").rpartition("/")[2]) or f"item-{item}"


def _slug(prompt: str) -> str:
    return re.sub(r"[^\w]+", "-", prompt.lower()).strip("-")[:_SLUG_LENGTH] or "prompt"


def disposition(name: str) -> str:
    """Return `Content-Disposition` (RFC 6266) with the name in UTF-8, and in plain ASCII for old clients.

    All characters but letters, digits, `.`, `_` and `-` are escaped, because the name may contain any text from a
    caller.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def elsewhere(dependencies: Dependencies, artifact: Artifact) -> str | None:
    """Return a presigned URL of the store, or None if the file is only a part of an object.

    Such URLs must not be disabled. Raises ObjectMissing or StorageUnavailable.
    """
    ref = artifact.ref
    if dependencies.storage.head(ref.key).size != ref.length:
        return None
    return dependencies.storage.presign(ref.key, dependencies.presigned_lifetime)


async def answer(
    dependencies: Dependencies,
    artifact: Artifact,
    headers: dict[str, str],
    part: tuple[int, int] | None = None,
    *,
    head: bool = False,
) -> Response:
    """Send the artifact's bytes as a stream, or only the `part` (offset, length). For HEAD, send only the headers.

    Raises ObjectMissing or StorageUnavailable before any byte is sent.
    """
    ref, (begin, length) = artifact.ref, part or (0, artifact.ref.length)
    storage, start = dependencies.storage, ref.offset + begin
    headers = {
        **headers,
        "Content-Length": str(length),
        "Content-Disposition": disposition(artifact.human_name),
        "X-Content-Type-Options": "nosniff",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {begin}-{begin + length - 1}/{ref.length}"
    status = 200 if part is None else 206
    if length <= _AT_ONCE and not head:  # most masks: one turn in a thread, and no stream
        body = await in_thread(storage.get, ref.key, start, length)
        return Response(body, status, headers, ref.content_type)
    chunks = await in_thread(storage.stream, ref.key, start, length)
    if head:
        chunks.close()
        return Response(status_code=status, headers=headers, media_type=ref.content_type)
    return StreamingResponse(streamed(chunks), status, headers, media_type=ref.content_type)


async def streamed(chunks: Generator[bytes, None, None], first: bytes = b"") -> AsyncIterator[bytes]:
    """Yield the first chunk and then the others, each of which is read in a thread."""
    try:
        if first:
            yield first
        while chunk := await in_thread(next, chunks, b""):
            yield chunk
    finally:
        chunks.close()
