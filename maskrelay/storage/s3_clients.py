"""Clients of S3.

The environment variables and files of boto3 configure the clients, which are created again when these files change.
obstore sends the requests for single objects, because it needs a fraction of the CPU time of boto3. boto3 sends all
other requests, and the requests that obstore cannot send.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from maskrelay.network.certificates import ca_bundle
from maskrelay.network.proxies import proxy_for
from maskrelay.storage.bucket_store import ObjectRequests
from maskrelay.storage.s3_errors import s3_errors
from maskrelay.storage.s3_requests import Boto3Needed, Boto3Requests

if TYPE_CHECKING:
    from maskrelay.storage.obstore_requests import ObstoreRequests

log = logging.getLogger(__name__)
_CONNECT_SECONDS = 3
_READ_SECONDS = 20
_CONNECTIONS = 32
#: The version of a file: its modification time, inode and size. None means that the file does not exist.
Stamp = tuple[int, int, int] | None
#: Environment variables that boto3 ignores but obstore obeys, and that no option of obstore overrides. If one of them
#: is set, boto3 sends all requests.
_OBSTORES_OWN = ("AWS_CHECKSUM_ALGORITHM", "AWS_COPY_IF_NOT_EXISTS", "AWS_SERVER_SIDE_ENCRYPTION")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class S3Account:
    """An access key and a region that replace those of the environment and of boto3's files. None is not replaced."""

    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients in use."""

    #: The client of boto3 that retries failed calls.
    client: Any
    #: The requests for single objects that boto3 sends, without retries.
    boto3: Boto3Requests
    #: The requests for single objects that obstore sends, or None if only boto3 can be used.
    obstore: "ObstoreRequests | None"
    #: The number of times that a request is sent before its failure is reported.
    attempts: int
    #: The versions of the files from which the clients were created.
    stamps: Mapping[Path, Stamp]


class S3Clients:
    """The source of the current clients. It may be used from any thread.

    boto3 reads the credentials files only once, so new clients are created when these files change. If the files cannot
    be read, or contain no credentials, the previous clients remain in use. `before_fork` says that this process will
    fork. In this case, obstore is not used, because its threads would not survive the fork.
    """

    def __init__(self, make: Callable[[], Clients], made: Clients) -> None:
        self._make = make
        self._made = made
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls, bucket: str, endpoint_url: str | None, *, before_fork: bool = False, account: S3Account | None = None
    ) -> Self:
        """Read boto3's configuration and create the first clients. Raises StorageUnavailable."""
        make = partial(_make, bucket, endpoint_url, account or S3Account(), before_fork=before_fork)
        with s3_errors():
            return cls(make, make())

    @property
    def attempts(self) -> int:
        """The number of times that a request is sent before its failure is reported."""
        return self._made.attempts

    def now(self) -> Clients:
        """Return the clients. New clients are created first if the credentials files have changed."""
        made = self._made
        if not changed(made.stamps):
            return made
        with self._lock:
            if changed(self._made.stamps):
                self._made = self._again()
            return self._made

    def send(self, request: Callable[[ObjectRequests], T], body_bytes: int = 0) -> T:
        """Send one request. obstore sends it if it can send a body of this size, otherwise boto3.

        If obstore turns out to be unable to send requests to this bucket, boto3 sends this request, and all later ones
        until the clients are created again.
        """
        clients = self.now()
        if clients.obstore is None or not clients.obstore.can_send(body_bytes):
            return request(clients.boto3)
        try:
            return request(clients.obstore)
        except Boto3Needed as needed:
            answer = request(clients.boto3)
            log.warning("requests to the object store are sent by boto3", extra={"reason": str(needed)})
            with self._lock:
                self._made = replace(self._made, obstore=None)
            return answer

    def _again(self) -> Clients:
        stamps = {path: stamp_of(path) for path in self._made.stamps}
        try:
            if _session().get_credentials() is not None:
                log.info("the credentials files for S3 have changed and are read again")
                return self._make()
        except BotoCoreError as error:
            log.warning("the credentials files for S3 cannot be read", extra={"reason": type(error).__name__})
        return replace(self._made, stamps=stamps)


def _make(bucket: str, endpoint_url: str | None, account: S3Account, *, before_fork: bool) -> Clients:
    core = core_session()
    # With an access key of its own, the clients do not depend on the files.
    stamps = {} if account.access_key_id else {path: stamp_of(path) for path in credential_files(core)}
    session = boto3.session.Session(
        account.access_key_id,
        account.secret_access_key,
        account.session_token,
        account.region,
        botocore_session=core,
    )
    client = session.client("s3", endpoint_url=endpoint_url, config=_config(core, endpoint_url, 3))
    if endpoint_url is None and not _is_aws(client.meta.endpoint_url):  # for example, by AWS_ENDPOINT_URL_S3
        endpoint_url = client.meta.endpoint_url
        client = session.client("s3", endpoint_url=endpoint_url, config=_config(core, endpoint_url, 3))
    once = session.client("s3", endpoint_url=endpoint_url, config=_config(core, endpoint_url, 1))
    fast = None if before_fork else _obstore(session, client, bucket, endpoint_url)
    attempts = client.meta.config.retries.get("total_max_attempts", 3)
    return Clients(client, Boto3Requests(once, bucket), fast, attempts, stamps)


def _obstore(session: Any, client: Any, bucket: str, endpoint_url: str | None) -> "ObstoreRequests | None":
    """Return the requests that obstore sends. Return None if obstore cannot follow the configuration as boto3 does."""
    if client.meta.config.response_checksum_validation == "when_supported" or any(map(os.environ.get, _OBSTORES_OWN)):
        return None
    # imported only here, because it is 15 MB of code that a store in a folder does not need
    from maskrelay.storage.obstore_requests import ObstoreRequests  # noqa: PLC0415

    proxy = _proxies(endpoint_url)
    return ObstoreRequests(
        client,
        session.get_credentials(),
        bucket,
        next(iter(proxy.values()), None),
        connect_s=_CONNECT_SECONDS,
        read_s=_READ_SECONDS,
    )


def core_session() -> Any:
    """Return a session whose clients trust the configured certificate authorities.

    The clients that fetch credentials do so too.
    """
    core = botocore.session.get_session()
    core.set_config_variable("ca_bundle", ca_bundle("AWS_CA_BUNDLE"))
    return core


def _session() -> Any:
    return boto3.session.Session(botocore_session=core_session())


def credential_files(core: Any) -> list[Path]:
    """Return the paths of the AWS credentials file and of the AWS configuration file."""
    return [Path(core.get_config_variable(name)).expanduser() for name in ("credentials_file", "config_file")]


def stamp_of(path: Path) -> Stamp:
    """Return the version of a file."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size


def changed(stamps: Mapping[Path, Stamp]) -> bool:
    """Return whether one of these files has another version now."""
    return any(stamp_of(path) != stamp for path, stamp in stamps.items())


def _is_aws(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def _config(core: Any, endpoint_url: str | None, attempts: int) -> Config:
    """Return the options that this service needs. The environment and the files of boto3 can override most of them."""
    profile: Mapping[str, Any] = core.get_scoped_config()

    def is_chosen(name: str) -> bool:
        return f"AWS_{name.upper()}" in os.environ or name in profile

    given: dict[str, Any] = {}
    if attempts == 1 or not (is_chosen("max_attempts") or is_chosen("retry_mode")):
        given["retries"] = {"mode": "standard", "total_max_attempts": attempts}
    # Older servers do not support checksum trailers. Without trailers, the signature covers the hash of the body.
    for name in ("request_checksum_calculation", "response_checksum_validation"):
        if not is_chosen(name):
            given[name] = "when_required"
    # AWS has a host name for every bucket, and a presigned URL must contain the host name in the region of the bucket.
    # Self-hosted servers rarely have host names for buckets.
    if "addressing_style" not in dict(profile.get("s3") or {}):
        given["s3"] = {"addressing_style": "path" if endpoint_url else "virtual"}
    return Config(
        signature_version="s3v4",  # otherwise, presigned URLs would use an older version
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        proxies=_proxies(endpoint_url),
        proxies_config={"proxy_ca_bundle": ca_bundle("AWS_CA_BUNDLE")},
        **given,
    )


def _proxies(endpoint_url: str | None) -> dict[str, str]:
    """Return the proxy that the environment names for the store. Its URL is parsed as for all other connections.

    Raises SettingsError if the proxy's URL cannot be used.
    """
    asked = endpoint_url or "https://s3.amazonaws.com"
    proxy = proxy_for(asked)
    return {urlsplit(asked).scheme: proxy.url} if proxy else {}
