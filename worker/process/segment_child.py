"""A child process of a segment worker, which keeps one event loop and the frames in progress between its tasks."""

import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from maskrelay.settings import Settings
from worker.context.slot_inventory import SlotReporter
from worker.finish.finish_step import finish_single_frame
from worker.process.child import WorkerChild
from worker.segment.allocator import keep_buffers
from worker.segment.event_loop import LoopThread
from worker.segment.loop import SegmentLoop
from worker.segment.setup import segment_loop


class SegmentChild(WorkerChild):
    """A child process that segments frames. Its loop starts at the first wake-up."""

    def __init__(self, settings: Settings, role: str, stopping: Callable[[], bool]) -> None:
        super().__init__(settings, role, stopping)
        self._thread: LoopThread | None = None
        self._segment: SegmentLoop | None = None
        self._sender: SlotReporter | None = None

    def segment(self) -> None:
        """Let the loop run for the time budget of a task.

        If the worker stops, finish or release the frames in progress.
        """
        with self.outliving():
            self._segment_for_a_while()

    def close(self) -> None:
        """Finish or release the frames in progress, and close what every child process has."""
        self._drain()
        if self._segment is not None:
            self._segment.close()
        if self._sender is not None:
            self._sender.close()
        super().close()

    def _segment_for_a_while(self) -> None:
        if self._thread is None:
            keep_buffers()
            self._thread = LoopThread()
            self._thread.start()
        if self._segment is None:  # if building the loop fails, the thread is kept, and the next wake-up tries again
            self._segment, self._sender = self._thread.run(self._new_loop())
        self._thread.run(self._segment.lend(self.until()))
        if self.stopping():
            self._drain()

    def _new_loop(self) -> Coroutine[Any, Any, tuple[SegmentLoop, SlotReporter]]:
        return segment_loop(self.parts(), self.stopping, partial(finish_single_frame, self.parts()))

    def _drain(self) -> None:
        """Finish or release the frames in progress. Start no score that could take longer than the remaining time."""
        if self._thread is not None and self._segment is not None:
            settings = self.settings
            ends = time.monotonic() + (settings.soft_shutdown - settings.task_budget).total_seconds()
            last_score = ends - settings.score_timeout.total_seconds()
            self._thread.run(self._segment.drain(ends, last_score))
