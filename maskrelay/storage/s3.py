"""Object storage in a bucket of AWS S3 or of an S3-compatible server."""

import math
import random
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from maskrelay.errors import KeyInvalid, ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.storage.protocol import (
    BINARY,
    ObjectFacts,
    check_key,
    check_prefix,
    check_range,
    unavailable,
)
from maskrelay.storage.s3_clients import S3Clients
from maskrelay.storage.s3_errors import s3_errors
from maskrelay.storage.s3_requests import ObjectRequests
from maskrelay.storage.s3_writer import S3Writer

_CREATE_PAUSES = (0.1, 0.4)  # seconds before the second and the third attempt
_LONGEST_PAUSE = 20.0
#: The number of concurrent requests of `put_all`.
_HANDS = 8
T = TypeVar("T")


class S3Storage:
    """A `Storage` in `bucket` under `prefix`, which is empty or ends in `/`.

    boto3 finds the credentials in its usual places. The server must support `If-None-Match: *`, which
    `check_create_once` tests. The credentials must have the permission ListBucket. Without it, S3 answers a request for
    a missing object as if access to it were denied. The bucket should have a lifecycle rule that aborts stale multipart
    uploads.
    """

    def __init__(self, clients: S3Clients, bucket: str, prefix: str) -> None:
        self._clients = clients
        self._bucket = bucket
        self._prefix = prefix

    @classmethod
    def open(cls, bucket: str, prefix: str = "", endpoint_url: str | None = None, *, before_fork: bool = False) -> Self:
        """Return the store with new clients, see `S3Clients.open`. No request is sent."""
        return cls(S3Clients.open(bucket, endpoint_url, before_fork=before_fork), bucket, prefix)

    @property
    def _client(self) -> Any:
        return self._clients.now().client

    def _path(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    def _tried(self, request: Callable[[ObjectRequests], T], body_bytes: int = 0) -> T:
        """Send a request. If it fails, repeat it, up to the configured number of attempts.

        A request that the server refuses is not repeated.
        """
        for attempt in range(self._clients.attempts - 1):
            try:
                return self._clients.send(request, body_bytes)
            except StorageUnavailable as error:
                if error.refused:
                    raise
            time.sleep(random.random() * min(2**attempt, _LONGEST_PAUSE))
        return self._clients.send(request, body_bytes)

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
            self._clients.send(lambda requests: requests.put(path, body, content_type, nonce), len(body))
        except ObjectExists:
            if self._nonce(path) != nonce:
                raise

    def _nonce(self, path: str) -> str | None:
        """Return the nonce that the creator of the object stored with it.

        If the object is missing, raises StorageUnavailable, so `create` tries again. The object can be missing because
        S3 also answers 409 (conflict) while an object is being deleted.
        """
        try:
            _, nonce = self._head(path)
        except ObjectMissing:
            raise unavailable("ConditionalRequestConflict") from None
        return nonce

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        path = self._path(key)
        self._tried(lambda requests: requests.put(path, body, content_type), len(body))

    def put_all(self, bodies: Mapping[str, bytes], content_type: str = BINARY) -> None:
        with ThreadPoolExecutor(_HANDS) as hands:
            list(hands.map(lambda key: self.put(key, bodies[key], content_type), bodies))

    def writer(self, key: str, content_type: str = BINARY) -> S3Writer:
        named = {"Bucket": self._bucket, "Key": self._path(key)}
        return S3Writer(self._client, named, content_type, lambda body: self.put(key, body, content_type))

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
            raise

    def head(self, key: str) -> ObjectFacts:
        facts, _ = self._head(self._path(key))
        return facts

    def _head(self, path: str) -> tuple[ObjectFacts, str | None]:
        try:
            return self._tried(lambda requests: requests.head(path))
        except ObjectMissing:
            # The response to HEAD has no body that distinguishes a missing object from a missing bucket.
            with s3_errors():
                self._client.head_bucket(Bucket=self._bucket)
            raise

    def remove_leftovers(self, after: str, most: int, now: datetime) -> tuple[str, int]:  # noqa: ARG002
        """Do nothing, because the bucket's lifecycle rule aborts the multipart uploads of killed processes."""
        return "", 0

    def flushed_later(self) -> AbstractContextManager[None]:
        """Do nothing, because an object is durable when the server has answered."""
        return nullcontext()

    def flush(self) -> None:
        """Do nothing, because an object is durable when the server has answered."""

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._tried(lambda requests: requests.delete(path))

    def presign(self, key: str, lifetime: timedelta) -> str:
        seconds = math.ceil(lifetime.total_seconds())
        named = {"Bucket": self._bucket, "Key": self._path(key)}
        with s3_errors():
            address: str = self._client.generate_presigned_url("get_object", Params=named, ExpiresIn=seconds)
        return address

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        check_prefix(prefix)
        return self._keys(prefix, after)

    def _keys(self, prefix: str, after: str) -> Iterator[str]:
        begin = {"StartAfter": self._prefix + after} if after else {}
        pages = self._client.get_paginator("list_objects_v2")
        with s3_errors():
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix, **begin):
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self._prefix)
                    with suppress(KeyInvalid):  # an object that another program created, such as a folder marker
                        check_key(key)
                        yield key


def _nothing() -> Generator[bytes, None, None]:
    yield from ()
