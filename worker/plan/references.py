"""The pinning of sources by reference: which version of each object the job will read, and of what kind it is."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from maskrelay.contract.formats.sniff import HEAD_BYTES, Kind, kind_of
from maskrelay.contract.record import Failure
from maskrelay.contract.records.job import Item
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.source_pins import Pin, PinnedSource, is_reference
from maskrelay.errors import ItemError, NotAnImage, ZeroSized
from maskrelay.imaging.read.image_header import is_picture
from maskrelay.sources.source_readers import SourceReaders
from worker.context.job_records.outcome_parts import failure_of
from worker.plan.survey_reuse import SurveyReuse


@dataclass(frozen=True, slots=True)
class Referenced:
    """What was found at the URL of an item: one object, a reason why it cannot be read, or neither for a collection."""

    pinned: PinnedSource | None = None
    kind: Kind = "still"
    error: Failure | None = None
    #: The sources in the object, if an earlier job has surveyed it.
    surveyed: tuple[Surveyed, ...] = ()


class References:
    """The sources by reference of one tenant."""

    def __init__(self, readers: SourceReaders, tenant: str, reuse: SurveyReuse) -> None:
        self._readers = readers
        self._tenant = tenant
        self._reuse = reuse

    def pinned(self, items: Mapping[int, Item], begun: Iterable[Surveyed]) -> dict[int, Referenced]:
        """Return what is at the URL of each item that is a reference, by the number of the item.

        The stores are asked at the same time. An object that an earlier attempt has pinned (`begun`) keeps its version.
        Raises SourceUnavailable.
        """
        asked = {number: item for number, item in items.items() if is_reference(item.source)}
        if not asked:
            return {}
        known: dict[int, PinnedSource] = {}
        for source in begun:
            if source.pinned is not None:
                known.setdefault(source.upload, source.pinned)
        with ThreadPoolExecutor(len(asked)) as hands:
            found = {
                number: hands.submit(self._look, number, item, known.get(number)) for number, item in asked.items()
            }
        return {number: future.result() for number, future in found.items()}

    def listed(self, item: Item, after: str | None) -> Iterator[PinnedSource]:
        """Yield the objects of a collection, from the one after the URL `after` on. Raises SourceUnavailable."""
        for facts in self._readers.list(self._tenant, item.source, item.credential, after):
            yield self._as_pinned(item, facts.url, facts.pin)

    def _look(self, number: int, item: Item, known: PinnedSource | None) -> Referenced:
        try:
            if self._readers.is_collection(self._tenant, item.source, item.credential):
                return Referenced()
            if known is None:
                pin = item.pin or self._readers.stat(self._tenant, item.source, item.credential).pin
                known = self._as_pinned(item, item.source, pin)
            if surveyed := self._reuse.found(known, number):
                return Referenced(known, surveyed=tuple(surveyed))
            begin = b"".join(self._readers.stream(known, 0, HEAD_BYTES))
            kind = kind_of(begin)
            if not begin:
                raise ZeroSized
            if kind == "still" and not is_picture(begin):
                raise NotAnImage
        except ItemError as error:
            return Referenced(error=failure_of(error))
        return Referenced(known, kind)

    def _as_pinned(self, item: Item, url: str, pin: Pin) -> PinnedSource:
        right = {"url": url, "tenant": self._tenant, "credential": item.credential or ""}
        return PinnedSource(**right, size=pin.size, etag=pin.etag, version=pin.version)
