"""The values that are kept in memory, asked for by many threads at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

from worker.context.job_records.plans import LruCache

AT_ONCE = 4


def test_a_value_that_many_threads_read_at_once_counts_once() -> None:
    reading = threading.Barrier(AT_ONCE, timeout=60)

    def read(key: str) -> str:
        if key == "a":
            reading.wait()
        return key.upper()

    kept = LruCache(read, most=2)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert list(threads.map(kept, ["a"] * AT_ONCE)) == ["A"] * AT_ONCE
    assert kept("b") == "B"
    assert (kept.holds("a"), kept.holds("b")) == (True, True)


def test_a_thread_is_given_its_value_although_others_displaced_it_meanwhile() -> None:
    slow = threading.Event()

    def read(key: int) -> int:
        if key == 0:
            assert slow.wait(60)
        return key

    kept = LruCache(read, most=2)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(kept, 0)
        assert [kept(key) for key in range(1, 10)] == list(range(1, 10))
        slow.set()
        assert first.result(60) == 0
    assert [key for key in range(10) if kept.holds(key)] == [0, 9]


def test_the_value_last_asked_for_stays() -> None:
    kept = LruCache(str, most=2)
    for key in (1, 2, 1, 3):
        kept(key)
    assert [kept.holds(key) for key in (1, 2, 3)] == [True, False, True]
