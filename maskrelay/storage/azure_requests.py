"""The requests of Azure Blob Storage, sent by httpx."""

import base64
import secrets
import threading
import weakref
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import httpx

from maskrelay.errors import ObjectMissing
from maskrelay.network.http_clients import client_options
from maskrelay.storage.azure_account import AzureAccount
from maskrelay.storage.azure_errors import azure_error, azure_errors
from maskrelay.storage.azure_listing import Page, read_page
from maskrelay.storage.azure_signatures import VERSION
from maskrelay.storage.protocol import CHUNK_BYTES, ObjectFacts, unavailable

_TIMEOUT = httpx.Timeout(20, connect=3)
_CONNECTIONS = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=60)
#: The number of names in one page of a listing. Azure sends at most 5000.
PAGE_NAMES = 5000
_NONCE = "x-ms-meta-nonce"


class AzureRequests:
    """The requests to one container. Each method sends one request and never repeats it. May be used from any thread.

    It implements `ObjectRequests`.
    """

    def __init__(self, account: AzureAccount, container: str) -> None:
        self.account = account
        self._container = f"{account.url}/{container}"
        self._client: httpx.Client | None = None
        self._opening = threading.Lock()

    def url(self, key: str) -> httpx.URL:
        """Return the URL of a blob."""
        return httpx.URL(f"{self._container}/{quote(key)}")

    def put(self, key: str, body: bytes, content_type: str, nonce: str | None = None) -> None:
        headers = {"x-ms-blob-type": "BlockBlob", "content-type": content_type}
        if nonce is not None:
            headers |= {"if-none-match": "*", _NONCE: nonce}
        self._sent("PUT", self.url(key), headers, body)

    def open(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        last = "" if length is None else str(start + length - 1)
        part = {"range": f"bytes={start}-{last}"} if start or last else {}
        response = self._answer("GET", self.url(key), part)
        if _is_folder(response):
            response.close()
            raise ObjectMissing
        if part and response.status_code != httpx.codes.PARTIAL_CONTENT:  # the server has ignored the range
            response.close()
            raise unavailable("ResponseParserError")
        chunks = _chunks(response)
        next(chunks)  # from here on, a generator that nobody reads closes the response
        return chunks

    def head(self, key: str) -> tuple[ObjectFacts, str | None]:
        response = self._sent("HEAD", self.url(key))
        if _is_folder(response):
            raise ObjectMissing
        modified = parsedate_to_datetime(response.headers["last-modified"])
        return ObjectFacts(int(response.headers["content-length"]), modified), response.headers.get(_NONCE)

    def delete(self, key: str) -> None:
        try:
            self._sent("DELETE", self.url(key), {"x-ms-delete-snapshots": "include"})
        except ObjectMissing:
            return

    def page(self, prefix: str, marker: str) -> Page:
        """Return one page of the blobs whose names begin with `prefix`.

        `marker` is that of the previous page. It is empty for the first page.
        """
        wanted = {"restype": "container", "comp": "list", "include": "metadata", "maxresults": str(PAGE_NAMES)}
        if prefix:
            wanted["prefix"] = prefix
        if marker:
            wanted["marker"] = marker
        response = self._sent("GET", httpx.URL(self._container, params=wanted))
        return read_page(response.content)

    def put_block(self, key: str, block: str, body: bytes) -> None:
        """Send one block of a blob. Blocks that are not committed within a week are discarded by the server."""
        self._sent("PUT", self.url(key).copy_merge_params({"comp": "block", "blockid": block}), {}, body)

    def put_block_list(self, key: str, blocks: list[str], content_type: str) -> None:
        """Make a blob of these blocks."""
        listed = "".join(f"<Uncommitted>{escape(block)}</Uncommitted>" for block in blocks)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
        headers = {"x-ms-blob-content-type": content_type, "content-type": "application/xml"}
        self._sent("PUT", self.url(key).copy_merge_params({"comp": "blocklist"}), headers, body)

    def _sent(
        self, method: str, url: httpx.URL, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> httpx.Response:
        response = self._answer(method, url, headers or {}, body)
        try:
            with azure_errors():
                response.read()
        finally:
            response.close()
        return response

    def _answer(self, method: str, url: httpx.URL, headers: dict[str, str], body: bytes = b"") -> httpx.Response:
        """Send a request, and return its successful answer, whose body is not read yet."""
        response = self._once(method, url, headers, body)
        if response.status_code == 401 and self.account.credential.refused(response.request):
            response.close()
            response = self._once(method, url, headers, body)
        if response.is_success:
            return response
        response.close()
        raise azure_error(response, is_create="if-none-match" in headers)

    def _once(self, method: str, url: httpx.URL, headers: dict[str, str], body: bytes) -> httpx.Response:
        dated = {"x-ms-version": VERSION, "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True)}
        with azure_errors():
            client = self._opened()
            request = client.build_request(method, url, headers=headers | dated, content=body)
            self.account.credential.authorize(request)
            return client.send(request, stream=True)

    def _opened(self) -> httpx.Client:
        """Return the client. It is created at the first request, so a process that forks need not have one."""
        with self._opening:
            if self._client is None:
                options: Any = client_options(self.account.url)
                headers = {"accept-encoding": "identity"}
                client = httpx.Client(timeout=_TIMEOUT, limits=_CONNECTIONS, headers=headers, **options)
                weakref.finalize(self, client.close).atexit = False
                self._client = client
            return self._client


class BlockUpload:
    """A `PartUpload` in blocks. The names of the blocks are random, so that two writers of a key do not mix blocks."""

    def __init__(self, requests: AzureRequests, key: str, content_type: str) -> None:
        self._requests = requests
        self._key = key
        self._content_type = content_type
        self._writer = secrets.token_hex(8)
        self._blocks: list[str] = []

    def send(self, number: int, body: bytes) -> None:
        block = base64.b64encode(f"{self._writer}-{number:08d}".encode()).decode()
        self._requests.put_block(self._key, block, body)
        self._blocks.append(block)

    def complete(self) -> None:
        self._requests.put_block_list(self._key, self._blocks, self._content_type)

    def abort(self) -> None:
        """Do nothing. Uncommitted blocks are invisible, and the server discards them after a week."""


def _is_folder(response: httpx.Response) -> bool:
    """Return whether the answer is that for a directory of an account with a hierarchical namespace."""
    kind: str | None = response.headers.get("x-ms-resource-type")
    marked: str = response.headers.get("x-ms-meta-hdi_isfolder", "")
    return kind == "directory" or marked.lower() == "true"


def _chunks(response: httpx.Response) -> Generator[bytes, None, None]:
    """Yield nothing at first, and then the body in chunks."""
    try:
        yield b""
        pieces: Iterator[bytes] = response.iter_raw(CHUNK_BYTES)
        while True:
            with azure_errors():
                piece = next(pieces, b"")
            if not piece:
                return
            yield piece
    finally:
        response.close()
