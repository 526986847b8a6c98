"""The meaning of an error reply from Redis, by the word with which the reply begins."""

import logging
import re
import threading

import redis

log = logging.getLogger(__name__)
#: Replies of a server that cannot serve requests at present. For example, a failover made the server a replica, it is
#: loading its data file, or the password was changed. A new connection may help, because the address may by now lead to
#: another server.
MOVED = {
    "READONLY": "it is a replica now",
    "MASTERDOWN": "it is a replica without a primary",
    "UNBLOCKED": "it became a replica",
    "LOADING": "it is loading its data from disk",
    "NOREPLICAS": "it has too few replicas to accept writes",
    "CLUSTERDOWN": "it is a node of a cluster",
    "MOVED": "it is a node of a cluster",
    "NOAUTH": "it requires a password",
    "WRONGPASS": "the user name or the password is wrong",
}
#: Replies of a server that must be repaired. A new connection would not help.
BUSY = {
    "OOM": "its memory is full",
    "MISCONF": "it cannot save to its disk",
    "BUSY": "a script has been running for too long",
    "UNKILLABLE": "a script that has written data does not end",
    "NOPERM": "the user lacks permissions",
}
_CLASSES: tuple[tuple[type[redis.RedisError], str], ...] = (
    (redis.exceptions.ReadOnlyError, "READONLY"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.OutOfMemoryError, "OOM"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.BusyLoadingError, "LOADING"),
    (redis.AuthenticationError, "NOAUTH"),
)


def word_of(error: BaseException) -> str:
    """Return the error code of a refusal, or the name of the error's class if there is no code.

    The rest of the reply is not returned.
    """
    for kind, word in _CLASSES:
        if isinstance(error, kind):
            return word
    found = re.match(r"[A-Z]{3,20}\b", str(error)) if isinstance(error, redis.ResponseError) else None
    return found[0] if found else type(error).__name__


def moved(error: BaseException) -> bool:
    """Return whether to reconnect, because this server cannot serve requests."""
    return word_of(error) in MOVED


class Standing:
    """A log of failures.

    It writes one line when Redis starts to fail or fails in another way, and one line when it responds again.
    """

    def __init__(self, of: str) -> None:
        self._of = of
        self._lock = threading.Lock()
        self._word = ""

    def failed(self, error: BaseException) -> None:
        word = word_of(error)
        with self._lock:
            is_news, self._word = word != self._word, word
        if is_news:
            meaning = MOVED.get(word) or BUSY.get(word)
            log.warning("%s: Redis does not serve requests (%s)%s", self._of, word, f": {meaning}" if meaning else "")

    def answered(self) -> None:
        if not self._word:  # checked without the lock first, because failures are rare
            return
        with self._lock:
            was, self._word = self._word, ""
        if was:
            log.warning("%s: Redis serves requests again", self._of)
