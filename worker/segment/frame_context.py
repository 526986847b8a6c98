"""The objects that all frames of a child process share, the stopwatch of a frame, and two errors of a frame."""

import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta

from maskrelay.ledger.claims import Claims
from maskrelay.ledger.flow_control import Flow
from maskrelay.ledger.measurements import Stage, StageRecorder
from maskrelay.rules.pace import Pace
from maskrelay.storage.protocol import Storage
from maskrelay.telemetry.spans import Spans
from worker.context.job_records.plans import Plans
from worker.context.source_cache import SourceCache
from worker.segment.admission import Admissions
from worker.segment.byte_budget import ByteBudget
from worker.segment.decoders import Decoders
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.score_reuse import ScoreReuse
from worker.segment.scorer import Scorer
from worker.segment.source_reuse import SourceReuse
from worker.segment.unscored_frames import UnscoredFrames


class ClaimLost(Exception):
    """The token of the claim is no longer valid."""


class DecodeOverran(Exception):
    """Decoding has exceeded its time limit. The decoding thread cannot be stopped."""


@dataclass(frozen=True, slots=True)
class FrameContext:
    """The objects with which a frame is segmented.

    Memory is reserved before it is used. A frame that waits for memory of `decoding` may already have memory of
    `files`. A frame that has memory of `decoding` never waits for memory of `files`, and no frame ever waits for memory
    of `pictures`. So the frames cannot wait for each other in a circle.
    """

    storage: Storage
    sources: SourceCache
    claims: Claims
    flow: Flow
    plans: Plans
    pool: EndpointPool
    admissions: Admissions
    scorer: Scorer
    reuse: ScoreReuse
    threads: Executor
    #: The threads that read sources by reference.
    fetching: Executor
    #: Admits as many decodes at the same time as there are threads for them.
    decoders: Decoders
    #: Memory for source files, until they are decoded.
    files: ByteBudget
    #: Memory for decoding and drawing.
    decoding: ByteBudget
    #: Memory for decoded images that are kept during the score, because the masks are drawn into them. If there is not
    #: enough for an image, the image is decoded again for drawing.
    pictures: ByteBudget
    #: Frames whose score failed, for the next attempt.
    unscored: UnscoredFrames
    source_reuse: SourceReuse
    decode_timeout: timedelta
    max_pixels: int
    max_decode_bytes: int
    max_attempts: int
    recorder: StageRecorder
    spans: Spans
    pace: Pace = field(default_factory=Pace)


#: The worker's own stages, which are measured once for each frame. The scorer measures the stages of each request.
_OWN_STAGES: tuple[Stage, ...] = ("fetch", "decode", "prepare", "restore", "store")


@dataclass(slots=True)
class Stopwatch:
    """The milliseconds of each stage. `score` includes the wait for admission."""

    timings: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, stage: str) -> None:
        """Add the time since the previous call of `lap` to the time of `stage`."""
        now = time.monotonic()
        self.timings[stage] = round(self.timings.get(stage, 0.0) + (now - self._since) * 1000, 1)
        self._since = now

    def working(self) -> float:
        """Return the total time of the worker's own stages in seconds."""
        return sum(self.timings.get(stage, 0.0) for stage in _OWN_STAGES) / 1000

    def tell(self, recorder: StageRecorder) -> None:
        """Report the times of the worker's own stages."""
        for stage in _OWN_STAGES:
            if stage in self.timings:
                recorder.took(stage, self.timings[stage] / 1000)
