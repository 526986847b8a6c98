"""Reconnect a Celery consumer that takes no messages although some are waiting and a child or thread is free.

When Redis becomes unavailable between the end of a task and its acknowledgement, Celery logs that it could not
acknowledge the message, and counts it as being processed from then on. A consumer with one child then never asks for a
message again, and so does not notice that its connection is lost.
"""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

#: Seconds between two checks.
PERIOD = 5.0
#: How many consecutive checks must find a message waiting, a child free and nothing received since the last check. A
#: consumer that works takes a message within milliseconds.
LOOKS = 3


class ConsumerWatch:
    """Detects a consumer that takes no messages. Called from the consumer's own loop.

    A new connection starts with no message counted as being processed. is_free: returns whether a child or thread of
    this worker is idle. received: returns how many messages it has received so far. waiting: returns how many messages
    nobody has taken; None when Redis does not respond.
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
        """Raise ConnectionResetError, which makes Celery reconnect, when nothing was taken during several checks."""
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
