"""Frames that need each other's scores: none waits for a frame that waits for it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.wire.image2d import Row
from maskrelay.imaging.canvas.canary import canary
from maskrelay.storage.file_store import FileStorage
from tests.support.drivers.scorers import scored_by_child
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.row_batches import RowBatcher
from worker.segment.score_reuse import FrameScores, ScoreReuse, mark_of
from worker.segment.scorer import Scorer

PROMPTS = ("optic disc", "optic cup")
ASKED = ScoreRequest("job", "bulk", ("default",))


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(max_concurrent=4) as running:
        yield running


@pytest.mark.parametrize("children", [1, 2])
def test_two_frames_with_their_prompts_in_another_order_do_not_wait_for_each_other(
    valkey: RunningValkey, tmp_path: Path, simulator: RunningSimulator, children: int
) -> None:
    """Each frame has scored its first prompt, and nothing is settled. Then each needs what the other has begun."""
    image = canary().image

    async def crossed(scorer: Scorer, pool: EndpointPool, _: Admissions) -> Any:
        index, storage = valkey.ledger().score_index, FileStorage(tmp_path)
        shared = [
            ScoreReuse(pool, RowBatcher(pool, scorer), index, storage, timedelta(minutes=9)) for _ in range(children)
        ]
        with ThreadPoolExecutor(1) as threads:
            frames = []
            for number, prompts in enumerate((PROMPTS, PROMPTS[::-1])):
                planned = PlannedFrame(frame=number, item=number, source="s", size=1, sha256="", prompts=prompts)
                mark = mark_of(f"token {number}", number)
                frames.append(FrameScores(shared[number % children], "scope", "canvas", planned, mark, threads))
            for place in range(2):
                scores = [frame.score(Row(image, (frame.planned.prompts[place],)), ASKED, "f") for frame in frames]
                async with asyncio.timeout(60):  # the marks last for nine minutes
                    answers = await asyncio.gather(*scores)
            for frame in frames:
                await frame.abandon()
        return [len(scored.answer.categories) for scored in answers]

    assert scored_by_child(valkey, tmp_path, simulator, crossed) == [1, 1]
    assert valkey.client.keys("mr:scoring:*") == []
