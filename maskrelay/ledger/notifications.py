"""Notifications over Redis pub/sub.

A notification can be lost, so every listener also polls the state whose changes are announced.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from maskrelay.ledger.redis_connection import connect_listener

log = logging.getLogger(__name__)
#: `ended` means that a job is terminal, and `frames` that frames can be claimed. The message is the id of the job.
#: `changed` means that the record of a job has changed. The message is the id of the job, a space, and its tenant.
Bell = Literal["ended", "frames", "changed"]
#: The pause in seconds before reconnecting after a lost connection.
_AGAIN_S = 1.0
#: The number of seconds without a message after which the connection is checked.
_LOOK_S = 5.0


class Notifications:
    """A listener for notifications from the Redis at `redis_url`. The ledger's scripts publish them."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url

    async def listen(self, bell: Bell, heard: Callable[[str], object]) -> None:
        """Call `heard` with the message of every notification, until the task is cancelled.

        After any error, it connects again. While Redis is unavailable, notifications are lost.
        """
        while True:
            try:
                await self._listen_once(bell, heard)
            except (redis.RedisError, OSError):
                pass
            except Exception:
                log.exception("listening for %s failed and is started again", bell)
            await asyncio.sleep(_AGAIN_S)

    async def _listen_once(self, bell: Bell, heard: Callable[[str], object]) -> None:
        client = connect_listener(
            self._redis_url,
            socket_connect_timeout=3,
            socket_keepalive=True,
            health_check_interval=_LOOK_S,
            retry=Retry(NoBackoff(), 0),
        )
        async with client, client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(f"mr:bell:{bell}")
            while True:
                ring = await channel.get_message(timeout=_LOOK_S)
                if ring is not None:
                    heard(ring["data"].decode())
