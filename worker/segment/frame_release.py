"""The release of frames that got no outcome, so that they can be claimed again."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import timedelta

from maskrelay.errors import EndpointError, EndpointTimeout, FrameRefused, LedgerUnavailable, MaskrelayError
from maskrelay.ledger.claims import Claim, Claims
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.rules.retry import pause_after_release
from maskrelay.rules.timings import Cause
from worker.segment.outcome_batches import OutcomeBatcher

log = logging.getLogger(__name__)


class FrameRelease:
    """Releases frames in the ledger. If the ledger is unavailable, the leases of the frames lapse instead."""

    def __init__(self, claims: Claims, groups: OutcomeBatcher, recorder: StageRecorder) -> None:
        self._claims = claims
        self._groups = groups
        self._recorder = recorder

    async def release_to_wait(self, claim: Claim, frame: int, error: MaskrelayError) -> None:
        """Release the frame without counting an attempt.

        If the endpoint failed on this frame, the failure is recorded. Whether it counts as an attempt is decided when
        the frame is claimed again.
        """
        where = {"endpoint": error.endpoint} if isinstance(error, EndpointError) and error.endpoint else {}
        log.info("frame released to wait", extra={**about(claim, frame), "code": error.code, **where})
        self._recorder.happened("parked", error.code)
        after = pause_after_release(error, claim.trouble(frame).attempts + 1, random.random())
        cause: Cause = "endpoint" if isinstance(error, EndpointError) else "storage"
        self._groups.add_wait(claim.job, cause, after.total_seconds())
        if isinstance(error, FrameRefused | EndpointTimeout):
            await self.quietly(self._claims.release_failed, claim.token, frame, error.code, after, error.endpoint)
        else:
            await self.release_after(claim, frame, after)

    async def release_after(self, claim: Claim, frame: int, after: timedelta, *, suspect: bool = False) -> None:
        """Let the frame be claimed again after the pause `after`. A suspect frame will be claimed alone."""

        def release() -> None:
            self._claims.release(claim.token, frame, after=after, suspect=suspect or claim.alone)

        await self.quietly(release)

    async def quietly(self, call: Callable[..., object], *arguments: object) -> None:
        """Make the call in a thread. If Redis is unavailable, log that the lease will lapse."""
        try:
            await asyncio.to_thread(call, *arguments)
        except LedgerUnavailable:
            log.warning("a lease cannot be released and will lapse: the ledger is unavailable")


def about(claim: Claim, frame: int) -> dict[str, object]:
    """Return the fields of a log line about a frame."""
    return {"job_id": claim.job, "frame": frame}
