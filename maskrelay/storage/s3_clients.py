"""S3 clients that are configured by boto3's environment variables and files, and recreated when these files change."""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from maskrelay.network.certificates import ca_bundle
from maskrelay.network.proxies import proxy_for
from maskrelay.storage.s3_errors import s3_errors

log = logging.getLogger(__name__)
_CONNECT_SECONDS = 3
_READ_SECONDS = 20
_CONNECTIONS = 32
#: The version of a file: its modification time, inode and size. None means that the file does not exist.
Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients in use."""

    #: The client that retries failed calls.
    client: Any
    #: The client that never retries.
    once: Any
    #: The versions of the files from which the clients were created.
    stamps: Mapping[Path, Stamp]


class S3Clients:
    """The source of the current clients. It may be used from any thread.

    boto3 reads the credentials files only once, so new clients are created when these files change. If the files cannot
    be read, or contain no credentials, the previous clients remain in use.
    """

    def __init__(self, endpoint_url: str | None) -> None:
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        with s3_errors():
            self._made = _make(endpoint_url)

    def now(self) -> Clients:
        """Return the clients. New clients are created first if the credentials files have changed."""
        made = self._made
        if not _changed(made.stamps):
            return made
        with self._lock:
            if _changed(self._made.stamps):
                self._made = self._again()
            return self._made

    def _again(self) -> Clients:
        before, stamps = self._made, {path: _stamp(path) for path in self._made.stamps}
        try:
            if _session().get_credentials() is not None:
                log.info("the credentials files for S3 have changed and are read again")
                return _make(self._endpoint_url)
        except BotoCoreError as error:
            log.warning("the credentials files for S3 cannot be read", extra={"reason": type(error).__name__})
        return Clients(before.client, before.once, stamps)


def _make(endpoint_url: str | None) -> Clients:
    core = _core()
    stamps = {path: _stamp(path) for path in _files(core)}
    session = boto3.session.Session(botocore_session=core)
    client = session.client("s3", endpoint_url=endpoint_url, config=_config(core, endpoint_url, 3))
    if endpoint_url is None and not _is_aws(client.meta.endpoint_url):  # by AWS_ENDPOINT_URL_S3 or a similar variable
        endpoint_url = client.meta.endpoint_url
        client = session.client("s3", endpoint_url=endpoint_url, config=_config(core, endpoint_url, 3))
    once = session.client("s3", endpoint_url=endpoint_url, config=_config(core, endpoint_url, 1))
    return Clients(client, once, stamps)


def _core() -> Any:
    """Return a session whose clients trust our certificate authorities, even those that fetch credentials."""
    core = botocore.session.get_session()
    core.set_config_variable("ca_bundle", ca_bundle("AWS_CA_BUNDLE"))
    return core


def _session() -> Any:
    return boto3.session.Session(botocore_session=_core())


def _files(core: Any) -> list[Path]:
    """Return the paths of the AWS credentials file and of the AWS configuration file."""
    return [Path(core.get_config_variable(name)).expanduser() for name in ("credentials_file", "config_file")]


def _stamp(path: Path) -> Stamp:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size


def _changed(stamps: Mapping[Path, Stamp]) -> bool:
    return any(_stamp(path) != stamp for path, stamp in stamps.items())


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
    # Self-hosted servers rarely have a host name for every bucket. AWS has one in the region of the bucket, and a
    # presigned URL must contain it.
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
    """Return the proxy that the environment names for the store. It is parsed as for all other connections.

    Raises SettingsError if the proxy's URL cannot be used.
    """
    asked = endpoint_url or "https://s3.amazonaws.com"
    proxy = proxy_for(asked)
    return {urlsplit(asked).scheme: proxy.url} if proxy else {}
