"""The objects on which request handlers depend.

Each process builds them once from the settings. Every handler gets the same `Dependencies` from its request. Read this
module first, then `lifespan`.
"""

import ipaddress
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from anyio.to_thread import run_sync
from starlette.requests import Request

from api.auth.scopes import Caller
from api.auth.sign_in import SignIn
from api.dependencies.archive import Archive
from api.dependencies.change_listener import ChangeListener
from api.dependencies.end_listener import JobEndListener
from api.dependencies.unrecorded_jobs import UnrecordedJobs
from maskrelay.ledger import Ledger
from maskrelay.ledger.quotas import Usage
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.storage.protocol import Storage
from maskrelay.storage.store_health import StoreHealth
from maskrelay.telemetry.spans import Spans

T = TypeVar("T")
V = TypeVar("V")
#: The number of concurrent storage calls in a request that needs a call for each of several uploads or jobs.
_HANDS = 8


class UrlGuard(Protocol):
    """The rule that decides where callbacks may be sent."""

    def check_url(self, url: str) -> None:
        """Raise CallbackForbidden if no events may be sent to this URL."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a request, and the lifetime of unused uploads."""

    body_bytes: int
    image_bytes: int
    items: int
    prompts: int
    prompt_length: int
    upload_lifetime: timedelta


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The objects that handlers use."""

    ledger: Ledger
    storage: Storage
    #: A function that raises LedgerUnavailable or StorageUnavailable until it is certain that Redis belongs to the
    #: store.
    check_database: Callable[[], None]
    archive: Archive
    health: StoreHealth
    guard: UrlGuard
    #: The credentials of sources by reference, and what each tenant may read with them.
    credentials: CredentialFile
    #: The current server key, and after it the previous one, if there is one.
    server_keys: tuple[bytes, ...]
    limits: Limits
    #: A function that returns the quotas of a tenant, that is, the most that it may have in progress.
    quotas: Callable[[str], Usage]
    sign_in: SignIn
    ends: JobEndListener
    changes: ChangeListener
    unrecorded: UnrecordedJobs
    #: The URL of the API for callers, without a trailing slash. If it is None, `base_of` decides.
    public_url: str | None
    #: The lifetime of presigned URLs of the store. 0 disables them.
    presigned_lifetime: timedelta
    #: The number of frames that one segment worker processes at the same time.
    frames_per_worker: int
    spans: Spans

    @property
    def server_key(self) -> bytes:
        """Return the current server key, with which new secrets are encrypted and new ids are derived."""
        return self.server_keys[0]


def dependencies_of(request: Request) -> Dependencies:
    service: Dependencies = request.app.state.service
    return service


def caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def tenant_of(request: Request) -> str:
    return caller_of(request).tenant


def base_of(request: Request) -> str:
    """Return the beginning of links: the public URL if it is set, otherwise the address at which the request arrived.

    If that address is on loopback, only a program on this machine can have sent the request. In this case, the links
    begin with the value of the `Host` header instead.
    """
    if public_url := dependencies_of(request).public_url:
        return public_url
    host, port = request.scope.get("server") or ("localhost", None)
    if is_loopback(host):
        return str(request.base_url).rstrip("/")
    named = f"[{host}]" if ":" in host else "localhost" if "/" in host else host
    root = request.scope.get("root_path", "").rstrip("/")
    return f"{request.url.scheme}://{named}{f':{port}' if port else ''}{root}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach this name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def check_own_database(request: Request) -> None:
    """Raise an error if a request may change something, and the Redis database may be that of another deployment.

    The error is LedgerUnavailable or StorageUnavailable.
    """
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        await in_thread(dependencies_of(request).check_database)


async def in_thread(call: Callable[..., T], *arguments: object) -> T:
    """Run a blocking call in a thread, so that calls to the ledger and to storage do not block the event loop."""
    return await run_sync(call, *arguments)


def side_by_side(call: Callable[[V], T], values: Iterable[V]) -> list[T]:
    """Call `call` with each value concurrently, and return the results in order.

    This is meant for reading small objects, where most of the time is spent waiting for the store.
    """
    wanted = list(values)
    if len(wanted) == 1:  # most often; threads would take longer than the call
        return [call(wanted[0])]
    with ThreadPoolExecutor(_HANDS) as hands:
        return list(hands.map(call, wanted))
