"""Flow control of the endpoints: the number of scores in flight, the request rate, and the gate of each endpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from maskrelay.contract.jobs import Lane
from maskrelay.endpoints import Endpoint
from maskrelay.ledger.scripts import Scripts
from maskrelay.rules.gate import Report

_MS = timedelta(milliseconds=1)
#: A call is waited for no longer than this: below the patience of the connection.
LONGEST_CALL = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether one score may begin, and at which endpoint. probe: only with the canary.

    Otherwise come back after `wait`, or when called; `why` is one word, and `endpoint` is empty.
    """

    granted: bool
    probe: bool
    wait: timedelta
    why: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a good score moved. prompts: of all its rows; body_seconds: from the answer's first to its last byte."""

    bytes_up: int
    bytes_down: int
    prompts: int
    seconds: float
    body_seconds: float


@dataclass(frozen=True, slots=True)
class FlowState:
    """The flow as it is.

    last_good_ms: Redis' clock when the endpoint last answered well, or 0. excused_ms: when the last outage ended in
    which the canary failed too: what failed before that is held against no frame.
    """

    gate: str
    reason: str
    closed_for: timedelta
    in_flight: int
    last_good_ms: int
    excused_ms: int


class Flow:
    """The flow control of a pool of endpoints over all workers."""

    def __init__(self, scripts: Scripts, endpoints: Sequence[Endpoint], *, slot_lease: timedelta) -> None:
        self._scripts = scripts
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._settings = {name: _settings(endpoint) for name, endpoint in self._endpoints.items()}
        self.slot_lease = slot_lease
        self._slot_lease_ms = slot_lease // _MS

    def fresh(self, endpoint: str) -> bool:
        """Begin without the wait for slots that may be lost: only for who knows that no score was ever sent."""
        return bool(self._scripts.run("fresh", endpoint))

    def is_new(self, endpoint: str) -> bool:
        return not self._scripts.ask("HEXISTS", f"mr:flow:{endpoint}", "run_id")

    def admit(
        self, lane: Lane, waiter: str, slot: str, *, among: Sequence[str], bytes_up: int, prompts: int, child: str
    ) -> Admission:
        """Ask for one score at one of the endpoints `among`, which may not be empty.

        bytes_up: of the request's body; prompts: of all its rows, for the answer's bytes. A waiter keeps its place in
        the lane while it asks at least every three seconds, and gives the same `child` (no colon in it) each time.
        """
        candidates = ",".join(self._settings[name] for name in among)
        score = (bytes_up, prompts, f"[{candidates}]")
        told = self._scripts.run("admit", lane, f"{child}:{waiter}", slot, self._slot_lease_ms, *score)
        verdict, wait_ms, why, endpoint = told
        return Admission(verdict > 0, verdict == 2, wait_ms * _MS, why.decode(), endpoint.decode())

    def now_ms(self) -> float:
        """Redis' clock, in milliseconds."""
        seconds, microseconds = self._scripts.ask("TIME")
        return int(seconds) * 1000 + int(microseconds) / 1000

    def inventory(
        self, endpoint: str, child: str, since_ms: float, held: Mapping[str, timedelta], asking: Sequence[str]
    ) -> int:
        """Say which slots a child has; 0, or until when nothing is granted because Redis was lost, by its clock in ms.

        held: with what is left of their leases. asking: may have been granted. Slots of the child that are neither are
        freed, if they were granted before `since_ms`: Redis' clock just before the child looked at what it has.
        """
        left = json.dumps([[slot, max(0, lease // _MS)] for slot, lease in held.items()])
        told = (child, since_ms, left, json.dumps(list(asking)), self._slot_lease_ms)
        return int(self._scripts.run("inventory", self._settings[endpoint], *told))

    def thaw(self, endpoint: str, frozen: int, children: Sequence[str]) -> bool:
        """Let scores begin again before `frozen`, which `inventory` answered, if all these children have reported."""
        return bool(self._scripts.run("thaw", self._settings[endpoint], frozen, json.dumps(list(children))))

    def await_call(self, child: str, timeout: timedelta) -> str:
        """Block until a waiter of this child may go next; its name, or "" after `timeout` (two seconds at most).

        It saves asking again and again, and promises nothing: a call can be lost, and the slot be gone.
        """
        seconds = min(timeout, LONGEST_CALL).total_seconds()
        called = self._scripts.ask("BLPOP", f"mr:calls:{child}", f"{seconds:.3f}")
        return called[1].decode() if called else ""

    def report(
        self, endpoint: str, slot: str, report: Report, frame: str, rand: float, transfer: Transfer | None = None
    ) -> str:
        """Tell how the score of a slot ended; the gate's state now. `frame` names the input, `rand` jitters a pause.

        transfer: of a good score.
        """
        ended: dict[str, Any] = {
            "kind": report.kind,
            "overload": report.overload,
            "keep_slot": report.keep_slot,
            "frame": frame,
            "retry_after": report.retry_after // _MS,
            "base": report.base // _MS,
            "cap": report.cap // _MS,
            "jitter": 0.5 + rand / 2,
            "reason": report.reason or report.kind,
        }
        if transfer:
            ended["moved"] = asdict(transfer)
        gate: bytes = self._scripts.run("report", self._settings[endpoint], slot, json.dumps(ended))
        return gate.decode()

    def look(self, endpoint: str) -> FlowState:
        """The endpoint's state; changes nothing."""
        gate, reason, closed_ms, in_flight, good, excused = self._scripts.run("look", endpoint)
        return FlowState(gate.decode(), reason.decode(), closed_ms * _MS, in_flight, good, excused)

    def document(self) -> list[dict[str, Any]]:
        """What holds a run back, of every endpoint; no address and no key is in it."""
        return [self._document(endpoint) for endpoint in self._endpoints.values()]

    def _document(self, endpoint: Endpoint) -> dict[str, Any]:
        known = json.loads(self._scripts.run("document", self._settings[endpoint.name]))
        tokens = {
            "requests_per_s": known.pop("requests_per_s"),
            "bytes_per_s": endpoint.max_bytes_per_s,
            "bytes_per_s_learnt": known.pop("bytes_per_s_learnt"),
        }
        declared = {name: getattr(endpoint, name) for name in ("name", "max_in_flight", "model_version", "weight")}
        return {**declared, **known, "tokens": tokens}


def _settings(endpoint: Endpoint) -> str:
    """What the scripts need of an endpoint, in JSON."""
    return json.dumps(
        {
            "name": endpoint.name,
            "start": endpoint.starts_at(),
            "most": endpoint.max_in_flight,
            "per_s": endpoint.max_requests_per_s,
            "bytes_per_s": endpoint.max_bytes_per_s,
            "weight": endpoint.weight,
        }
    )
