"""A slot is free as soon as the answer has been received, and what the answer says still counts."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from maskrelay.contract.wire.image2d import RowAnswer
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AnswerInvalid
from maskrelay.imaging.canvas.canary import canary
from maskrelay.ledger.flow_control import FlowState
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.endpoint_client import EndpointClient
from maskrelay.scoring.wire_formats import IMAGE2D
from maskrelay.storage.audit_log import AuditLog
from maskrelay.storage.file_store import FileStorage
from maskrelay.telemetry.spans import Untraced
from tests.support.servers.simulators import RunningSimulator, eventually, running_simulator
from tests.support.servers.valkeys import RunningValkey
from worker.segment import scorer as scorer_module
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.egress_audit import EgressAudit
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.picture_choice import PictureChoice
from worker.segment.scorer import Scorer
from worker.segment.wire_choice import WireChoice

ASKED = ScoreRequest("job", "bulk", ("default",))
LEASE = timedelta(minutes=2)


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(max_concurrent=1) as running:
        yield running


@pytest.fixture
def parsed_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Have this function parse the answers."""

    def set_parser(parse: Callable[..., Any]) -> None:
        monkeypatch.setattr(scorer_module, "IMAGE2D", replace(IMAGE2D, parse=parse))

    return set_parser


def scored_with(
    valkey: RunningValkey,
    simulator: RunningSimulator,
    folder: Path,
    steps: Callable[[Scorer], Awaitable[Any]],
    **limits: Any,
) -> FlowState:
    """Run the steps with a scorer of an endpoint that takes one score at a time, and return the flow afterwards."""
    limits = {"max_in_flight": 1, "max_bytes_per_s": 1e9, **limits}
    endpoint = Endpoint(url=simulator.url, key=simulator.key, **limits)

    async def run(audit: AuditLog) -> FlowState:
        flow = valkey.ledger().flow([endpoint], slot_lease=LEASE)
        flow.fresh("default")
        client = EndpointClient(endpoint, credential_of(endpoint), IMAGE2D, timeout=LEASE / 2, max_connections=2)
        pool = EndpointPool((endpoint,), {"default": client})
        recorder = StageRecorder(valkey.ledger().metrics.tell)
        choices = WireChoice(valkey.ledger().offers), PictureChoice(valkey.ledger().picture_forms)
        await steps(Scorer(pool, flow, Admissions(flow), EgressAudit(audit), recorder, Untraced(), *choices))
        await client.aclose()
        return flow.state("default")

    with closing(AuditLog(FileStorage(folder), "worker")) as audit:
        return asyncio.run(run(audit))


def test_the_next_score_begins_before_the_answer_is_parsed(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path, parsed_by: Callable[[Callable[..., Any]], None]
) -> None:
    def parse(*answer: Any, **limits: Any) -> list[RowAnswer]:
        assert eventually(lambda: simulator.counters()["scores"] == 2, within_s=30)
        return list(IMAGE2D.parse(*answer, **limits))

    async def two(scorer: Scorer) -> None:
        scores = await asyncio.gather(*(scorer.score([canary()], ASKED, f"frame {number}") for number in range(2)))
        assert [len(scored.answers) for scored in scores] == [1, 1]

    parsed_by(parse)
    state = scored_with(valkey, simulator, tmp_path, two)
    assert (state.in_flight, state.gate) == (0, "open")
    assert state.last_good_ms > 0


def test_answers_that_break_the_contract_close_the_gate_though_their_slots_were_free_before(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path, parsed_by: Callable[[Callable[..., Any]], None]
) -> None:
    def parse(*_: Any, **__: Any) -> list[RowAnswer]:
        raise AnswerInvalid("not what was agreed", status=200)

    async def three(scorer: Scorer) -> None:
        for number in range(3):
            with pytest.raises(AnswerInvalid):
                await scorer.score([canary()], ASKED, f"frame {number}")

    parsed_by(parse)
    state = scored_with(valkey, simulator, tmp_path, three)
    assert (state.in_flight, state.gate, state.last_good_ms) == (0, "closed", 0)


def test_the_bytes_of_an_answer_that_breaks_the_contract_count_too(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path, parsed_by: Callable[[Callable[..., Any]], None]
) -> None:
    """The answer has about the size that was estimated at admission, so nothing is given back."""

    def bytes_ready_at() -> float:
        return float(valkey.client.hget("mr:flow:default", "bytes_at") or 0)

    def parse(*_: Any, **__: Any) -> list[RowAnswer]:
        admitted.append(bytes_ready_at())
        raise AnswerInvalid("not what was agreed", status=200)

    async def one(scorer: Scorer) -> None:
        with pytest.raises(AnswerInvalid):
            await scorer.score([canary()], ASKED, "frame")

    admitted: list[float] = []
    parsed_by(parse)
    scored_with(valkey, simulator, tmp_path, one, max_in_flight=2, max_bytes_per_s=1e6)
    assert bytes_ready_at() - admitted[-1] > -500  # milliseconds; the estimate is 1400 for each prompt


def test_a_score_that_is_cancelled_while_its_answer_is_parsed_keeps_no_slot(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path, parsed_by: Callable[[Callable[..., Any]], None]
) -> None:
    parsing, cancelled = threading.Event(), threading.Event()

    def parse(*answer: Any, **limits: Any) -> list[RowAnswer]:
        parsing.set()
        cancelled.wait(30)
        return list(IMAGE2D.parse(*answer, **limits))

    async def cancel(scorer: Scorer) -> None:
        score = asyncio.create_task(scorer.score([canary()], ASKED, "frame"))
        assert await asyncio.to_thread(parsing.wait, 30)
        score.cancel()
        with pytest.raises(asyncio.CancelledError):
            await score
        cancelled.set()

    parsed_by(parse)
    assert scored_with(valkey, simulator, tmp_path, cancel).in_flight == 0
