"""Requests for single objects in a bucket, sent by obstore, which is written in Rust and releases Python's global lock.

boto3 determines the URL and the region of the bucket and the credentials. obstore only signs and sends the requests.
The threads of obstore do not survive a fork, so a request in a forked process would never return. A process that is
going to fork must not use this module before the fork (see `before_fork` of `S3Clients.open`).
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import obstore
from botocore.exceptions import NoCredentialsError
from obstore.exceptions import BaseError
from obstore.store import S3Store

from maskrelay.errors import StorageError
from maskrelay.network.certificates import ca_bundle
from maskrelay.storage.protocol import CHUNK_BYTES, ObjectFacts
from maskrelay.storage.s3_errors import MISSING, MISSING_OF_HEAD, TAKEN, needs_boto3, obstore_error, s3_errors
from maskrelay.storage.s3_requests import Boto3Needed

#: The longest body that obstore sends. boto3 sends longer bodies, because its timeouts apply to each piece of a body.
#: obstore's read timeout includes the time for sending the whole body, so a long body could not be sent over a slow
#: connection.
LONGEST_BODY_BYTES = 1 << 20
_UNLIMITED = "365days"
#: The options for a bucket without a proxy: a proxy from which all addresses are excluded. Without this option, obstore
#: would use the proxy in the environment, but it interprets the variables differently from this service.
_NO_PROXY = {"proxy_url": "http://127.0.0.1:9", "proxy_excludes": "*,0.0.0.0/0,::/0"}
_PROBE = "k"
T = TypeVar("T")


class ObstoreRequests:
    """The implementation of `ObjectRequests` with obstore. It may be used from any thread.

    `client` and `credentials` are those of boto3, which renews temporary credentials when they are about to expire.
    `proxy` is the URL of the proxy for the bucket, or None if there is none. Every method can also raise Boto3Needed.
    """

    def __init__(
        self, client: Any, credentials: Any, bucket: str, proxy: str | None, *, connect_s: float, read_s: float
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._bucket = bucket
        self._proxy = proxy
        self._timeouts = {"connect_timeout": f"{connect_s}s", "read_timeout": f"{read_s}s", "timeout": _UNLIMITED}
        #: The current credentials, and the store that signs requests with them.
        self._made: tuple[Any, S3Store] | None = None

    def can_send(self, body_bytes: int) -> bool:
        """Return whether this module can send a request with a body of this size."""
        return body_bytes <= LONGEST_BODY_BYTES

    def put(self, key: str, body: bytes, content_type: str, nonce: str | None = None) -> None:
        attributes = {"Content-Type": content_type}
        if nonce is None:
            self._send(lambda store: obstore.put(store, key, body, attributes=attributes, use_multipart=False))
        else:
            attributes["nonce"] = nonce
            self._send(lambda store: obstore.put(store, key, body, attributes=attributes, mode="create"), TAKEN)

    def open(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        options: obstore.GetOptions = {}
        if length is not None:
            options["range"] = (start, start + length)
        elif start:
            options["range"] = {"offset": start}
        return self._chunks(self._send(lambda store: obstore.get(store, key, options=options), MISSING))

    def _chunks(self, found: Any) -> Generator[bytes, None, None]:
        first, end = found.range
        with self._errors():
            if end - first <= CHUNK_BYTES:
                pieces = iter((found.bytes().to_bytes(),))
            else:
                pieces = found.stream(min_chunk_size=CHUNK_BYTES // 2)
        while True:
            with self._errors():
                piece = next(pieces, b"")
            if not piece:
                return
            for at in range(0, len(piece), CHUNK_BYTES):
                yield piece[at : at + CHUNK_BYTES]

    def head(self, key: str) -> tuple[ObjectFacts, str | None]:
        found = self._send(lambda store: obstore.get(store, key, options={"head": True}), MISSING_OF_HEAD)
        facts = ObjectFacts(found.meta["size"], found.meta["last_modified"])
        return facts, found.attributes.get("nonce")

    def delete(self, key: str) -> None:
        self._send(lambda store: obstore.delete(store, key))

    def _send(self, request: Callable[[S3Store], T], meanings: Mapping[str, type[StorageError]] | None = None) -> T:
        store = self._store()
        with self._errors(meanings):
            return request(store)

    @contextmanager
    def _errors(self, meanings: Mapping[str, type[StorageError]] | None = None) -> Iterator[None]:
        """Translate an error of obstore into a storage error, without its text, which contains the URL and the key."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            text = str(error)
            if reason := needs_boto3(text):
                raise Boto3Needed(reason) from None
            raise obstore_error(text, meanings, is_proxied=self._proxy is not None) from None

    def _store(self) -> S3Store:
        """Return the store that signs requests with the current credentials."""
        with s3_errors():
            if self._credentials is None:
                raise NoCredentialsError
            current = self._credentials.get_frozen_credentials()
            made = self._made
            if made is None or made[0] != current:
                made = self._made = (current, self._open(current))
        return made[1]

    def _open(self, credentials: Any) -> S3Store:
        base, region = self._where()
        given: Any = {
            "access_key_id": credentials.access_key,
            "secret_access_key": credentials.secret_key,
            "token": credentials.token,
            "expires_at": None,
        }
        try:
            return S3Store(
                self._bucket,
                config=_config(base, region, self._client.meta.config),
                client_options=self._options(base),
                retry_config={"max_retries": 0},
                credential_provider=lambda: given,
            )
        except (BaseError, ValueError):  # for example, because rustls cannot parse a trusted certificate
            raise Boto3Needed("configuration") from None

    def _where(self) -> tuple[str, str]:
        """Return the base URL and the region that boto3 would use for the bucket. No request is sent."""
        signed = self._client.generate_presigned_url("get_object", Params={"Bucket": self._bucket, "Key": _PROBE})
        parts = urlsplit(signed)
        [credential] = parse_qs(parts.query)["X-Amz-Credential"]
        region = credential.split("/")[-3]
        return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/' + _PROBE)}", region

    def _options(self, base: str) -> Any:
        """Return the options of connections: the timeouts, the trusted authorities and the proxy of this service."""
        proxy = _NO_PROXY if self._proxy is None else {"proxy_url": self._proxy}
        trusted: dict[str, Any] = {"allow_http": base.startswith("http:")}
        if base.startswith("https:") or (self._proxy or "").startswith("https:"):
            bundle = Path(ca_bundle("AWS_CA_BUNDLE")).read_bytes()
            trusted |= {"root_certificate": bundle, "disable_system_certificates": "true"}
        return {**self._timeouts, **proxy, **trusted, "http1_only": True, "randomize_addresses": False}


def _config(base: str, region: str, boto3s: Any) -> Any:
    """Return the options of the store.

    Every option that obstore would otherwise read from the environment is set to the value that boto3 uses.
    """
    config = {
        "aws_endpoint_url_s3": base,
        "endpoint": base,
        "virtual_hosted_style_request": True,  # this means that the endpoint contains the bucket
        "region": region,
        "conditional_put": "etag",
        "disable_bulk_delete": True,
        "disable_tagging": True,
        "imdsv1_fallback": False,
        "request_payer": False,
        "s3_express": False,
        "skip_signature": False,
        "unsigned_payload": False,
    }
    if boto3s.request_checksum_calculation == "when_supported":
        config["checksum_algorithm"] = "SHA256"
    return config
