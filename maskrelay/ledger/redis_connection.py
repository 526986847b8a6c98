"""The parser of the Redis URL (`MASKRELAY_REDIS_URL`), the clients of Redis, and the broker URL for Celery."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
from redis.driver_info import DriverInfo
from redis.sentinel import Sentinel

from maskrelay.errors import SettingsError
from maskrelay.network.certificates import redis_options

_SENTINEL = "redis+sentinel"
_PORT, _SENTINEL_PORT = 6379, 26379
_SHAPES = (
    "redis://user:password@host:port/database, rediss:// (TLS), unix://user:password@/path?db=number, or "
    "redis+sentinel://user:password@host:port,host:port/master/database"
)
_QUOTE = "percent-encode special characters in a password (# as %23, / as %2F, ? as %3F, @ as %40)"
_TLS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"}
_TRUE, _FALSE = {"true", "yes", "1", "on"}, {"false", "no", "0", "off"}
#: The shortest socket timeout, in seconds. Blocking calls wait in Redis for two seconds, and a shorter timeout would
#: interrupt them.
_SHORTEST_TIMEOUT_S = 3
#: What the clients tell Redis about themselves. redis-py would read its own metadata again for every client.
_DRIVER = DriverInfo()


@dataclass(frozen=True, slots=True)
class Sentinels:
    """A set of Sentinels and the master that they monitor."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    database: int
    #: The user and password of the master, quoted as in the URL.
    credentials: str = field(repr=False)

    def as_broker(self) -> str:
        """Return the URL for Celery's transport.

        It does not contain the name of the master, which is a separate option.
        """
        at = f"{self.credentials}@" if self.credentials else ""
        return ";".join(f"sentinel://{at}{host}:{port}/{self.database}" for host, port in self.hosts)

    def client(self, **options: Any) -> "redis.Redis":
        """Return a client of the master. It asks the Sentinels for the address of the master before each connection.

        `options` apply to the connections to the Sentinels and to the master.
        """
        watching = Sentinel(self.hosts, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
        master: redis.Redis = watching.master_for(self.master, **self._known())  # type: ignore[no-untyped-call]
        return master

    def listener(self, **options: Any) -> "redis.asyncio.Redis":
        """Return an asyncio client of the master for one event loop."""
        watching = redis.asyncio.sentinel.Sentinel(self.hosts, sentinel_kwargs=options, **options)  # type: ignore[no-untyped-call]
        master: redis.asyncio.Redis = watching.master_for(self.master, **self._known())
        return master

    def _known(self) -> dict[str, Any]:
        user, _, password = self.credentials.partition(":")
        return {"username": unquote(user) or None, "password": unquote(password) or None, "db": self.database}


@dataclass(frozen=True, slots=True)
class Address:
    """The address of one Redis server."""

    host: str
    port: int
    #: The path of a Unix socket, which replaces host and port.
    path: str
    database: int
    username: str | None
    password: str | None = field(repr=False)
    #: The options of a TLS connection under redis-py's names, or None without TLS.
    tls: Mapping[str, Any] | None
    #: The options in the URL that apply to every connection.
    options: Mapping[str, Any]

    def is_verified(self) -> bool:
        """Return whether a TLS server must present a trusted certificate for its name. Without TLS, return True."""
        tls = self.tls
        return tls is None or (tls["ssl_cert_reqs"] == "required" and tls["ssl_check_hostname"])

    def as_broker(self) -> str:
        """Return the URL for Celery's transport. TLS options and timeouts are separate options."""
        at = ":".join(quote(part or "", safe="") for part in (self.username, self.password) if part is not None)
        if self.username is None and self.password is not None:
            at = f":{at}"
        at = f"{at}@" if at else ""
        if self.path:
            return f"redis+socket://{at}{quote(self.path)}?virtual_host={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'redis' if self.tls is None else 'rediss'}://{at}{host}:{self.port}/{self.database}"

    def connection(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a redis-py client. Options in the URL take precedence over `options`."""
        login = {"username": self.username, "password": self.password, "db": self.database}
        given = {**options, **self.options, **login}
        if self.path:
            return {**given, "unix_socket_path": self.path}
        given |= {"host": self.host, "port": self.port}
        return given if self.tls is None else {**given, "ssl": True, **self.tls}


def read_address(url: str) -> Address | Sentinels:
    """Parse a Redis URL. Raises SettingsError with a message that contains no part of the URL."""
    try:
        return sentinels_of(url) or _address(url)
    except ValueError:  # the message of the error may quote the URL
        raise SettingsError(f"MASKRELAY_REDIS_URL is not a Redis URL ({_SHAPES}); {_QUOTE}") from None


def sentinels_of(url: str) -> Sentinels | None:
    """Parse `redis+sentinel://user:password@host:port,host:port/master/database`. Return None for any other URL.

    Ports, database, user and password may be omitted. Raises SettingsError with a message that contains no part of the
    URL.
    """
    if not url.startswith(f"{_SENTINEL}://"):
        return None
    try:
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        master, _, database = parts.path.strip("/").partition("/")
        _refuse("#" in url or bool(parts.query))
        found = tuple(_host(host) for host in hosts.split(","))
        return Sentinels(found, _named(master), int(database or 0), credentials)
    except ValueError:
        shape = f"{_SENTINEL}://user:password@host:port,host:port/master/database"
        raise SettingsError(f"a Redis URL for Sentinels must be {shape}; {_QUOTE}") from None


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return _named(host), int(port or _SENTINEL_PORT)


def _named(text: str) -> str:
    _refuse(not text)
    return text


def _refuse(wrong: bool) -> None:
    if wrong:
        raise ValueError


def _address(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"} or any(character.isspace() for character in url):
        raise ValueError
    if "#" in url or "@" in parts.path:
        raise SettingsError(f"MASKRELAY_REDIS_URL contains a # or / in the wrong place; {_QUOTE}")
    tls, options, database = _options(parts.query, secure=parts.scheme == "rediss")
    path = unquote(parts.path) if parts.scheme == "unix" else ""
    if parts.scheme == "unix" and (parts.hostname or not path.strip("/")):
        raise SettingsError("MASKRELAY_REDIS_URL: the path of a socket must be absolute, as in unix:///run/redis.sock")
    if parts.scheme != "unix" and database is None:
        database = unquote(parts.path).strip("/")
    database = database or "0"
    if not (database.isascii() and database.isdecimal()):
        raise SettingsError("MASKRELAY_REDIS_URL: the database must be a number, as in redis://host:6379/0")
    return Address(
        host=unquote(parts.hostname or "") or "localhost",
        port=_port(parts),
        path=path,
        database=int(database),
        username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        tls=tls,
        options=options,
    )


def _port(parts: Any) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise SettingsError(f"MASKRELAY_REDIS_URL: the port must be a number from 1 to 65535; {_QUOTE}") from None
    return port or _PORT


def _options(query: str, *, secure: bool) -> tuple[dict[str, Any] | None, dict[str, Any], str | None]:
    """Return the TLS options, the options of every connection, and the database, from the query of the URL."""
    tls: dict[str, Any] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **redis_options()}
    options: dict[str, Any] = {}
    database = None
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "db":
            database = value
        elif name in _TLS and secure:
            tls[name] = _tls_value(name, value)
        elif name in _TLS:
            raise SettingsError(f"MASKRELAY_REDIS_URL: {name} can be used only with rediss://")
        elif name in _READERS:
            options[name] = _READERS[name](name, value)
        else:
            known = ", ".join(sorted({"db", *_READERS, *_TLS}))
            raise SettingsError(
                f"MASKRELAY_REDIS_URL has an unknown option after the ?; the known options are {known}; {_QUOTE}"
            )
    options.pop("protocol", None)  # accepted but not used, because both versions of the protocol work
    if secure:
        tls["ssl_check_hostname"] &= tls["ssl_cert_reqs"] != "none"
        _check_files(tls)
    return (tls if secure else None), options, database


def _tls_value(name: str, value: str) -> Any:
    if name == "ssl_check_hostname":
        return _boolean(name, value)
    if name == "ssl_cert_reqs":
        value = value.lower().removeprefix("cert_")
        if value not in {"required", "optional", "none"}:
            raise _wrong(name, "required, or none to trust any server")
    return value


def _check_files(tls: Mapping[str, Any]) -> None:
    """Raise SettingsError for a certificate file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if "ssl_ca_certs" in tls:
            context.load_verify_locations(tls["ssl_ca_certs"])
        if "ssl_certfile" in tls:
            context.load_cert_chain(tls["ssl_certfile"], tls.get("ssl_keyfile"), password=_no_passphrase)
    except OSError:  # includes ssl.SSLError
        raise SettingsError(
            "a certificate file of the Redis connection cannot be read, or is not in PEM format"
        ) from None


def _no_passphrase() -> str:
    raise SettingsError("the private key for Redis is encrypted; use a key without a passphrase")


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise _wrong(name, "true or false")
    return value.lower() in _TRUE


def _seconds(name: str, value: str) -> float:
    least = _SHORTEST_TIMEOUT_S if name == "socket_timeout" else 0
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not max(least, 0.001) <= seconds <= 600:
        raise _wrong(name, f"a number of seconds, {least} or more")
    return seconds


def _whole_seconds(name: str, value: str) -> int:
    return int(_seconds(name, value))


def _protocol(name: str, value: str) -> int:
    if value not in {"2", "3"}:
        raise _wrong(name, "2 or 3")
    return int(value)


def _text(name: str, value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise _wrong(name, "a single word")
    return value


def _wrong(name: str, what: str) -> SettingsError:
    return SettingsError(f"MASKRELAY_REDIS_URL: {name} must be {what}")


_READERS = {
    "socket_timeout": _seconds,
    "socket_connect_timeout": _seconds,
    "health_check_interval": _whole_seconds,
    "socket_keepalive": _boolean,
    "client_name": _text,
    "protocol": _protocol,
}


def connect(url: str, **options: Any) -> "redis.Redis":
    """Return a client for the URL of a server or of Sentinels. It connects on first use. Raises SettingsError."""
    address = read_address(url)
    options = {"driver_info": _DRIVER, **options}
    return address.client(**options) if isinstance(address, Sentinels) else redis.Redis(**address.connection(options))


def connect_listener(url: str, **options: Any) -> "redis.asyncio.Redis":
    """Return an asyncio client for one event loop.

    The client may wait for published messages without a time limit.
    """
    address = read_address(url)
    options = {"driver_info": _DRIVER, **options}
    if isinstance(address, Sentinels):
        return address.listener(**options)
    return redis.asyncio.Redis(**{**address.connection(options), "socket_timeout": None})
