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

from pydicom.filereader import read_partial

from maskrelay.contract.records import keys
from maskrelay.contract.records.delivery_records import DeliveryEnd
from maskrelay.contract.records.job import Submission
from maskrelay.contract.records.planned_items import Assembled
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.sources.credential_file import Destination
from maskrelay.sources.credential_kinds import DicomwebCredential
from maskrelay.sources.stow_sender import StowResult, StowSender
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record
from worker.context import WorkerContext
from worker.deliver.storing_result import CONTINUES, StoringResult

log = logging.getLogger(__name__)
#: The bytes at the beginning of a file that contain its SOP Instance UID.
_HEAD_BYTES = 16 << 10
_SOP_INSTANCE_UID = 0x00080018
_SEG = "seg"


def send_to_archive(
    context: WorkerContext, submission: Submission, destination: Destination, until: float
) -> StoringResult:
    """Send the objects of the job that are not in the archive yet, until `until` (monotonic seconds).

    Raises StorageUnavailable and LedgerUnavailable.
    """
    assert isinstance(destination.credential, DicomwebCredential)
    sender = StowSender(destination.credential)
    total = StoringResult(is_over=True, reason="ok")
    for record in _assembled(context.storage, submission.id):
        end = _end_of(context.storage, submission.id, record.item)
        is_over = end is not None
        if end is None:
            if time.monotonic() > until:
                return StoringResult(is_over=False, reason=CONTINUES)
            sent = _send(context, submission.id, record, sender, destination)
            end, is_over = _marked(context.storage, submission.id, record.item, sent), sent.state != "later"
        if end.how != "ok" or total.reason == "ok":
            total = StoringResult(total.is_over and is_over, end.how, end.status)
    return total


def _assembled(storage: Storage, job: str) -> Iterator[Assembled]:
    """Yield the records of the items that have a segmentation."""
    for key in storage.list(keys.assembled(job)):
        record = read_record(storage, key, Assembled)
        if _SEG in record.files:
            yield record


def _end_of(storage: Storage, job: str, item: int) -> DeliveryEnd | None:
    try:
        return read_record(storage, keys.stored_item(job, item), DeliveryEnd)
    except ObjectMissing:
        return None


def _send(
    context: WorkerContext, job: str, record: Assembled, sender: StowSender, destination: Destination
) -> StowResult:
    file = record.files[_SEG]
    head = context.storage.get(file.key, file.offset, min(file.length, _HEAD_BYTES))
    with closing(context.storage.stream(file.key, file.offset, file.length)) as content:
        sent = sender.send(destination.root, _uid_of(head), content, file.length)
    log.info("stow", extra={"job_id": job, "item": record.item, "result": sent.reason})
    return sent


def _marked(storage: Storage, job: str, item: int, sent: StowResult) -> DeliveryEnd:
    """Store the marker of the object if it need not be sent again."""
    how = "ok" if sent.state == "stored" else sent.reason
    end = DeliveryEnd(how=how, at=datetime.now(UTC), attempts=1, status=sent.status)
    if sent.state != "later":
        with suppress(ObjectExists):
            storage.create(keys.stored_item(job, item), end.model_dump_json().encode(), "application/json")
    return end


def _uid_of(head: bytes) -> str:
    """Return the SOP Instance UID of a file that this service has written."""
    read = read_partial(io.BytesIO(head), stop_when=lambda tag, *_: tag > _SOP_INSTANCE_UID)
    return str(read.SOPInstanceUID)
