"""What it means that Redis does not answer, or refuses: (what is said, hint). Nothing of the URL is in either."""

import re
import socket
import ssl
from collections.abc import Iterator

import redis
import redis.sentinel

_CERTIFICATE = (
    "the server's certificate is vouched for by nobody known here",
    "add ?ssl_ca_certs=/path/of/ca.crt to MASKRELAY_REDIS_URL, and use the name that the certificate has",
)
_NO_TLS = (
    "the TLS handshake fails",
    "rediss:// is for a port that speaks TLS, redis:// for one that does not; look which one this is",
)
_PASSWORD = ("user or password are wrong", "put the right ones into MASKRELAY_REDIS_URL, %-quoted")
_NO_PASSWORD = ("it asks for a password, and the URL has none", "redis://:PASSWORD@HOST:PORT/0")
_LOADING = ("it is reading its file in", "wait; submissions are answered 503 meanwhile")
_NO_NAME = ("its host name cannot be resolved", "look at the name in MASKRELAY_REDIS_URL, and at DNS")
_NOBODY = ("nothing listens there (refused)", "start it, or look at host and port in MASKRELAY_REDIS_URL")
_SILENT = (
    "no answer in time",
    "look at firewalls; a port is silent too where TLS is spoken to one without or the other way (rediss://, redis://)",
)
_ENDED = (
    "the connection ends at once",
    "a port that speaks TLS does so without it: try rediss://; else read the server's log",
)
_NO_MASTER = ("the Sentinels name no master of this name", "redis-cli -p 26379 SENTINEL MASTERS lists the names")

#: The first that fits counts.
_CAUSES: tuple[tuple[type[BaseException], tuple[str, str]], ...] = (
    (ssl.SSLCertVerificationError, _CERTIFICATE),
    (ssl.SSLError, _NO_TLS),
    (socket.gaierror, _NO_NAME),
    (ConnectionRefusedError, _NOBODY),
    (redis.sentinel.MasterNotFoundError, _NO_MASTER),
    (redis.BusyLoadingError, _LOADING),
    (redis.AuthenticationError, _PASSWORD),
    (redis.TimeoutError, _SILENT),
    (TimeoutError, _SILENT),
    (redis.ConnectionError, _ENDED),
)
_REFUSALS = {
    "NOPERM": "the user lacks rights",
    "OOM": "its memory is full",
    "MISCONF": "it cannot save to its disk, and refuses writes",
    "READONLY": "it is a replica",
    "CLUSTERDOWN": "it is a node of a cluster",
}
_RIGHTS = "its user needs +@all ~* &* (ACL SETUSER): scripts, INFO, and the keys of ledger and broker"


def unreached(error: redis.RedisError) -> tuple[str, str]:
    """Why it does not answer."""
    if "Authentication required" in str(error):
        return _NO_PASSWORD
    for cause in _chain(error):
        for kind, meaning in _CAUSES:
            if isinstance(cause, kind):
                return meaning
    return refused(error)


def refused(error: redis.RedisError) -> tuple[str, str]:
    """Why it does not do what it is asked."""
    if isinstance(error, redis.exceptions.NoPermissionError):
        return _REFUSALS["NOPERM"], _RIGHTS
    found = re.match(r"[A-Z]{3,20}\b", str(error))
    word = found[0] if found else type(error).__name__
    return _REFUSALS.get(word, f"it refuses a command ({word})"), "read the server's log; " + _RIGHTS


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The innermost cause first."""
    behind = error.__cause__ or error.__context__
    if behind is not None:
        yield from _chain(behind)
    yield error
