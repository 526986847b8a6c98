"""The reuse of the files of a whole item: if its sources and masks are those of an earlier job, its files are copied.

No source is read for that. A pointer in storage leads from a digest of everything that determines the files to the item
of the earlier job. Only sources by reference have a version that is known without reading them.
"""

import hashlib
import hmac
import json
from importlib.metadata import version
from typing import Any

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import file_name
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.contract.records.planned_items import Assembled
from maskrelay.contract.records.reuse_pointers import FilesPointer
from maskrelay.contract.vocabulary.segment_codes import CodeTable
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.ledger.assembly_leases import AssemblyLease
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record
from worker.assemble.whole_item import WholeItem


def reuse_digest(whole: WholeItem, codes: CodeTable, server_key: bytes) -> str | None:
    """Return the digest of everything that determines the files of the item, or None if they cannot be reused."""
    if not whole.submission.reuse or any(frame.pinned is None for frame in whole.frames):
        return None
    item, submission = whole.item, whole.submission
    about: list[Any] = [
        submission.tenant,
        version("maskrelay"),
        whole.prompts,
        whole.wanted,
        submission.pixels.model_dump(),
    ]
    about += [item.kind, item.grid and item.grid.model_dump(), repr(sorted(codes.items()))]
    digest = hashlib.sha256(json.dumps(about, default=str).encode())
    for place, frame in enumerate(whole.frames):
        assert frame.pinned is not None
        pinned = [frame.pinned.url, frame.pinned.size, frame.pinned.etag, frame.pinned.version]
        extent = frame.extent and frame.extent.model_dump()
        masks = [mask.model_dump(exclude={"mask", "probability"}) for mask in whole.masks(place)]
        # The options that an item has of its own are in `whole.wanted` and in its frames.
        read = [extent, frame.reading.model_dump(), frame.square_pixels]
        parts = [pinned, *read, masks, whole.model_version(place)]
        digest.update(json.dumps(parts, default=str).encode())
    return hmac.digest(server_key, b"files" + digest.digest(), "sha256").hex()


def copied(storage: Storage, digest: str, lease: AssemblyLease) -> Assembled | None:
    """Return the record of the files of an earlier item, copied for the held item, or None if there are none.

    Raises StorageUnavailable.
    """
    try:
        pointer = read_record(storage, keys.reuse(digest), FilesPointer)
        earlier = read_record(storage, keys.assembled_item(pointer.job, pointer.item), Assembled)
        if earlier.errors:
            return None
        files = {output: _copy(storage, ref, output, lease) for output, ref in earlier.files.items()}
    except (ObjectMissing, RecordUnreadable, _Damaged):
        return None
    return Assembled(item=lease.item, files=files, seg_series=earlier.seg_series)


def offer(storage: Storage, digest: str, lease: AssemblyLease) -> None:
    """Let later items with this digest use the files of the item. Raises StorageUnavailable."""
    pointer = FilesPointer(job=lease.job, item=lease.item)
    storage.put(keys.reuse(digest), pointer.model_dump_json().encode(), "application/json")


class _Damaged(Exception):
    """A file of the earlier item is not the one that its record names."""


def _copy(storage: Storage, ref: ArtifactRef, output: str, lease: AssemblyLease) -> ArtifactRef:
    key = keys.whole(lease.job, lease.item, file_name(output), lease.token[:8])
    hashed = hashlib.sha256()
    with storage.writer(key, ref.content_type) as writer:
        for chunk in storage.stream(ref.key, ref.offset, ref.length):
            hashed.update(chunk)
            writer.write(chunk)
        if hashed.hexdigest() != ref.sha256:
            raise _Damaged
        writer.commit()
    return ref.model_copy(update={"key": key, "offset": 0})
