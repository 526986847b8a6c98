"""The benchmarks' plumbing on two pictures: every way gives the masks it is measured by. Nothing here is timed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.backlog import queue
from bench.contenders import PEERS, Start, ours
from bench.endpoint import RunningEndpoint, running_endpoint
from bench.fair_wait import Waits, report
from bench.ledger_rush import Hurried
from bench.ledger_workers import Crew
from bench.measured import WORKERS, measure
from bench.resume import Resumed
from bench.resume import report as report_resumed
from bench.scale_out import scaled
from bench.sources import PROMPTS, make_sources
from maskrelay.ledger.ledger_record import JobRecord
from maskrelay.rules.timings import Moments, timings
from tests.support.servers.s3_servers import running_s3
from tests.support.servers.simulators import eventually
from tests.support.servers.valkeys import RunningValkey, running_valkey

#: The second size of the Celery pool goes the same way.
WAYS: dict[str, Start] = {"maskrelay": ours, **PEERS}
WAYS.pop("textbook Celery, prefork 8")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RunningEndpoint]:
    with running_endpoint(max_concurrent=8) as running:
        yield running


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_sources(tmp_path_factory.mktemp("sources"), 2)


def test_sources_are_distinct_pictures_of_every_kind(tmp_path: Path) -> None:
    paths = make_sources(tmp_path, 40)
    assert len({path.read_bytes() for path in paths}) == 40
    kinds = {(path.suffix, picture.ndim) for path, picture in _pictures(paths)}
    assert kinds == {(".jpg", 3), (".png", 3), (".png", 2)}


@pytest.mark.slow_subject("benchmarks")
@pytest.mark.parametrize("name", WAYS)
def test_every_way_writes_the_same_masks(
    name: str, endpoint: RunningEndpoint, sources: list[Path], tmp_path: Path
) -> None:
    prompts = PROMPTS[:2]
    with WAYS[name](endpoint, prompts, tmp_path / "way") as contender:
        measured = measure(contender, endpoint, sources, tmp_path / "masks")
    assert (measured.done.succeeded, measured.done.failed) == (2, 0)
    assert measured.counted["rows"] == 2
    assert measured.bytes_moved > 0
    assert measured.workers_cpu > 0
    assert (name == "maskrelay") == all(part in measured.cpu for part in WORKERS)
    written = sorted((tmp_path / "masks").rglob("*.png"))
    assert len(written) == 4
    masks = [pixels for _, pixels in _pictures(written)]
    assert sorted(mask.shape for mask in masks) == sorted(2 * [pixels.shape[:2] for _, pixels in _pictures(sources)])
    areas = sorted(np.count_nonzero(mask) for mask in masks)
    assert areas == pytest.approx(_areas(endpoint, sources, tmp_path / "reference"), rel=0.02)


@pytest.mark.slow_subject("benchmarks")
def test_two_workers_over_s3_score_and_settle_each_frame_once(
    endpoint: RunningEndpoint, sources: list[Path], tmp_path: Path
) -> None:
    endpoint.turn(reset=True)
    with running_s3() as s3:
        span = scaled(endpoint, s3, tmp_path / "data", sources, workers=2, slots=8, frames=10)
    assert {"segment", "segment-2", "S3 server", "valkey"} <= span.cpu.keys()


@pytest.fixture
def backlog(tmp_path: Path) -> Iterator[RunningValkey]:
    """A job of two hundred frames before an endpoint that was never asked."""
    with running_valkey() as valkey:
        ledger = valkey.ledger()
        ledger.flow([]).fresh(_crew(valkey, tmp_path).endpoint().name)
        queue(ledger, "job", 200)
        yield valkey


def _crew(valkey: RunningValkey, folder: Path) -> Crew:
    return Crew(valkey.url, folder, workers=2, slots=8, service_s=0.01, core=-1)


@pytest.mark.slow_subject("benchmarks")
def test_workers_of_commands_alone_settle_every_frame(backlog: RunningValkey, tmp_path: Path) -> None:
    crew = _crew(backlog, tmp_path).start()
    try:
        settled = eventually(lambda: _job(backlog).state == "finishing", 60)
    finally:
        crew.terminate()
        crew.join()
    assert settled
    assert _job(backlog).frames.succeeded == 200


def test_a_hurried_worker_settles_frames_in_parts_and_keeps_its_hands_full(
    backlog: RunningValkey, tmp_path: Path
) -> None:
    ledger = backlog.ledger()
    flow, worker = ledger.flow([_crew(backlog, tmp_path).endpoint()]), Hurried(full=64)
    for _ in range(200):
        worker.step(ledger, flow, "default")
    frames = _job(backlog).frames
    assert (frames.succeeded, frames.leased, flow.state("default").in_flight) == (192, 8, 6)


def _job(valkey: RunningValkey) -> JobRecord:
    record = valkey.ledger().jobs.get("job")
    assert record is not None
    return record


def _areas(endpoint: RunningEndpoint, sources: list[Path], out: Path) -> list[int]:
    """What the article's way gives, in this process."""
    from bench.peers.article import work
    from bench.peers.turns import Target

    out.mkdir()
    work(Target(endpoint.url, endpoint.key, PROMPTS[:2]), sources, out)
    return sorted(np.count_nonzero(pixels) for _, pixels in _pictures(out.iterdir()))


def _pictures(paths: Iterable[Path]) -> Iterator[tuple[Path, Any]]:
    for path in paths:
        with Image.open(path) as image:
            yield path, np.asarray(image)


def test_the_stages_that_fair_wait_shows_are_those_of_a_jobs_record(capsys: pytest.CaptureFixture[str]) -> None:
    began, *later = (datetime(2026, 11, 25, 0, 0, second, tzinfo=UTC) for second in range(5))
    moments = Moments(began, *later[:3], finished=later[3])
    told = timings(moments, {"endpoint": 600, "workers": 300, "storage": 100}, began)
    report(Waits([told], [told], busy_share=1.0, bulk_planned=2, bulk_done=1))
    shown = capsys.readouterr().out
    assert "a median under 1.5, is reached" in shown
    assert all(f"| {where}: accepted to ended | 4.000 |" in shown for where in ("idle", "beside bulk"))


def test_a_resumed_way_is_reported_with_what_was_lost_doubled_paid_twice_and_read_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sizes = {"images/a.jpg": 10, "images/b.jpg": 20, "images/c.jpg": 30}
    rows = Counter({"a.jpg": 1, "b.jpg": 3})
    found = Resumed(rows, ended_well=True, starts=2, scored_before=2, scored=5, faults=4, bytes_read=90, seconds=7.0)
    report_resumed({"one": found}, sizes)
    assert "| one | yes | 2 | 1 | 2 | 2 | 5 | 2 | 4 | 50.0 % | 7 |" in capsys.readouterr().out
