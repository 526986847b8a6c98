"""Requests for single objects of a bucket, as boto3 sends them.

`obstore_requests` sends the same requests with a tenth of the CPU time. What it cannot do is done here.
"""

from collections.abc import Generator
from typing import Any, Protocol

from maskrelay.storage.protocol import CHUNK_BYTES, ObjectFacts
from maskrelay.storage.s3_errors import MISSING, TAKEN, s3_errors


class Boto3Needed(Exception):
    """obstore cannot send requests to this bucket; the argument is a word that says why."""


class ObjectRequests(Protocol):
    """Sends one request per call and never repeats it. Keys include the store's prefix.

    Every method raises StorageUnavailable when the server cannot respond, or refuses.
    """

    def put(self, key: str, body: bytes, content_type: str, nonce: str | None = None) -> None:
        """Write an object. With a nonce, which is stored with it, raises ObjectExists if the key is taken."""

    def open(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        """Return the object's bytes in this range, which must contain one, in chunks of at most 1 MiB.

        The request is sent by the call itself. Raises ObjectMissing.
        """

    def head(self, key: str) -> tuple[ObjectFacts, str | None]:
        """Return the object's metadata, and the nonce it was written with; raises ObjectMissing."""

    def delete(self, key: str) -> None:
        """Delete the object; a missing one is not an error."""


class Boto3Requests:
    """`ObjectRequests` by `client`, a boto3 client that does not retry."""

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
            body = self._client.get_object(Bucket=self._bucket, Key=key, **part)["Body"]
        return _chunks(body)

    def head(self, key: str) -> tuple[ObjectFacts, str | None]:
        with s3_errors(MISSING):
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
