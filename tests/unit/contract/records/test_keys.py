"""Names of a fixed width: a number that does not fit is refused, so that names always sort as their numbers do."""

from collections.abc import Callable

import pytest

from maskrelay.contract.records import keys


@pytest.mark.parametrize(
    ("name", "most"),
    [
        (lambda number: keys.frame_part("job", number), 10**6),
        (lambda number: keys.item_part("job", number), 10**6),
        (lambda number: keys.survey_part("job", number), 10**6),
        (lambda number: keys.window("job", number), 10**9),
        (lambda number: keys.assembled_item("job", number), 10**9),
        (lambda number: keys.audit_file("2026-01-01T00", "api-0", number), 10**9),
        (lambda number: keys.outcome_part_name(0, "0123abcd", number), 10**6),
        (lambda number: keys.outcome_part_name(number, "0123abcd", 0), 10**16),
    ],
)
def test_a_number_that_does_not_fit_is_refused(name: Callable[[int], str], most: int):
    assert len(name(0)) == len(name(most - 1))
    assert name(most - 2) < name(most - 1)
    for number in (-1, most):
        with pytest.raises(ValueError, match="digits"):
            name(number)
