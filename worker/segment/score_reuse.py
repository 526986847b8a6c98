"""The reuse of answers: a score that was sent before is not sent again.

A score is identified by the canvas, the prompts in their order, the model version, and how the answer encodes
probabilities. With a declared model version, answers are used for all jobs of a tenant, otherwise only within a run.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta

from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.outcomes import ReusedScore
from maskrelay.contract.wire.image2d import Row
from maskrelay.contract.wire.kept_answer import KeptAnswer, Wire, encode_kept_answer, read_kept_answer
from maskrelay.endpoints import Endpoint
from maskrelay.errors import ObjectMissing
from maskrelay.imaging.masks.map_packing import pack_maps
from maskrelay.ledger.score_index import Location, ScoreIndex
from maskrelay.storage.protocol import Storage
from worker.segment.admission import ScoreRequest
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.row_batches import RowBatcher, ScoredRow

#: The pause between two looks at a score that another process has begun, in seconds.
LOOK_AGAIN = 0.25


def mark_of(claim_token: str, frame: int) -> str:
    """Return the token with which an attempt at a frame marks the scores that it has begun."""
    return f"{claim_token}:{frame}"


@dataclass(slots=True)
class ScoreInProgress:
    """A score that one frame looks up or sends, for all frames of the process that need it."""

    #: The answer, or None if there is none.
    answer: asyncio.Future[KeptAnswer | None]
    #: Whether the score is being sent. If it is not, it may be one that another process has begun.
    is_sent: bool = False


class ScoreReuse:
    """The scores in progress of one child process, and the index that all processes share.

    `lease` is the longest time for which a process keeps others from sending the same score. If the process is killed,
    another one sends it after this time.
    """

    def __init__(
        self, pool: EndpointPool, packs: RowBatcher, index: ScoreIndex, storage: Storage, lease: timedelta
    ) -> None:
        self._pool = pool
        self.packs = packs
        self.index = index
        self._storage = storage
        self.lease = lease
        #: By digest: the scores that frames of this process look up or send now.
        self.in_progress: dict[bytes, ScoreInProgress] = {}

    def scope(self, asked: ScoreRequest, tenant: str, *, is_run: bool) -> str | None:
        """Return what a score is identified by in addition to its canvas and prompts, or None if it cannot be reused.

        Without a declared model version, only equal images of a run are scored once. `is_run` says that the job is one.
        """
        kind, declared = self._kind(asked.among)
        if kind is None or not (declared or is_run):
            return None
        return json.dumps([tenant, None if declared else asked.job, *kind])

    def declared_scope(self, among: Sequence[str], tenant: str) -> str | None:
        """Return what the outcome of a frame is identified by in addition to its source, or None if it is not reused.

        It is not reused unless all endpoints that may score the frame have the same declared model version.
        """
        kind, declared = self._kind(among)
        return json.dumps([tenant, *kind]) if kind is not None and declared else None

    def _kind(self, among: Sequence[str]) -> tuple[tuple[str, str] | None, bool]:
        """Return the model version and the encoding of these endpoints, and whether the version is declared.

        If they differ, the first part is None.
        """
        endpoints = self._pool.named(among)
        kinds = {(endpoint.model_version, endpoint.encoding) for endpoint in endpoints}
        return (kinds.pop() if len(kinds) == 1 else None), all(endpoint.declares_version for endpoint in endpoints)

    def endpoint_of(self, kept: KeptAnswer, asked: ScoreRequest) -> Endpoint:
        """Return an endpoint with the name, the version and the encoding of the one that gave the answer."""
        first = self._pool.named(asked.among)[0]
        return first.model_copy(update={"name": kept.endpoint})

    def read(self, location: Location, digest: bytes, row: Row) -> KeptAnswer | None:
        """Return the stored answer to `row`, or None if it is gone or damaged. Raises StorageUnavailable."""
        try:
            body = self._storage.get(location.key, location.offset, location.length)
        except ObjectMissing:  # its job was deleted, or has expired
            return None
        return read_kept_answer(digest.hex(), body, row)


@dataclass(slots=True)
class FrameScores:
    """The scores of one frame, each sent or reused.

    A frame waits for a score that another frame has begun. But once it has begun scores itself, it waits for no other
    frame any more, which might wait for these. It then sends the score too.
    """

    shared: ScoreReuse
    scope: str
    canvas_sha256: str
    planned: PlannedFrame
    #: Identifies this attempt at the frame among the scores in progress (see `mark_of`).
    token: str
    #: The threads for work on pixels.
    threads: Executor
    #: The digests of the scores that this frame has begun, so that other frames wait for them.
    begun: set[bytes] = field(default_factory=set)
    #: The answers that were sent, packed, by digest.
    kept: dict[bytes, bytes] = field(default_factory=dict)
    reused: list[ReusedScore] = field(default_factory=list)

    async def score(self, row: Row, asked: ScoreRequest, name: str) -> ScoredRow:
        """Return the answer to `row`. Raises like `RowBatcher.score`, and StorageUnavailable."""
        digest, in_progress = self._digest(row), self.shared.in_progress
        while (other := in_progress.get(digest)) is not None and (other.is_sent or not self.begun):
            await asyncio.wait({other.answer}, timeout=LOOK_AGAIN)
            if other.answer.done() and (kept := other.answer.result()):
                return self._from(kept, row, asked)
        ours, kept = ScoreInProgress(asyncio.get_running_loop().create_future()), None
        in_progress.setdefault(digest, ours)
        try:
            kept, scored = await self._found_or_scored(ours, digest, row, asked, name)
            return scored
        finally:
            if in_progress.get(digest) is ours:
                del in_progress[digest]
            ours.answer.set_result(kept)

    async def abandon(self) -> None:
        """Let other frames score what this frame has scored, because its answers are not kept."""
        for digest in list(self.begun):
            await self._give_up(digest)

    async def _give_up(self, digest: bytes) -> None:
        self.begun.discard(digest)
        await asyncio.to_thread(self.shared.index.give_up, digest, self.token)

    async def _found_or_scored(
        self, ours: ScoreInProgress, digest: bytes, row: Row, asked: ScoreRequest, name: str
    ) -> tuple[KeptAnswer, ScoredRow]:
        found = await self._found(digest)
        if isinstance(found, Location) and (kept := await asyncio.to_thread(self.shared.read, found, digest, row)):
            return kept, self._from(kept, row, asked)
        ours.is_sent = True
        try:
            scored = await self.shared.packs.score(row, asked, name)
        except BaseException:
            await asyncio.shield(self._give_up(digest))
            raise
        wire: Wire = "lean2d" if scored.wire == "lean2d" else "image2d"
        kept = KeptAnswer(scored.answer, scored.endpoint.name, wire, asked.job, self.planned.frame)
        self.kept[digest] = await asyncio.get_running_loop().run_in_executor(self.threads, _packed, digest, kept)
        return kept, scored

    async def _found(self, digest: bytes) -> Location | None:
        """Return where the answer is stored, or None if this frame must send the score.

        Wait for another frame that has begun it, which sends no notification, so it is asked for again and again.
        """
        while True:
            found = await asyncio.to_thread(self.shared.index.find, digest, self.token, self.shared.lease)
            if isinstance(found, Location):
                return found
            if found == "ours":
                self.begun.add(digest)
            if self.begun:
                return None
            await asyncio.sleep(LOOK_AGAIN)

    def _from(self, kept: KeptAnswer, row: Row, asked: ScoreRequest) -> ScoredRow:
        places = tuple(self.planned.prompts.index(prompt) for prompt in row.prompts)
        self.reused.append(ReusedScore(job=kept.job, frame=kept.frame, prompts=places))
        return ScoredRow(kept.answer, self.shared.endpoint_of(kept, asked), kept.wire)

    def _digest(self, row: Row) -> bytes:
        parts = json.dumps([self.scope, self.canvas_sha256, row.prompts])
        return hashlib.sha256(parts.encode()).digest()


def _packed(digest: bytes, kept: KeptAnswer) -> bytes:
    return encode_kept_answer(digest.hex(), kept, pack_maps(kept.answer.maps))
