"""The dependencies of the handlers, built once at the composition root."""

import ipaddress
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from anyio.to_thread import run_sync
from starlette.requests import Request

from api.archive import Archive
from api.callers import Caller
from api.ends import Ends
from maskrelay.ledger import Ledger
from maskrelay.ledger.room import Load
from maskrelay.storage.health import StoreHealth
from maskrelay.storage.protocol import Storage
from maskrelay.tracing import Spans

T = TypeVar("T")
V = TypeVar("V")
#: Calls to storage that one request makes at once, where it makes one an upload or a job.
_HANDS = 8


class UrlGuard(Protocol):
    """Says where callbacks may go."""

    def check_url(self, url: str) -> None:
        """Raise CallbackForbidden unless events may be sent there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may bring, and how long an upload waits for its job."""

    body_bytes: int
    image_bytes: int
    items: int
    prompts: int
    prompt_length: int
    upload_lifetime: timedelta


@dataclass(frozen=True, slots=True)
class Service:
    """`server_keys`: the one in use, then the one before it. `quotas`: the most that a tenant may have under way.
    `public_url`: how callers reach us, without a slash behind; None: see `base_of`. `presigned_lifetime`: of
    addresses of the store; 0: none are given. `check_database` raises LedgerUnavailable or StorageUnavailable while
    Redis and store are not known to belong together. `frames_per_worker`: what a segment worker has in hand.
    """

    ledger: Ledger
    storage: Storage
    check_database: Callable[[], None]
    archive: Archive
    health: StoreHealth
    guard: UrlGuard
    server_keys: tuple[bytes, ...]
    limits: Limits
    quotas: Callable[[str], Load]
    ends: Ends
    public_url: str | None
    presigned_lifetime: timedelta
    frames_per_worker: int
    spans: Spans

    @property
    def server_key(self) -> bytes:
        """What is sealed and derived from now on, is so under this one."""
        return self.server_keys[0]


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def tenant_of(request: Request) -> str:
    return caller_of(request).tenant


def base_of(request: Request) -> str:
    """What links begin with. Without a public URL `Host` counts on loopback alone, where nobody else can write it.

    Elsewhere it is the address that the request reached.
    """
    if public_url := service_of(request).public_url:
        return public_url
    host, port = request.scope.get("server") or ("localhost", None)
    if is_loopback(host):
        return str(request.base_url).rstrip("/")
    named = f"[{host}]" if ":" in host else "localhost" if "/" in host else host
    root = request.scope.get("root_path", "").rstrip("/")
    return f"{request.url.scheme}://{named}{f':{port}' if port else ''}{root}"


def is_loopback(host: str) -> bool:
    """Whether this name or address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def check_own_database(request: Request) -> None:
    """Raise LedgerUnavailable or StorageUnavailable before anything is written that another deployment might find."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        await in_thread(service_of(request).check_database)


async def in_thread(call: Callable[..., T], *arguments: object) -> T:
    """Ledger and storage block: every call to them leaves the event loop."""
    return await run_sync(call, *arguments)


def side_by_side(call: Callable[[V], T], values: Iterable[V]) -> list[T]:
    """`call` of each value, in their order; for small objects, whose cost is the way there and back."""
    with ThreadPoolExecutor(_HANDS) as hands:
        return list(hands.map(call, values))
