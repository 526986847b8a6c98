"""Object storage in a container of Azure Blob Storage."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Self, TypeVar

from maskrelay.storage.azure_account import AzureAccount
from maskrelay.storage.azure_credentials import lifetime_of
from maskrelay.storage.azure_listing import Page
from maskrelay.storage.azure_requests import AzureRequests, BlockUpload
from maskrelay.storage.bucket_store import BucketStorage, ObjectRequests
from maskrelay.storage.protocol import unavailable

T = TypeVar("T")
_ATTEMPTS = 3


class AzureStorage(BucketStorage):
    """A `Storage` in a container under `prefix`, which is empty or ends in `/`."""

    def __init__(self, requests: AzureRequests, prefix: str) -> None:
        super().__init__(prefix)
        self._requests = requests

    @classmethod
    def open(cls, account: AzureAccount, container: str, prefix: str = "") -> Self:
        """Return the store. No request is sent."""
        return cls(AzureRequests(account, container), prefix)

    @property
    def _attempts(self) -> int:
        return _ATTEMPTS

    def _send(self, request: Callable[[ObjectRequests], T], body_bytes: int = 0) -> T:  # noqa: ARG002
        return request(self._requests)

    def _check_bucket(self) -> None:
        """Do nothing, because Azure answers with another code if the container is missing."""

    @staticmethod
    def _length(name: str) -> int:
        return len(name)  # in characters

    def _upload(self, path: str, content_type: str) -> BlockUpload:
        return BlockUpload(self._requests, path, content_type)

    def presign(self, key: str, lifetime: timedelta) -> str | None:
        url = self._requests.url(self._path(key))
        query = self._requests.account.credential.sas(url, *lifetime_of(lifetime))
        return None if query is None else f"{url}?{query}"

    def _page(self, prefix: str, marker: str, _: ObjectRequests) -> Page:
        return self._requests.page(prefix, marker)

    def _names(self, prefix: str, after: str) -> Iterator[str]:
        """Yield the names page by page. Azure cannot begin behind a name, so earlier pages are read and dropped."""
        marker = ""
        while True:
            page = self._tried(partial(self._page, prefix, marker))
            yield from (name for name in page.names if name > after)
            if not page.marker:
                return
            if page.marker == marker:
                raise unavailable("ResponseParserError")
            marker = page.marker
