"""The choice of the wire format, over a real ledger and the lean deployment's own script behind the gateway."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrelay.contract.wire.image2d import Row
from maskrelay.errors import EndpointUnavailable, FrameRefused
from maskrelay.imaging.canvas.encode import canvas_png, canvas_webp
from tests.support.drivers.scorers import scored_by_child
from tests.support.lean_script import LEAN_SCRIPT
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.scorer import ScoredRows, Scorer

ASKED = ScoreRequest("job", "bulk", ("default",))
GRAY = np.tile(np.arange(1024, dtype=np.uint8), (1024, 1))
CANVAS = np.stack([GRAY, GRAY.T, GRAY], axis=2)
ARTICLE = Row(canvas_png(CANVAS), ("liver in abdomen CT",))
WEBP = Row(canvas_webp(CANVAS), ARTICLE.prompts)
Steps = Callable[[Scorer], Awaitable[Any]]


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(max_concurrent=4, lean=LEAN_SCRIPT) as running:
        yield running


def scored_with(valkey: RunningValkey, folder: Path, simulator: RunningSimulator, steps: Steps, **more: Any) -> Any:
    """Return the result of the steps. `more` are fields of the endpoint, which is one for lean2d."""

    async def with_scorer(scorer: Scorer, _pool: EndpointPool, _admissions: Admissions) -> Any:
        return await steps(scorer)

    described = {"wire": "lean2d", "max_bytes_per_s": 1e9, **more}
    return scored_by_child(valkey, folder, simulator, with_scorer, **described)


async def one(scorer: Scorer, row: Row = ARTICLE) -> ScoredRows:
    return await scorer.score([row], ASKED, "job:0")


def counts(valkey: RunningValkey) -> dict[str, dict[str, int]]:
    return valkey.ledger().metrics.snapshot().counts


def test_a_lean_deployment_is_asked_once_and_its_maps_are_the_stock_ones(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def three(scorer: Scorer) -> list[ScoredRows]:
        return [await one(scorer), await one(scorer), await one(scorer, WEBP)]

    scored = scored_with(valkey, tmp_path, simulator, three)
    assert [each.wire for each in scored] == ["lean2d"] * 3
    again = scored_with(valkey, tmp_path, simulator, one)
    counted = simulator.counters()
    assert counted["prompts"] == {"liver in abdomen CT": 5}
    assert counted["bytes_out"] < 100_000
    # A recorder of an earlier test in this process may report its own counts of image2d at any time.
    assert counts(valkey)["scored"]["lean2d"] == 5

    simulator.set(lean=False)
    stock = scored_with(valkey, tmp_path, simulator, one, wire="image2d")
    assert stock.wire == "image2d"
    assert all(each.answers == stock.answers for each in (*scored, again))


def test_rows_that_come_while_a_deployment_is_asked_are_lean_too(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def together(scorer: Scorer) -> list[ScoredRows]:
        return await asyncio.gather(*(one(scorer) for _ in range(4)))

    scored = scored_with(valkey, tmp_path, simulator, together)
    assert [each.wire for each in scored] == ["lean2d"] * 4


def test_a_stock_deployment_is_asked_once_and_gets_the_articles_form(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    simulator.set(lean=False)
    for _ in range(2):
        assert scored_with(valkey, tmp_path, simulator, one).wire == "image2d"
    counted = simulator.counters()
    assert (counted["scores"], counted["answers"]) == (3, {"200": 3})
    offer = valkey.ledger().offers.known("default", "1")
    assert offer is not None
    assert (offer.lean, offer.deployment) == (False, "simulator")


def test_a_lean_request_that_is_refused_is_sent_again_in_the_articles_form(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def rolled_back(scorer: Scorer) -> list[ScoredRows]:
        before = await one(scorer)
        simulator.set(lean=False)
        return [before, await one(scorer, WEBP), await one(scorer)]

    before, after, later = scored_with(valkey, tmp_path, simulator, rolled_back)
    assert [before.wire, after.wire, later.wire] == ["lean2d", "image2d", "image2d"]
    assert before.answers == after.answers == later.answers
    assert simulator.counters()["answers"] == {"200": 4, "424": 1}
    assert counts(valkey)["lean_failed"] == {"refused": 1}
    assert valkey.ledger().flow(()).state("default").gate == "open"


def test_a_lean_answer_that_cannot_be_read_is_asked_for_again_in_the_articles_form(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def spoilt(scorer: Scorer) -> list[ScoredRows]:
        before = await one(scorer)
        simulator.set(fail={"status": "bad_dtype", "times": 1})
        return [before, await one(scorer)]

    before, after = scored_with(valkey, tmp_path, simulator, spoilt)
    assert (before.wire, after.wire) == ("lean2d", "image2d")
    assert counts(valkey)["lean_failed"] == {"unreadable": 1}


def test_the_gate_of_a_deployment_whose_lean_answers_are_wrong_opens_again(
    valkey: RunningValkey, tmp_path: Path
) -> None:
    right = '{"version": VERSION, "rows": rows}'
    text = LEAN_SCRIPT.read_text()
    assert right in text
    (script := tmp_path / "wrong.py").write_text(text.replace(right, '{"version": 0, "rows": rows}'))

    async def until_closed(scorer: Scorer) -> ScoredRows:
        scored = await one(scorer)
        simulator.set(fail={"status": 503, "times": 1, "retry_after": 1})
        with pytest.raises(EndpointUnavailable):
            await one(scorer)
        return scored

    with running_simulator(lean=script) as simulator:
        assert scored_with(valkey, tmp_path, simulator, until_closed).wire == "image2d"
        assert scored_with(valkey, tmp_path, simulator, one).wire == "image2d"
    assert valkey.ledger().flow(()).state("default").gate == "open"
    assert counts(valkey)["lean_failed"] == {"unreadable": 2}


def test_a_row_that_the_model_fails_on_fails_in_either_form_alike(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def failing(scorer: Scorer) -> str:
        await one(scorer)
        simulator.set(fail={"status": 424, "inner_status": 500, "times": 1})
        with pytest.raises(FrameRefused) as caught:
            await one(scorer)
        return str(caught.value.kind)

    assert scored_with(valkey, tmp_path, simulator, failing) == "model_error"
    assert "lean_failed" not in counts(valkey)


def test_another_version_or_another_deployment_is_asked_again(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    assert scored_with(valkey, tmp_path, simulator, one).wire == "lean2d"
    assert valkey.ledger().offers.known("default", "2") is None
    simulator.set(deployment="green")
    assert scored_with(valkey, tmp_path, simulator, one).wire == "lean2d"
    assert valkey.ledger().offers.known("default", "1") is None


def test_an_endpoint_that_is_away_is_no_stock_deployment(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    simulator.set(fail={"status": 503, "times": 1})
    assert scored_with(valkey, tmp_path, simulator, one).wire == "image2d"
    assert valkey.ledger().offers.known("default", "1") is None


def test_a_gray_png_of_a_lean_frame_becomes_the_stock_forms_rgb(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    simulator.set(lean=False)

    async def gray(scorer: Scorer) -> ScoredRows:
        return await one(scorer, Row(canvas_png(GRAY, gray=True), ARTICLE.prompts))

    assert scored_with(valkey, tmp_path, simulator, gray).wire == "image2d"
    assert set(simulator.counters()["kinds"]) == {"RGB 1024x1024"}
