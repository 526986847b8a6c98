"""What the stores in a bucket of S3 and in a container of Azure have in common: keys, retries, and create-if-absent."""

import random
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from typing import Protocol, TypeVar

from maskrelay.errors import KeyInvalid, ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.storage.part_writer import PartUpload, PartWriter
from maskrelay.storage.protocol import (
    BINARY,
    ObjectFacts,
    check_key,
    check_prefix,
    check_range,
    unavailable,
)

_CREATE_PAUSES = (0.1, 0.4)  # seconds before the second and the third attempt
_LONGEST_PAUSE = 20.0
#: The length of the longest name of an object, as `_length` counts it.
_LONGEST_NAME = 1024
#: The number of concurrent requests of `put_all`.
_HANDS = 8
T = TypeVar("T")


class ObjectRequests(Protocol):
    """The requests for single objects. Each method sends one request and never repeats it.

    Keys include the prefix of the store. Every method raises StorageUnavailable if the server does not respond or
    refuses the request.
    """

    def put(self, key: str, body: bytes, content_type: str, nonce: str | None = None) -> None:
        """Write an object.

        With a nonce, the call only creates a new object. It stores the nonce with the object, and raises ObjectExists
        if an object with this key exists.
        """

    def open(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        """Yield the bytes of an object in this range, in chunks of at most 1 MiB. The range must not be empty.

        The call itself sends the request, and raises ObjectMissing if there is no such object.
        """

    def head(self, key: str) -> tuple[ObjectFacts, str | None]:
        """Return the metadata of an object, and the nonce that was stored with it, if any. Raises ObjectMissing."""

    def delete(self, key: str) -> None:
        """Delete an object. A missing object is not an error."""


class BucketStorage(ABC):
    """A `Storage` on a server, below `prefix`, which is empty or ends in `/`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @property
    @abstractmethod
    def _attempts(self) -> int:
        """The number of times that a request is sent before its failure is reported."""

    @abstractmethod
    def _send(self, request: Callable[[ObjectRequests], T], body_bytes: int = 0) -> T:
        """Send one request, once."""

    @abstractmethod
    def _check_bucket(self) -> None:
        """Raise StorageUnavailable if an answer says that an object is missing because the bucket is missing."""

    @abstractmethod
    def _names(self, prefix: str, after: str) -> Iterator[str]:
        """Yield the names that begin with `prefix`, in byte order, from `after` on or from an earlier name on.

        Names, `prefix` and `after` include the prefix of the store.
        """

    @staticmethod
    @abstractmethod
    def _length(name: str) -> int:
        """Return the length of a name as the server counts it."""

    @abstractmethod
    def _upload(self, path: str, content_type: str) -> PartUpload:
        """Return the upload in parts of a large object. No request is sent yet."""

    def _path(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    def _tried(self, request: Callable[[ObjectRequests], T], body_bytes: int = 0) -> T:
        """Send a request. If it fails, repeat it, up to the configured number of attempts.

        A request that the server refuses is not repeated.
        """
        for attempt in range(self._attempts - 1):
            try:
                return self._send(request, body_bytes)
            except StorageUnavailable as error:
                if error.refused:
                    raise
            time.sleep(random.random() * min(2**attempt, _LONGEST_PAUSE))
        return self._send(request, body_bytes)

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        # If the response to the first attempt was lost, the next attempt finds the object and recognizes it by its
        # nonce.
        path, nonce = self._path(key), secrets.token_hex(16)
        for pause in _CREATE_PAUSES:
            with suppress(StorageUnavailable):
                return self._create(path, body, content_type, nonce)
            time.sleep(pause)
        return self._create(path, body, content_type, nonce)

    def _create(self, path: str, body: bytes, content_type: str, nonce: str) -> None:
        try:
            self._send(lambda requests: requests.put(path, body, content_type, nonce), len(body))
        except ObjectExists:
            if self._nonce(path) != nonce:
                raise

    def _nonce(self, path: str) -> str | None:
        """Return the nonce that the creator of the object stored with it.

        If the object is missing, raises StorageUnavailable, so `create` tries again. The object can be missing because
        a server also answers 409 (conflict) while an object is being deleted.
        """
        try:
            _, nonce = self._head(path)
        except ObjectMissing:
            raise unavailable("ConditionalRequestConflict") from None
        return nonce

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        self._put(self._path(key), body, content_type)

    def _put(self, path: str, body: bytes, content_type: str) -> None:
        self._tried(lambda requests: requests.put(path, body, content_type), len(body))

    def put_all(self, bodies: Mapping[str, bytes], content_type: str = BINARY) -> None:
        with ThreadPoolExecutor(_HANDS) as hands:
            list(hands.map(lambda key: self.put(key, bodies[key], content_type), bodies))

    def writer(self, key: str, content_type: str = BINARY) -> PartWriter:
        return self._writer(self._path(key), content_type)

    def writer_at(self, path: str, content_type: str = BINARY) -> PartWriter:
        name = self._prefix + path
        if self._length(name) > _LONGEST_NAME:
            raise KeyInvalid
        return self._writer(name, content_type)

    def _writer(self, path: str, content_type: str) -> PartWriter:
        return PartWriter(self._upload(path, content_type), lambda body: self._put(path, body, content_type))

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return b"".join(self.stream(key, start, length))

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        check_range(start, length)
        path = self._path(key)
        if length == 0:
            self._head(path)
            return _nothing()
        try:
            return self._tried(lambda requests: requests.open(path, start, length))
        except StorageUnavailable as error:
            if error.reason in {"InvalidRange", "416"}:  # the object has no bytes in this range
                return _nothing()
            if error.reason == "404":  # without a code of the server, this may be the answer of a proxy
                self._head(path)  # raises ObjectMissing only if the bucket answers
            raise

    def head(self, key: str) -> ObjectFacts:
        facts, _ = self._head(self._path(key))
        return facts

    def _head(self, path: str) -> tuple[ObjectFacts, str | None]:
        try:
            return self._tried(lambda requests: requests.head(path))
        except ObjectMissing:
            self._check_bucket()
            raise

    def remove_leftovers(self, after: str, most: int, now: datetime) -> tuple[str, int]:  # noqa: ARG002
        """Do nothing, because the server itself discards the incomplete uploads of killed processes."""
        return "", 0

    def flushed_later(self) -> AbstractContextManager[None]:
        """Do nothing, because an object is durable when the server has answered."""
        return nullcontext()

    def flush(self) -> None:  # noqa: B027 - no server needs it
        """Do nothing, because an object is durable when the server has answered."""

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._tried(lambda requests: requests.delete(path))

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        check_prefix(prefix)
        return self._keys(prefix, after)

    def _keys(self, prefix: str, after: str) -> Iterator[str]:
        for name in self._names(self._prefix + prefix, self._prefix + after if after else ""):
            key = name.removeprefix(self._prefix)
            with suppress(KeyInvalid):  # an object that another program created, such as a folder marker
                check_key(key)
                if key > after:
                    yield key


def _nothing() -> Generator[bytes, None, None]:
    yield from ()
