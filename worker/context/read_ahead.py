"""Reading ahead: while the caller works on one result, the next calls to storage are already running."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

#: The number of concurrent calls. Most of their time is spent waiting for the server.
_HANDS = 8
T = TypeVar("T")


def ahead(call: Callable[[int], T], numbers: Sequence[int]) -> Iterator[T]:
    """Call `call` with each number, and yield the results in order.

    Only a few results are in memory at a time. If a call raises an error, the iterator raises it. Threads are started
    only if there is more than one call to make.
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
