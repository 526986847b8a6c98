"""Multipart uploads of large objects to S3."""

from typing import Any

from maskrelay.storage.s3_errors import s3_errors


class S3Upload:
    """A `PartUpload` by `client`, a client of boto3, because obstore cannot abort an upload.

    If the upload is neither completed nor aborted, the bucket's lifecycle rule discards its parts.
    """

    def __init__(self, client: Any, named: dict[str, str], content_type: str) -> None:
        self._client = client
        self._named = named
        self._content_type = content_type
        self._begun: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []

    def send(self, number: int, body: bytes) -> None:
        with s3_errors():
            if not self._begun:
                begun = self._client.create_multipart_upload(**self._named, ContentType=self._content_type)
                self._begun = {"UploadId": begun["UploadId"]}
            sent = self._client.upload_part(**self._named, **self._begun, PartNumber=number, Body=body)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def complete(self) -> None:
        with s3_errors():
            self._client.complete_multipart_upload(**self._named, **self._begun, MultipartUpload={"Parts": self._parts})

    def abort(self) -> None:
        if self._begun:
            with s3_errors():
                self._client.abort_multipart_upload(**self._named, **self._begun)
