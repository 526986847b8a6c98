"""What a settled part offers to later frames: only outcomes that the ledger has accepted."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome, ScoreRef
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.ledger.score_index import Location
from maskrelay.storage.file_store import FileStorage
from maskrelay.telemetry.spans import Untraced
from worker.context.job_records.outcome_parts import RecordedPart
from worker.segment.outcome_batches import BatchLimits, OutcomeBatcher
from worker.segment.score_reuse import mark_of

MINUTE = timedelta(minutes=1)
STALE = "0123456789abcdef"


def running_job(ledger: Ledger) -> tuple[str, Claim]:
    """Return a job of two frames, and a claim on the first."""
    job = keys.new_id()
    ledger.jobs.create(job, "t", "bulk", 2, datetime.now(UTC))
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    assert ledger.step_leases.extend(lease, 0, first=0, n=2, spans=[], last=True, lane="bulk", items=2)
    claim = ledger.claims.take(0, ["bulk"], 1)
    assert isinstance(claim, Claim)
    return job, claim


def scored(job: str, frame: int) -> RecordedPart:
    """Return an outcome that later frames may copy, with a score that they may use."""
    answer = ArtifactRef(key=keys.score_answer(job, frame, frame, 0, "89abcdef"), length=9, sha256="")
    score = ScoreRef(digest=digest(frame).hex(), answer=answer)
    return RecordedPart(Outcome(frame=frame, item=frame, state="succeeded", reuse_key=key(frame), scores=(score,)))


def digest(frame: int) -> bytes:
    return hashlib.sha256(b"%d" % frame).digest()


def key(frame: int) -> str:
    return digest(frame).hex()


def test_a_refused_outcome_is_not_offered_and_lets_others_score(ledger: Ledger, tmp_path: Path) -> None:
    storage, index = FileStorage(tmp_path), ledger.score_index
    job, claim = running_job(ledger)
    for token, frame in ((claim.token, 0), (STALE, 1)):
        assert index.find(digest(frame), mark_of(token, frame), MINUTE) == "ours"
    limits = BatchLimits(2, 60.0)
    groups = OutcomeBatcher(
        storage, ledger, StageRecorder(ledger.metrics.tell), Untraced(), {"bulk": limits, "interactive": limits}
    )

    async def settle() -> list[bool]:
        held = ((claim.token, 0), (STALE, 1))
        return await asyncio.gather(*(groups.add(job, "bulk", token, scored(job, frame)) for token, frame in held))

    assert asyncio.run(settle()) == [True, False]
    assert list(storage.list("reuse/")) == [keys.reuse(key(0))]
    assert isinstance(index.find(digest(0), "another", MINUTE), Location)
    assert index.find(digest(1), "another", MINUTE) == "ours"
