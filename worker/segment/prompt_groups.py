"""Frames with more prompts than one score accepts.

Their prompts are divided among several scores, whose answers are joined.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from maskrelay.contract.wire.image2d import (
    CANVAS,
    MapStack,
    Row,
    RowAnswer,
)
from maskrelay.errors import AnswerInvalid
from worker.segment.admission import ScoreRequest
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.row_batches import ScoredRow


class RowScorer(Protocol):
    """A scorer of single rows, such as a `RowBatcher`."""

    async def score(self, row: Row, asked: ScoreRequest, name: str) -> ScoredRow: ...


async def score_prompts(
    pool: EndpointPool, packs: RowScorer, row: Row, asked: ScoreRequest, name: str, *, one_by_one: bool = False
) -> ScoredRow:
    """Return the answer for every prompt of `row`.

    The first score determines the model version for all scores of the row. With `one_by_one`, each prompt is sent in a
    separate score, because prompts of one request influence each other. Raises the errors of `packs.score`, and
    AnswerInvalid if the answers cannot be combined.
    """
    most = 1 if one_by_one else pool.prompts_per_score(asked.among)
    if len(row.prompts) <= most:
        return await packs.score(row, asked, name)
    groups = [row.prompts[first : first + most] for first in range(0, len(row.prompts), most)]
    scored = await packs.score(Row(row.image, groups[0]), asked, name)
    alike = replace(asked, among=pool.alike(scored.endpoint, asked.among))
    others = await asyncio.gather(
        *(packs.score(Row(row.image, prompts), alike, name) for prompts in groups[1:]), return_exceptions=True
    )
    answers = [scored.answer]
    for other in others:
        if isinstance(other, BaseException):
            raise other
        answers.append(other.answer)
    return ScoredRow(together(answers), scored.endpoint, scored.wire)


def together(answers: Sequence[RowAnswer]) -> RowAnswer:
    """Join the answers for several groups of prompts of one frame, in order."""
    dtypes = {answer.maps.dtype for answer in answers}
    if len(dtypes) != 1:
        raise AnswerInvalid("the scores of one frame differ in dtype", status=200, kind="dtype")
    categories = tuple(category for answer in answers for category in answer.categories)
    raw = b"".join(answer.maps.raw for answer in answers)
    warnings = tuple(dict.fromkeys(warning for answer in answers for warning in answer.warnings))
    return RowAnswer(MapStack(raw, (len(categories), CANVAS, CANVAS), dtypes.pop()), categories, warnings)
