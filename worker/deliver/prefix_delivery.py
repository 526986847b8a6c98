"""The delivery of a job's files to a prefix of another store. Its key is the prefix, the job, and the file's name.

An attempt continues after the last item that an earlier attempt has stored. If it is repeated, a file may be written
again, with the same content.
"""

import time
from collections.abc import Iterator
from contextlib import closing

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine, whole_names
from maskrelay.contract.records.job import Result, Submission
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.errors import ObjectMissing, SettingsError, StorageUnavailable
from maskrelay.sources.credential_file import Destination
from maskrelay.sources.writable_stores import open_writable
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import lines_of, parsed, read_result
from worker.context import WorkerContext
from worker.deliver.storing_result import CONTINUES, StoringResult


class _TargetUnavailable(Exception):
    """The other store did not take a file. The argument is a short reason."""


def store_below_prefix(
    context: WorkerContext, submission: Submission, destination: Destination, until: float
) -> StoringResult:
    """Write the files of the job that are not below the prefix yet, until `until` (monotonic seconds).

    Raises StorageUnavailable if the result store is unavailable.
    """
    storage, job = context.storage, submission.id
    try:
        target = open_writable(context.credentials, submission.tenant, destination.root, destination.credential.name)
    except SettingsError:
        return StoringResult(is_over=False, reason="credential")
    position = first = _position(storage, job)
    try:
        for line in _lines(storage, read_result(storage, job)):
            if line.item < first:
                continue
            if time.monotonic() > until and position > first:
                return StoringResult(is_over=False, reason=CONTINUES)
            for name, file in _files(line):
                _copy(storage, target, file, f"{job}/{name}")
            position = line.item + 1
    except _TargetUnavailable as error:
        return StoringResult(is_over=False, reason=str(error))
    finally:
        if position > first:
            storage.put(keys.stored_position(job), str(position).encode(), "text/plain")
    return StoringResult(is_over=True, reason="ok")


def _position(storage: Storage, job: str) -> int:
    """Return the number of the first item whose files are not stored yet."""
    try:
        return int(storage.get(keys.stored_position(job)))
    except (ObjectMissing, ValueError):
        return 0


def _lines(storage: Storage, result: Result) -> Iterator[ItemLine]:
    with closing(storage.stream(result.items.key)) as chunks:
        for text in lines_of(chunks):
            yield parsed(text, ItemLine, result.items.key)


def _files(line: ItemLine) -> Iterator[tuple[str, ArtifactRef]]:
    """Yield the files of the item and of its frames, with the names that they have as artifacts."""
    for name, output in whole_names(line).items():
        yield name, line.files[output]
    for outcome in line.outcomes:
        yield from outcome.artifacts().items()


def _copy(storage: Storage, target: Storage, file: ArtifactRef, key: str) -> None:
    with closing(storage.stream(file.key, file.offset, file.length)) as chunks:
        try:
            with target.writer(key, file.content_type) as writer:
                for chunk in chunks:
                    writer.write(chunk)
                writer.commit()
        except StorageUnavailable as error:
            # The result store may be the one that fails. Then the next attempt fails at its first read.
            raise _TargetUnavailable(error.reason or "unavailable") from None
