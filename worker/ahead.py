"""Prefetching: the next few calls to storage run while the caller works on the last result."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

#: Calls under way at once: what counts is their way there and back.
_HANDS = 8
T = TypeVar("T")


def ahead(call: Callable[[int], T], numbers: Sequence[int]) -> Iterator[T]:
    """`call` of each number, in order; at most a few answers are held. Raises what a call raises.

    Threads are started only where there is more than one call to make.
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
