"""A consumer that takes nothing although it could is made to reconnect; any other is left alone."""

from dataclasses import dataclass

import pytest

from worker.process.consumer_watch import LOOKS, ConsumerWatch


@dataclass
class Consumer:
    free: bool = True
    received: int = 7
    waiting: int | None = 1

    def watch(self) -> ConsumerWatch:
        return ConsumerWatch(lambda: self.free, lambda: self.received, lambda: self.waiting)


def test_a_consumer_that_takes_nothing_reconnects_after_some_looks_and_is_then_given_as_many_again() -> None:
    watch = Consumer().watch()
    watch.check()  # it has received messages since it began
    for _ in range(2):
        for _ in range(LOOKS - 1):
            watch.check()
        with pytest.raises(ConnectionResetError):
            watch.check()


@pytest.mark.parametrize(
    "consumer",
    [Consumer(free=False), Consumer(waiting=0), Consumer(waiting=None)],
    ids=["its children are busy", "no message waits", "Redis does not answer"],
)
def test_a_consumer_that_could_take_nothing_is_left_alone(consumer: Consumer) -> None:
    watch = consumer.watch()
    for _ in range(5 * LOOKS):
        watch.check()


def test_a_consumer_that_takes_one_message_between_looks_is_left_alone() -> None:
    consumer = Consumer()
    watch = consumer.watch()
    for _ in range(5 * LOOKS):
        consumer.received += 1
        watch.check()


def test_looks_that_found_it_silent_count_only_in_a_row() -> None:
    consumer = Consumer()
    watch = consumer.watch()
    watch.check()
    for _ in range(5):
        for _ in range(LOOKS - 1):
            watch.check()
        consumer.free = False
        watch.check()
        consumer.free = True
