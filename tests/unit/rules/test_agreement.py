import pytest

from maskrelay.rules.agreement import cohens_kappa, error_interval, sample_order


def pairs(both: int, first: int, second: int, neither: int) -> list[tuple[bool, bool]]:
    """Return so many pairs of verdicts: both accept, only the first accepts, only the second, neither."""
    return [(True, True)] * both + [(True, False)] * first + [(False, True)] * second + [(False, False)] * neither


@pytest.mark.parametrize(
    ("counts", "observed", "kappa"),
    [
        ((20, 5, 10, 15), 0.7, 0.4),  # the example that most textbooks give
        ((45, 15, 25, 15), 0.6, 0.1304),
        ((10, 0, 0, 10), 1.0, 1.0),
        ((0, 5, 5, 0), 0.0, -1.0),
    ],
)
def test_kappa_is_that_of_published_examples(counts: tuple[int, ...], observed: float, kappa: float) -> None:
    assert cohens_kappa(pairs(*counts)) == pytest.approx((observed, kappa), abs=1e-4)


def test_kappa_is_not_defined_if_chance_alone_explains_everything() -> None:
    assert cohens_kappa(pairs(7, 0, 0, 0)) == (1.0, None)


@pytest.mark.parametrize(
    ("wrong", "total", "interval"),
    [(0, 50, (0.0, 0.0714)), (2, 50, (0.0110, 0.1346)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0))],
)
def test_the_interval_is_wilsons(wrong: int, total: int, interval: tuple[float, float]) -> None:
    assert error_interval(wrong, total) == pytest.approx(interval, abs=1e-4)


def test_a_sample_is_the_same_for_the_same_job_and_another_for_another() -> None:
    items = range(1000)
    small = sample_order("a", items, 20)
    assert sample_order("a", reversed(items), 50)[:20] == small
    assert len(set(small)) == 20
    assert sample_order("b", items, 20) != small
    assert sample_order("a", range(5), 20) != list(range(20))
    assert sorted(sample_order("a", range(5), 20)) == list(range(5))


def test_a_sample_is_spread_over_all_items() -> None:
    drawn = sample_order("a", range(10_000), 500)
    assert 4500 < sum(drawn) / len(drawn) < 5500
