"""What request handlers depend on, built once per process.

Settings, ledger and storage come in; every handler gets one `Service` from its request.
Read this module first, then `lifespan`.
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
from api.dependencies.archive import Archive
from api.dependencies.end_listener import JobEndListener
from maskrelay.ledger import Ledger
from maskrelay.ledger.quotas import Usage
from maskrelay.storage.protocol import Storage
from maskrelay.storage.store_health import StoreHealth
from maskrelay.telemetry.spans import Spans

T = TypeVar("T")
V = TypeVar("V")
#: Concurrent storage calls of a request that makes one call for each upload or job.
_HANDS = 8


class UrlGuard(Protocol):
    """Decides where callbacks may be sent."""

    def check_url(self, url: str) -> None:
        """Raise CallbackForbidden unless events may be sent there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request, and how long an upload waits for its job."""

    body_bytes: int
    image_bytes: int
    items: int
    prompts: int
    prompt_length: int
    upload_lifetime: timedelta


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The dependencies of the handlers."""

    ledger: Ledger
    storage: Storage
    #: Raises LedgerUnavailable or StorageUnavailable while it is not certain that Redis and the store belong together.
    check_database: Callable[[], None]
    archive: Archive
    health: StoreHealth
    guard: UrlGuard
    #: The current key, then the previous one.
    server_keys: tuple[bytes, ...]
    limits: Limits
    #: The most that a tenant may have in progress.
    quotas: Callable[[str], Usage]
    ends: JobEndListener
    #: The URL of the API for callers, without a trailing slash; None: see `base_of`.
    public_url: str | None
    #: The lifetime of presigned URLs of the store; 0 disables them.
    presigned_lifetime: timedelta
    #: The number of frames that a segment worker has in progress.
    frames_per_worker: int
    spans: Spans

    @property
    def server_key(self) -> bytes:
        """Return the key for everything that is sealed or derived from now on."""
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
    """Return the prefix of links: the public URL, otherwise the address that the request reached.

    Without a public URL, the `Host` header is used only on loopback, where nobody else can set it.
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
    """Return whether this name or address can be reached only from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def check_own_database(request: Request) -> None:
    """Raise LedgerUnavailable or StorageUnavailable before writing what another deployment might find."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        await in_thread(dependencies_of(request).check_database)


async def in_thread(call: Callable[..., T], *arguments: object) -> T:
    """Run a blocking call in a thread: all calls to the ledger and to storage leave the event loop."""
    return await run_sync(call, *arguments)


def side_by_side(call: Callable[[V], T], values: Iterable[V]) -> list[T]:
    """Return `call` of each value, in order, run concurrently; for small objects, whose cost is the round trip."""
    with ThreadPoolExecutor(_HANDS) as hands:
        return list(hands.map(call, values))
