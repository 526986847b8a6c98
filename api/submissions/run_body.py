"""The receiver of a run's body, which is NDJSON: prompts and options in the first line, then an item in each line.

The lines are validated and stored as they arrive, so memory does not grow with their number.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.dependencies import Dependencies, side_by_side
from api.http.json_pointer import pointer
from api.submissions.accept import item_of, mark_uses
from api.submissions.options import Options, members, read_options
from api.submissions.parse import Fingerprint, RequestedItem, RunHeadAsked
from api.submissions.source_references import Reference, read_reference
from api.submissions.stored_beside import check_beside, check_source_beside
from api.submissions.uploads import Upload, find_upload
from maskrelay.contract.line_splitter import LineSplitter
from maskrelay.contract.records import keys
from maskrelay.contract.records.runs import Expansion, RejectedLine
from maskrelay.errors import (
    BodyIncomplete,
    CredentialUnknown,
    CustomIdDuplicate,
    LineInvalid,
    NoItems,
    RequestError,
    SourceNotAllowed,
    TooManyRejected,
    UploadExpired,
    UploadUnknown,
)
from maskrelay.rules.run_lines import LINE_BYTES, RunLine, checked_prompts, is_item, line_value, read_line
from maskrelay.storage.seen_ids import open_seen_ids
from maskrelay.storage.submitted_items import ChunkWriter, delete_chunks

#: The number of lines that are processed together, because the descriptions of their uploads are read concurrently.
_BATCH = 256
#: The longest time for a body. The sweep removes what was written for a job that was not accepted within an hour.
_LONGEST = timedelta(minutes=30)
#: The number of rejected lines that an error names.
_NAMED = 100
#: The number of different prompts for which warnings are looked for.
_PROMPTS = 1000


@dataclass(frozen=True, slots=True)
class ReceivedRun:
    """The body of a run, whose items are in storage."""

    options: Options
    #: The prefix of the keys of the chunks.
    chunks: str
    #: Whether the items are in storage.
    is_stored: bool
    expansion: Expansion
    fingerprint: str
    #: The number of bytes of all uploads, and their ids.
    size: int
    uploads: frozenset[str]
    #: Some of the different prompts.
    prompts: tuple[str, ...]
    #: The first rejected lines, each as a JSON pointer and the reason.
    rejected: tuple[tuple[str, str], ...]

    def check_rejected(self) -> None:
        """Raise TooManyRejected or NoItems if the run cannot be accepted."""
        found, share = self.expansion, self.options.max_rejected_share
        if found.rejected > share * found.lines:
            detail = f"{found.rejected} of {found.lines} lines were rejected; the allowed share is {share:g}."
            raise TooManyRejected(detail, places=self.rejected)
        if not found.items:
            raise NoItems(places=self.rejected)


class RunReceiver:
    """A receiver of the body of one run.

    If `is_new` is false, a job was already accepted under the id `job`. Then nothing is written, and only the
    fingerprint of the body is computed, to compare it.
    """

    def __init__(self, dependencies: Dependencies, tenant: str, job: str, nonce: str, *, is_new: bool) -> None:
        self._dependencies = dependencies
        self._tenant = tenant
        self._job = job
        self._is_new = is_new
        self._chunks = keys.item_chunks(job, nonce)
        self._writer = ChunkWriter(dependencies.storage, self._chunks) if is_new else None
        self._splitter = LineSplitter(LINE_BYTES)
        self._seen = open_seen_ids()
        self._fingerprint = Fingerprint()
        self._batch: list[tuple[int, bytes | None]] = []
        self._line = self._items = self._rejected = 0
        self._options: Options | None = None
        self._shared: tuple[str, ...] | None = None
        self._uploads: dict[str, int] = {}
        self._prompts: dict[str, None] = {}
        self._named: list[tuple[str, str]] = []
        self._until = datetime.now(UTC) + _LONGEST

    @property
    def items(self) -> int:
        """The number of accepted lines so far."""
        return self._items

    def begin(self) -> None:
        """Mark the job as live, so that the sweep finds the items of a run that is never accepted."""
        if self._is_new:
            self._dependencies.storage.put(keys.live(self._job), b"")

    def feed(self, chunk: bytes) -> None:
        """Process the next bytes of the body. Raises BodyIncomplete, StorageUnavailable, or the errors of the head."""
        if datetime.now(UTC) > self._until:
            raise BodyIncomplete(f"A body of lines must be complete within {_LONGEST // timedelta(minutes=1)} minutes.")
        for line in self._splitter.feed(chunk):
            self._take(line)

    def close(self) -> ReceivedRun:
        """Process the rest of the body, and store the last items. Raises NoItems and the errors of `feed`."""
        for line in self._splitter.close():
            self._take(line)
        self._process()
        expansion = Expansion(lines=self._items + self._rejected, items=self._items, rejected=self._rejected, chunks=0)
        options = self._options or Options()
        return ReceivedRun(
            options=options,
            chunks=self._chunks,
            is_stored=self._is_new,
            expansion=self._writer.close() if self._writer else expansion,
            fingerprint=self._fingerprint.of(options),
            size=sum(self._uploads.values()),
            uploads=frozenset(self._uploads),
            prompts=tuple(self._prompts),
            rejected=tuple(self._named),
        )

    def release(self, *, kept: bool) -> None:
        """Remove the temporary file, and unless the items are `kept`, the items. Raises StorageUnavailable."""
        self._seen.close()
        if self._writer and not kept:
            delete_chunks(self._dependencies.storage, self._chunks)

    def _take(self, line: bytes | None) -> None:
        self._line += 1
        if line is not None and not line.strip():
            return
        if self._options is None and self._is_head(line):
            return
        self._batch.append((self._line, line))
        if len(self._batch) == _BATCH:
            self._process()

    def _is_head(self, line: bytes | None) -> bool:
        """Read the options if this is the head. Return whether it is. Otherwise, there are no options."""
        try:
            value = line_value(line)
        except LineInvalid as error:  # this may be the head or an item
            raise LineInvalid(error.detail, pointer=pointer("lines", self._line)) from None
        if is_item(value):
            self._options = Options()
            return False
        given = members(value, RunHeadAsked.model_fields, ())
        self._options = read_options(given.get("options", {}))
        if self._is_new:
            check_beside(self._dependencies.credentials, self._tenant, self._options)
        if "prompts" in given:
            self._shared = checked_prompts(given["prompts"], self._dependencies.limits, pointer("prompts"))
        return True

    def _process(self) -> None:
        """Validate the lines of the batch, and store them."""
        lines = [(number, self._read(raw, place)) for place, (number, raw) in enumerate(self._batch)]
        self._batch = []
        found = self._found({line.upload for _, line in lines if isinstance(line, RunLine) and line.upload is not None})
        if self._is_new and (marked := {upload.key for upload in found.values() if isinstance(upload, Upload)}):
            mark_uses(self._dependencies, self._job, marked)
        for number, line in lines:
            try:
                self._accept(line, found)
            except RequestError as error:
                self._reject(number, error)

    def _read(self, raw: bytes | None, place: int) -> RunLine | RequestError:
        default_id = str(self._items + self._rejected + place)
        try:
            return read_line(line_value(raw), default_id, self._shared, self._dependencies.limits)
        except RequestError as error:
            return error

    def _found(self, upload_ids: set[str]) -> dict[str, Upload | RequestError]:
        """Return the uploads with these ids, each of them or the reason why it cannot be used."""

        def find(upload_id: str) -> Upload | RequestError:
            try:
                upload = find_upload(self._dependencies.storage, self._tenant, upload_id)
            except UploadUnknown as error:
                return error
            limit = self._dependencies.limits.upload_lifetime
            return UploadExpired() if self._is_new and upload.is_expired(datetime.now(UTC), limit) else upload

        return dict(zip(upload_ids, side_by_side(find, upload_ids), strict=True)) if upload_ids else {}

    def _accept(self, line: RunLine | RequestError, found: dict[str, Upload | RequestError]) -> None:
        """Store the item of a line. Raises the error for which the line is rejected."""
        if isinstance(line, RequestError):
            raise line
        source = found[line.upload] if line.upload is not None else self._reference(line)
        if isinstance(source, RequestError):
            raise type(source)(pointer="#/upload")
        # A tenant's rights may change, so a line without the right counts for the comparison with a repeat.
        self._fingerprint.add(*source.identity(), line.custom_id, line.prompts, options=line.options)
        credential = None
        if self._is_new:
            self._check_beside(source)
            credential = self._credential(source) if isinstance(source, Reference) else None
        if not self._seen.add(line.custom_id):
            raise CustomIdDuplicate("An earlier line has the same custom_id.", pointer="#/custom_id")
        if isinstance(source, Upload):
            self._uploads[source.id] = source.size
        if len(self._prompts) < _PROMPTS:
            self._prompts.update(dict.fromkeys(line.prompts))
        self._items += 1
        if self._writer:
            asked = RequestedItem(line.custom_id, line.prompts, options=line.options)
            self._writer.add(item_of(asked, source, credential))

    def _reference(self, line: RunLine) -> Reference:
        given = {"source": line.source, "credential": line.credential}
        return read_reference({name: text for name, text in given.items() if text is not None}, ())

    def _credential(self, reference: Reference) -> str:
        """Return the name of the credential with which a source is read. Raises the error of the line."""
        try:
            return self._dependencies.credentials.readable(self._tenant, reference.url, reference.credential).name
        except CredentialUnknown as error:
            raise CredentialUnknown(error.detail, pointer="#/credential") from None
        except SourceNotAllowed as error:
            raise SourceNotAllowed(error.detail, pointer="#/source") from None

    def _check_beside(self, source: Upload | Reference) -> None:
        here = "#/upload" if isinstance(source, Upload) else "#/source"
        options = self._options or Options()
        check_source_beside(self._dependencies.credentials, self._tenant, options, source, "the line", here)

    def _reject(self, number: int, error: RequestError) -> None:
        self._rejected += 1
        if len(self._named) < _NAMED:
            self._named.append((pointer("lines", number) + (error.pointer or "#")[1:], error.detail))
        if self._writer:
            rejected = RejectedLine(line=number, code=error.code, detail=error.detail, pointer=error.pointer)
            self._writer.reject(rejected)
