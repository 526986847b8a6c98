"""Reconnect a Celery consumer that takes no messages, although some are waiting and a child process or thread is free.

Redis may become unavailable between the end of a task and its acknowledgement. Celery then logs that it could not
acknowledge the message, and from then on counts it as being processed. A consumer with one child process does not
request another message, and so does not notice that its connection is lost.
"""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

#: The seconds between two checks.
PERIOD = 5.0
#: In this many checks in a row, a message must be waiting, a child process free, and nothing received since the last
#: check. A consumer that works takes a message within milliseconds.
LOOKS = 3


class ConsumerWatch:
    """A detector of a consumer that takes no messages. The loop of the consumer itself calls it.

    `is_free` returns whether a child process or thread of this worker is idle, and `received` returns how many messages
    the worker has received so far. `waiting` returns how many messages nobody has taken, or None if Redis does not
    respond. After a reconnection, no message counts as being processed.
    """

    def __init__(
        self, is_free: Callable[[], bool], received: Callable[[], int], waiting: Callable[[], int | None]
    ) -> None:
        self._is_free = is_free
        self._received = received
        self._waiting = waiting
        self._last = 0
        self._silent = 0

    def look(self) -> None:
        """Raise ConnectionResetError, which makes Celery reconnect, if no message was taken in several checks."""
        last, self._last = self._last, self._received()
        if self._last != last or not self._is_free() or not self._waiting():
            self._silent = 0
            return
        self._silent += 1
        if self._silent < LOOKS:
            return
        self._silent = 0
        log.warning("the consumer receives no messages although some are waiting; it reconnects to Redis")
        raise ConnectionResetError("the consumer receives no messages")
