"""Wake-ups are coalesced; sweeps and comparisons are one process' at a time."""

from datetime import timedelta

from maskrelay.ledger import Ledger
from tests.support.drivers.ledger_jobs import running_job
from tests.support.servers.valkeys import RunningValkey

PERIOD = timedelta(minutes=10)


def test_ten_thousand_wake_ups_send_few_messages(valkey: RunningValkey) -> None:
    sent: list[str] = []
    ledger = valkey.ledger(sent=sent)
    assert [ledger.wake_ups.wake("segment", 2) for _ in range(50)] == [True, True, *[False] * 48]
    assert ledger.wake_ups.wake("plan")
    assert sent == ["segment", "segment", "plan"]


def test_a_step_that_waits_is_woken_for_however_many_loops_are_busy(ledger: Ledger) -> None:
    for number in range(3):
        ledger.wake_ups.running("finish", f"loop-{number}", timedelta(seconds=30))
    assert [ledger.wake_ups.wake("finish", 2) for _ in range(3)] == [True, True, False]
    ledger.wake_ups.running("finish", "loop-3", timedelta(seconds=30))
    assert ledger.wake_ups.wake("finish", 2)


def test_a_second_loop_that_adds_rows_to_tables_is_never_woken(ledger: Ledger) -> None:
    assert [ledger.wake_ups.wake("tabulate", 5) for _ in range(2)] == [True, False]
    ledger.wake_ups.running("tabulate", "loop-1", timedelta(seconds=30))
    assert not ledger.wake_ups.wake("tabulate", 5)
    ledger.wake_ups.ended("tabulate", "loop-1")
    assert ledger.wake_ups.wake("tabulate", 5)


def test_messages_that_nobody_takes_do_not_pile_up(valkey: RunningValkey) -> None:
    ledger = valkey.ledger()
    for task in ("deliver", "segment"):
        valkey.client.rpush(task, "a message")
        assert ledger.wake_ups.wake(task, 100)
        valkey.client.rpush(task, "a message")
        assert not ledger.wake_ups.wake(task, 100)
        valkey.client.lpop(task)
        assert ledger.wake_ups.wake(task, 100)


def test_nothing_wanted_sends_nothing(valkey: RunningValkey) -> None:
    sent: list[str] = []
    assert not valkey.ledger(sent=sent).wake_ups.wake("segment", 0)
    assert sent == []


def test_a_loop_takes_the_place_of_the_wake_up_that_started_it(ledger: Ledger) -> None:
    assert ledger.wake_ups.wake("segment", 1)
    ledger.wake_ups.running("segment", "loop-1", timedelta(seconds=30))
    assert not ledger.wake_ups.wake("segment", 1)
    assert ledger.wake_ups.wake("segment", 2)
    ledger.wake_ups.running("segment", "loop-1", timedelta(seconds=30))
    assert not ledger.wake_ups.wake("segment", 2)
    ledger.wake_ups.ended("segment", "loop-1")
    assert ledger.wake_ups.wake("segment", 2)


def test_a_wake_up_that_was_lost_and_a_loop_that_died_are_replaced(valkey: RunningValkey, ledger: Ledger) -> None:
    assert ledger.wake_ups.wake("segment", 1)
    for member in valkey.client.zrange("mr:woken:segment", 0, -1):
        valkey.client.zadd("mr:woken:segment", {member: 1})
    assert ledger.wake_ups.wake("segment", 1)
    ledger.wake_ups.running("segment", "loop-1", timedelta(seconds=30))
    valkey.client.zadd("mr:loops:segment", {"loop-1": 1})
    assert ledger.wake_ups.wake("segment", 1)


def test_work_for_segment_loops_is_the_frames_that_can_be_claimed(ledger: Ledger) -> None:
    assert ledger.wake_ups.work("segment") == 0
    running_job(ledger, "job-a", 7)
    running_job(ledger, "job-b", 5, lane="bulk")
    assert ledger.wake_ups.work("segment") == 12
    ledger.claims.take(0, ["interactive"])
    assert ledger.wake_ups.work("segment") == 11


def test_one_process_sweeps_at_a_time(valkey: RunningValkey, ledger: Ledger) -> None:
    assert ledger.sweep_state.lock(timedelta(seconds=30))
    assert not ledger.sweep_state.lock(timedelta(seconds=30))
    assert 0 < valkey.client.pttl("mr:sweep:lock") <= 30_000


def test_storage_and_ledger_are_compared_once_a_period(valkey: RunningValkey, ledger: Ledger) -> None:
    token = ledger.sweep_state.begin_reconciling(PERIOD)
    assert token is not None
    assert ledger.sweep_state.end_reconciling(token)
    assert not ledger.sweep_state.end_reconciling(token)
    assert ledger.sweep_state.begin_reconciling(PERIOD) is None
    valkey.client.hincrby("mr:sweep", "reconciled", -600_001)
    assert ledger.sweep_state.begin_reconciling(PERIOD) is not None


def test_they_are_compared_again_when_redis_is_another_one(valkey: RunningValkey, ledger: Ledger) -> None:
    token = ledger.sweep_state.begin_reconciling(PERIOD)
    assert token is not None
    ledger.sweep_state.end_reconciling(token)
    valkey.client.hset("mr:sweep", "reconciled_run", "that of another server")
    assert ledger.sweep_state.begin_reconciling(PERIOD) is not None


def test_a_comparison_during_which_redis_was_emptied_does_not_count(valkey: RunningValkey, ledger: Ledger) -> None:
    token = ledger.sweep_state.begin_reconciling(PERIOD)
    assert token is not None
    valkey.client.flushall()
    assert not ledger.sweep_state.end_reconciling(token)
    assert ledger.sweep_state.begin_reconciling(PERIOD) is not None


def test_a_comparison_is_not_begun_twice_but_taken_over_from_a_dead_process(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    slow = ledger.sweep_state.begin_reconciling(PERIOD)
    assert slow is not None
    assert ledger.sweep_state.begin_reconciling(PERIOD) is None
    for member in valkey.client.zrange("mr:reconciling", 0, -1):
        valkey.client.zincrby("mr:reconciling", -30_001, member)
    other = ledger.sweep_state.begin_reconciling(PERIOD)
    assert other is not None
    assert ledger.sweep_state.end_reconciling(slow)
    assert not ledger.sweep_state.end_reconciling(other)


def test_a_comparison_that_goes_on_is_not_begun_anew_however_long_it_takes(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    token = ledger.sweep_state.begin_reconciling(PERIOD)
    assert token is not None
    (member,) = valkey.client.zrange("mr:reconciling", 0, -1)
    began = int(valkey.client.hget("mr:reconciling:began", member))
    valkey.client.zincrby("mr:reconciling", -30_001, member)
    assert ledger.sweep_state.go_on_reconciling(token)
    assert ledger.sweep_state.begin_reconciling(PERIOD) is None
    assert ledger.sweep_state.end_reconciling(token)
    assert int(valkey.client.hget("mr:sweep", "reconciled")) == began
    assert not ledger.sweep_state.go_on_reconciling(token)
    assert not valkey.client.exists("mr:reconciling", "mr:reconciling:began")


def test_a_comparison_during_which_redis_was_emptied_does_not_go_on(valkey: RunningValkey, ledger: Ledger) -> None:
    token = ledger.sweep_state.begin_reconciling(PERIOD)
    assert token is not None
    valkey.client.flushall()
    assert not ledger.sweep_state.go_on_reconciling(token)
    assert not valkey.client.exists("mr:reconciling")
