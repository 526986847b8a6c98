"""Claims: leases on ranges of frames. Take, renew, settle, release and expire them."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from maskrelay.contract.jobs import Lane
from maskrelay.ledger.parts import pack, search
from maskrelay.ledger.scripts import PAGE, Scripts, paged
from maskrelay.rules.retry import Trouble

#: The longest run of neighbouring frames of one item that a claim takes.
RUN_MOST = 32
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """Frames `first` … `first + n - 1` of a job, ours while the lease of `token` is renewed.

    alone: a suspect; nothing else may be held beside it. now_ms: Redis' clock when it was taken.
    """

    token: str
    job: str
    tenant: str
    lane: Lane
    first: int
    n: int
    alone: bool
    troubles: tuple[Trouble, ...]
    now_ms: int

    def frames(self) -> range:
        return range(self.first, self.first + self.n)

    def trouble(self, frame: int) -> Trouble:
        return self.troubles[frame - self.first]


@dataclass(frozen=True, slots=True)
class Settlement:
    """One line of a part: this frame, held by this token, has its outcome."""

    token: str
    frame: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Condemned:
    """A frame that ended two workers alone; held by `token` for whoever writes its outcome."""

    token: str
    job: str
    frame: int


class Claims:
    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS

    def take(self, holding: int, lanes: Sequence[Lane], most: int = RUN_MOST) -> Claim | bool:
        """Claim the next frames in fair turn.

        Otherwise a boolean: True when a suspect waits for a child that holds nothing, so that this one should claim no
        more until it has settled what it holds; False when nothing waits. While bulk waits, one claim in eight is bulk.
        """
        token = secrets.token_hex(8)
        known = json.loads(self._scripts.run("claim", token, holding, most, self._lease_ms, json.dumps(list(lanes))))
        if "token" not in known:
            return bool(known["drain"])
        known["troubles"] = tuple(Trouble(**trouble) for trouble in known["troubles"])
        return Claim(**known)

    def held(self) -> int:
        """How many frames are in the hands of workers now, as far as leases say."""
        claims: dict[bytes, bytes] = {}
        place = 0
        while True:
            place, page = self._scripts.ask("HSCAN", "mr:claims", place, "COUNT", PAGE)
            claims |= page
            if place == 0:
                return sum(json.loads(claim)["held"].count("1") for claim in claims.values())

    def renew(self, tokens: Sequence[str]) -> set[str]:
        """Hold these claims for another lease; the tokens that are lost."""
        pages = [page for page, _ in paged(tokens, PAGE)] if tokens else []
        return {
            token.decode()
            for page in pages
            for token in self._scripts.run("renew", self._lease_ms, json.dumps(list(page)))
        }

    def settle(
        self, job: str, part: str, lines: Sequence[Settlement], spent: Mapping[str, int] | None = None
    ) -> set[int]:
        """Record that these frames have their outcome in `part`; the frames whose line counts.

        spent: milliseconds of frames by what they waited for or were worked on, added to the job's. Safe to repeat: a
        part that is listed already is answered as it was listed.
        """
        told = json.dumps([[line.token, line.frame, line.failed] for line in lines])
        return set(self._run_on_part("settle", job, part, told, json.dumps(spent or {})))

    def adopt(self, job: str, part: str, lines: Sequence[tuple[int, bool, bool]]) -> int:
        """Take up a part that storage holds and the ledger does not list; how many frames it settled.

        lines: (frame, failed, visible); a line that is not its frame's visible one is listed as refused. A listed part
        changes nothing.
        """
        return int(self._run_on_part("adopt", job, part, json.dumps(list(lines))))

    def _run_on_part(self, script: str, job: str, part: str, *arguments: str) -> Any:
        """Run a script that lists a part once. Where the list is too long for the script to search, search it first."""
        packed, searched = pack(part), 0
        while (done := self._scripts.run(script, job, packed, *arguments, searched)) is None:
            searched = search(self._scripts, job, packed)
        return done

    def release(self, token: str, frame: int, *, after: timedelta = timedelta(0), suspect: bool = False) -> bool:
        """Give a frame back without charging it; False if the token was lost. A suspect stays one."""
        return bool(self._scripts.run("release", token, frame, after // _MS, suspect))

    def strike(self, token: str, frame: int, code: str, after: timedelta, endpoint: str = "") -> bool:
        """Give a frame back because this endpoint failed on it; judged when it is claimed again."""
        return bool(self._scripts.run("strike", token, frame, code, after // _MS, endpoint))

    def used(self, lane: Lane, tenant: str, seconds: int) -> None:
        """Move the tenant back in its lane: decoding its files took so long, and a second counts as a frame."""
        self._scripts.run("used", lane, tenant, seconds)

    def charge(self, token: str, frame: int) -> int:
        """Hold the frame's strike against it; the attempts now held against it, -1 if the token was lost."""
        return int(self._scripts.run("charge", token, frame))

    def model_version(self, job: str, item: int, proposed: str) -> str:
        """The version of the model that scores this item's frames: the first that was proposed."""
        version: bytes = self._scripts.run("model_version", job, item, proposed)
        return version.decode()

    def lapse(self, most: int = 1000) -> tuple[int, list[Condemned]]:
        """Take back the frames of workers that were not heard of; how many claims, and the frames to be failed."""
        lapsed, condemned, more = 0, list[Condemned](), True
        while more:
            known = json.loads(self._scripts.run("lapse", self._lease_ms, most - lapsed))
            lapsed, more = lapsed + known["lapsed"], known["more"]
            condemned += [Condemned(**frame) for frame in known.get("condemned") or ()]
        return lapsed, condemned
