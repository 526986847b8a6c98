"""Custom ids that occurred before are recognised."""

from maskrelay.storage.seen_ids import open_seen_ids


def test_an_id_is_new_only_once() -> None:
    seen = open_seen_ids()
    assert [seen.add(custom_id) for custom_id in ("a", "b", "a", "ä", "b", "")] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    seen.close()


def test_many_ids_exceed_the_cache_and_are_still_known() -> None:
    seen = open_seen_ids()
    assert all(seen.add(str(number)) for number in range(200_000))
    assert not any(seen.add(str(number)) for number in range(0, 200_000, 1000))
    seen.close()
