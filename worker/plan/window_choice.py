"""The intensity window of an item, which maps its values to bytes.

Planning chooses it once for all frames of the item.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.contract.records.job import Item, Submission
from maskrelay.contract.records.planned_items import PlannedItem, Surveyed
from maskrelay.contract.records.source_frames import Window
from maskrelay.contract.vocabulary.intensity_names import (
    EVERY,
    POSITIVE,
    VOI,
    Intensity,
    Preset,
)
from maskrelay.errors import ItemError, ObjectExists, ObjectMissing
from maskrelay.imaging.intensity.presets import default_preset, voi_window, window_of
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.read.nifti_slices import chosen_volume, read_facts_of, walk_volume
from maskrelay.imaging.read.source import open_frame
from maskrelay.rules.item_options import effective_options
from maskrelay.rules.series.arrangement import Draft
from maskrelay.rules.series.hounsfield import other_than_hounsfield
from maskrelay.storage.stored_records import read_record
from worker.context import WorkerContext
from worker.context.source_cache import SourceCache, begin_of
from worker.plan.guarded_opening import GuardedOpener, time_units
from worker.plan.survey_reuse import SurveyReuse

#: The presets for which the pixels must be read.
PERCENTILES = (POSITIVE, EVERY)


class WindowChooser:
    """A chooser of the window of each item. A window for which all pixels had to be read is stored."""

    def __init__(
        self,
        context: WorkerContext,
        sources: SourceCache,
        submission: Submission,
        asked: Sequence[Item],
        opening: GuardedOpener,
    ) -> None:
        self._context = context
        self._sources = sources
        self._submission = submission
        self._asked = asked
        self._opening = opening
        self._reuse = SurveyReuse(context.storage, submission, asked, context.settings.server_keys[0])

    def of(self, item: PlannedItem, draft: Draft) -> dict[str, Any]:
        """Return the fields of `Reading` that say how the values of every frame are mapped to bytes.

        This is either `window`, or `percentiles` with the name of the preset, from which the window is then computed
        when the frame is read.
        """
        own = self._asked[draft.sources[0].upload].options
        asked = effective_options(self._submission, own).pixels.intensity
        facts, bits = draft.facts, draft.sources[0].bits
        if asked == VOI and facts is not None and facts.windows:
            return {"window": voi_window(*facts.windows[0], facts.voi_function)}
        name = None if asked == VOI else asked
        name = name or default_of(facts, bits)
        if name not in PERCENTILES:
            return {"window": window_of(name, lambda: iter(()))}
        if len(draft.frames) == 1:
            return {"percentiles": name}
        return {"window": self._kept(item, draft, name)}

    def _kept(self, item: PlannedItem, draft: Draft, name: Intensity) -> Window | None:
        """Return the window for all pixels of the item. It is stored, and read from storage if it exists already.

        If reading the pixels has crashed two processes, each frame is read on its own, and those that crash their
        decoder are left out. So all frames that can be read have the same window.
        """
        storage, key = self._context.storage, keys.window(self._submission.id, item.item)
        with contextlib.suppress(ObjectMissing):
            return read_record(storage, key, Window)

        def choose() -> Window | None:
            if draft.sources[0].kind == "nifti":
                return window_of(name, lambda: self._voxels(draft))
            return window_of(name, lambda: self._planes(draft))

        window: Window | Failure | None = self._reuse.window(draft, str(name))
        if window is None:
            planes = len(draft.frames) * time_units(draft.sources[0].pinned)
            window = self._opening(f"window {item.item}", choose, planes=planes)
        if isinstance(window, Failure):
            window = window_of(name, lambda: self._planes_alone(item, draft))
        if window is None:
            return None
        with contextlib.suppress(ObjectExists):
            storage.create(key, window.model_dump_json().encode(), "application/json")
        kept = read_record(storage, key, Window)
        self._reuse.offer_window(draft, str(name), kept)
        return kept

    def _voxels(self, draft: Draft) -> Iterator[Plane]:
        """Yield the planes of a volume while it is streamed from storage, without a local copy.

        If the file is damaged, fewer planes are yielded.
        """
        source = draft.sources[0]
        place = source.pinned or self._asked[source.upload].source
        with contextlib.suppress(ItemError):
            facts = read_facts_of(begin_of(self._sources.unpacked(place, source.extent)))
            number = chosen_volume(facts, source.reading.volume)
            yield from walk_volume(self._sources.unpacked(place, source.extent), facts, number)

    def _planes(self, draft: Draft) -> Iterator[Plane]:
        """Yield the pixels of the frames. Frames that cannot be read, or that need too much memory, are skipped."""
        for number, picture in draft.frames:
            with contextlib.suppress(ItemError):
                if (plane := self._plane(draft.sources[number], picture)) is not None:
                    yield plane

    def _planes_alone(self, item: PlannedItem, draft: Draft) -> Iterator[Plane]:
        """Do the same as `_planes`, but with a guard for each frame."""
        for place, (number, picture) in enumerate(draft.frames):
            source = draft.sources[number]
            read = partial(self._plane, source, picture)
            plane = self._opening(f"window {item.item} {place}", read, planes=time_units(source.pinned))
            if plane is not None and not isinstance(plane, Failure):
                yield plane

    def _plane(self, source: Surveyed, picture: int) -> Plane | None:
        """Return the pixels of a frame, or None if it needs too much memory. Raises ItemError."""
        settings = self._context.settings
        reading = source.reading.model_copy(update={"index": picture})
        place = source.pinned or self._asked[source.upload].source
        with self._sources.opened(place, source.extent, reading) as opened:
            frame = open_frame(opened, reading, max_pixels=settings.max_pixels)
            return frame.plane() if frame.footprint <= settings.decode_bytes else None


def default_of(facts: DicomFacts | None, bits: int) -> Preset:
    """Return the preset for a source with `bits` bits per sample.

    Colour and palette images get no window, whatever their depth. Values of 8 bits are then not changed, and values of
    more bits are scaled between percentiles of each frame.
    """
    if facts is None:
        return default_preset(None, None, bits)
    if facts.samples > 1 or facts.photometric == "PALETTE COLOR":
        return "none"
    return default_preset(facts.modality, facts.body_part, bits, hounsfield=other_than_hounsfield(facts) is None)
