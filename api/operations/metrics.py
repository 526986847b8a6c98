"""`GET /metrics`: the metrics of the ledger and of this process in the text format of Prometheus.

The value of a label is a fixed term or the name of an endpoint. It is never a job, a tenant, or text from a caller.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Dependencies, dependencies_of, in_thread
from api.operations.scaling import worth
from maskrelay.contract.records.job import TERMINAL
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.metrics_snapshot import BUCKETS, Histogram

_GATES = ("open", "half-open", "closed", "frozen")
#: Counters of the ledger. Each has its name in the ledger, the name of the metric, a label, the values of the label
#: that are always shown, and a description.
_COUNTED: tuple[tuple[str, str, str, tuple[str, ...], str], ...] = (
    ("settled", "frames_settled", "outcome", ("succeeded", "failed"), "Frames settled, by outcome."),
    (
        "failed",
        "frames_failed",
        "code",
        ("decoder_crashed",),
        "Frames that failed, by error code (the dead letters).",
    ),
    ("parked", "frames_parked", "code", (), "Times that a frame was released to wait, by cause."),
    (
        "scored",
        "scores",
        "wire",
        ("image2d", "lean2d"),
        "Successful scoring requests, by the wire format of the answer.",
    ),
    (
        "lean_failed",
        "lean_requests_failed",
        "why",
        ("refused", "unreadable"),
        "Requests in lean2d that were sent again as image2d, by cause.",
    ),
    ("ended", "jobs_ended", "state", tuple(sorted(TERMINAL)), "Jobs that ended, by state."),
    ("callback", "delivery_attempts", "result", ("ok",), "Attempts to send a callback, by result."),
    (
        "unwritten",
        "parts_unwritten",
        "code",
        ("internal", "storage_unavailable", "ledger_unavailable"),
        "Groups of outcomes that could not be stored or settled, by cause. Their frames are scored again.",
    ),
    (
        "step failed",
        "step_failures",
        "step",
        ("plan", "finish", "assemble", "tabulate"),
        "Failed attempts of a step.",
    ),
    (
        "halted",
        "jobs_halted",
        "step",
        ("plan", "finish", "assemble"),
        "Jobs that ended without a result, by the step that failed repeatedly.",
    ),
    ("lapsed", "leases_lapsed", "kind", ("claim",), "Leases that lapsed because a worker died or hung."),
    (
        "bad_object",
        "bad_objects",
        "pass",
        ("comparison",),
        "Times that a pass left out a job because its stored objects cannot be used, by pass.",
    ),
    (
        "unwatched",
        "watch_failures",
        "code",
        ("source_unavailable", "source_forbidden", "too_many_items"),
        "Times that a watched prefix could not be listed, or that a folder in it could not become a job, by code.",
    ),
)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"maskrelay_{name}", meaning, value=value)


def _gauges(name: str, meaning: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"maskrelay_{name}", meaning, labels=(label,))
    for labelled, value in values:
        family.add_metric((labelled,), value)
    return family


def ledger_up(*, is_up: bool) -> Metric:
    return _gauge(
        "ledger_up",
        "Whether Redis responds. If it does not, only this metric and the API's own metrics are present.",
        is_up,
    )


def work(known: Mapping[str, Any], wanted: int, cap: int) -> Iterator[Metric]:
    """Yield the metrics of waiting work and of work in progress."""
    lanes, steps, deliveries = known["lanes"].items(), known["steps"].items(), known["deliveries"]
    yield _gauge("jobs_running", "Jobs with planned frames that are not all settled.", known["jobs_running"])
    for name, kept, meaning in (
        ("frames_waiting", "waiting", "Frames of the 200 oldest running jobs that have no outcome and no lease."),
        ("frames_leased", "leased", "Frames of the 200 oldest running jobs that workers have leased."),
        ("oldest_job_age_seconds", "oldest_s", "Seconds since the oldest running job with open frames was accepted."),
    ):
        yield _gauges(name, meaning, "lane", [(lane, counted[kept]) for lane, counted in lanes])
    for name, kept, meaning in (
        ("steps_due", "due", "Jobs to plan or finish, and items to assemble, that no worker has taken."),
        (
            "steps_held",
            "held",
            "Jobs to plan or finish, and items to assemble, that a worker has taken or that wait for another attempt.",
        ),
        ("step_late_seconds", "late_s", "How long the first of the due steps has been waiting."),
    ):
        yield _gauges(name, meaning, "step", [(step, counted[kept]) for step, counted in steps])
    yield _gauges("loops", "Running worker loops, by task.", "task", known["loops"].items())
    yield _gauge("deliveries_due", "Callbacks that are due.", deliveries["due"])
    yield _gauge("deliveries_in_flight", "Callbacks in progress.", deliveries["in_flight"])
    later = deliveries["total"] - deliveries["due"] - deliveries["in_flight"]
    yield _gauge("deliveries_later", "Callbacks that wait for their next attempt.", later)
    yield _gauge(
        "callback_hosts_failing", "Receivers whose last attempt failed, counted per tenant.", known["hosts_failing"]
    )
    yield _gauge("workers_wanted", "Segment workers wanted for the work, for autoscaling.", wanted)
    yield _gauge("workers_cap", "The most segment workers that the endpoints can keep busy.", cap)


def redis(known: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield the metrics of the Redis server, and the times since the last sweep and the last comparison."""
    memory = known["memory"]
    yield _gauge("ledger_memory_bytes", "Memory that Redis uses.", memory["used"])
    yield _gauge("ledger_memory_limit_bytes", "Redis' maxmemory. 0 if there is no limit.", memory["most"])
    yield _gauge(
        "ledger_append_only", "1 if Redis writes its append-only file. 0 if a restart loses data.", known["persists"]
    )
    yield _gauge("ledger_evicts", "Whether a full Redis evicts keys.", known["evicts"])
    for name, kept, meaning in (
        ("sweep_age_seconds", "sweep_s", "Seconds since the last sweep. A sweep runs every few seconds."),
        ("reconciled_age_seconds", "reconciled_s", "Seconds since the storage and the ledger were last compared."),
    ):
        if kept in known:
            yield _gauge(name, meaning, known[kept])


def counters(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    """Yield the counters since this Redis was started. Every process shows the same totals, so do not add them up."""
    for what, name, label, always, meaning in _COUNTED:
        family = CounterMetricFamily(f"maskrelay_{name}", meaning, labels=(label,))
        for labelled, count in {**dict.fromkeys(always, 0), **counts.get(what, {})}.items():
            family.add_metric((labelled,), count)
        yield family


def stages(known: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(
        "maskrelay_stage_seconds", "The duration of each stage, over all workers.", labels=("stage",)
    )
    for stage, histogram in known.items():
        bounds = [*map(str, BUCKETS), "+Inf"]
        family.add_metric((stage,), list(zip(bounds, histogram.at_most, strict=True)), histogram.seconds)
    return family


def endpoints(documents: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Yield the metrics of each endpoint's limits, its load and its gate."""

    def each(name: str, meaning: str, kept: str) -> Metric:
        return _gauges(
            f"endpoint_{name}", meaning, "endpoint", [(endpoint["name"], endpoint[kept]) for endpoint in documents]
        )

    yield each("limit", "The current limit on requests in flight.", "limit")
    yield each("max_in_flight", "The hard limit on requests in flight.", "max_in_flight")
    yield each("in_flight", "Requests in flight.", "in_flight")
    yield each("closed_seconds", "How long the gate stays closed.", "closed_for_s")
    yield each("bytes_per_prompt", "The measured size of a response for each prompt.", "bytes_per_prompt")
    for name in ("requests_per_s", "bytes_per_s", "bytes_per_s_learnt"):
        values = [(endpoint["name"], endpoint["tokens"][name]) for endpoint in documents]
        yield _gauges(f"endpoint_{name}", "The rate limit per second.", "endpoint", values)
    for name, label, meaning, of in (
        (
            "waiting",
            "lane",
            "Worker processes that wait for permission to send a request.",
            lambda endpoint: endpoint["waiting"],
        ),
        (
            "gate",
            "gate",
            "1 for the current state of the gate.",
            lambda endpoint: {gate: endpoint["gate"] == gate for gate in _GATES},
        ),
        (
            "gate_reason",
            "reason",
            "1 for the reason why the gate is not open.",
            lambda endpoint: {endpoint["reason"]: 1} if endpoint["reason"] else {},
        ),
        ("recent_errors", "kind", "Failed requests in the last five minutes.", lambda endpoint: endpoint["errors"]),
    ):
        family = GaugeMetricFamily(f"maskrelay_endpoint_{name}", meaning, labels=("endpoint", label))
        for endpoint in documents:
            for labelled, value in of(endpoint).items():
                family.add_metric((endpoint["name"], labelled), value)
        yield family


async def metrics(request: Request) -> Response:
    """Return Prometheus metrics of the whole service, and of the requests to this process.

    They contain nothing about an individual job or patient.
    """
    body = await in_thread(_body, dependencies_of(request), request.app.state.registry)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def _body(dependencies: Dependencies, own: CollectorRegistry) -> bytes:
    shared = CollectorRegistry()
    shared.register(_Shared(_read_ledger(dependencies)))
    return generate_latest(shared) + generate_latest(own)


def _read_ledger(dependencies: Dependencies) -> list[Metric]:
    """Return the metrics of the ledger. If the ledger is unavailable, return only the metric that shows this."""
    try:
        return [ledger_up(is_up=True), *_of_ledger(dependencies)]
    except LedgerUnavailable:
        return [ledger_up(is_up=False)]


def _of_ledger(dependencies: Dependencies) -> Iterable[Metric]:
    seen = dependencies.ledger.metrics.snapshot()
    flows = dependencies.ledger.flow(dependencies.ledger.endpoints.known()).document()
    scaling = worth(dependencies, flows)
    yield from work(seen.known, scaling.workers_wanted, scaling.cap)
    yield from redis(seen.known)
    yield from counters(seen.counts)
    yield stages(seen.stages)
    yield from endpoints(flows)


class _Shared(Collector):
    """A collector of metrics that have already been read, in the form that prometheus_client expects."""

    def __init__(self, read: list[Metric]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        return self._read
