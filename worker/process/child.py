"""A child process of a worker.

It builds its objects after the fork, keeps them between tasks, and closes them at the end.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.wakeups import Task
from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import read_proxy
from maskrelay.settings import Settings, name_of
from worker.context import WorkerContext, build
from worker.context.slot_inventory import SlotReporter
from worker.finish.finish_step import finish_single_frame
from worker.segment.allocator import keep_buffers
from worker.segment.event_loop import LoopThread
from worker.segment.loop import SegmentLoop
from worker.segment.setup import segment_loop

#: A task that runs for this many times its time budget is regarded as hanging. The worker then kills the child process
#: and forks another. A segment task ends when its budget is over. Any other task ends after the current step, which
#: takes minutes for a large item.
HANGS_AFTER: dict[Task, int] = {"segment": 20, "assemble": 120, "plan": 120, "finish": 120}
#: The seconds between two checks whether Redis is available again.
ASK_AGAIN = 0.5


class WorkerChild:
    """The objects that a child process of a worker builds at its first wake-up, which is after the fork."""

    def __init__(self, settings: Settings, role: str, stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._role = role
        self._stopping = stopping
        self._lock = threading.Lock()
        self._context: WorkerContext | None = None
        self._callbacks: CallbackSender | None = None
        self._thread: LoopThread | None = None
        self._segment: SegmentLoop | None = None
        self._sender: SlotReporter | None = None

    def parts(self) -> WorkerContext:
        with self._lock:
            if self._context is None:
                self._context = build(self._settings, self._role)
            return self._context

    def sender(self) -> CallbackSender:
        """Return the callback sender, which the threads of this process share."""
        with self._lock:
            self._callbacks = self._callbacks or self._new_sender()
            return self._callbacks

    def _new_sender(self) -> CallbackSender:
        settings = self._settings
        shown = settings.callback_cert_file, settings.callback_cert_key_file
        tls = client_context(*shown, what=name_of("callback_cert_file"))
        given = settings.callback_proxy
        proxy = read_proxy(given.get_secret_value(), name_of("callback_proxy")) if given else None
        return CallbackSender(AddressGuard(settings.callback_allow), settings.callback_timeout, tls, proxy=proxy)

    def run_stage(self, task: Task, work: Callable[[WorkerContext, float], None]) -> None:
        """Call `work`, the function of a stage, with the time until which it may begin new work."""
        with self._outliving(), self._counted(task):
            work(self.parts(), self.until())

    @contextlib.contextmanager
    def _counted(self, task: Task) -> Iterator[None]:
        """Count as a running loop of this task during the block.

        Wake another loop if there is work for more than one loop. This loop first takes one job, item or delivery, so
        another loop is woken if more than one is waiting. After the block, check again, because the time of this loop
        may be over before the work is done.
        """
        wakes, loop = self.parts().ledger.wake_ups, secrets.token_hex(8)
        wakes.running(task, loop, self._settings.task_budget * 2)
        try:
            wakes.wake(task, wakes.work(task) - 1)
            yield
        finally:
            wakes.ended(task, loop)
            wakes.wake(task, wakes.work(task))

    @contextlib.contextmanager
    def _outliving(self) -> Iterator[None]:
        """Let the task end only while Redis responds.

        The sweep later continues the work that an outage has interrupted. Without Redis, Celery could not acknowledge
        the end of the task, and would count the child process as busy. A consumer whose only child process is busy does
        not read from Redis. It would therefore not notice that its connection is lost, and would never receive a
        wake-up again.
        """
        try:
            with contextlib.suppress(LedgerUnavailable):
                yield
        finally:
            self._await_ledger()

    def _await_ledger(self) -> None:
        """Wait until Redis responds, or until the worker is about to stop."""
        while not self._stopping():
            with contextlib.suppress(LedgerUnavailable):
                self.parts().ledger.scripts.ask("PING")
                return
            time.sleep(ASK_AGAIN)

    def close(self) -> None:
        """Finish or release the frames in progress, report the metrics, and close the audit log."""
        self._drain()
        if self._segment is not None:
            self._segment.close()
        with self._lock:
            if self._sender is not None:
                self._sender.close()
            if self._context is not None:
                self._context.recorder.tell()
                self._context.audit.close()
                self._context.spans.end()

    def time_limit(self, task: Task) -> float:
        """Return the seconds after which a child process is killed if it is still working on the task.

        They include the time in which a worker must shut down, because a segment task uses this time to finish its
        frames.
        """
        settings = self._settings
        return (HANGS_AFTER[task] * settings.task_budget + settings.soft_shutdown).total_seconds()

    def until(self) -> float:
        return time.monotonic() + self._settings.task_budget.total_seconds()

    def segment(self) -> None:
        """Let the loop run for the time budget of a task.

        If the worker stops, finish or release the frames in progress.
        """
        with self._outliving():
            self._segment_for_a_while()

    def _segment_for_a_while(self) -> None:
        if self._thread is None:
            keep_buffers()
            self._thread = LoopThread()
            self._thread.start()
        if self._segment is None:  # if building the loop fails, the thread is kept, and the next wake-up tries again
            self._segment, self._sender = self._thread.run(self._new_loop())
        self._thread.run(self._segment.lend(self.until()))
        if self._stopping():
            self._drain()

    def _new_loop(self) -> Coroutine[Any, Any, tuple[SegmentLoop, SlotReporter]]:
        return segment_loop(self.parts(), self._stopping, partial(finish_single_frame, self.parts()))

    def _drain(self) -> None:
        """Finish or release the frames in progress. Start no score that could take longer than the remaining time."""
        if self._thread is not None and self._segment is not None:
            settings = self._settings
            ends = time.monotonic() + (settings.soft_shutdown - settings.task_budget).total_seconds()
            last_score = ends - settings.score_timeout.total_seconds()
            self._thread.run(self._segment.drain(ends, last_score))
