"""Smaller encodings for a stock deployment, over a real ledger and the simulator: when they are learnt, and used."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrelay.contract.wire.image2d import Row
from maskrelay.errors import FrameRefused
from maskrelay.imaging.canvas.encode import CanvasCoding, canvas_png, canvas_webp, is_accepted
from maskrelay.scoring.endpoint_client import Scored
from tests.support.drivers.scorers import Steps, scored_by_child
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey
from worker.segment import admission, picture_choice
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.canvas_choice import canvas_coding
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.scorer import ScoredRows, Scorer

ASKED = ScoreRequest("job", "bulk", ("default",))
PROMPTS = ("liver in abdomen CT",)
DISC = np.where(np.hypot(*np.mgrid[-512:512, -512:512]) < 250, np.uint8(190), np.uint8(0))
COLOUR = np.stack([DISC, DISC // 2, DISC], axis=2)
GRAY, RGB, WEBP = (
    Row(image, PROMPTS) for image in (canvas_png(DISC, gray=True), canvas_png(COLOUR), canvas_webp(COLOUR))
)
#: How the base64 of a WebP begins, and that of a grayscale PNG of the size of a canvas.
WEBP_START, GRAY_START = "UklGR", "iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAAAAA"


@pytest.fixture(autouse=True)
def _bytes_stay_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps may take longer than a wait for bytes counts as recent."""
    monkeypatch.setattr(admission, "BINDING", 600.0)


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(max_concurrent=4) as running:
        yield running


def scored_with(valkey: RunningValkey, folder: Path, simulator: RunningSimulator, steps: Steps, **more: Any) -> Any:
    """Return the result of the steps. `more` are fields of the endpoint, which is one for stock images."""
    return scored_by_child(valkey, folder, simulator, steps, **{"max_bytes_per_s": 4e6, **more})


async def score(scorer: Scorer, row: Row = RGB) -> ScoredRows:
    return await scorer.score([row], ASKED, "job:0")


async def score_until_bytes_are_the_limit(scorer: Scorer, admissions: Admissions) -> None:
    await asyncio.gather(score(scorer), score(scorer))
    assert admissions.bytes_bind()


def forms_of(valkey: RunningValkey) -> tuple[bool, bool] | None:
    forms = valkey.ledger().picture_forms.known("default", "1")
    return None if forms is None else (forms.gray, forms.webp)


def test_smaller_encodings_are_learnt_and_used_while_bytes_are_the_limit(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def steps(scorer: Scorer, pool: EndpointPool, admissions: Admissions) -> list[Any]:
        def coding() -> CanvasCoding:
            return canvas_coding(pool, scorer.wires, scorer.pictures, admissions, ("default",))

        before = coding()
        await score_until_bytes_are_the_limit(scorer, admissions)
        simulator.set(reset=True)
        answers = [(await score(scorer, row)).answers for row in (RGB, GRAY, WEBP)]
        return [before, coding(), *answers]

    before, after, rgb, _, webp = scored_with(valkey, tmp_path, simulator, steps)
    assert (before, after) == (CanvasCoding(), CanvasCoding(gray=True, webp=True, small=True))
    assert forms_of(valkey) == (True, True)
    assert webp == rgb
    assert simulator.counters()["kinds"] == {"RGB 1024x1024": 5, "L 1024x1024": 2}


def test_nothing_is_asked_for_a_few_images_while_bytes_are_not_the_limit(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def steps(scorer: Scorer, _pool: EndpointPool, _admissions: Admissions) -> None:
        for row in (RGB, GRAY, WEBP):
            await score(scorer, row)

    scored_with(valkey, tmp_path, simulator, steps, max_bytes_per_s=1e9)
    assert forms_of(valkey) is None
    assert simulator.counters()["kinds"] == {"RGB 1024x1024": 3}


def test_gray_images_are_sent_gray_after_many_images_although_bytes_are_not_the_limit(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_choice, "MANY", 3)

    async def steps(scorer: Scorer, pool: EndpointPool, admissions: Admissions) -> list[CanvasCoding]:
        def coding() -> CanvasCoding:
            return canvas_coding(pool, scorer.wires, scorer.pictures, admissions, ("default",))

        codings = []
        for _ in range(4):
            await score(scorer, GRAY)
            codings.append(coding())
        return codings

    codings = scored_with(valkey, tmp_path, simulator, steps, max_bytes_per_s=1e9)
    assert codings == [CanvasCoding()] * 3 + [CanvasCoding(gray=True)]
    assert forms_of(valkey) == (True, True)
    # three images and three of the test images were RGB PNGs, or a WebP of the same pixels
    assert simulator.counters()["kinds"] == {"RGB 1024x1024": 6, "L 1024x1024": 2}


@pytest.mark.parametrize(
    ("start", "fault", "forms"),
    [
        (WEBP_START, {"status": 424, "inner_status": 500}, (True, False)),
        (GRAY_START, {"status": 424, "inner_status": 400}, (False, True)),
        (GRAY_START, {"status": "bad_dtype"}, (False, True)),
    ],
)
def test_an_encoding_that_the_deployment_does_not_read_is_not_used_and_not_held_against_the_endpoint(
    valkey: RunningValkey,
    simulator: RunningSimulator,
    tmp_path: Path,
    start: str,
    fault: dict[str, Any],
    forms: tuple[bool, bool],
) -> None:
    async def steps(scorer: Scorer, _pool: EndpointPool, admissions: Admissions) -> None:
        await score_until_bytes_are_the_limit(scorer, admissions)
        simulator.set(fail={**fault, "when_prompt": start})
        await score(scorer, GRAY)
        await score(scorer, WEBP)

    scored_with(valkey, tmp_path, simulator, steps)
    assert forms_of(valkey) == forms
    flow = valkey.ledger().flow(())
    assert flow.state("default").gate == "open"


def test_a_frame_in_an_encoding_that_is_refused_later_is_sent_again_as_a_png(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def steps(scorer: Scorer, _pool: EndpointPool, admissions: Admissions) -> list[ScoredRows]:
        await score_until_bytes_are_the_limit(scorer, admissions)
        before = await score(scorer, WEBP)
        simulator.set(fail={"status": 424, "inner_status": 500, "when_prompt": WEBP_START})
        return [before, await score(scorer, WEBP)]

    before, after = scored_with(valkey, tmp_path, simulator, steps)
    assert before.answers == after.answers
    assert simulator.counters()["answers"]["424"] == 1


def test_a_frame_that_fails_in_every_encoding_fails(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def steps(scorer: Scorer, _pool: EndpointPool, admissions: Admissions) -> None:
        await score_until_bytes_are_the_limit(scorer, admissions)
        await score(scorer, WEBP)
        simulator.set(fail={"status": 424, "inner_status": 500, "times": 2})
        with pytest.raises(FrameRefused):
            await score(scorer, WEBP)

    scored_with(valkey, tmp_path, simulator, steps)


def test_another_deployment_is_asked_again(valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path) -> None:
    async def steps(scorer: Scorer, _pool: EndpointPool, admissions: Admissions) -> None:
        await score_until_bytes_are_the_limit(scorer, admissions)
        await score(scorer)
        simulator.set(deployment="green")
        await score(scorer)

    scored_with(valkey, tmp_path, simulator, steps)
    assert forms_of(valkey) is None


def test_an_answer_to_a_smaller_encoding_from_a_deployment_that_was_not_tested_is_not_used(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    async def steps(scorer: Scorer, _pool: EndpointPool, admissions: Admissions) -> list[ScoredRows]:
        await score_until_bytes_are_the_limit(scorer, admissions)
        await score(scorer)
        simulator.set(deployment="green", reset=True)
        return await asyncio.gather(*(score(scorer, GRAY) for _ in range(3)))

    scored_with(valkey, tmp_path, simulator, steps)
    kinds = simulator.counters()["kinds"]
    assert kinds.pop("L 1024x1024") >= 1
    assert kinds == {"RGB 1024x1024": 3}


@pytest.mark.parametrize(
    ("differs", "forms"), [("gray", (False, True)), ("webp", (True, False)), ("empty", (False, False))]
)
def test_an_encoding_with_another_answer_is_not_used(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path, differs: str, forms: tuple[bool, bool]
) -> None:
    """The deployment reads the image, but not as the same image, or its answers show nothing."""

    def is_changed(row: Row) -> bool:
        if differs == "empty":
            return True
        return not is_accepted(row.image, CanvasCoding(gray=differs == "webp", webp=differs == "gray"))

    async def steps(scorer: Scorer, pool: EndpointPool, _admissions: Admissions) -> None:
        (endpoint,) = pool.endpoints
        (answer,) = (await score(scorer)).answers

        async def changed(row: Row) -> Scored[Any]:
            raw = bytes(len(answer.maps.raw)) if is_changed(row) else answer.maps.raw
            answers = [replace(answer, maps=replace(answer.maps, raw=raw))]
            return Scored(answers, 1.0, 0.0, 1, 1, {"azureml-model-deployment": "blue"})

        await scorer.pictures.ask(endpoint, changed)

    scored_with(valkey, tmp_path, simulator, steps)
    assert forms_of(valkey) == forms
