"""The reconnection of a Celery consumer that takes no messages, although messages wait and the worker is not busy.

Redis may become unavailable between the end of a task and its acknowledgement. Celery then cannot acknowledge the
message, and counts it as unacknowledged from then on. The number of unacknowledged messages is limited to the number of
child processes. A consumer with one child process therefore never requests another message, and does not notice that
its connection is lost.
"""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

#: The seconds between two checks.
PERIOD = 5.0
#: The number of consecutive checks in which a message is waiting, a child process is free, and no message was received.
#: After that, the consumer reconnects. A working consumer takes a message within milliseconds.
LOOKS = 3


class ConsumerWatch:
    """A detector of a consumer that takes no messages. The event loop of the consumer calls it.

    `is_free` returns whether a child process or thread of this worker is idle, and `received` returns how many messages
    the worker has received so far. `waiting` returns the number of messages that nobody has taken, or None if Redis
    does not respond. After a reconnection, Celery counts no message as unacknowledged.
    """

    def __init__(
        self, is_free: Callable[[], bool], received: Callable[[], int], waiting: Callable[[], int | None]
    ) -> None:
        self._is_free = is_free
        self._received = received
        self._waiting = waiting
        self._last = 0
        self._silent = 0

    def check(self) -> None:
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
