"""Celery's configuration, which is the same in every process. Celery only runs the workers and delivers wake-ups."""

from datetime import timedelta

from celery import Celery

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.redis_connection import Address, read_address
from maskrelay.ledger.refusals import Standing, moved
from maskrelay.ledger.wakeups import TASKS


def broker(redis_url: str, *, visibility_timeout: timedelta) -> Celery:
    """Return the Celery app. A comment gives the reason for each setting that is not obvious."""
    address = read_address(redis_url)
    app = Celery("maskrelay", broker=address.as_broker(), set_as_current=False)
    if isinstance(address, Address) and address.tls is not None:
        app.conf.broker_use_ssl = dict(address.tls)  # without these options, the transport would trust any server
    set_by_url = dict(address.options) if isinstance(address, Address) else {"master_name": address.master}
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        # The ledger releases the frames of a dead worker, so the message itself is not needed again.
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,  # otherwise, a worker would end when a full Redis refuses to record a message
        task_routes={name: {"queue": name} for name in TASKS},
        task_create_missing_queues=True,
        broker_transport_options={
            "visibility_timeout": int(visibility_timeout.total_seconds()),
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # Without a timeout, a publish on a half-open connection blocks for most of a minute.
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            **set_by_url,
        },
    )
    return app


class Publisher:
    """A publisher of wake-ups.

    It makes one attempt to send a wake-up, and raises LedgerUnavailable if this fails. The sweep sends another wake-up
    later.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._standing = Standing("broker")

    def __call__(self, task: str) -> None:
        try:
            self._app.send_task(task, queue=task, retry=False, ignore_result=True)
        except Exception as error:  # kombu's errors have no common base class
            self._standing.failed(error)
            if moved(error):
                self._app.pool.force_close_all(close_pool=False)
            raise LedgerUnavailable(type(error).__name__) from error
        self._standing.answered()
