"""What a whole run says of single masks."""

import statistics

import pytest

from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome, Rle
from maskrelay.rules.suspicion import FEWEST, Sizes, judged, neighbours_disagree


def mask(area: int, *flags: str, bbox: tuple[int, int, int, int] = (10, 10, 20, 20)) -> MaskOutcome:
    return MaskOutcome(
        prompt="liver",
        empty=area == 0,
        area_px=area,
        bbox=bbox if area else None,
        components=1,
        mean_probability=0.9,
        flags=flags,
        rle=Rle(size=(100, 100), counts=""),
    )


def line(*masks: MaskOutcome | None) -> ItemLine:
    outcomes = [
        Outcome(frame=n, item=0, index=n, state="succeeded" if one else "failed", masks=(one,) if one else ())
        for n, one in enumerate(masks)
    ]
    return ItemLine(item=0, custom_id="0", state="succeeded", outcomes=tuple(outcomes))


def sizes_of(*areas: int) -> Sizes:
    sizes = Sizes()
    for area in areas:
        sizes.add("liver", area / 10_000)
    return sizes


def flags(judged_line: ItemLine) -> list[tuple[str, ...]]:
    return [one.flags for outcome in judged_line.outcomes for one in outcome.masks]


def test_a_size_far_from_the_runs_own_is_flagged_and_a_usual_one_is_not():
    sizes = sizes_of(*(400 + n for n in range(FEWEST)), 4000)
    assert flags(judged(line(mask(4000)), sizes)) == [("size_outlier",)]
    assert flags(judged(line(mask(20)), sizes)) == [("size_outlier",)]
    assert flags(judged(line(mask(410)), sizes)) == [()]


def test_few_masks_say_nothing_of_sizes_and_empty_ones_do_not_count():
    assert flags(judged(line(mask(4000)), sizes_of(*[400] * (FEWEST - 1)))) == [()]
    assert flags(judged(line(mask(0)), sizes_of(*[400] * FEWEST))) == [()]
    assert sizes_of(*[400] * FEWEST, *[0] * 50).outlier("liver", 0.04) == 0


def test_a_z_score_is_that_of_median_and_deviation():
    areas = [300, 350, 380, 400, 420, 450, 500] * 3
    import math

    logs = [math.log(area / 10_000) for area in areas]
    middle = statistics.median(logs)
    spread = 1.4826 * statistics.median(abs(one - middle) for one in logs)
    assert sizes_of(*areas).outlier("liver", 0.2) == pytest.approx((math.log(0.2) - middle) / spread)


@pytest.mark.parametrize(
    ("slices", "places"),
    [
        ([mask(300), mask(0), mask(310)], [1]),
        ([mask(0), mask(300), mask(0)], [1]),
        ([mask(0), mask(30), mask(0)], []),  # too small to count
        ([mask(300), mask(310), mask(0)], []),  # an object ends
        ([mask(300), mask(2000), mask(310)], [1]),
        ([mask(300), mask(300, bbox=(70, 70, 20, 20)), mask(310)], [1]),
        ([mask(300), None, mask(310)], []),
        ([mask(300), mask(0), None], []),
        ([mask(300), mask(330), mask(360), mask(390)], []),
        ([mask(300)], []),
    ],
)
def test_a_slice_that_fits_neither_neighbour_is_found(slices, places):
    assert neighbours_disagree(slices) == places


def test_a_disagreeing_slice_is_flagged_in_its_line():
    assert flags(judged(line(mask(300), mask(0), mask(310)), Sizes())) == [(), ("neighbours_disagree",), ()]


def test_a_mistake_is_more_suspicious_than_a_picture_and_a_stranger_size_breaks_a_tie():
    sizes = sizes_of(*(400 + n for n in range(FEWEST)))
    wrong, edge = judged(line(mask(405, "geometry_check")), sizes), judged(line(mask(405, "touches_border")), sizes)
    clean = judged(line(mask(410)), sizes)
    assert wrong.suspicion > edge.suspicion > clean.suspicion
    small, tiny = judged(line(mask(100)), sizes), judged(line(mask(5)), sizes)
    assert tiny.suspicion > small.suspicion
