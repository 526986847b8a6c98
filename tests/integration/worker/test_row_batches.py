"""Rows that share requests, prompts over several scores, and a pool: over a real ledger and real endpoints."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.endpoints import Endpoint
from maskrelay.errors import EndpointUnavailable, FrameRefused
from maskrelay.imaging.canvas.canary import canary
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.endpoint_client import EndpointClient
from maskrelay.scoring.wire_formats import IMAGE2D
from maskrelay.storage.audit_log import AuditLog
from maskrelay.storage.file_store import FileStorage
from maskrelay.telemetry.spans import Untraced
from tests.support.checks.audits import audit_files, done
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.egress_audit import EgressAudit
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.picture_choice import PictureChoice
from worker.segment.prompt_groups import score_prompts
from worker.segment.row_batches import RowBatcher, ScoredRow
from worker.segment.scorer import Scorer
from worker.segment.wire_choice import WireChoice

LEASE = timedelta(minutes=2)
ROWS = 16
BAD = 11


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(max_concurrent=4) as running:
        yield running


def described(simulator: RunningSimulator, **more: Any) -> Endpoint:
    return Endpoint(url=simulator.url, key=simulator.key, **{"max_in_flight": 8, "max_bytes_per_s": 1e9, **more})


def scored_with(
    valkey: RunningValkey,
    endpoints: list[Endpoint],
    steps: Callable[[EndpointPool, Scorer, RowBatcher], Awaitable[Any]],
    audited: Path | None = None,
) -> Any:
    """What the steps end with; `audited` is a folder for the audit log."""

    async def run(audit: AuditLog) -> Any:
        flow = valkey.ledger().flow(endpoints, slot_lease=LEASE)
        for endpoint in endpoints:
            flow.fresh(endpoint.name)
        clients = {
            one.name: EndpointClient(one, credential_of(one), IMAGE2D, timeout=LEASE / 2, max_connections=8)
            for one in endpoints
        }
        pool = EndpointPool(tuple(endpoints), clients)
        recorder = StageRecorder(valkey.ledger().metrics.tell)
        choices = WireChoice(valkey.ledger().offers), PictureChoice(valkey.ledger().picture_forms)
        scorer = Scorer(pool, flow, Admissions(flow), EgressAudit(audit), recorder, Untraced(), *choices)
        try:
            return await steps(pool, scorer, RowBatcher(pool, scorer))
        finally:
            for client in clients.values():
                await client.aclose()

    with TemporaryDirectory() as passing:
        audit = AuditLog(FileStorage(audited or Path(passing)), "worker")
        with closing(audit):
            return asyncio.run(run(audit))


def row(*prompts: str) -> Row:
    return Row(canary().image, prompts)


def requests(simulator: RunningSimulator) -> int:
    return sum(simulator.counters()["answers"].values())


def test_one_bad_row_of_sixteen_fails_alone_and_costs_nine_requests(
    valkey: RunningValkey, simulator: RunningSimulator
) -> None:
    simulator.set(fail={"status": 424, "when_prompt": "spoilt"})
    asked = ScoreRequest("job", "bulk", ("default",))

    async def steps(pool: EndpointPool, scorer: Scorer, packs: RowBatcher) -> list[Any]:
        rows = [row("spoilt" if number == BAD else "liver in abdomen CT") for number in range(ROWS)]
        scores = (packs.score(one, asked, f"frame-{number}") for number, one in enumerate(rows))
        return await asyncio.gather(*scores, return_exceptions=True)

    ends = scored_with(valkey, [described(simulator, rows_per_request=ROWS)], steps)
    assert isinstance(ends[BAD], FrameRefused)
    assert all(isinstance(end, ScoredRow) for number, end in enumerate(ends) if number != BAD)
    assert requests(simulator) == 9
    assert valkey.ledger().flow(()).state("default").gate == "open"


def test_a_full_pack_is_one_request_and_its_answers_keep_their_order(
    valkey: RunningValkey, simulator: RunningSimulator
) -> None:
    asked = ScoreRequest("job", "bulk", ("default",))

    async def steps(pool: EndpointPool, scorer: Scorer, packs: RowBatcher) -> list[ScoredRow]:
        rows = [row(*["liver in abdomen CT"] * (number + 1)) for number in range(4)]
        return await asyncio.gather(*(packs.score(one, asked, f"frame-{place}") for place, one in enumerate(rows)))

    ends = scored_with(valkey, [described(simulator, rows_per_request=4)], steps)
    assert [end.answer.maps.shape[0] for end in ends] == [1, 2, 3, 4]
    assert requests(simulator) == 1


def test_a_pack_stays_below_the_largest_request(valkey: RunningValkey, simulator: RunningSimulator) -> None:
    asked = ScoreRequest("job", "bulk", ("default",))
    large = Row(canary().image + bytes(500_000), ("liver in abdomen CT",))  # a PNG may have bytes behind its end

    async def steps(pool: EndpointPool, scorer: Scorer, packs: RowBatcher) -> list[ScoredRow]:
        return await asyncio.gather(*(packs.score(large, asked, f"frame-{number}") for number in range(3)))

    ends = scored_with(valkey, [described(simulator, rows_per_request=16, max_request_bytes=1 << 20)], steps)
    assert len(ends) == 3
    assert requests(simulator) == 3


def test_more_prompts_than_a_score_takes_are_several_scores_in_order(
    valkey: RunningValkey, simulator: RunningSimulator
) -> None:
    asked = ScoreRequest("job", "interactive", ("default",))
    prompts = ("liver in abdomen CT", "aorta in abdomen CT", "optic disc", "spleen in abdomen CT", "tumor")

    async def steps(pool: EndpointPool, scorer: Scorer, packs: RowBatcher) -> list[ScoredRow]:
        whole = await packs.score(row(*prompts), asked, "frame")
        narrow = EndpointPool((pool.endpoints[0].model_copy(update={"prompts_per_score": 2}),), pool.clients)
        return [whole, await score_prompts(narrow, packs, row(*prompts), asked, "frame")]

    whole, split = scored_with(valkey, [described(simulator)], steps)
    assert requests(simulator) == 4
    assert split.answer.categories == whole.answer.categories
    assert bytes(split.answer.maps.raw) == bytes(whole.answer.maps.raw)
    assert split.answer.maps.shape == whole.answer.maps.shape


def test_a_closed_endpoints_work_goes_to_another(valkey: RunningValkey, simulator: RunningSimulator) -> None:
    with running_simulator(max_concurrent=4) as other:
        pair = [described(simulator, name="west"), described(other, name="east")]
        simulator.set(traffic=False)

        async def steps(pool: EndpointPool, scorer: Scorer, packs: RowBatcher) -> list[str]:
            asked = ScoreRequest("job", "bulk", pool.among("north", None))
            ended = []
            while ended.count("east answered") < 6:
                try:
                    ended.append(f"{(await packs.score(row('liver'), asked, 'frame')).endpoint.name} answered")
                except EndpointUnavailable as error:
                    ended.append(f"{error.endpoint} failed")
            return ended

        ended = scored_with(valkey, pair, steps)
        assert set(ended) <= {"east answered", "west failed"}
        assert ended.count("west failed") <= 3


def test_who_may_use_which_endpoint() -> None:
    def endpoint(name: str, **more: Any) -> Endpoint:
        return Endpoint(name=name, url="http://127.0.0.1/score", key="k", **more)

    pool = EndpointPool((endpoint("a"), endpoint("b", model_version="2"), endpoint("own", tenants=["north"])), {})
    assert pool.among("south", None) == ("a", "b")
    assert pool.among("south", "b") == ("b",)
    assert pool.among("south", "own") == ()
    assert pool.among("north", None) == ("own",)
    assert pool.alike(pool.endpoints[0], ("a", "b")) == ("a",)


def test_prompts_scored_alone_are_a_request_each(valkey: RunningValkey, simulator: RunningSimulator) -> None:
    prompts = ("liver", "spleen", "left kidney")

    async def steps(pool: EndpointPool, _scorer: Scorer, packs: RowBatcher) -> ScoredRow:
        asked = ScoreRequest("job", "bulk", ("default",))
        return await score_prompts(pool, packs, Row(canary().image, prompts), asked, "job:0", one_by_one=True)

    scored = scored_with(valkey, [described(simulator)], steps)
    assert scored.answer.maps.shape == (3, 1024, 1024)
    assert list(scored.answer.categories) == ["liver", "other organ", "kidney"]
    assert requests(simulator) == 3


def test_what_is_sent_is_audited_by_hash_and_frame_and_nothing_of_it_is_told(
    valkey: RunningValkey, simulator: RunningSimulator, tmp_path: Path
) -> None:
    asked = ScoreRequest("a" * 26, "bulk", ("default",))
    rows = [row("liver in abdomen CT"), row("spleen in abdomen CT")]

    async def steps(_pool: EndpointPool, scorer: Scorer, packs: RowBatcher) -> None:
        await asyncio.gather(*(packs.score(one, asked, f"{asked.job}:{7 + place}") for place, one in enumerate(rows)))
        await scorer.ask_canary(asked)

    scored_with(valkey, [described(simulator, rows_per_request=2, model_version="9")], steps, tmp_path)
    storage = FileStorage(tmp_path)
    pack, canarys = done(storage, "sent")
    body = encode_request(rows)
    assert (pack["job"], pack["frames"], pack["endpoint"], pack["model_version"]) == (asked.job, [7, 8], "default", "9")
    assert pack["image_sha256"] == [hashlib.sha256(one.image).hexdigest() for one in rows]
    assert pack["body_bytes"] == len(body)
    assert canarys["frames"] == []
    assert not any(b"liver" in storage.get(key) for key in audit_files(storage))
