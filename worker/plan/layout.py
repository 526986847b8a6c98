"""The plan of a job, in parts with a fixed number of frames.

It is made in three steps. The sources are surveyed, the surveyed sources are arranged into items, and the frames of
the items are numbered and divided into parts.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import (
    FRAMES_PER_PART,
    Item,
    PlannedFrame,
    Submission,
)
from maskrelay.contract.records.planned_items import IgnoredFile, PlannedItem, Surveyed
from maskrelay.contract.records.runs import ChunkStart
from maskrelay.contract.records.source_frames import Reading
from maskrelay.contract.records.source_pins import is_reference
from maskrelay.contract.vocabulary.outputs import OF_JOB, outputs_of
from maskrelay.errors import IdentifierUnmapped
from maskrelay.rules.item_options import EffectiveOptions, effective_options
from maskrelay.rules.series.arrangement import Draft, arrange
from maskrelay.storage.stored_records import write_records
from maskrelay.storage.submitted_items import expansion_of, read_chunks, read_items, read_start, write_start
from worker.context import WorkerContext
from worker.context.job_records.outcome_parts import failure_of
from worker.context.source_cache import SourceCache
from worker.plan.chunk_surveys import await_survey
from worker.plan.guarded_opening import GuardedOpener
from worker.plan.survey import SourceSurvey
from worker.plan.window_choice import WindowChooser


@dataclass(slots=True)
class PlannedPart:
    """One part of the plan: up to FRAMES_PER_PART frames, and the items whose first frame is among them."""

    number: int
    items: list[PlannedItem] = field(default_factory=list)
    frames: list[PlannedFrame] = field(default_factory=list)
    last: bool = False
    #: The files that did not become items. Only the last part contains them.
    ignored: list[IgnoredFile] = field(default_factory=list)


def planned_parts(
    context: WorkerContext,
    sources: SourceCache,
    submission: Submission,
    opening: GuardedOpener,
    first_part: int,
    check_time: Callable[[], None],
) -> Iterator[PlannedPart]:
    """Yield the parts from number `first_part` on.

    `check_time` is called between sources and between items, and may raise an error. The plan of a job is
    deterministic. The items before `first_part` are therefore counted again from the stored surveys, without opening a
    source, and skipped.
    """
    part = PlannedPart(first_part)
    skip = first_part * FRAMES_PER_PART
    ignored: list[IgnoredFile] = []
    layouts = plan_layouts(context, sources, submission, opening, skip, check_time, ignored)
    for item, frames in chain.from_iterable(layout.items(skip) for layout in layouts):
        if item.first >= skip:
            part.items.append(item)
        for frame in frames:
            if frame.frame < skip:
                continue
            if len(part.frames) == FRAMES_PER_PART:
                begun = [candidate for candidate in part.items if candidate.first >= frame.frame]
                part.items = part.items[: len(part.items) - len(begun)]
                yield part
                part = PlannedPart(part.number + 1, begun)
            part.frames.append(frame)
    part.last, part.ignored = True, ignored
    yield part


def plan_layouts(
    context: WorkerContext,
    sources: SourceCache,
    submission: Submission,
    opening: GuardedOpener,
    skip: int,
    check_time: Callable[[], None],
    ignored: list[IgnoredFile],
) -> Iterator["PlanLayout"]:
    """Yield the layout of the job, or one for each chunk of a run, from the chunk with frame `skip` on.

    Each layout must be exhausted before the next one is requested. The files that it ignored are then added to
    `ignored`. In a run, they are stored instead.
    """
    storage, job, run = context.storage, submission.id, submission.run
    if run is None:
        layout = PlanLayout(context, sources, submission, list(read_items(storage, submission)), opening, check_time)
        yield layout
        ignored += layout.ignored
        return
    start, expansion = read_start(storage, job, skip), expansion_of(storage, run)
    for _, items in read_chunks(storage, run, start.chunk):
        await_survey(context, sources, submission, start.chunk, expansion.chunks if expansion else 0, check_time)
        opening.scope = f"chunk {start.chunk} "
        layout = PlanLayout(context, sources, submission, items, opening, check_time, start)
        yield layout
        if layout.ignored:
            write_records(storage, keys.ignored(job, start.chunk), layout.ignored)
        start = ChunkStart(chunk=start.chunk + 1, item=layout.next_item, frame=layout.next_frame)
        write_start(storage, job, start)


class PlanLayout:
    """The items of one job, or of one chunk of a run, in order, each with its frames.

    `start` contains the numbers with which the chunk begins. When all items have been yielded, `next_item` and
    `next_frame` are the numbers with which the next chunk begins.
    """

    def __init__(
        self,
        context: WorkerContext,
        sources: SourceCache,
        submission: Submission,
        items: Sequence[Item],
        opening: GuardedOpener,
        check_time: Callable[[], None],
        start: ChunkStart | None = None,
    ) -> None:
        self._submission = submission
        self._asked = items
        self._check_time = check_time
        self.next_item, self.next_frame = (start.item, start.frame) if start else (0, 0)
        chunk = start.chunk if start else None
        self._surveys = SourceSurvey(context, sources, submission, self._asked, opening, check_time, chunk)
        self._windows = WindowChooser(context, sources, submission, self._asked, opening)
        self._server_key = context.settings.server_keys[0]
        self._site = context.site_identifiers
        self._named: Counter[int] = Counter()
        self.ignored: list[IgnoredFile] = []

    def items(self, skip: int) -> Iterator[tuple[PlannedItem, list[PlannedFrame]]]:
        """Yield every item that has frame `skip` or a later frame, each with all its frames.

        Raises the errors of `check_time`.
        """
        for draft in arrange(self._surveyed(), self._request_of, self._is_wanted):
            if draft.sources[0].ignored:  # if all files are ignored, `arrange` makes items of them
                self.ignored.clear()
            frames = len(draft.frames) if draft.error is None else 1
            custom_id = self._custom_id(draft)
            number, first = self.next_item, self.next_frame
            self.next_item, self.next_frame = number + 1, first + frames
            if first + frames > skip:
                self._check_time()
                yield self._laid_out(number, first, frames, custom_id, draft)

    def _surveyed(self) -> Iterator[Surveyed]:
        """Yield the surveyed sources, and keep the names of the ignored files."""
        for found in self._surveys:
            if found.ignored and found.error is not None:
                custom_id, name = self._asked[found.upload].custom_id, self._source_name(found)
                self.ignored.append(IgnoredFile(custom_id=custom_id, source_name=name, reason=found.error))
            yield found

    def _custom_id(self, draft: Draft) -> str:
        """Return the custom id of the item.

        In a redrive, a member of a zip archive keeps the custom id of its earlier item. All other items have the custom
        id of their first submitted file. If several items come from the same submitted file, a number is appended from
        the second item on.
        """
        again = (self._again(source).get(source.extent.offset) for source in draft.sources if source.extent)
        if called := next(filter(None, again), None):
            return called
        upload = draft.sources[0].upload
        nth = self._named[upload]
        self._named[upload] += 1
        return self._asked[upload].custom_id + (f"/{nth}" if nth else "")

    def _request_of(self, upload: int) -> tuple[tuple[str, ...], EffectiveOptions]:
        return self._asked[upload].prompts, self._options_of(upload)

    def _options_of(self, upload: int) -> EffectiveOptions:
        return effective_options(self._submission, self._asked[upload].options)

    def _again(self, source: Surveyed) -> dict[int, str]:
        return self._asked[source.upload].only or {}

    def _is_wanted(self, source: Surveyed) -> bool:
        asked = self._asked[source.upload]
        if asked.only is None:
            return True
        if source.extent is None:  # a reference that cannot be read any more is an item, so that its error is shown
            return source.error is not None and is_reference(asked.source)
        return source.extent.offset in self._again(source)

    def _laid_out(
        self, number: int, first: int, frames: int, custom_id: str, draft: Draft
    ) -> tuple[PlannedItem, list[PlannedFrame]]:
        source = draft.sources[0]
        asked = self._options_of(source.upload).outputs
        form = {"volume": draft.grid is not None, "placed": "mosaic" not in draft.findings}
        error = draft.error or self._unmapped(draft)
        outputs = outputs_of(asked, source.kind, frames, **form) if error is None else ()
        uploads = sorted({member.upload for member in draft.sources})
        left_out = [output for output in asked if output not in {*outputs, *OF_JOB}] if error is None else []
        item = PlannedItem(
            item=number,
            custom_id=custom_id,
            source_name=self._source_name(source),
            source=self._shown_source(source),
            beside=source.pinned.url if source.pinned and self._submission.store_beside else None,
            members=tuple(self._asked[upload].custom_id for upload in uploads) if len(uploads) > 1 else (),
            first=first,
            frames=frames,
            kind=source.kind,
            outputs=outputs,
            modality=draft.facts.modality if draft.facts else None,
            findings={**draft.findings, **({"outputs_not_made": left_out} if left_out else {})},
            identifiers=self._identifiers(draft),
            held=draft.held,
            grid=draft.grid,
        )
        return item, self._frames(item, draft, error)

    def _frames(self, item: PlannedItem, draft: Draft, error: Failure | None) -> list[PlannedFrame]:
        if error is not None:
            # The number of frames depends on the sources alone. A mapping of the site may change between two attempts.
            places = [place for place, _ in draft.frames] if draft.error is None else [0]
            sources = [draft.sources[place] for place in places]
            failed = [self._frame(item, index, each, each.reading, draft) for index, each in enumerate(sources)]
            return [frame.model_copy(update={"error": error}) for frame in failed]
        window = self._windows.of(item, draft)
        frames: list[PlannedFrame] = []
        for index, (place, picture) in enumerate(draft.frames):
            source = draft.sources[place]
            reading = source.reading.model_copy(update={"index": picture, **window})
            frames.append(self._frame(item, index, source, reading, draft))
        return frames

    def _frame(self, item: PlannedItem, index: int, source: Surveyed, reading: Reading, draft: Draft) -> PlannedFrame:
        asked = self._asked[source.upload]
        return PlannedFrame(
            frame=item.first + index,
            item=item.item,
            index=index,
            of=item.frames,
            source=asked.source,
            pinned=source.pinned,
            size=source.size,
            sha256=asked.sha256,
            prompts=asked.prompts,
            extent=source.extent,
            reading=reading,
            outputs=item.outputs,
            square_pixels=self._options_of(source.upload).pixels.square_pixels,
            instance=self._name(source.facts.sop_instance) if source.facts else None,
            source_name=self._source_name(source) if len(draft.sources) > 1 else None,
        )

    def _source_name(self, source: Surveyed) -> str | None:
        """Return the name of the source: the file name with the folders that the caller gave, or the path
        in a zip archive. That of a source by reference may be hidden.
        """
        asked = self._asked[source.upload]
        return self._submission.shown_name(asked, source.name or asked.source_name)

    def _shown_source(self, source: Surveyed) -> str | None:
        """Return the URL of a source by reference, unless it may contain identifiers that the caller does not want."""
        url = self._asked[source.upload].source
        return url if is_reference(url) and self._submission.shows_urls else None

    def _unmapped(self, draft: Draft) -> Failure | None:
        """Return an error if the site has no pseudonym for the study or the series of the item, although it should."""
        if self._submission.pixels.identifiers != "site" or draft.facts is None:
            return None
        try:
            for uid in (draft.facts.study, draft.facts.series):
                if uid:
                    self._site.pseudonym(self._submission.tenant, uid)
        except IdentifierUnmapped as error:
            return failure_of(error)
        return None

    def _identifiers(self, draft: Draft) -> dict[str, str]:
        """Return the UIDs that link the item to its study and series, in the form that the caller chose."""
        if draft.facts is None:
            return {}
        facts = draft.facts
        uids = {"study": facts.study, "series": facts.series, "frame_of_reference": facts.frame_of_reference}
        named = {name: self._name(uid) for name, uid in uids.items() if uid}
        return {name: uid for name, uid in named.items() if uid is not None}

    def _name(self, uid: str) -> str | None:
        """Return a UID in the form that the caller chose: itself, its keyed hash, the site's pseudonym, or None.

        The hash is the first 32 hex digits of HMAC-SHA256. A UID without a pseudonym is left out.
        """
        how = self._submission.pixels.identifiers
        if how == "site":
            with suppress(IdentifierUnmapped):
                return self._site.pseudonym(self._submission.tenant, uid)
            return None
        if how == "hashed":
            return hmac.digest(self._server_key, f"uid\0{self._submission.tenant}\0{uid}".encode(), "sha256").hex()[:32]
        return uid if how == "uids" else None
