"""Writes of large objects to a bucket, as multipart uploads with parts of at least 8 MiB.

An object becomes visible when its upload is complete.
"""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from maskrelay.errors import StorageError
from maskrelay.storage.s3_errors import s3_errors

_PART_BYTES = 8 << 20
_PARTS_OF_ONE_SIZE = 2000


def _part_bytes(number: int) -> int:
    """Return the size of part `number`, counted from 1.

    The size doubles after every 2000 parts. S3 accepts 10,000 parts, so an object can be as large as 484 GiB.
    """
    return _PART_BYTES << ((number - 1) // _PARTS_OF_ONE_SIZE)


class S3Writer:
    """A writer of one object of an S3Storage (see `protocol.Writer`).

    It keeps one part in memory. An object that is smaller than one part is written with one `put`. The parts are sent
    by `client`, a client of boto3, because obstore cannot abort an upload.
    """

    def __init__(self, client: Any, named: dict[str, str], content_type: str, put: Callable[[bytes], None]) -> None:
        self._client = client
        self._named = named
        self._content_type = content_type
        self._put = put
        self._held = bytearray()
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []

    def write(self, chunk: bytes) -> None:
        self._held += chunk
        while len(self._held) >= _part_bytes(len(self._parts) + 1):
            self._send_part()

    def _send_part(self) -> None:
        with s3_errors():
            if not self._upload:
                begun = self._client.create_multipart_upload(**self._named, ContentType=self._content_type)
                self._upload = {"UploadId": begun["UploadId"]}
            number = len(self._parts) + 1
            body = bytes(self._held[: _part_bytes(number)])
            sent = self._client.upload_part(**self._named, **self._upload, PartNumber=number, Body=body)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        del self._held[: len(body)]

    def commit(self) -> None:
        if not self._upload:
            self._put(bytes(self._held))
            return
        if self._held:
            self._send_part()
        with s3_errors():
            self._client.complete_multipart_upload(
                **self._named, **self._upload, MultipartUpload={"Parts": self._parts}
            )
        self._upload = {}

    def abort(self) -> None:
        """Discard the parts that were sent so far. If that fails, the bucket's lifecycle rule discards them later."""
        if self._upload:
            with suppress(StorageError), s3_errors():
                self._client.abort_multipart_upload(**self._named, **self._upload)
        self._upload = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
