"""The outcome of a frame: its masks with their files, or its coded error."""

from collections.abc import Iterator

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.outcomes import ArtifactRef, MaskOutcome, Outcome, ScoreRef
from maskrelay.errors import DecodeTimeout
from maskrelay.imaging.frame_pixels import PreparedFrame, draw
from maskrelay.ledger.claims import Claim
from maskrelay.storage.protocol import BINARY
from worker.context.job_records.outcome_parts import RecordedPart, failed, failure_of, ref_of
from worker.segment.row_batches import ScoredRow
from worker.segment.score_reuse import FrameScores


def record(
    claim: Claim,
    planned: PlannedFrame,
    prepared: PreparedFrame,
    scored: ScoredRow,
    scores: FrameScores | None,
    attempts: int,
) -> RecordedPart:
    """Return the outcome of a scored frame with its files. `scores` says what was reused, and keeps what was sent.

    Raises AnswerInvalid.
    """
    drawn = draw(prepared, scored.answer, scored.endpoint.encoding, planned.outputs)
    job, item, attempt = claim.job, planned.item, claim.token[:8]
    files: dict[str, bytes] = {}
    masks = [
        MaskOutcome(
            **mask.measures.model_dump(),
            prompt=prompt,
            category=mask.category,
            rle=mask.rle,
            label_rle=mask.label_rle,
            self_check=mask.self_check,
            mask=_filed(files, keys.mask(job, item, planned.frame, number, attempt), mask.mask),
            probability=_filed(files, keys.probability(job, item, planned.frame, number, attempt), mask.probability),
        )
        for number, (mask, prompt) in enumerate(zip(drawn.masks, planned.prompts, strict=True))
    ]
    outcome = Outcome(
        frame=planned.frame,
        item=item,
        index=planned.index,
        instance=planned.instance,
        source_name=planned.source_name,
        state="succeeded",
        masks=tuple(masks),
        overlay=_filed(files, keys.overlay(job, item, planned.frame, attempt), drawn.overlay),
        preview=_filed(files, keys.preview(job, item, planned.frame, attempt), drawn.preview, "image/webp"),
        thumbnail=_filed(files, keys.thumbnail(job, item, planned.frame, attempt), drawn.thumbnail),
        geometry=prepared.box.record(),
        intensity=prepared.intensity,
        endpoint=scored.endpoint.name,
        model_version=scored.endpoint.model_version,
        wire=scored.wire,
        attempts=attempts,
        scores=tuple(_kept(files, claim, planned, scores)) if scores else (),
        reused_from=tuple(scores.reused) if scores else (),
    )
    return RecordedPart(outcome, files)


def _kept(files: dict[str, bytes], claim: Claim, planned: PlannedFrame, scores: FrameScores) -> Iterator[ScoreRef]:
    """Add the answers that are kept to `files`, and yield the references to them."""
    for number, (digest, body) in enumerate(scores.kept.items()):
        key = keys.score_answer(claim.job, planned.item, planned.frame, number, claim.token[:8])
        files[key] = body
        yield ScoreRef(digest=digest.hex(), answer=ref_of(key, body, BINARY))


def _filed(
    files: dict[str, bytes], key: str, body: bytes | None, content_type: str = "image/png"
) -> ArtifactRef | None:
    """Add a file to `files`, and return the reference to it. Return None if the file was not requested."""
    if body is None:
        return None
    files[key] = body
    return ref_of(key, body, content_type)


def overran(planned: PlannedFrame) -> Outcome:
    """Return the failed outcome of a frame that was alone in its child process and took too long to decode."""
    return failed(planned, failure_of(DecodeTimeout()), 1)
