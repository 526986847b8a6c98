"""Check that Redis can be reached, is suitable for the ledger, and is configured to keep its data."""

import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import redis

from maskrelay.admin.checks.finding import Finding, clock, ok, wrong
from maskrelay.admin.checks.redis_errors import refused, unreached
from maskrelay.errors import SettingsError
from maskrelay.ledger.broker import broker
from maskrelay.ledger.durability_check import eviction, persistence
from maskrelay.ledger.redis_connection import Address, connect, read_address
from maskrelay.settings import Settings

_OLDEST = 7
_PATIENCE_S = 3
#: The shares of `maxmemory` in use that cause a warning and an error.
_FILLING, _FULL = 0.75, 0.95
#: A script with commands that the ledger's own scripts use.
_SCRIPT = "redis.call('INFO', 'server') redis.call('SET', ARGV[1], redis.call('TIME')[1], 'EX', 60) return 1"


def check(settings: Settings) -> Iterator[Finding]:
    """Check everything about the server. If it cannot be reached, yield only one finding."""
    url = settings.redis_url.get_secret_value()
    try:
        with connect(url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S) as client:
            facts: dict[str, Any] = client.info("everything")
            yield ok("redis", "responds")
            yield _version(facts)
            yield _mode(facts)
            for kept in (persistence(facts), eviction(facts)):
                yield Finding(kept.of, kept.state, kept.said, kept.hint)
            yield _memory(facts)
            yield _rights(client)
            yield _clock(client)
        yield from _tls(url)
        yield _broker(settings)
    except SettingsError as error:
        yield wrong("redis", error.detail, "docs/reference/settings.md shows the forms of MASKRELAY_REDIS_URL")
    except ValueError:
        hint = "docs/reference/settings.md shows the forms of MASKRELAY_REDIS_URL"
        yield wrong("redis", "MASKRELAY_REDIS_URL is not a Redis URL", hint)
    except redis.RedisError as error:
        yield wrong("redis", *unreached(error))


def _tls(url: str) -> Iterator[Finding]:
    address = read_address(url)
    if isinstance(address, Address) and not address.is_verified():
        hint = (
            "remove ssl_cert_reqs and ssl_check_hostname from the URL, and put the server's CA into MASKRELAY_CA_FILE"
        )
        yield Finding(
            "redis tls", "warn", "the server's certificate is not verified, because the URL disables it", hint
        )
    elif isinstance(address, Address) and address.tls is not None:
        yield ok("redis tls", "the server's certificate is verified")


def _broker(settings: Settings) -> Finding:
    """Open a connection as Celery does. Celery connects through its own library (kombu), and not as the ledger does."""
    url = settings.redis_url.get_secret_value()
    app = broker(url, visibility_timeout=settings.visibility_timeout)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_PATIENCE_S)
            connection.default_channel.client.ping()
    except redis.RedisError as error:
        return wrong("redis broker", *unreached(error))
    except Exception as error:  # noqa: BLE001 - kombu's errors have no common root
        cause = error.__cause__ or error.__context__
        if isinstance(cause, redis.RedisError):
            return wrong("redis broker", *unreached(cause))
        hint = "the ledger's own connection works, so check the options in MASKRELAY_REDIS_URL"
        return wrong("redis broker", f"Celery cannot connect ({type(error).__name__})", hint)
    return ok("redis broker", "responds")


def _version(facts: dict[str, Any]) -> Finding:
    version = str(facts.get("redis_version", ""))
    named = f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"Redis {version}"
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) >= _OLDEST:
        return ok("redis version", named)
    return wrong("redis version", f"{named} is too old", f"use Redis {_OLDEST} or later, or Valkey")


def _mode(facts: dict[str, Any]) -> Finding:
    if facts.get("cluster_enabled"):
        hint = "use a single server, or Sentinels (redis+sentinel://): the ledger's scripts use keys in several slots"
        return wrong("redis mode", "this is a node of a cluster", hint)
    if facts.get("role") != "master":
        hint = "use the address of the primary, or those of the Sentinels (redis+sentinel://)"
        return wrong("redis mode", "this is a replica, which accepts no writes", hint)
    return ok("redis mode", "one primary")


def _memory(facts: dict[str, Any]) -> Finding:
    used, most = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    if not most:
        return ok("redis memory", f"{used >> 20} MiB in use, no maxmemory limit")
    said = f"{used >> 20} of {most >> 20} MiB in use"
    if used < most * _FILLING:
        return ok("redis memory", said)
    hint = "raise maxmemory: when the memory is full, submissions are answered with 503"
    return Finding("redis memory", "warn" if used < most * _FULL else "wrong", said, hint)


def _rights(client: "redis.Redis") -> Finding:
    """Run one command of each kind that the service uses, and remove the keys that these commands create."""
    trial = f"mr:trial:{secrets.token_hex(8)}"
    queue = f"_kombu.binding.{trial}"
    try:
        client.eval(_SCRIPT, 0, trial)
        client.delete(trial)
        client.publish(f"mr:bell:{trial}", "")
        client.sadd(queue, "")
        client.brpop([trial], timeout=0.01)
        client.delete(queue)
    except redis.RedisError as error:
        return wrong("redis rights", *refused(error))
    return ok("redis rights", "scripts, keys and channels can be used")


def _clock(client: "redis.Redis") -> Finding:
    began = time.time()
    seconds, micros = client.execute_command("TIME")  # type: ignore[no-untyped-call]
    ended = time.time()
    ahead = int(seconds) + int(micros) / 1e6 - (began + ended) / 2
    return clock("redis clock", timedelta(seconds=ahead), timedelta(seconds=(ended - began) / 2))
