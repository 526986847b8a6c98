"""The delivery of a job's files to another store: below a prefix, or into the folders of their sources.

Below a prefix, the key of a file consists of the job and the name of its artifact. An attempt continues after the last
item that an earlier attempt has stored. If it is repeated, a file may be written again, with the same content.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

from maskrelay.contract.records.delivery_records import StoredPosition
from maskrelay.contract.records.item_lines import ItemLine, whole_names
from maskrelay.contract.records.job import Result, Submission
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.contract.records.result_names import url_beside
from maskrelay.errors import (
    CredentialUnknown,
    KeyInvalid,
    SettingsError,
    SourceInvalid,
    SourceNotAllowed,
    StorageUnavailable,
)
from maskrelay.sources.credential_file import Destination
from maskrelay.sources.writable_stores import SourceFolders, open_writable
from maskrelay.storage.protocol import Storage, Writer
from maskrelay.storage.stored_records import lines_of, parsed, read_result
from worker.context import WorkerContext
from worker.deliver.stored_position import read_position, write_position
from worker.deliver.storing_result import CONTINUES, StoringResult

#: A function that returns the writer of a file, from its key or URL and its content type.
Opener = Callable[[str, str], Writer]


class _TargetUnavailable(Exception):
    """The other store did not take a file. The argument is a short reason."""


class _LeftOut(Exception):
    """The files of an item cannot be written. The argument is the code of the reason."""


def store_below_prefix(
    context: WorkerContext, submission: Submission, destination: Destination, until: float
) -> StoringResult:
    """Write the files of the job that are not below the prefix yet, until `until` (monotonic seconds).

    Raises StorageUnavailable if the result store is unavailable.
    """
    try:
        target = open_writable(context.credentials, submission.tenant, destination.root, destination.credential.name)
    except SettingsError:
        return StoringResult(is_over=False, reason="credential")
    return _store(context.storage, submission, target.writer, until)


def store_beside_sources(context: WorkerContext, submission: Submission, until: float) -> StoringResult:
    """Write the files of each item into the folder of its source, until `until` (monotonic seconds).

    An item is left out, and counted by the reason, if the tenant may no longer write there, or if the folder is reached
    through a symbolic link. Raises StorageUnavailable if the result store is unavailable.
    """
    folders = SourceFolders(context.credentials, submission.tenant, submission.store_to or "")
    return _store(context.storage, submission, folders.writer, until)


def _store(storage: Storage, submission: Submission, target: Opener, until: float) -> StoringResult:
    job = submission.id
    before = read_position(storage, job)
    position, left_out = before.item, Counter(before.left_out)
    try:
        for line in _lines(storage, read_result(storage, job)):
            if line.item < before.item:
                continue
            if time.monotonic() > until and position > before.item:
                return StoringResult(is_over=False, reason=CONTINUES)
            try:
                for name, file in _files(line):
                    _copy(storage, target, file, _place(submission, line, name))
            except _LeftOut as reason:
                left_out[str(reason)] += 1
            position = line.item + 1
    except _TargetUnavailable as error:
        return StoringResult(is_over=False, reason=str(error), left_out=dict(left_out))
    except (CredentialUnknown, SettingsError):
        return StoringResult(is_over=False, reason="credential", left_out=dict(left_out))
    finally:
        if position > before.item:
            write_position(storage, job, StoredPosition(item=position, left_out=dict(left_out)))
    return StoringResult(is_over=True, reason=next(iter(left_out), "ok"), left_out=dict(left_out))


def _place(submission: Submission, line: ItemLine, name: str) -> str:
    """Return the key of a file below the prefix, or its URL in the folder of the item's source."""
    if not submission.store_beside:
        return f"{submission.id}/{name}"
    if line.beside is None:
        raise _LeftOut(SourceNotAllowed.code)
    return url_beside(line.beside, submission.id, name)


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


def _copy(storage: Storage, target: Opener, file: ArtifactRef, place: str) -> None:
    with closing(storage.stream(file.key, file.offset, file.length)) as chunks:
        try:
            with target(place, file.content_type) as writer:
                for chunk in chunks:
                    writer.write(chunk)
                writer.commit()
        except StorageUnavailable as error:
            # The result store may be the one that fails. Then the next attempt fails at its first read.
            raise _TargetUnavailable(error.reason or "unavailable") from None
        except (SourceInvalid, SourceNotAllowed, KeyInvalid) as error:
            raise _LeftOut(error.code) from None
