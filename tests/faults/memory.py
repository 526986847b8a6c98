"""Samples the memory of a scene's processes, and finds growth beyond the most of the first third of the samples."""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

from tests.support.drivers.stack_behind_proxies import Scene

PERIOD_S = 2.0
#: A process that has just begun is still filling its caches.
YOUNG_S = 15.0
#: More than this much, and more than a quarter, is growth.
SLACK_MB = 30.0
MB = 1 << 20


class Memory:
    """Megabytes by role: of each process group the largest process, and what Redis says of its own."""

    def __init__(self, running: Scene) -> None:
        self._running = running
        self._samples: dict[str, list[float]] = defaultdict(list)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_the_end)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _sample_until_the_end(self) -> None:
        while not self._ended.wait(PERIOD_S):
            for role, group in list(self._running.stack.processes.items()):
                sizes = list(_old_enough(group))
                if sizes:
                    self._samples[role].append(max(sizes) / MB)

    def _thirds(self) -> Iterator[tuple[str, float, float, int]]:
        for role, samples in sorted(self._samples.items()):
            third = max(1, len(samples) // 3)
            yield role, max(samples[:third]), statistics.median(samples[-third:]), len(samples)

    def rows(self) -> list[tuple[object, ...]]:
        return [(role, f"{first:.0f}", f"{last:.0f}", count) for role, first, last, count in self._thirds()]

    def grown(self) -> list[str]:
        return [role for role, first, last, _ in self._thirds() if last > first * 1.25 and last > first + SLACK_MB]

    def summary(self) -> str:
        return ", ".join(f"{role} {last - first:+.0f} MB" for role, first, last, _ in self._thirds())


def _old_enough(group: int) -> Iterator[int]:
    """Resident bytes of the processes below this one that have run for a while; none of a group that is younger."""
    with suppress(psutil.Error):
        leader = psutil.Process(group)
        for process in (leader, *leader.children(recursive=True)):
            with suppress(psutil.Error):
                if time.time() - process.create_time() > YOUNG_S:
                    yield process.memory_info().rss
