"""Prefetching: the next few calls to storage run while the caller works on the last result."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

#: Concurrent calls. They are limited by the round-trip time to storage.
_HANDS = 8
T = TypeVar("T")


def ahead(call: Callable[[int], T], numbers: Sequence[int]) -> Iterator[T]:
    """Yield `call` of each number, in order. At most a few results are held. Raises what a call raises.

    Threads are started only if there is more than one call to make.
    """
    if len(numbers) <= 1:
        yield from map(call, numbers)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(min(_HANDS, len(numbers)), thread_name_prefix="ahead") as hands:
        try:
            for number in numbers:
                waiting.append(hands.submit(call, number))
                if len(waiting) > _HANDS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            hands.shutdown(wait=False, cancel_futures=True)
