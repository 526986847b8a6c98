"""The delivery of a job's segmentations (DICOM SEG) to an archive, by STOW-RS.

Each object has a marker in storage once it is in the archive, or was refused for good. An attempt sends the objects
without a marker. If it is repeated, an object may be sent again, under the same UID.
"""

import io
import logging
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import chain, takewhile

from pydicom.filereader import read_partial

from maskrelay.contract.records import keys
from maskrelay.contract.records.delivery_records import DeliveryEnd, StoredPosition
from maskrelay.contract.records.job import Submission
from maskrelay.contract.records.planned_items import Assembled
from maskrelay.errors import ObjectExists
from maskrelay.sources.credential_file import Destination
from maskrelay.sources.credential_kinds import DicomwebCredential
from maskrelay.sources.stow_sender import StowResult, StowSender
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record
from worker.context import WorkerContext
from worker.deliver.stored_position import read_position, write_position
from worker.deliver.storing_result import CONTINUES, StoringResult

log = logging.getLogger(__name__)
#: The bytes at the beginning of a file that contain its SOP Instance UID.
_HEAD_BYTES = 16 << 10
_SOP_INSTANCE_UID = 0x00080018
_SEG = "seg"
_JSON = ".json"


def send_to_archive(
    context: WorkerContext, submission: Submission, destination: Destination, until: float
) -> StoringResult:
    """Send the objects of the job that are not in the archive yet, until `until` (monotonic seconds).

    At least one is sent. If the archive does not respond, nothing more is sent. The next attempt begins after the last
    object, so an object on which the archive hangs does not stop the others. Raises StorageUnavailable and
    LedgerUnavailable.
    """
    assert isinstance(destination.credential, DicomwebCredential)
    storage, job, sender = context.storage, submission.id, StowSender(destination.credential)
    has_progress, failed = False, None
    for record in _unsent(storage, job):
        if (has_progress or failed) and time.monotonic() > until:
            write_position(storage, job, StoredPosition(item=record.item))
            return StoringResult(is_over=False, reason=CONTINUES) if has_progress or not failed else failed
        sent = _send(context, job, record, sender, destination)
        if sent.state != "later":
            _mark(storage, job, record.item, sent)
            has_progress = True
            continue
        failed = StoringResult(is_over=False, reason=sent.reason, status=sent.status)
        if sent.status is None:
            write_position(storage, job, StoredPosition(item=record.item + 1))
            return failed
    return failed or _result(storage, job)


def _unsent(storage: Storage, job: str) -> Iterator[Assembled]:
    """Yield the records of the items whose segmentation has no marker.

    The first is the one with which this attempt begins, and those before it follow at the end.
    """
    folder, begin = keys.assembled(job), read_position(storage, job).item
    over = {_number(key, keys.stored(job)) for key in _markers(storage, job)}
    first = keys.assembled_item(job, begin)
    before = takewhile(lambda key: key < first, storage.list(folder))
    after = storage.list(folder, keys.assembled_item(job, begin - 1)) if begin else storage.list(folder)
    for key in chain(after, before):
        if _number(key, folder) not in over:
            record = read_record(storage, key, Assembled)
            if _SEG in record.files:
                yield record


def _markers(storage: Storage, job: str) -> Iterator[str]:
    """Yield the keys of the markers."""
    return (key for key in storage.list(keys.stored(job)) if key.endswith(_JSON))


def _number(key: str, folder: str) -> int:
    """Return the number of the item in the key of its record."""
    return int(key.removeprefix(folder).removesuffix(_JSON))


def _result(storage: Storage, job: str) -> StoringResult:
    """Return the result of a job whose segmentations all have a marker: that of the last one that was refused."""
    total = StoringResult(is_over=True, reason="ok")
    for key in _markers(storage, job):
        end = read_record(storage, key, DeliveryEnd)
        if end.how != "ok" or total.reason == "ok":
            total = StoringResult(is_over=True, reason=end.how, status=end.status)
    return total


def _send(
    context: WorkerContext, job: str, record: Assembled, sender: StowSender, destination: Destination
) -> StowResult:
    file = record.files[_SEG]
    head = context.storage.get(file.key, file.offset, min(file.length, _HEAD_BYTES))
    with closing(context.storage.stream(file.key, file.offset, file.length)) as content:
        sent = sender.send(destination.root, _uid_of(head), content, file.length)
    log.info("stow", extra={"job_id": job, "item": record.item, "result": sent.reason})
    return sent


def _mark(storage: Storage, job: str, item: int, sent: StowResult) -> None:
    """Store the marker of an object that need not be sent again."""
    how = "ok" if sent.state == "stored" else sent.reason
    end = DeliveryEnd(how=how, at=datetime.now(UTC), attempts=1, status=sent.status)
    with suppress(ObjectExists):
        storage.create(keys.stored_item(job, item), end.model_dump_json().encode(), "application/json")


def _uid_of(head: bytes) -> str:
    """Return the SOP Instance UID of a file that this service has written."""
    read = read_partial(io.BytesIO(head), stop_when=lambda tag, *_: tag > _SOP_INSTANCE_UID)
    return str(read.SOPInstanceUID)
