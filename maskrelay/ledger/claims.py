"""Claims on ranges of frames. Workers take and renew claims, and settle or release the claimed frames."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from maskrelay.contract.records.job import Lane
from maskrelay.endpoints import Endpoint
from maskrelay.ledger.announced_endpoints import announced
from maskrelay.ledger.job_transitions import read_parts
from maskrelay.ledger.ledger_record import JobRecord, read_job
from maskrelay.ledger.part_names import pack, search
from maskrelay.ledger.scripts import PAGE, Scripts, paged
from maskrelay.ledger.step_leases import StepLease
from maskrelay.rules.retry import Trouble

#: The largest number of consecutive frames of one item in a claim.
RUN_MOST = 32
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """Frames `first` … `first + n - 1` of a job. The worker holds them as long as it renews the lease of `token`."""

    token: str
    job: str
    tenant: str
    lane: Lane
    first: int
    n: int
    #: Whether the claim is for a suspect frame, which is a frame that may have crashed the process that held it before.
    #: The child process must hold no other frame at the same time, so that only the suspect frame can cause another
    #: crash.
    alone: bool
    troubles: tuple[Trouble, ...]
    #: The time when the frames were claimed, in milliseconds of Redis's clock.
    now_ms: int

    def frames(self) -> range:
        """Return the numbers of the claimed frames."""
        return range(self.first, self.first + self.n)

    def trouble(self, frame: int) -> Trouble:
        """Return what the ledger records about earlier failures of the frame."""
        return self.troubles[frame - self.first]


@dataclass(frozen=True, slots=True)
class Settlement:
    """One line of an outcome part: the outcome of a frame, and the token of the claim that holds the frame."""

    token: str
    frame: int
    failed: bool


@dataclass(frozen=True, slots=True)
class PoisonedFrame:
    """A frame that crashed two workers while it was their only frame.

    `token` belongs to a new claim, under which the sweep writes the failure of the frame.
    """

    token: str
    job: str
    frame: int
    #: The time of this claim, in milliseconds of Redis's clock.
    now_ms: int


@dataclass(frozen=True, slots=True)
class SuspectWaits:
    """The result of `Claims.take` when a suspect frame waits to be claimed alone.

    The child process must claim no more frames until it holds none. Then it can claim the suspect frame.
    """


@dataclass(frozen=True, slots=True)
class Taken:
    """What a child process got from `Claims.take_if_open`."""

    claim: Claim | SuspectWaits | None
    #: Whether another call may find frames. False if no frame can be claimed now.
    more: bool
    #: The time for which the gate of each endpoint is still closed. It is zero for an open gate.
    closed_for: Mapping[str, timedelta]


@dataclass(frozen=True, slots=True)
class HeldFinish:
    """The finish step of a job of a single frame, with all that the ledger knows and finishing needs."""

    lease: StepLease
    record: JobRecord
    #: The outcome parts, as `Jobs.parts` returns them.
    parts: Sequence[tuple[str, frozenset[int]]]
    #: The endpoints in use, as `Endpoints.known` returns them.
    endpoints: Sequence[Endpoint]


@dataclass(frozen=True, slots=True)
class Settled:
    """What `Claims.settle_and_hold` has recorded."""

    #: The frames whose lines were accepted.
    accepted: set[int]
    #: The finish step of the job, if the caller holds it now.
    finish: HeldFinish | None = None


class Claims:
    """The claims on frames, and the settling of their outcomes.

    `lease` is the length of the lease of a claim. `renew` starts the lease again.
    """

    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS

    def take(self, holding: int, lanes: Sequence[Lane], most: int = RUN_MOST) -> Claim | SuspectWaits | None:
        """Claim the next frames, at most `most`, fairly among tenants.

        Return SuspectWaits if a suspect frame waits for this child process, and None if no frames can be claimed now.
        `holding` is the number of frames that the child process holds. `lanes` are tried in their order. But if
        `interactive` is the first or the only one, one claim in eight is from the bulk lane while frames wait in both.
        """
        return self.take_if_open(holding, lanes, most, ()).claim

    def take_if_open(self, holding: int, lanes: Sequence[Lane], most: int, endpoints: Sequence[str]) -> Taken:
        """Claim frames like `take`, unless the gates of all these endpoints are closed."""
        request = json.dumps(list(lanes)), json.dumps(list(endpoints))
        known = json.loads(self._scripts.run("claim", secrets.token_hex(8), holding, most, self._lease_ms, *request))
        closed_for = {name: ms * _MS for name, ms in zip(endpoints, known.pop("closed"), strict=True)}
        more = known.pop("more", False)
        if "token" not in known:
            return Taken(SuspectWaits() if known["drain"] else None, more, closed_for)
        known["troubles"] = tuple(Trouble(**trouble) for trouble in known["troubles"])
        return Taken(Claim(**known), more, closed_for)

    def held(self) -> int:
        """Return the number of frames that workers hold now."""
        claims: dict[bytes, bytes] = {}
        place = 0
        while True:
            place, page = self._scripts.ask("HSCAN", "mr:claims", place, "COUNT", PAGE)
            claims |= page
            if place == 0:
                return sum(json.loads(claim)["held"].count("1") for claim in claims.values())

    def renew(self, tokens: Sequence[str]) -> set[str]:
        """Renew the leases of these claims. Return the tokens of the claims that are no longer valid."""
        pages = [page for page, _ in paged(tokens, PAGE)] if tokens else []
        return {
            token.decode()
            for page in pages
            for token in self._scripts.run("renew", self._lease_ms, json.dumps(list(page)))
        }

    def settle(
        self, job: str, part: str, lines: Sequence[Settlement], spent: Mapping[str, int] | None = None
    ) -> set[int]:
        """Record that the outcomes of these frames are in `part`. Return the frames whose lines were accepted.

        `spent` contains the milliseconds for which the frames waited or were processed, by cause. They are added to the
        totals of the job. If the part is already listed, the result of the first call is returned again, so the call
        can be repeated.
        """
        return self._settle(job, part, lines, spent or {}, "", timedelta(0)).accepted

    def settle_and_hold(
        self, job: str, part: str, lines: Sequence[Settlement], spent: Mapping[str, int], token: str, lease: timedelta
    ) -> Settled:
        """Settle like `settle`, and if the job has a single frame and can be finished now, take its finish step.

        The lease of the step is under `token`. A repeated call with the same token takes the step again.
        """
        return self._settle(job, part, lines, spent, token, lease)

    def _settle(
        self, job: str, part: str, lines: Sequence[Settlement], spent: Mapping[str, int], token: str, lease: timedelta
    ) -> Settled:
        settled = json.dumps([[line.token, line.frame, line.failed] for line in lines])
        answer = self._run_on_part("settle", job, part, settled, json.dumps(dict(spent)), token, lease // _MS)
        accepted, tries, *known = answer
        if not tries:
            return Settled(set(accepted))
        record, parts, endpoints = known
        held = HeldFinish(
            StepLease("finish", job, token, int(tries)), read_job(job, record), read_parts(parts), announced(endpoints)
        )
        return Settled(set(accepted), held)

    def adopt(self, job: str, part: str, lines: Sequence[tuple[int, bool, bool]]) -> int:
        """List a part that is in storage but not in the ledger. Return the number of frames that this settled.

        A line is (frame, failed, visible). A line is listed as refused if it does not contain the visible outcome of
        its frame, or if the frame is already settled. If the part is already listed, or if the job is terminal, nothing
        changes.
        """
        return int(self._run_on_part("adopt_part", job, part, json.dumps(list(lines))))

    def _run_on_part(self, script: str, job: str, part: str, *arguments: Any) -> Any:
        """Run a script that lists a part if it is not listed yet.

        If the job's list of parts is too long for the script to search in one call, it is first searched here, page by
        page.
        """
        packed, searched = pack(part), 0
        while (done := self._scripts.run(script, job, packed, *arguments, searched)) is None:
            searched = search(self._scripts, job, packed)
        return done

    def release(self, token: str, frame: int, *, after: timedelta = timedelta(0), suspect: bool = False) -> bool:
        """Release a frame without counting an attempt. Return False if the claim no longer holds it.

        The frame can be claimed again after the time `after`. If `suspect` is true, the frame becomes a suspect frame.
        A frame that already is a suspect frame remains one.
        """
        return bool(self._scripts.run("release", token, frame, after // _MS, suspect))

    def release_failed(self, token: str, frame: int, code: str, after: timedelta, endpoint: str = "") -> bool:
        """Release a frame after the endpoint failed on it.

        The failure is only recorded. The worker that claims the frame next decides whether it counts as an attempt (see
        `charge`).
        """
        return bool(self._scripts.run("record_failure", token, frame, code, after // _MS, endpoint))

    def used(self, lane: Lane, tenant: str, seconds: int) -> None:
        """Move the tenant back in the queue of its lane, because its files took this long to decode.

        A second counts like one frame.
        """
        self._scripts.run("add_decoding_time", lane, tenant, seconds)

    def charge(self, token: str, frame: int) -> int:
        """Count the recorded failure of the frame as an attempt.

        Return the number of counted attempts, or -1 if the claim no longer holds the frame.
        """
        return int(self._scripts.run("count_attempt", token, frame))

    def model_version(self, job: str, item: int, proposed: str) -> str:
        """Return the model version for the frames of this item, which is the first version that was proposed for it."""
        version: bytes = self._scripts.run("model_version", job, item, proposed)
        return version.decode()

    def lapse(self, most: int = 1000) -> tuple[int, list[PoisonedFrame]]:
        """Release the frames of claims whose leases have lapsed.

        Return the number of lapsed claims, and the poisoned frames, which are not released but must fail.
        """
        lapsed, condemned, more = 0, list[PoisonedFrame](), True
        while more:
            known = json.loads(self._scripts.run("lapse", self._lease_ms, most - lapsed))
            lapsed, more = lapsed + known["lapsed"], known["more"]
            condemned += [PoisonedFrame(**frame) for frame in known.get("condemned") or ()]
        return lapsed, condemned
