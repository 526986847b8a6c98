"""The readers of all sources of a process, with the tenants' rights, retries, and pauses after an outage."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from maskrelay.contract.records.result_names import is_result
from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.errors import (
    CredentialUnknown,
    SourceForbidden,
    SourceInvalid,
    SourceNotAllowed,
    SourceUnavailable,
)
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.credential_kinds import CredentialBase, DicomwebCredential, FileCredential, HttpsCredential
from maskrelay.sources.file_reader import FileReader
from maskrelay.sources.source_reader import SourceFacts, SourceReader
from maskrelay.sources.source_urls import read_source_url

T = TypeVar("T")
#: A tenant, the name of a credential, and the beginning of the URLs of a store.
Store = tuple[str, str, str]
#: The number of attempts at a request, and the pause between two of them in seconds. A read continues where it ended.
_TRIES, _PAUSE_S = 2, 0.5
#: The seconds for which a store is not tried again after its last attempt has failed.
_REST_S = 10.0
#: A read may take this many seconds, and in addition one second for each `_SLOWEST` bytes.
_PATIENCE_S, _SLOWEST = 60.0, 64 << 10


class SourceReaders:
    """The readers of one process. They are created on first use, which is after the fork. Any thread may use them.

    Every method raises SourceForbidden if the tenant may not read the URL, also if the right was withdrawn after the
    job was accepted. They raise SourceUnavailable if the store does not respond, is too slow, or failed a moment ago.
    """

    def __init__(self, credentials: CredentialFile, clock: Callable[[], float] = time.monotonic) -> None:
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._readers: dict[tuple[str, str], tuple[CredentialBase, SourceReader]] = {}
        #: The time until which a store is not tried again, by tenant, credential and place. A tenant's requests can
        #: make a server fail, and must not keep other tenants from it.
        self._rests: dict[Store, float] = {}

    def stat(self, tenant: str, url: str, credential: str | None) -> SourceFacts:
        """Return the facts of an object, without reading its bytes.

        Raises SourceNotFound, SourceUnpinned, SourceForbidden or SourceUnavailable.
        """
        name, reader = self._reader(tenant, url, credential)
        return self._tried(_store_of(tenant, name, url), lambda: reader.stat(url))

    def stream(self, source: PinnedSource, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of the pinned version, from `start` to the end, or at most `length` of them.

        Raises SourceChanged, SourceNotFound, SourceForbidden or SourceUnavailable, possibly after some bytes.
        """
        name, reader = self._reader(source.tenant, source.url, source.credential)
        store, end = _store_of(source.tenant, name, source.url), source.size
        if length is not None:
            end = min(end, start + length)
        began, tries = self._clock(), 0
        latest = began + _PATIENCE_S + (end - start) / _SLOWEST
        while start < end:
            self._check_rest(store)
            try:
                for chunk in reader.stream(source.url, source, start, end - start):
                    start += len(chunk)
                    yield chunk
                    self._check_pace(latest)
                _check_complete(start, end)
            except SourceUnavailable:
                tries += 1
                if not self._again(store, tries):
                    raise
        self._rests.pop(store, None)

    def is_collection(self, tenant: str, url: str, credential: str | None) -> bool:
        """Return whether the URL names several objects, such as a prefix that ends with `/`. Raises SourceForbidden."""
        return self._reader(tenant, url, credential)[1].is_collection(url)

    def last_change(self, tenant: str, url: str, credential: str | None) -> int:
        """Return the number of the last change in an Orthanc, whose resource `/changes` is at `url`.

        Raises SourceForbidden, also if the credential is not one for DICOMweb, SourceNotFound or SourceUnavailable.
        """
        name, reader = self._reader(tenant, url, credential)
        ask = getattr(reader, "last_change", None)
        if ask is None:
            raise SourceForbidden("only an Orthanc has a list of changes")
        return int(self._tried(_store_of(tenant, name, url), lambda: ask(url)))

    def list(
        self, tenant: str, url: str, credential: str | None, after: str | None = None, *, pinned: bool = True
    ) -> Iterator[SourceFacts]:
        """Yield the objects of a collection, in the order of their URLs, without those that are results of jobs.

        With `after`, begin after this URL. Without `pinned`, sizes and versions may be left out, and URLs of folders
        that cannot be listed are yielded too (see `SourceReader`).
        Raises SourceForbidden or SourceUnavailable, possibly after some objects.
        """
        name, reader = self._reader(tenant, url, credential)
        store, tries = _store_of(tenant, name, url), 0
        while True:
            self._check_rest(store)
            try:
                for facts in reader.list(url, after, pinned=pinned):
                    after, tries = facts.url, 0
                    if not is_result(facts.url):
                        yield facts
            except SourceUnavailable:
                tries += 1
                if not self._again(store, tries):
                    raise
            else:
                return

    def _tried(self, store: Store, call: Callable[[], T]) -> T:
        tries = 0
        while True:
            self._check_rest(store)
            try:
                return call()
            except SourceUnavailable:
                tries += 1
                if not self._again(store, tries):
                    raise

    def _check_pace(self, latest: float) -> None:
        if self._clock() > latest:
            raise SourceUnavailable(reason="slow")

    def _check_rest(self, store: Store) -> None:
        if self._rests.get(store, 0.0) > self._clock():
            raise SourceUnavailable(reason="resting")

    def _again(self, store: Store, tries: int) -> bool:
        """Wait before the next attempt. After the last attempt, let the store rest and return False."""
        if tries >= _TRIES:
            self._rests[store] = self._clock() + _REST_S
            return False
        time.sleep(_PAUSE_S)
        return True

    def _reader(self, tenant: str, url: str, name: str | None) -> tuple[str, SourceReader]:
        try:
            credential = self._credentials.readable(tenant, url, name)
        except SourceInvalid:  # of an object in a listing
            raise SourceForbidden("the URL of the source has a form that cannot be read") from None
        except (CredentialUnknown, SourceNotAllowed):
            raise SourceForbidden("the tenant may not read from this source") from None
        key = (credential.name, tenant if isinstance(credential, FileCredential) else "")
        with self._lock:
            known = self._readers.get(key)
            if known is None or known[0] != credential:
                known = self._readers[key] = (credential, _open(credential, tenant))
        return credential.name, known[1]


def _store_of(tenant: str, name: str, url: str) -> Store:
    place = read_source_url(url)
    return tenant, name, f"{place.scheme}://{place.place}"


def _open(credential: CredentialBase, tenant: str) -> SourceReader:
    """Return a reader with this credential. The libraries of a kind are imported only when they are needed."""
    if isinstance(credential, FileCredential):
        return FileReader(credential.reads[tenant])
    if isinstance(credential, HttpsCredential):
        from maskrelay.sources.https_reader import HttpsReader  # noqa: PLC0415

        return HttpsReader(credential)
    if isinstance(credential, DicomwebCredential):
        from maskrelay.sources.dicomweb_reader import DicomwebReader  # noqa: PLC0415

        return DicomwebReader(credential)
    from maskrelay.sources.bucket_reader import BucketReader  # noqa: PLC0415

    return BucketReader(credential)


def _check_complete(start: int, end: int) -> None:
    if start < end:
        raise SourceUnavailable(reason="short")
