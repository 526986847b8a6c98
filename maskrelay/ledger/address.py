"""Where Redis is: at one address, or wherever its Sentinels say that the master is now."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
from redis.sentinel import Sentinel

from maskrelay.errors import SettingsError

_SCHEME = "redis+sentinel"
_PORT = 26379


@dataclass(frozen=True, slots=True)
class Sentinels:
    """A set of Sentinels, and the master they watch; user and password are the master's, still quoted as in the URL."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    database: int
    credentials: str

    def as_broker(self) -> str:
        """The URL as Celery's transport has it; the master's name is an option beside it."""
        at = f"{self.credentials}@" if self.credentials else ""
        return ";".join(f"sentinel://{at}{host}:{port}/{self.database}" for host, port in self.hosts)

    def client(self, **options: Any) -> "redis.Redis":
        """A client of the master, found anew with each connection. `options` hold for Sentinels and master."""
        watching = Sentinel(self.hosts, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
        master: redis.Redis = watching.master_for(self.master, **self._known())  # type: ignore[no-untyped-call]
        return master

    def listener(self, **options: Any) -> "redis.asyncio.Redis":
        """The same for one event loop."""
        watching = redis.asyncio.sentinel.Sentinel(self.hosts, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
        master: redis.asyncio.Redis = watching.master_for(self.master, **self._known())
        return master

    def _known(self) -> dict[str, Any]:
        user, _, password = self.credentials.partition(":")
        return {"username": unquote(user) or None, "password": unquote(password) or None, "db": self.database}


def sentinels_of(url: str) -> Sentinels | None:
    """What `redis+sentinel://user:password@host:port,host:port/master/database` names; None for any other URL.

    Port and database may be left out, as may user and password. Raises SettingsError, which holds nothing of the URL.
    """
    parts = urlsplit(url)
    if parts.scheme != _SCHEME:
        return None
    credentials, _, hosts = parts.netloc.rpartition("@")
    master, _, database = parts.path.strip("/").partition("/")
    try:
        found = tuple(_host(one) for one in hosts.split(","))
        return Sentinels(found, _named(master), int(database or 0), credentials)
    except ValueError:
        shape = f"{_SCHEME}://user:password@host:port,host:port/master/database"
        raise SettingsError(f"a Redis URL for Sentinels is {shape}") from None


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return _named(host), int(port or _PORT)


def _named(text: str) -> str:
    if not text:
        raise ValueError
    return text


def connect(url: str, **options: Any) -> "redis.Redis":
    """A client for a URL of either kind; it connects when first used."""
    sentinels = sentinels_of(url)
    return sentinels.client(**options) if sentinels else redis.Redis.from_url(url, **options)


def connect_listener(url: str, **options: Any) -> "redis.asyncio.Redis":
    """As `connect`, for one event loop."""
    sentinels = sentinels_of(url)
    return sentinels.listener(**options) if sentinels else redis.asyncio.Redis.from_url(url, **options)
