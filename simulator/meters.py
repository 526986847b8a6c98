"""Two meters that the counters are built on. All times are of the monotonic clock, in seconds."""

from collections import deque


class Level:
    """How many there are, and the integral of that over time: the seconds of all of them together."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self._sum = 0.0
        self._before = 0.0

    def change(self, by: int, at: float) -> None:
        """So many more or fewer since `at`, which may lie a little in the past."""
        self.now += by
        self.most = max(self.most, self.now)
        self._sum -= by * at

    def seconds(self, at: float) -> float:
        """What has been spent until `at` since the last reset; what is under way counts so far."""
        return self._sum + self.now * at - self._before

    def reset(self, at: float) -> None:
        """Forget what was spent and the most; what is there stays."""
        self._before += self.seconds(at)
        self.most = self.now


class Window:
    """Amounts as they come, and the most that ever fell into one span of time."""

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self.most = 0.0
        self._total = 0
        self._recent: deque[tuple[float, int]] = deque()

    def add(self, amount: int, at: float) -> None:
        """`amount` more at this time."""
        self._recent.append((at, amount))
        self._total += amount
        self.most = max(self.most, self.total(at))

    def total(self, at: float) -> int:
        """What came within the span before `at`."""
        while self._recent and self._recent[0][0] <= at - self.span_s:
            self._total -= self._recent.popleft()[1]
        return self._total
