"""Requests for single objects in a bucket, sent by boto3.

`obstore_requests` sends the same requests with a fraction of the CPU time. This module sends those that obstore cannot
send.
"""

from collections.abc import Generator
from typing import Any

from maskrelay.storage.protocol import CHUNK_BYTES, ObjectFacts, unavailable
from maskrelay.storage.s3_errors import MISSING, MISSING_OF_HEAD, TAKEN, s3_errors

_PARTIAL = 206


class Boto3Needed(Exception):
    """obstore cannot send requests to this bucket. The argument is a short reason."""


class Boto3Requests:
    """The implementation of `ObjectRequests` with `client`, a client of boto3 that does not retry."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes, content_type: str, nonce: str | None = None) -> None:
        once = {} if nonce is None else {"IfNoneMatch": "*", "Metadata": {"nonce": nonce}}
        with s3_errors(TAKEN if once else None):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type, **once)

    def open(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        last = "" if length is None else str(start + length - 1)
        part = {"Range": f"bytes={start}-{last}"} if start or last else {}
        with s3_errors(MISSING):
            found = self._client.get_object(Bucket=self._bucket, Key=key, **part)
        body = found["Body"]
        if part and found["ResponseMetadata"]["HTTPStatusCode"] != _PARTIAL:  # the server has ignored the range
            body.close()
            raise unavailable("ResponseParserError")
        return _chunks(body)

    def head(self, key: str) -> tuple[ObjectFacts, str | None]:
        with s3_errors(MISSING_OF_HEAD):
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        return ObjectFacts(found["ContentLength"], found["LastModified"]), found["Metadata"].get("nonce")

    def delete(self, key: str) -> None:
        with s3_errors():
            self._client.delete_object(Bucket=self._bucket, Key=key)


def _chunks(body: Any) -> Generator[bytes, None, None]:
    try:
        while True:
            with s3_errors():
                chunk = body.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk
    finally:
        body.close()
