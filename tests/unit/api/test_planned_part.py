import pytest

from api.dependencies.planned_part import PlannedPart
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.errors import RecordUnreadable


def line(item: int, first: int, frames: int) -> bytes:
    return PlannedItem(item=item, custom_id=str(item), first=first, frames=frames).model_dump_json().encode()


def found(part: PlannedPart, frame: int) -> int | None:
    item = part.last_before(frame)
    return None if item is None else item.item


@pytest.mark.parametrize("frames", [[1] * 40, [7] * 6, [1, 30, 1, 1, 2, 5, 1], [40], [1, 39], [39, 1]])
def test_each_frame_is_found_in_its_item(frames: list[int]) -> None:
    firsts = [5 + sum(frames[:number]) for number in range(len(frames))]
    part = PlannedPart([line(number, first, frames[number]) for number, first in enumerate(firsts)], "part")
    owners = [number for number, many in enumerate(frames) for _ in range(many)]
    assert [found(part, frame) for frame in range(5, 5 + sum(frames))] == owners
    assert found(part, 4) is None
    assert found(part, 5 + sum(frames)) == len(frames) - 1  # the caller compares its frames
    assert PlannedPart([], "part").last_before(5) is None


def test_only_the_lines_that_are_needed_are_parsed() -> None:
    lines = [b"not a record"] * 1000
    for number in (0, 3, 500, 999):
        lines[number] = line(number, 2000 + number, 1)
    part = PlannedPart(lines, "jobs/a/plan/000002.ndjson")
    assert [found(part, 2000 + number) for number in (3, 500, 999)] == [3, 500, 999]
    with pytest.raises(RecordUnreadable, match=r"000002\.ndjson"):
        part.last_before(2004)
