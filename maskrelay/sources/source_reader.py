"""The protocol of a reader of sources, one for each kind of store."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from maskrelay.contract.records.source_pins import Pin


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The metadata of an object. `etag`, `version` or both are present, unless a listing left them out."""

    url: str
    size: int
    etag: str | None
    version: str | None = None

    @property
    def pin(self) -> Pin:
        return Pin(size=self.size, etag=self.etag, version=self.version)

    @property
    def is_pinned(self) -> bool:
        return self.etag is not None or self.version is not None


class SourceReader(Protocol):
    """A reader of the objects in one store. It may be used from any thread.

    Every method raises SourceUnavailable if the store does not respond, or asks to retry later, and SourceForbidden if
    it refuses the request. No method retries. No error contains a URL.
    """

    def stat(self, url: str) -> SourceFacts:
        """Return the facts of an object without reading its bytes. Raises SourceNotFound and SourceUnpinned."""

    def stream(self, url: str, pin: Pin, start: int, length: int) -> Iterator[bytes]:
        """Yield `length` bytes of the pinned version of the object, beginning at `start`. There is at least one byte.

        Raises SourceChanged if the object has another version now, before any byte of the other version is yielded.
        Raises SourceNotFound if there is no such object any more.
        """

    def is_collection(self, url: str) -> bool:
        """Return whether the URL names several objects, which `list` yields, and not one."""

    def list(self, url: str, after: str | None, *, pinned: bool = True) -> Iterator[SourceFacts]:
        """Yield the objects of the collection `url`, in the order of their URLs, beginning after the URL `after`.

        Without `pinned`, a reader that would have to ask for each object leaves out their sizes and versions. And what
        below the collection cannot be listed does not end the listing: a URL that ends with `/` is yielded in its
        place.
        """
