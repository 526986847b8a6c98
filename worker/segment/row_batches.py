"""Batches of rows of one job that share a request. If a request fails because of a row, the bad row is searched for."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from maskrelay.contract.records.job import Lane
from maskrelay.contract.wire.image2d import Row, RowAnswer
from maskrelay.endpoints import Endpoint, Wire
from maskrelay.errors import FrameRefused
from worker.segment.admission import ScoreRequest
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.scorer import Scorer

#: How long a row waits for other rows of its job, in seconds, if a request may have more than one row.
GATHERING: dict[Lane, float] = {"interactive": 0.02, "bulk": 0.2}


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One row's answer, the endpoint that gave it, and the wire format of the request."""

    answer: RowAnswer
    endpoint: Endpoint
    wire: Wire = "image2d"


Ended = ScoredRow | Exception


@dataclass(slots=True)
class RowBatch:
    """Rows that will share a request. Each has the name of its frame and the future of its result."""

    rows: list[Row] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    ends: list[asyncio.Future[Ended]] = field(default_factory=list)
    size: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, row: Row, name: str) -> asyncio.Future[Ended]:
        self.rows.append(row)
        self.names.append(name)
        self.size += _weight(row)
        self.ends.append(asyncio.get_running_loop().create_future())
        return self.ends[-1]


class RowBatcher:
    """A scorer of single rows, which combines rows into requests.

    A request has at most as many rows as every possible endpoint accepts.
    """

    def __init__(self, pool: EndpointPool, scorer: Scorer) -> None:
        self._pool = pool
        self._scorer = scorer
        self._open: dict[ScoreRequest, RowBatch] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def score(self, row: Row, asked: ScoreRequest, name: str) -> ScoredRow:
        """Return the answer to `row`, which is the input called `name`. Raises the errors of `Scorer.score`."""
        if self._pool.rows_per_request(asked.among) == 1:
            scored = await self._scorer.score([row], asked, name, [name])
            return ScoredRow(scored.answers[0], scored.endpoint, scored.wire)
        ended = await self._gathering(row, asked).add(row, name)
        if isinstance(ended, Exception):
            raise ended
        return ended

    def _gathering(self, row: Row, asked: ScoreRequest) -> RowBatch:
        """Return the batch for the row: the open one if the row fits into it, otherwise a new one."""
        pack = self._open.get(asked)
        if pack is None or pack.size + _weight(row) > self._pool.request_bytes(asked.among):
            pack = self._open[asked] = RowBatch()
            task = asyncio.create_task(self._send(pack, asked))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        if len(pack.rows) + 1 >= self._pool.rows_per_request(asked.among):
            pack.full.set()
            del self._open[asked]
        return pack

    async def _send(self, pack: RowBatch, asked: ScoreRequest) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHERING[asked.lane]):
                await pack.full.wait()
        if self._open.get(asked) is pack:
            del self._open[asked]
        ends = await self._searched(pack.rows, pack.names, asked, f"{pack.names[0]}+")
        for awaited, end in zip(pack.ends, ends, strict=True):
            if not awaited.done():
                awaited.set_result(end)

    async def _searched(self, rows: Sequence[Row], names: Sequence[str], asked: ScoreRequest, pack: str) -> list[Ended]:
        """Return the result of each row.

        If a request fails because of its rows, it is halved until each bad row is alone. A half with several rows is
        sent under the name of the whole batch. With a different name for each half, one bad row would be counted as
        several inputs that fail one after another.
        """
        try:
            name = names[0] if len(rows) == 1 else pack
            scored = await self._scorer.score(rows, asked, name, names)
        except FrameRefused as error:
            if len(rows) == 1:
                return [error]
        except Exception as error:  # noqa: BLE001  every row's frame gets the error
            return [error] * len(rows)
        else:
            return [ScoredRow(answer, scored.endpoint, scored.wire) for answer in scored.answers]
        half = len(rows) // 2
        first = self._searched(rows[:half], names[:half], asked, pack)
        second = self._searched(rows[half:], names[half:], asked, pack)
        return [end for ends in await asyncio.gather(first, second) for end in ends]


def _weight(row: Row) -> int:
    """Return the size of the row's image in the request, in bytes. base64 makes it a third longer."""
    return len(row.image) * 4 // 3
