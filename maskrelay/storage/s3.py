"""Object storage in a bucket of AWS S3 or of an S3-compatible server."""

import math
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from maskrelay.errors import KeyInvalid, ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.storage.protocol import (
    BINARY,
    CHUNK_BYTES,
    ObjectFacts,
    check_key,
    check_prefix,
    check_range,
    unavailable,
)
from maskrelay.storage.s3_clients import S3Clients
from maskrelay.storage.s3_errors import MISSING, TAKEN, s3_errors
from maskrelay.storage.s3_writer import S3Writer

_CREATE_PAUSES = (0.1, 0.4)  # seconds before the second and the third attempt


class S3Storage:
    """A `Storage` in `bucket` under `prefix`, which is empty or ends in `/`.

    boto3 finds the credentials in its usual places. The server must support `If-None-Match: *`, which
    `check_create_once` tests. The credentials must have the permission ListBucket. Without it, S3 answers a request for
    a missing object as if access to it were denied. The bucket should have a lifecycle rule that aborts stale multipart
    uploads.
    """

    def __init__(self, bucket: str, prefix: str = "", endpoint_url: str | None = None) -> None:
        self._clients = S3Clients(endpoint_url)
        self._bucket = bucket
        self._prefix = prefix

    @property
    def _client(self) -> Any:
        return self._clients.now().client

    @property
    def _once(self) -> Any:
        """The client without retries.

        `create` does its own retries. If the response to its first attempt was lost, it recognizes by the nonce that
        the existing object is its own, which the retries of boto3 could not.
        """
        return self._clients.now().once

    def _named(self, key: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        nonce = secrets.token_hex(16)
        for pause in _CREATE_PAUSES:
            with suppress(StorageUnavailable):
                return self._create(key, body, content_type, nonce)
            time.sleep(pause)
        return self._create(key, body, content_type, nonce)

    def _create(self, key: str, body: bytes, content_type: str, nonce: str) -> None:
        try:
            with s3_errors(TAKEN):
                self._once.put_object(
                    **self._named(key),
                    Body=body,
                    ContentType=content_type,
                    Metadata={"nonce": nonce},
                    IfNoneMatch="*",
                )
        except ObjectExists:
            if self._nonce(key) != nonce:
                raise

    def _nonce(self, key: str) -> str | None:
        """Return the nonce that the creator of the object stored with it.

        Raises StorageUnavailable if the object is missing, so `create` writes it again. This happens because S3 answers
        409 also if the object is being deleted at that moment.
        """
        try:
            metadata: dict[str, str] = self._head(key)["Metadata"]
        except ObjectMissing:
            raise unavailable("ConditionalRequestConflict") from None
        return metadata.get("nonce")

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        with s3_errors():
            self._client.put_object(**self._named(key), Body=body, ContentType=content_type)

    def writer(self, key: str, content_type: str = BINARY) -> S3Writer:
        return S3Writer(self._client, self._named(key), content_type)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return b"".join(self.stream(key, start, length))

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        check_range(start, length)
        chunks = self._read(key, start, length)
        next(chunks)  # sends the request, so that a missing object is detected here
        return chunks

    def _read(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        body = self._body(key, start, length)
        if body is None:
            yield b""
            return
        try:
            yield b""
            while True:
                with s3_errors():
                    chunk = body.read(CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    def _body(self, key: str, start: int, length: int | None) -> Any | None:
        """Return the body of the response, or None if the object has no bytes in this range.

        For such a range, S3 would respond with an error.
        """
        if length == 0:
            self.head(key)
            return None
        last = "" if length is None else str(start + length - 1)
        part = {"Range": f"bytes={start}-{last}"} if start or last else {}
        try:
            with s3_errors(MISSING):
                return self._client.get_object(**self._named(key), **part)["Body"]
        except StorageUnavailable as error:
            if error.reason in {"InvalidRange", "416"}:
                return None
            raise

    def head(self, key: str) -> ObjectFacts:
        facts = self._head(key)
        return ObjectFacts(facts["ContentLength"], facts["LastModified"])

    def _head(self, key: str) -> dict[str, Any]:
        try:
            with s3_errors(MISSING):
                facts: dict[str, Any] = self._client.head_object(**self._named(key))
        except ObjectMissing:
            # The response to HEAD has no body that distinguishes a missing object from a missing bucket.
            with s3_errors():
                self._client.head_bucket(Bucket=self._bucket)
            raise
        return facts

    def tidy(self, after: str, most: int, now: datetime) -> tuple[str, int]:  # noqa: ARG002
        """Do nothing, because the bucket's lifecycle rule aborts the multipart uploads of killed processes."""
        return "", 0

    def delete(self, key: str) -> None:
        with s3_errors():
            self._client.delete_object(**self._named(key))

    def presign(self, key: str, lifetime: timedelta) -> str:
        told = math.ceil(lifetime.total_seconds())
        with s3_errors():
            address: str = self._client.generate_presigned_url("get_object", Params=self._named(key), ExpiresIn=told)
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
