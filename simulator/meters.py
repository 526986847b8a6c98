"""Two meters that the counters use. All times are of the monotonic clock, in seconds."""

from collections import deque


class Level:
    """A level and its integral over time, for example the number of slots in use and their total seconds."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self._sum = 0.0
        self._before = 0.0

    def change(self, by: int, at: float) -> None:
        """Change the level by `by` since `at`, which may be slightly in the past."""
        self.now += by
        self.most = max(self.most, self.now)
        self._sum -= by * at

    def seconds(self, at: float) -> float:
        """Return the integral of the level from the last reset to `at`, in seconds."""
        return self._sum + self.now * at - self._before

    def reset(self, at: float) -> None:
        """Reset the integral and the maximum. The level itself remains."""
        self._before += self.seconds(at)
        self.most = self.now


class Window:
    """Amounts over time, and the largest sum within one span of time."""

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self.most = 0.0
        self._total = 0
        self._recent: deque[tuple[float, int]] = deque()

    def add(self, amount: int, at: float) -> None:
        """Add `amount` at this time."""
        self._recent.append((at, amount))
        self._total += amount
        self.most = max(self.most, self.total(at))

    def total(self, at: float) -> int:
        """Return the sum within the span before `at`."""
        while self._recent and self._recent[0][0] <= at - self.span_s:
            self._total -= self._recent.popleft()[1]
        return self._total
