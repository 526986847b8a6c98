"""Deliveries: due, under way under a lease, over."""

from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.outbox import Delivery
from tests.support.drivers.ledger_jobs import keys_of
from tests.support.servers.valkeys import RunningValkey


def taken(ledger: Ledger) -> Delivery:
    delivery = ledger.outbox.take()
    assert delivery is not None
    return delivery


def fall_due(valkey: RunningValkey) -> None:
    valkey.client.zadd("mr:outbox", {"job-a event-1": 1}, xx=True)


def test_an_event_is_taken_by_one_worker(ledger: Ledger) -> None:
    assert ledger.outbox.take() is None
    ledger.outbox.add("job-a", "event-1")
    assert ledger.wake_ups.work("deliver") == 1
    delivery = taken(ledger)
    assert (delivery.job, delivery.event, delivery.attempt) == ("job-a", "event-1", 1)
    assert ledger.outbox.take() is None
    assert ledger.wake_ups.work("deliver") == 0


def test_adding_an_event_that_is_on_its_way_changes_nothing(ledger: Ledger) -> None:
    ledger.outbox.add("job-a", "event-1")
    taken(ledger)
    ledger.outbox.add("job-a", "event-1")
    assert ledger.outbox.take() is None


def test_what_is_over_leaves_nothing(valkey: RunningValkey, ledger: Ledger) -> None:
    ledger.outbox.add("job-a", "event-1")
    assert ledger.outbox.over(taken(ledger))
    assert keys_of(valkey) == set()


def test_attempts_are_counted_unless_they_were_none(ledger: Ledger) -> None:
    ledger.outbox.add("job-a", "event-1")
    assert ledger.outbox.again(taken(ledger), timedelta(0))
    assert ledger.outbox.again(taken(ledger), timedelta(0), charge=False)
    delivery = taken(ledger)
    assert delivery.attempt == 2
    assert ledger.outbox.again(delivery, timedelta(minutes=5))
    assert ledger.outbox.take() is None


def test_a_delivery_whose_worker_died_is_another_attempt_of_somebody_else(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    ledger.outbox.add("job-a", "event-1")
    stale = taken(ledger)
    fall_due(valkey)
    fresh = taken(ledger)
    assert fresh.attempt == 2
    assert not ledger.outbox.over(stale)
    assert not ledger.outbox.again(stale, timedelta(0))
    assert ledger.outbox.over(fresh)
    assert not ledger.outbox.over(fresh)


def test_few_deliveries_reach_one_host_at_once(valkey: RunningValkey, ledger: Ledger) -> None:
    one, two, three = (Delivery("job-a", f"event-{number}", 1, f"token-{number}") for number in range(3))
    assert ledger.outbox.enter_host("host", one, 2)
    assert ledger.outbox.enter_host("host", two, 2)
    assert not ledger.outbox.enter_host("host", three, 2)
    assert ledger.outbox.enter_host("elsewhere", three, 2)
    ledger.outbox.leave_host("host", one)
    assert ledger.outbox.enter_host("host", three, 2)
    valkey.client.zadd("mr:callbacks:host", {"token-1": 1})
    assert ledger.outbox.enter_host("host", one, 2)


def test_what_waits_for_a_place_is_taken_once_there_is_room_and_holds_up_nothing_else(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    outbox = ledger.outbox
    outbox.add("job-a", "event-1")
    under_way = taken(ledger)
    assert outbox.enter_host("host", under_way, 1)
    for number in range(150):
        outbox.add("job-b", f"event-{number}")
        waiting = taken(ledger)
        assert not outbox.enter_host("host", waiting, 1)
        assert outbox.await_place(waiting, "host", 1)
    members = [member for member in valkey.client.zrange("mr:outbox", 0, -1) if member.startswith(b"job-b")]
    valkey.client.zadd("mr:outbox", dict.fromkeys(members, 1))
    outbox.add("job-c", "event-1")
    valkey.client.zadd("mr:outbox", {"job-c event-1": 2})
    assert taken(ledger).job == "job-c"
    assert outbox.take() is None
    outbox.leave_host("host", under_way)
    next_one = taken(ledger)  # at once, not after the pause
    assert (next_one.job, next_one.attempt) == ("job-b", 1)
    assert outbox.enter_host("host", next_one, 1)
    assert outbox.take() is None


def test_a_delivery_that_had_to_wait_for_a_place_leaves_nothing(valkey: RunningValkey, ledger: Ledger) -> None:
    ledger.outbox.add("job-a", "event-1")
    assert ledger.outbox.await_place(taken(ledger), "host", 1)
    fall_due(valkey)
    assert ledger.outbox.over(taken(ledger))
    assert keys_of(valkey) == set()
