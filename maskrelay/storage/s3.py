"""Object storage in a bucket of AWS S3 or of an S3-compatible server."""

import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Self, TypeVar

from maskrelay.storage.bucket_store import BucketStorage, ObjectRequests
from maskrelay.storage.s3_clients import S3Account, S3Clients
from maskrelay.storage.s3_errors import s3_errors
from maskrelay.storage.s3_upload import S3Upload

T = TypeVar("T")


class S3Storage(BucketStorage):
    """A `Storage` in `bucket` under `prefix`, which is empty or ends in `/`.

    boto3 finds the credentials in its usual places. The server must support `If-None-Match: *`, which
    `check_create_once` tests. The credentials must have the permission ListBucket. Without it, S3 answers a request for
    a missing object as if access to it were denied. The bucket should have a lifecycle rule that aborts stale multipart
    uploads.
    """

    def __init__(self, clients: S3Clients, bucket: str, prefix: str) -> None:
        super().__init__(prefix)
        self._clients = clients
        self._bucket = bucket

    @classmethod
    def open(
        cls,
        bucket: str,
        prefix: str = "",
        endpoint_url: str | None = None,
        *,
        before_fork: bool = False,
        account: S3Account | None = None,
    ) -> Self:
        """Return the store with new clients, see `S3Clients.open`. No request is sent."""
        return cls(S3Clients.open(bucket, endpoint_url, before_fork=before_fork, account=account), bucket, prefix)

    @property
    def _client(self) -> Any:
        return self._clients.now().client

    @property
    def _attempts(self) -> int:
        return self._clients.attempts

    def _send(self, request: Callable[[ObjectRequests], T], body_bytes: int = 0) -> T:
        return self._clients.send(request, body_bytes)

    def _check_bucket(self) -> None:
        # The response to HEAD has no body that distinguishes a missing object from a missing bucket.
        with s3_errors():
            self._client.head_bucket(Bucket=self._bucket)

    @staticmethod
    def _length(name: str) -> int:
        return len(name.encode())  # in bytes

    def _upload(self, path: str, content_type: str) -> S3Upload:
        return S3Upload(self._client, {"Bucket": self._bucket, "Key": path}, content_type)

    def presign(self, key: str, lifetime: timedelta) -> str:
        seconds = math.ceil(lifetime.total_seconds())
        named = {"Bucket": self._bucket, "Key": self._path(key)}
        with s3_errors():
            address: str = self._client.generate_presigned_url("get_object", Params=named, ExpiresIn=seconds)
        return address

    def _names(self, prefix: str, after: str) -> Iterator[str]:
        begin = {"StartAfter": after} if after else {}
        pages = self._client.get_paginator("list_objects_v2")
        with s3_errors():
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, **begin):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]
