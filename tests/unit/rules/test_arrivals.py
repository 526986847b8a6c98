"""When the objects of a folder have all arrived."""

from datetime import UTC, datetime, timedelta

from maskrelay.rules.arrivals import Arrival, Sighting, seen_now, time_left

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SETTLE = timedelta(seconds=60)
TWO = Arrival("s3://b/a", (("s3://b/a/1", 5, "x"), ("s3://b/a/2", 5, "y")))
THREE = Arrival("s3://b/a", (*TWO.objects, ("s3://b/a/3", 5, "z")))
REPLACED = Arrival("s3://b/a", (TWO.objects[0], ("s3://b/a/2", 5, "other")))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_folder_is_complete_when_it_has_not_changed_for_the_settle_time() -> None:
    first = seen_now(TWO, None, NOW)
    assert time_left(TWO, first, NOW, SETTLE, None) == SETTLE
    again = seen_now(TWO, first, after(59))
    assert time_left(TWO, again, after(59), SETTLE, None) == timedelta(seconds=1)
    assert time_left(TWO, again, after(60), SETTLE, None) == timedelta(0)


def test_every_change_begins_the_settle_time_again() -> None:
    first = seen_now(TWO, None, NOW)
    for changed in (THREE, REPLACED, Arrival(TWO.folder, TWO.objects[:1])):
        sighting = seen_now(changed, first, after(59))
        assert time_left(changed, sighting, after(100), SETTLE, None) == timedelta(seconds=19)


def test_a_folder_with_the_expected_number_of_objects_does_not_wait() -> None:
    assert time_left(THREE, seen_now(THREE, None, NOW), NOW, SETTLE, 3) == timedelta(0)
    assert time_left(TWO, seen_now(TWO, None, NOW), NOW, SETTLE, 3) == SETTLE


def test_a_folder_that_was_submitted_stays_submitted_until_it_changes() -> None:
    done = Sighting(TWO.digest(), NOW, submitted=True)
    assert seen_now(TWO, done, after(1)).submitted
    assert not seen_now(THREE, done, after(1)).submitted


def test_a_clock_that_goes_back_begins_the_settle_time_again_and_submits_nothing_twice() -> None:
    later = Sighting(TWO.digest(), after(3600))
    assert seen_now(TWO, later, NOW).since == NOW
    assert seen_now(TWO, Sighting(TWO.digest(), after(3600), submitted=True), NOW).submitted


def test_the_order_of_a_listing_does_not_matter() -> None:
    assert Arrival(TWO.folder, TWO.objects[::-1]).digest() == TWO.digest()
