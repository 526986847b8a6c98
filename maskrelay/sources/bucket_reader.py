"""A reader of objects in the buckets of S3, Azure and Google Cloud Storage, by obstore."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from maskrelay.contract.records.source_pins import Pin
from maskrelay.errors import SourceChanged, SourceForbidden, SourceNotFound, SourceUnavailable
from maskrelay.sources.bucket_stores import open_bucket
from maskrelay.sources.credential_kinds import CredentialBase, S3Credential
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.sources.source_urls import SourceUrl, read_source_url

CHUNK_BYTES = 1 << 20
_LIST_CHUNK = 1000
_UNREADABLE = "a key below the prefix has an empty segment, a segment . or .., or a control character"
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
        return _facts(url, meta)

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
        """Yield the objects below a prefix. See `SourceReader`.

        One key that obstore cannot represent would end its listing, so boto3 then goes on. It yields such a key too.
        """
        place = read_source_url(url)
        base = url[: len(url) - len(place.path)]
        try:
            for meta in self._without_markers(place, self._listed(place, _key(base, after))):
                found = f"{base}{meta['path']}"
                if after is None or found > after:  # not every server honours the offset
                    yield _facts(found, meta)
                    after = found
        except _KeyUnreadable:
            if not isinstance(self._credential, S3Credential):
                raise SourceForbidden(_UNREADABLE) from None
            from maskrelay.sources.s3_listing import listed_by_boto3  # noqa: PLC0415 - boto3 is rarely needed

            about = (self._credential, place.place, self._credential.secret_text(), place.path)
            for meta in listed_by_boto3(*about, _key(base, after)):
                yield _facts(f"{base}{meta['path']}", meta)

    def _listed(self, place: SourceUrl, offset: str | None) -> Iterator[Any]:
        """Yield what obstore lists. Raises _KeyUnreadable, SourceForbidden or SourceUnavailable."""
        store = self._store(place)
        try:
            batches = iter(obstore.list(store, place.path, offset=offset, chunk_size=_LIST_CHUNK))
        except ValueError:  # the offset is such a key
            raise _KeyUnreadable from None
        while True:
            with _errors():
                try:
                    batch = next(batches, None)
                except InvalidPathError:
                    raise _KeyUnreadable from None
            if batch is None:
                return
            yield from batch

    def _without_markers(self, place: SourceUrl, listed: Iterator[Any]) -> Iterator[Any]:
        """Leave out the markers of folders: empty objects such as `scans/ct/`, which consoles create.

        obstore removes the slash at the end. If the object after an empty one is not below it, the store is asked
        whether an object has the name without the slash. A folder of an Azure account with a hierarchical namespace
        has this name too, and a metadatum that says what it is.
        """
        empty: Any = None
        for meta in listed:
            if empty is not None and not self._is_marker(place, empty, meta["path"]):
                yield empty
            empty = None if meta["size"] else meta
            if empty is None:
                yield meta
        if empty is not None and not self._is_marker(place, empty, ""):
            yield empty

    def _is_marker(self, place: SourceUrl, empty: Any, following: str) -> bool:
        if following.startswith(f"{empty['path']}/") or f"{empty['path']}/" == place.path:
            return True
        try:
            with _errors():
                found = obstore.get(self._store(place), empty["path"], options={"head": True})
        except SourceNotFound:
            return True
        except SourceForbidden:  # this object has its own rights, and its reader says so
            return False
        return str(found.attributes.get("hdi_isfolder", "")).lower() == "true"

    def _store(self, place: SourceUrl) -> Any:
        """Return the store of the bucket. It is opened again when the secret has changed."""
        secret = self._credential.secret_text()
        with self._lock:
            known = self._stores.get(place.place)
            if known is None or known[0] != secret:
                known = self._stores[place.place] = (secret, open_bucket(self._credential, place, secret))
        return known[1]


class _KeyUnreadable(Exception):
    """obstore cannot represent a key, for example one with an empty segment."""


def _key(base: str, url: str | None) -> str | None:
    return None if url is None else url.removeprefix(base)


def _facts(url: str, meta: Any) -> SourceFacts:
    return SourceFacts(url, meta["size"], _etag(meta), meta["version"])


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
    except InvalidPathError:
        raise SourceForbidden(_UNREADABLE) from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        if _STATUS.search(str(error)) is None:  # the store was not asked, because there are no keys at present
            raise SourceUnavailable(reason="credentials") from None
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
