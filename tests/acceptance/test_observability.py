"""One run of the whole stack as its operator sees it: by Prometheus, in the logs, as traces; and its jobs' stages.

It is ended by SIGTERM before the traces are looked at, and they are sent by no clock before that: what is there was
flushed at the end of each process.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import yaml

from maskrelay.client import Client
from maskrelay.contract.views.job_views import JobShown
from tests.support.checks.faults_check import LONG
from tests.support.drivers.stack_behind_proxies import pictures
from tests.support.servers.collectors import Collected, Collector, collector
from tests.support.servers.prometheus import RunningPrometheus, as_values, running_prometheus
from tests.support.servers.receivers import Receiver, receiver, status
from tests.support.servers.simulators import RunningSimulator, eventually
from tests.support.servers.stacks import RunningStack, running_stack

CHART = Path(__file__).parents[2] / "helm" / "maskrelay"
PROMPT = "tumor in abdomen CT"
NAME = "Mustermann"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PROCESSES = ("api", "segment", "assemble", "control", "deliver")


def panels() -> dict[str, str]:
    """Every expression of every panel, by panel and legend."""
    board = json.loads((CHART / "dashboard.json").read_text())
    targets = [(panel["title"], target) for panel in board["panels"] for target in panel.get("targets", ())]
    return {f"{title}: {target['legendFormat']}": target["expr"] for title, target in targets}


def alerts() -> dict[str, str]:
    groups = yaml.safe_load((CHART / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"].strip() for group in groups for rule in group["rules"]}


@dataclass
class Seen:
    """What was seen of the run. `silent`: expressions without data, by name; `health`: of each alert's rule."""

    told: Receiver
    traces: Collector
    jobs: dict[str, JobShown] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    health: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("sight")
    with pytest.MonkeyPatch.context() as patched, collector() as traces, receiver(status(204)) as listening:
        found = Seen(listening, traces)
        patched.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
        # the processes send their spans when they end
        asked = {"log_format": "json", "otlp_endpoint": found.traces.url}
        with running_stack(folder / "data", graceful=True, **asked) as stack, scraped(folder, stack) as prometheus:
            with stack.client() as client:
                run(stack, client, folder, found)
                with endpoint_that_denies(stack):
                    waits = client.submit(pictures(folder / "late", 2), [PROMPT], callback=found.told.url())
                    assert eventually(lambda: not found_silent(prometheus, found), within_s=60), found.silent
                    assert client.job(waits.id).state == "running"
                found.jobs["held up"] = told(client, waits.id)
            found.health = prometheus.rules()
            found.logs = {name: stack.log(name) for name in PROCESSES}
        yield found


@contextmanager
def scraped(folder: Path, stack: RunningStack) -> Iterator[RunningPrometheus]:
    with running_prometheus(folder, stack.url.removeprefix("http://"), CHART / "alerts.yml") as prometheus:
        yield prometheus


@contextmanager
def endpoint_that_denies(stack: RunningStack) -> Iterator[None]:
    simulator = RunningSimulator(stack.simulator, stack.environment["MASKRELAY_ENDPOINT_KEY"])
    simulator.set(fail=[{"status": 401}])
    yield
    simulator.set(fail=[])


def run(stack: RunningStack, client: Client, folder: Path, found: Seen) -> None:
    """Jobs of each kind, and one that is traced by its caller already."""
    whole = pictures(folder / NAME, 3)
    broken = folder / NAME / f"{NAME}.png"
    broken.write_bytes(whole[0].read_bytes()[:60])
    volume = folder / f"{NAME}.nii"
    nibabel.save(nibabel.Nifti1Image(np.arange(800, dtype=np.int16).reshape(20, 20, 2), np.eye(4)), volume)
    asked: dict[str, Any] = {"callback": found.told.url(), "metadata": {"name": NAME}}
    begun = {
        "pictures": client.submit([*whole, broken], [PROMPT], **asked),
        "volume": client.submit([volume], [PROMPT], outputs=["nifti"], **asked),
    }
    found.jobs |= {name: told(client, job.id) for name, job in begun.items()}


def told(client: Client, job: str) -> JobShown:
    """The job once it has ended and its callback was delivered."""
    client.wait(job, LONG)
    assert eventually(lambda: "callback" in client.job(job).timings, within_s=30)
    return client.job(job)


def found_silent(prometheus: RunningPrometheus, found: Seen) -> set[str]:
    every = {**panels(), **{name: as_values(expression) for name, expression in alerts().items()}}
    found.silent = {name for name, expression in every.items() if not prometheus.query(expression)}
    return found.silent


def test_every_panel_and_alert_has_data_from_a_real_scrape(seen: Seen):
    assert len(panels()) > 30
    assert len(alerts()) > 15
    assert seen.silent == set()
    assert seen.health == dict.fromkeys(alerts(), "ok")


@pytest.mark.parametrize("name", ["pictures", "volume", "held up"])
def test_a_jobs_stages_sum_to_its_wall_time(seen: Seen, name: str):
    timings = dict(seen.jobs[name].timings)
    total = timings.pop("total")
    assert sum(timings.values()) == pytest.approx(total, abs=0.0005)
    assert {"planning", "queue", "endpoint", "workers", "storage", "finishing"} <= timings.keys()
    assert ("assembling" in timings) == (name == "volume")
    assert all(seconds >= 0 for seconds in timings.values())
    assert seen.jobs[name].bottleneck == max(timings, key=lambda stage: timings[stage])


def test_a_job_that_an_endpoint_held_up_says_so(seen: Seen):
    assert seen.jobs["held up"].bottleneck in {"endpoint", "queue"}


def lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("process", ["api", "segment", "control", "deliver"])
def test_a_process_logs_json_and_nothing_of_a_patient(seen: Seen, process: str):
    assert NAME not in seen.logs[process]
    plain = [line for line in seen.logs[process].splitlines() if not line.startswith("{")]
    assert [line for line in plain if not line.startswith("worker ready: ")] == []
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines(seen.logs[process]))


def test_a_line_that_concerns_a_frame_or_a_job_is_bound_to_it(seen: Seen):
    job = seen.jobs["held up"].id
    parked = [line for line in lines(seen.logs["segment"]) if line["message"] == "frame released to wait"]
    assert {line["job_id"] for line in parked} == {job}
    assert {line["frame"] for line in parked} <= {0, 1}
    assert "endpoint_denied" in {line["code"] for line in parked}
    sent = [line for line in lines(seen.logs["deliver"]) if line["message"] == "callback"]
    assert job in {line["job_id"] for line in sent}
    assert {line["result"] for line in sent} == {"ok"}


def of_job(seen: Seen, name: str) -> list[Collected]:
    """The spans of the trace that a job's submission is in."""
    (submit,) = [one for one in seen.traces.named("submit") if one.attributes.get("job_id") == seen.jobs[name].id]
    return [one for one in seen.traces.spans if one.trace == submit.trace]


def test_a_trace_leads_from_the_submission_to_the_callback(seen: Seen):
    spans = of_job(seen, "volume")
    by_id = {one.id: one for one in spans}
    tree = {(one.name, by_id[one.parent].name if one.parent in by_id else "") for one in spans}
    assert tree >= {
        ("submit", ""),
        ("plan", "submit"),
        ("segment", "submit"),
        ("prepare", "segment"),
        ("admission", "segment"),
        ("score", "segment"),
        ("restore", "segment"),
        ("settle", "segment"),
        ("assemble", "submit"),
        ("finish", "submit"),
        ("callback", "submit"),
    }
    process = {one.name: one.process for one in spans}
    assert process["submit"] == "api"
    assert process["segment"] == process["settle"] == "segment"
    assert process["plan"] == process["finish"] == "control"
    assert (process["assemble"], process["callback"]) == ("assemble", "deliver")
    assert all(one.began <= one.ended for one in spans)


def test_a_part_that_several_frames_share_is_linked_to_each(seen: Seen):
    spans = of_job(seen, "volume")
    frames = {one.id for one in spans if one.name == "segment"}
    settles = [one for one in spans if one.name == "settle"]
    assert len(frames) == 2
    assert {one.parent for one in settles} | {link for one in settles for link in one.links} == frames


def test_a_callback_is_linked_to_the_finish_that_it_tells_of(seen: Seen):
    spans = of_job(seen, "volume")
    (callback,) = [one for one in spans if one.name == "callback"]
    (told_of,) = [one for one in spans if one.id in callback.links]
    assert told_of.name == "finish"
    assert told_of.ended == max(one.ended for one in spans if one.name == "finish")


def test_the_callback_goes_on_with_the_trace(seen: Seen):
    (sent,) = [one for one in seen.told.received if seen.jobs["volume"].id in one.body.decode()]
    (span,) = [one for one in of_job(seen, "volume") if one.name == "callback"]
    assert sent.headers["traceparent"].split("-")[1:3] == [span.trace, span.id]


def test_a_frame_that_fails_or_waits_says_why_by_its_code(seen: Seen):
    codes = {one.attributes.get("code") for one in of_job(seen, "pictures") if one.name == "segment"}
    assert codes == {None, "truncated"}
    denied = {one.error for one in of_job(seen, "held up") if one.name == "score"}
    assert denied == {"", "endpoint_denied"}


def test_nothing_of_a_patient_is_in_a_trace(seen: Seen):
    assert NAME not in repr(seen.traces.spans)
    known = {name for one in seen.traces.spans for name in one.attributes}
    assert known <= {"job_id", "frame", "frames", "item", "items", "endpoint", "rows", "code", "attempt", "result"}
