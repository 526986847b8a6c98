"""A reader of objects in the buckets of S3, Azure and Google Cloud Storage, by obstore."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from maskrelay.contract.records.source_pins import Pin
from maskrelay.errors import SourceChanged, SourceForbidden, SourceNotFound, SourceUnavailable
from maskrelay.sources.bucket_stores import open_bucket
from maskrelay.sources.credential_kinds import CredentialBase
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.sources.source_urls import SourceUrl, read_source_url

CHUNK_BYTES = 1 << 20
_LIST_CHUNK = 1000
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
#: 4xx statuses, and error codes, that ask the client to retry later.
_LATER = frozenset({408, 409, 425, 429})
_LATER_CODES = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"})


class BucketReader:
    """A reader with one credential. See `SourceReader`."""

    def __init__(self, credential: CredentialBase) -> None:
        self._credential = credential
        self._lock = threading.Lock()
        #: The store of each bucket, and the secret with which it was opened.
        self._stores: dict[str, tuple[str | None, Any]] = {}

    def stat(self, url: str) -> SourceFacts:
        place = read_source_url(url)
        with _errors():
            meta = obstore.head(self._store(place), place.path)
        return SourceFacts(url, meta["size"], _etag(meta), meta["version"])

    def stream(self, url: str, pin: Pin, start: int, length: int) -> Iterator[bytes]:
        place = read_source_url(url)
        options: Any = {"range": (start, start + length)}
        if pin.etag is not None:
            options["if_match"] = pin.etag
        elif pin.version is not None:
            options["version"] = pin.version
        try:
            with _errors():
                found = obstore.get(self._store(place), place.path, options=options)
        except SourceChanged:
            self.stat(url)  # Azure answers a condition on a missing object like one that is not met
            raise
        with _errors():
            # Not every server honours the condition, so the answer is compared too.
            if found.meta["size"] != pin.size or (pin.etag is not None and _etag(found.meta) != pin.etag):
                raise SourceChanged
            if length <= CHUNK_BYTES:
                pieces = iter((found.bytes().to_bytes(),))
            else:
                pieces = (bytes(piece) for piece in found.stream(min_chunk_size=CHUNK_BYTES // 2))
        while True:
            with _errors():
                piece = next(pieces, b"")
            if not piece:
                return
            yield piece

    def is_collection(self, url: str) -> bool:
        return url.endswith("/")

    def list(self, url: str, after: str | None, *, pinned: bool = True) -> Iterator[SourceFacts]:  # noqa: ARG002
        place = read_source_url(url)
        base = url[: len(url) - len(place.path)]
        offset = None if after is None else after.removeprefix(base)
        with _errors():
            batches = iter(obstore.list(self._store(place), place.path, offset=offset, chunk_size=_LIST_CHUNK))
        while True:
            with _errors():
                batch = next(batches, None)
            if batch is None:
                return
            for meta in batch:
                found = f"{base}{meta['path']}"
                if after is None or found > after:  # not every server honours the offset
                    yield SourceFacts(found, meta["size"], _etag(meta), meta["version"])

    def _store(self, place: SourceUrl) -> Any:
        """Return the store of the bucket. It is opened again when the secret has changed."""
        secret = self._credential.secret_text()
        with self._lock:
            known = self._stores.get(place.place)
            if known is None or known[0] != secret:
                known = self._stores[place.place] = (secret, open_bucket(self._credential, place, secret))
        return known[1]


def _etag(meta: Any) -> str | None:
    """Return the ETag of an object in quotes. Azure leaves them out in listings."""
    etag: str | None = meta["e_tag"]
    return etag if etag is None or etag.endswith('"') else f'"{etag}"'


@contextmanager
def _errors() -> Iterator[None]:
    """Translate an error of obstore into an error of the source, without its text, which contains the URL."""
    try:
        yield
    except FileNotFoundError:
        raise SourceNotFound from None
    except PreconditionError:
        raise SourceChanged from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise _refused(str(error)) from None
    except (BaseError, ValueError) as error:
        raise _error(str(error)) from None


def _error(text: str) -> Exception:
    answer = _STATUS.search(text)
    if answer is None:
        reason = "timeout" if "kind: Timeout" in text else "connection"
        return SourceUnavailable(reason=reason)
    status = int(answer[1])
    if status == 404:
        return SourceNotFound()
    if status in {412, 416}:  # 416 means that the object is shorter than it was
        return SourceChanged()
    code = _CODE.search(text, answer.end())
    if status >= 500 or status in _LATER or (code and code[1] in _LATER_CODES):
        return SourceUnavailable(reason=code[1] if code else str(status))
    return _refused(text)


def _refused(text: str) -> SourceForbidden:
    """Return the error for a request that the store refuses, with the code of the store's answer."""
    answer = _STATUS.search(text)
    code = _CODE.search(text) or answer
    return SourceForbidden(f"{SourceForbidden.message()} ({code[1]})" if code else None)
