"""The expansion of a run that was submitted as a manifest or a listing: its lines become chunks of submitted items.

The chunks are the same as those of a run whose lines are the body of a request. Each chunk is written once, and says
where the reading continues after it. So memory does not grow with the number of lines, and another worker can take over
after any chunk.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from maskrelay.contract.records.job import Item, ItemOptions, Submission
from maskrelay.contract.records.runs import ChunkHead, Expansion, LineSource, RejectedLine, Run
from maskrelay.contract.records.source_pins import Pin, PinnedSource, name_in
from maskrelay.errors import (
    CredentialUnknown,
    CustomIdDuplicate,
    FramesQuotaReached,
    LineInvalid,
    ListingEmpty,
    NoItems,
    ObjectExists,
    RequestError,
    SourceInvalid,
    SourceNotAllowed,
    TooManyRejected,
)
from maskrelay.ledger.step_leases import StepLease
from maskrelay.rules.run_lines import CUSTOM_ID_LENGTH, read_line
from maskrelay.sources.listing_patterns import read_pattern
from maskrelay.sources.manifest_rows import ManifestRow, read_rows
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.sources.source_urls import read_source_url
from maskrelay.storage.seen_ids import SeenIds, open_seen_ids
from maskrelay.storage.submitted_items import (
    ChunkWriter,
    expansion_of,
    last_chunk,
    read_chunks,
    write_expansion,
)
from worker.context import WorkerContext
from worker.context.turn import TimeIsUp
from worker.plan.guarded_opening import StepLost

#: The number of characters of a hash that takes the place of the end of a long custom id.
_HASHED = 32
#: The number of listed objects that do not match, after which the turn is checked.
PASSED = 5000


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a manifest, or an object of a listing."""

    number: int
    #: A function that returns the item of the line. It raises the error for which the line is rejected. None stands for
    #: an object that does not match the pattern. Of these objects, only some are yielded.
    item: Callable[[], Item] | None
    #: The place after the line.
    after: str


@dataclass(frozen=True, slots=True)
class _LineLimits:
    prompts: int
    prompt_length: int


def expand_run(
    context: WorkerContext, submission: Submission, lease: StepLease, check_time: Callable[[], None]
) -> None:
    """Read the lines of the run that are not in chunks yet, and check that the run can go on.

    Does nothing for a job whose items were submitted with the request. Raises ManifestInvalid, ListingEmpty,
    TooManyRejected, NoItems, FramesQuotaReached, or an error of the manifest's or the listing's source, if the run
    cannot go on. Raises StepLost and the errors of `check_time` between two chunks.
    """
    run = submission.run
    if run is None or run.lines_from is None:
        return
    expansion = expansion_of(context.storage, run)
    if expansion is None:
        check_turn = partial(_check_turn, context, lease, check_time)
        expansion = _Expander(context, submission, run, run.lines_from).expand(check_turn)
        write_expansion(context.storage, run, expansion)
    _check(expansion, run.lines_from)


def _check_turn(context: WorkerContext, lease: StepLease, check_time: Callable[[], None]) -> None:
    if not context.ledger.step_leases.renew(lease):
        raise StepLost
    check_time()


def _check(expansion: Expansion, source: LineSource) -> None:
    if expansion.rejected > source.max_rejected_share * expansion.lines:
        share = f"{source.max_rejected_share:g}"
        raise TooManyRejected(
            f"{expansion.rejected} of {expansion.lines} lines were rejected; the allowed share is {share}."
        )
    if not expansion.lines and source.format is None:
        raise ListingEmpty
    if not expansion.items:
        raise NoItems


class _Expander:
    """The reader of the lines of one run."""

    def __init__(self, context: WorkerContext, submission: Submission, run: Run, source: LineSource) -> None:
        self._context = context
        self._tenant = submission.tenant
        self._run = run
        self._source = source
        self._limits = _LineLimits(source.most_prompts, source.prompt_length)
        self._shows_urls = submission.shows_urls
        #: The credential with which files are written into the folder of each source, if they are.
        self._writer = submission.store_to if submission.store_beside else None

    def expand(self, check_turn: Callable[[], None]) -> Expansion:
        """Write the chunks that are missing, and return the numbers of all lines.

        `check_turn` is called after each chunk, and while objects are listed that do not match.
        """
        written = last_chunk(self._context.storage, self._run)
        number, head = (written[0] + 1, written[1]) if written else (0, None)
        if head is not None and head.last:
            items = head.lines - head.rejected
            return Expansion(lines=head.lines, items=items, rejected=head.rejected, chunks=number)
        pin = head.pin if head else self._pin()
        writer = ChunkWriter(self._context.storage, self._run.chunks, number, head, pin)
        with closing(open_seen_ids()) as seen:
            self._add_earlier(seen)
            try:
                for line in self._lines(pin, head, writer):
                    if line.item is None:
                        _pass(line, writer, check_turn)
                        continue
                    self._take(line.item, line, writer, seen)
                    if writer.number > number:
                        number = writer.number
                        self._check_total(writer)
                        check_turn()
                expansion = writer.close()
            except ObjectExists:  # another worker has taken the step over; what both have written is in the chunks
                raise TimeIsUp from None
        self._check_total(writer)
        return expansion

    def _take(self, read: Callable[[], Item], line: _Line, writer: ChunkWriter, seen: SeenIds) -> None:
        try:
            item = read()
            if self._source.format is not None and not seen.add(item.custom_id):
                raise CustomIdDuplicate("An earlier line has the same custom_id.", pointer="#/custom_id")
        except RequestError as error:
            about: dict[str, Any] = {"code": error.code, "detail": error.detail, "pointer": error.pointer}
            writer.reject(RejectedLine(line=line.number, **about), line.after)
        else:
            writer.add(item, line.after)

    def _add_earlier(self, seen: SeenIds) -> None:
        """Add the custom ids of the chunks that are written. The objects of a listing have different ones anyway."""
        if self._source.format is not None:
            for _, items in read_chunks(self._context.storage, self._run):
                for item in items:
                    seen.add(item.custom_id)

    def _check_total(self, writer: ChunkWriter) -> None:
        if writer.expansion().items > self._source.most_items:
            raise FramesQuotaReached(f"The run has more items than the quota of frames, {self._source.most_items}.")

    def _pin(self) -> Pin | None:
        source = self._source
        if source.format is None:
            return None
        return self._context.source_readers.stat(self._tenant, source.url, source.credential).pin

    def _lines(self, pin: Pin | None, head: ChunkHead | None, writer: ChunkWriter) -> Iterator[_Line]:
        after = head.after if head else None
        if pin is None:
            yield from self._objects(after, head.lines if head else 0)
            return
        source = self._source
        assert source.format is not None
        right = {"tenant": self._tenant, "credential": source.credential}
        pinned = PinnedSource(url=source.url, **right, size=pin.size, etag=pin.etag, version=pin.version)
        stream = partial(self._context.source_readers.stream, pinned)
        for row in read_rows(stream, pin.size, source.format, after):
            yield _Line(row.line, partial(self._item_of_row, row, writer), row.after)

    def _objects(self, after: str | None, number: int) -> Iterator[_Line]:
        """Yield the objects of a listing after the URL `after`, in the order of their URLs.

        An object that is added in the meantime is in the run if its URL comes after those that were listed. Each object
        is pinned, so one that is replaced later is an error of its item.
        """
        passed = 0
        source, pattern = self._source, read_pattern(self._source.url)
        for facts in self._context.source_readers.list(self._tenant, pattern.prefix, source.credential, after):
            if pattern.matches(facts.url) and not facts.url.endswith("/"):
                name = _custom_id(pattern.name_of(facts.url)) if self._shows_urls else str(number)
                number += 1
                yield _Line(number, partial(self._item_of_object, facts, name), facts.url)
                continue
            passed += 1
            if passed % PASSED == 0:
                yield _Line(number, None, facts.url)

    def _item_of_object(self, facts: SourceFacts, custom_id: str) -> Item:
        return self._item(facts.url, self._source.credential, custom_id, self._source.prompts, facts.pin)

    def _item_of_row(self, row: ManifestRow, writer: ChunkWriter) -> Item:
        """Return the item of a row. Its default custom id is the number of the row among all rows, counted from 0."""
        if isinstance(row.value, RequestError):
            raise row.value
        line = read_line(row.value, str(writer.expansion().lines), self._source.prompts or None, self._limits)
        if line.source is None:
            raise LineInvalid("A line of a manifest needs a source.", pointer="#/upload")
        try:
            url = read_source_url(line.source).text
            name = self._context.credentials.readable(self._tenant, url, line.credential).name
        except CredentialUnknown as error:
            raise CredentialUnknown(error.detail, pointer="#/credential") from None
        except (SourceInvalid, SourceNotAllowed) as error:
            raise type(error)(error.detail, pointer="#/source") from None
        self._check_beside(url)
        return self._item(url, name, line.custom_id, line.prompts, options=line.options)

    def _check_beside(self, url: str) -> None:
        """Raise SourceNotAllowed if files are to be written into the folder of the source, but may not be."""
        if self._writer is not None:
            try:
                self._context.credentials.writable_prefix(self._tenant, url, self._writer)
            except (CredentialUnknown, SourceNotAllowed):
                detail = "The source is not below a prefix to which the credential `store_to` may write."
                raise SourceNotAllowed(detail, pointer="#/source") from None

    def _item(
        self,
        url: str,
        credential: str,
        custom_id: str,
        prompts: tuple[str, ...],
        pin: Pin | None = None,
        options: ItemOptions | None = None,
    ) -> Item:
        about: dict[str, Any] = {"source": url, "credential": credential, "prompts": prompts, "pin": pin}
        about |= {"custom_id": custom_id, "options": options}
        return Item(**about, size=0, sha256="", source_name=name_in(url))


def _pass(line: _Line, writer: ChunkWriter, check_turn: Callable[[], None]) -> None:
    """Check the turn at an object that does not match. If it is over, record that the listing came this far.

    Otherwise, a listing with few matches would keep a worker from all other jobs, and begin anew after an interruption.
    """
    try:
        check_turn()
    except TimeIsUp:
        if writer.end_before(line.after):
            raise


def _custom_id(name: str) -> str:
    """Return the custom id of a listed object. The end of a long name is replaced by a hash of the name."""
    if len(name) <= CUSTOM_ID_LENGTH:
        return name
    return f"{name[: CUSTOM_ID_LENGTH - _HASHED - 1]}~{sha256(name.encode()).hexdigest()[:_HASHED]}"
