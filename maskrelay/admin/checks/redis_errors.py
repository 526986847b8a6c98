"""Explain Redis connection errors and refused commands, each as a message and a hint.

Neither the message nor the hint contains any part of the URL.
"""

import re
import socket
import ssl
from collections.abc import Iterator

import redis
import redis.sentinel

_CERTIFICATE = (
    "the server's certificate was issued by an unknown authority, or for another host name",
    "add ?ssl_ca_certs=/path/of/ca.crt to MASKRELAY_REDIS_URL, and use the host name in the certificate",
)
_NO_TLS = (
    "the TLS handshake fails",
    "use rediss:// for a port with TLS, and redis:// for a port without TLS",
)
_PASSWORD = ("the user name or the password is wrong", "correct them in MASKRELAY_REDIS_URL, percent-encoded")
_NO_PASSWORD = ("it requires a password, and the URL has none", "use redis://:PASSWORD@HOST:PORT/0")
_LOADING = ("it is loading its data from disk", "wait; until then submissions are answered with 503")
_NO_NAME = ("its host name cannot be resolved", "check the name in MASKRELAY_REDIS_URL, and DNS")
_NOBODY = ("connection refused: nothing listens there", "start Redis, or check host and port in MASKRELAY_REDIS_URL")
_SILENT = (
    "it did not respond in time",
    "check firewalls. The cause can also be rediss:// with a port without TLS, or redis:// with a port with TLS",
)
_ENDED = (
    "it closes the connection immediately",
    "try rediss://, because a port with TLS closes connections without TLS; otherwise read the server's log",
)
_NO_MASTER = ("the Sentinels know no master with this name", "list the names: redis-cli -p 26379 SENTINEL MASTERS")

#: The types of errors, and their explanations. The first row that matches the error is used.
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
    "NOPERM": "the user lacks permissions",
    "OOM": "its memory is full",
    "MISCONF": "it cannot save to its disk, so it refuses writes",
    "READONLY": "it is a replica",
    "CLUSTERDOWN": "it is a node of a cluster",
}
_RIGHTS = "the user needs +@all ~* &* (ACL SETUSER) for scripts, INFO, and the keys of ledger and broker"


def unreached(error: redis.RedisError) -> tuple[str, str]:
    """Explain why Redis does not respond."""
    if "Authentication required" in str(error):
        return _NO_PASSWORD
    for cause in _chain(error):
        for kind, meaning in _CAUSES:
            if isinstance(cause, kind):
                return meaning
    return refused(error)


def refused(error: redis.RedisError) -> tuple[str, str]:
    """Explain why Redis refuses a command."""
    if isinstance(error, redis.exceptions.NoPermissionError):
        return _REFUSALS["NOPERM"], _RIGHTS
    found = re.match(r"[A-Z]{3,20}\b", str(error))
    code = found[0] if found else type(error).__name__
    return _REFUSALS.get(code, f"it refuses a command ({code})"), "read the server's log; " + _RIGHTS


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the causes of the error, the innermost first, and then the error itself."""
    behind = error.__cause__ or error.__context__
    if behind is not None:
        yield from _chain(behind)
    yield error
