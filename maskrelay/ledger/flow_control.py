"""Flow control of the endpoints: the limit on requests in flight, the request rate, and the gate of each endpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from maskrelay.contract.records.job import Lane
from maskrelay.endpoints import Endpoint
from maskrelay.ledger.scripts import Scripts
from maskrelay.rules.endpoint_gate import NOT_THE_ENDPOINTS, Report

_MS = timedelta(milliseconds=1)
#: The longest time that `await_call` waits for a message. It must be shorter than the timeout of the connection.
LONGEST_CALL = timedelta(seconds=2)
#: The argument `lean` of `Flow.admit` if no endpoint gets a lean request.
NO_LEAN: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a request for admission: whether a score may begin, and at which endpoint.

    If the score may not begin, `endpoint` is empty. The waiter then asks again with the same slot after `wait`, unless
    it gets a Call before.
    """

    granted: bool
    #: Whether only the canary may be sent, to probe a closed gate.
    probe: bool
    wait: timedelta
    #: The reason, as a short name.
    why: str
    endpoint: str = ""
    #: Whether the endpoint may have no free slot left, so that the next score has to wait.
    full: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A message to a waiter. The slot of the waiter was granted at `endpoint`.

    If `endpoint` is empty, no slot was granted, and the waiter should ask again at once.
    """

    waiter: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """The data that a successful score transferred."""

    bytes_up: int
    bytes_down: int
    #: The number of prompts of all rows of the request together.
    prompts: int
    seconds: float
    #: The time from the first to the last byte of the answer, in seconds.
    body_seconds: float
    #: Whether the answer was lean.
    lean: bool = False


@dataclass(frozen=True, slots=True)
class FlowState:
    """The current state of an endpoint's flow control."""

    gate: str
    reason: str
    closed_for: timedelta
    in_flight: int
    #: The time when the endpoint last answered successfully, in milliseconds of Redis's clock, or 0.
    last_good_ms: int
    #: The end of the last outage in which the canary failed too, in milliseconds of Redis's clock. Failures before this
    #: time count against no frame.
    excused_ms: int


class Flow:
    """The flow control of a pool of endpoints, which all workers share."""

    def __init__(self, scripts: Scripts, endpoints: Sequence[Endpoint], *, slot_lease: timedelta) -> None:
        self._scripts = scripts
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._settings = {name: _settings(endpoint) for name, endpoint in self._endpoints.items()}
        self.slot_lease = slot_lease
        self._slot_lease_ms = slot_lease // _MS

    def fresh(self, endpoint: str) -> bool:
        """Create the flow state without the initial pause. Return False if there is already flow state.

        Usually, nothing is granted for some time after the flow state is created, because earlier scores may still be
        in progress. Call this method only for an endpoint to which no score was ever sent.
        """
        return bool(self._scripts.run("create_flow", endpoint))

    def is_new(self, endpoint: str) -> bool:
        """Return whether Redis has no flow state for the endpoint."""
        return not self._scripts.ask("HEXISTS", f"mr:flow:{endpoint}", "run_id")

    def admit(
        self,
        lane: Lane,
        waiter: str,
        slot: str,
        *,
        among: Sequence[str],
        bytes_up: int,
        prompts: int,
        child: str,
        lean: Mapping[str, int] = NO_LEAN,
    ) -> Admission:
        """Request admission of one score at one of the endpoints `among`, which must not be empty.

        `bytes_up` is the size of the request's body. Some endpoints may get a lean request instead; for each of these,
        `lean` contains the size of the lean request. `prompts` is the number of prompts of all rows, from which the
        size of the answer is estimated. A waiter keeps its position in the queue of the lane if it asks at least every
        three seconds with the same `child` and `slot`. Neither `child` nor `waiter` may contain a colon. A waiter that
        gives up must call `withdraw`.
        """
        candidates = ",".join(self._settings[name] for name in among)
        score = (bytes_up, prompts, f"[{candidates}]", json.dumps(dict(lean)))
        reply = self._scripts.run("admit", lane, f"{child}:{waiter}", slot, self._slot_lease_ms, *score)
        verdict, wait_ms, why, endpoint, full = reply
        return Admission(verdict > 0, verdict == 2, wait_ms * _MS, why.decode(), endpoint.decode(), bool(full))

    def withdraw(self, waiter: str, slot: str, *, among: Sequence[str], child: str) -> None:
        """Give up a request for admission. If it was granted in the meantime, free its slot."""
        endpoint: bytes = self._scripts.run("withdraw", f"{child}:{waiter}", slot, json.dumps(list(among)))
        if endpoint:
            self.report(endpoint.decode(), slot, NOT_THE_ENDPOINTS, "", 0.0)

    def now_ms(self) -> float:
        """Return the time of Redis's clock in milliseconds."""
        seconds, microseconds = self._scripts.ask("TIME")
        return int(seconds) * 1000 + int(microseconds) / 1000

    def inventory(
        self, endpoint: str, child: str, since_ms: float, held: Mapping[str, timedelta], asking: Sequence[str]
    ) -> int:
        """Report the slots of a child process.

        `held` contains the granted slots with the remaining time of their leases. `asking` contains the slots that the
        child process has requested, so they may have been granted. Other slots of the child process are freed if they
        were granted before `since_ms`. This is the time of Redis's clock just before the child process listed its
        slots.

        Return 0, unless nothing is granted at present because Redis has lost its data. In that case, return the end of
        this pause in milliseconds of Redis's clock.
        """
        left = json.dumps([[slot, max(0, lease // _MS)] for slot, lease in held.items()])
        report = (child, since_ms, left, json.dumps(list(asking)), self._slot_lease_ms)
        return int(self._scripts.run("report_slots", self._settings[endpoint], *report))

    def thaw(self, endpoint: str, frozen: int, children: Sequence[str]) -> bool:
        """End the pause `frozen`, which `inventory` returned, if all these child processes have reported."""
        return bool(self._scripts.run("end_freeze", self._settings[endpoint], frozen, json.dumps(list(children))))

    def await_call(self, child: str, timeout: timedelta) -> Call | None:
        """Wait until a waiter of this child process is called. Return None after `timeout` (at most two seconds).

        This only saves time. If a Call is lost, the waiter asks again later, and gets the same information.
        """
        seconds = min(timeout, LONGEST_CALL).total_seconds()
        called = self._scripts.ask("BLPOP", f"mr:calls:{child}", f"{seconds:.3f}")
        if not called:
            return None
        endpoint, _, waiter = called[1].decode().rpartition(":")
        return Call(waiter, endpoint)

    def release(self, endpoint: str, slot: str, bytes_down: int) -> str:
        """Free the slot of a score whose answer was received completely, but not read yet.

        The next waiter gets the slot at once. Pass the result on to `report` when it is known how the score ended.
        """
        record: bytes = self._scripts.run("release_slot", self._settings[endpoint], slot, bytes_down)
        return record.decode()

    def report(
        self,
        endpoint: str,
        slot: str,
        report: Report,
        frame: str,
        rand: float,
        transfer: Transfer | None = None,
        released: str | None = None,
        *,
        received: int = 0,
    ) -> str:
        """Report how the score of a slot ended. Return the state of the gate.

        `frame` is the name of the input. `rand`, a random number from 0 to 1, varies the length of a pause of the gate.
        Pass `transfer` only for a successful score. If the slot was released before, pass the result of `release` as
        `released`. `received` is the size of the answer, in bytes, if it was received but the score was not successful.
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
            "received": received,
        }
        if transfer:
            ended["moved"] = asdict(transfer)
        if released is not None:
            ended["released"] = released
        gate: bytes = self._scripts.run("report_score", self._settings[endpoint], slot, json.dumps(ended))
        return gate.decode()

    def state(self, endpoint: str) -> FlowState:
        """Return the state of the endpoint without changing it."""
        gate, reason, closed_ms, in_flight, good, excused = self._scripts.run("gate_state", endpoint)
        return FlowState(gate.decode(), reason.decode(), closed_ms * _MS, in_flight, good, excused)

    def document(self) -> list[dict[str, Any]]:
        """Return the limits and the state of every endpoint. They contain no address and no key."""
        return [self._document(endpoint) for endpoint in self._endpoints.values()]

    def _document(self, endpoint: Endpoint) -> dict[str, Any]:
        known = json.loads(self._scripts.run("flow_state", self._settings[endpoint.name]))
        tokens = {
            "requests_per_s": known.pop("requests_per_s"),
            "bytes_per_s": endpoint.max_bytes_per_s,
            "bytes_per_s_learnt": known.pop("bytes_per_s_learnt"),
        }
        declared = {
            name: getattr(endpoint, name) for name in ("name", "max_in_flight", "model_version", "weight", "wire")
        }
        return {**declared, **known, "tokens": tokens}


def _settings(endpoint: Endpoint) -> str:
    """Return the settings of an endpoint that the scripts need, as JSON."""
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
