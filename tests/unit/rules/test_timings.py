"""Where a job's time went: the stages sum to the wall time, whatever the ledger lost."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskrelay.rules.timings import Moments, Spent, bottleneck, timings

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(second: float) -> datetime:
    return T0 + timedelta(seconds=second)


WHOLE = Moments(
    created=at(0),
    started=at(1),
    claimed=at(3),
    scored=at(13),
    assembling=at(13.5),
    assembled=at(15.5),
    finished=at(16),
    told=at(20),
)


def test_every_stage_of_a_whole_job_has_its_seconds():
    known = timings(WHOLE, {"endpoint": 600, "workers": 300, "storage": 100}, at(99))
    assert known == {
        "planning": 1,
        "queue": 2,
        "endpoint": 6,
        "workers": 3,
        "storage": 1,
        "assembling": 2,
        "finishing": 1,
        "callback": 4,
        "total": 20,
    }
    assert bottleneck(known) == "endpoint"


@pytest.mark.parametrize(
    ("reached", "under_way"),
    [
        (Moments(created=at(0)), "planning"),
        (Moments(created=at(0), started=at(1)), "queue"),
        (Moments(created=at(0), started=at(1), claimed=at(2)), "workers"),
        (WHOLE._replace(assembling=None, assembled=None, finished=None, told=None), "finishing"),
        (WHOLE._replace(assembled=None, finished=None, told=None), "assembling"),
    ],
)
def test_of_a_job_under_way_the_present_stage_lasts_until_now(reached: Moments, under_way: str):
    known = timings(reached, {}, at(1000))
    assert known["total"] == 1000
    assert bottleneck(known) == under_way


def test_without_a_callback_the_job_ends_with_its_result():
    known = timings(WHOLE._replace(told=None), {}, at(1000))
    assert "callback" not in known
    assert known["total"] == 16


@pytest.mark.parametrize(
    ("lost", "stage"), [({"started": None, "claimed": None}, "planning"), ({"claimed": None}, "queue")]
)
def test_a_job_stopped_early_spent_its_time_where_it_was(lost: dict[str, None], stage: str):
    known = timings(WHOLE._replace(**lost, assembling=None, assembled=None), {}, at(99))
    assert known[stage] == (13 if stage == "planning" else 12)
    assert known["workers"] == 0


def test_what_frames_spend_is_added_up_by_cause():
    spent = Spent.of([{"decode": 10.0, "score": 100.0, "store": 5.0}, {"score": 50.4, "fetch": 1.0, "another": 9.0}])
    spent.add("endpoint", 2.0)
    more = Spent()
    more.add("storage", 0.5)
    spent.take(more)
    assert spent.milliseconds() == {"workers": 10, "endpoint": 2150, "storage": 506}


MOMENT = st.one_of(st.none(), st.integers(0, 10**9).map(lambda us: T0 + timedelta(microseconds=us)))
SPENT = st.dictionaries(st.sampled_from(["endpoint", "workers", "storage"]), st.integers(0, 10**12))


@given(moments=st.tuples(*[MOMENT] * 7), spent=SPENT, until=st.integers(0, 10**9))
def test_the_stages_sum_to_the_time_from_acceptance_to_the_last_moment(moments, spent, until):
    """Also with clocks that disagree: no stage is less than nothing."""
    known = Moments(T0, *moments)
    now = T0 + timedelta(microseconds=until)
    stages = timings(known, spent, now)
    total = stages.pop("total")
    assert sum(round(one * 1000) for one in stages.values()) == round(total * 1000)
    assert all(one >= 0 for one in stages.values())
    ends = [known.started, known.claimed, known.scored, known.finished, *([known.told] if known.finished else [])]
    reached = [end for end in ends if end is not None]
    last = max([*reached, T0] if known.finished else [*reached, now, T0])
    assert total == int((last - T0) / timedelta(milliseconds=1)) / 1000
