"""The run card of a job (output `report`): one HTML file that shows what was run and what came out.

It is made from the stored lines of the items when the job is finished. It contains numbers of items and prompts, but no
`custom_id`, no file name and no identifier of a patient, because such files are passed on.
"""

import hashlib
import heapq
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine, flags_of
from maskrelay.contract.records.job import FinalObject, Result
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.errors import ObjectMissing
from maskrelay.imaging.draw.small_picture import small_jpeg
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import lines_of, parsed
from worker.finish.run_card_page import CardPicture, Facts, run_card_html

#: The number of random items, and of the most suspicious items, that are shown.
PICTURES = 16
_BINS = 20
#: A larger file is not read for a small picture.
_MOST_BYTES = 64 << 20
_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, order=True)
class _Shown:
    """An item that may be shown. Those with the lowest rank are."""

    rank: tuple[float, str]
    item: int = field(compare=False)
    about: str = field(compare=False)
    ref: ArtifactRef = field(compare=False)


class _Tally:
    """The counts of a job, and the items to be shown. The memory does not depend on the number of items."""

    def __init__(self, job: str) -> None:
        self._job = job
        self.facts = Facts(probabilities=[0] * _BINS, shares=[0] * _BINS)
        self.random: list[_Shown] = []
        self.suspicious: list[_Shown] = []

    def add(self, line: ItemLine) -> None:
        facts = self.facts
        facts.flags.update(flags_of(line))
        for outcome in line.outcomes:
            if outcome.error is not None:
                facts.errors[outcome.error.code] += 1
            if outcome.model_version is not None:
                facts.models[f"{outcome.endpoint}, version {outcome.model_version}"] += 1
            for mask in outcome.masks:
                facts.masks += 1
                facts.prompts[mask.prompt] += 1
                facts.categories[mask.category or "none"] += 1
                facts.empty += mask.empty
                if not mask.empty:
                    height, width = mask.rle.size
                    facts.probabilities[_bin(mask.mean_probability)] += 1
                    facts.shares[_bin(mask.area_px / (height * width))] += 1
        self._show(line)

    def _show(self, line: ItemLine) -> None:
        ref = _picture_of(line)
        if ref is None:
            return
        flags = Counter(flags_of(line))
        about = ", ".join(sorted(flags)) or "no flag"
        digest = hashlib.sha256(f"{self._job} {line.item}".encode()).hexdigest()
        self.random = heapq.nsmallest(PICTURES, [*self.random, _Shown((0.0, digest), line.item, about, ref)])
        if flags:
            shown = _Shown((-line.suspicion, f"{line.item:09d}"), line.item, about, ref)
            self.suspicious = heapq.nsmallest(PICTURES, [*self.suspicious, shown])


def write_run_card(storage: Storage, result: Result) -> FinalObject:
    """Write the run card next to the other final objects of this result, and return the reference to it."""
    tally = _Tally(result.job)
    with closing(storage.stream(result.items.key)) as chunks:
        for raw in lines_of(chunks):
            tally.add(parsed(raw, ItemLine, result.items.key))
    random = [_picture(storage, shown) for shown in sorted(tally.random)]
    suspicious = [_picture(storage, shown) for shown in sorted(tally.suspicious)]
    body = run_card_html(result, tally.facts, random, suspicious).encode()
    nonce = result.items.key.split("/")[-2]
    key = keys.final(result.job, nonce, "report.html")
    storage.put(key, body, _TYPE)
    return FinalObject(key=key, length=len(body), sha256=hashlib.sha256(body).hexdigest())


def _picture_of(line: ItemLine) -> ArtifactRef | None:
    """Return the file that shows the item: its overlay, or the contact sheet of an item with several frames."""
    if "contact-sheet" in line.files:
        return line.files["contact-sheet"]
    return next((outcome.overlay for outcome in line.outcomes if outcome.overlay is not None), None)


def _picture(storage: Storage, shown: _Shown) -> CardPicture:
    jpeg = None
    if shown.ref.length <= _MOST_BYTES:
        try:
            jpeg = small_jpeg(storage.get(shown.ref.key, shown.ref.offset, shown.ref.length))
        except ObjectMissing:  # the job is being removed
            jpeg = None
    return CardPicture(item=shown.item, about=shown.about, jpeg=jpeg)


def _bin(value: float) -> int:
    return min(_BINS - 1, max(0, int(value * _BINS)))
