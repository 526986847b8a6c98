"""The families of metrics that `/metrics` shows of the ledger: names, meanings, labels. Pure.

A label's value is a word of ours, or an endpoint's name; never a job, a tenant, or what a caller wrote.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from maskrelay.contract.jobs import TERMINAL
from maskrelay.ledger.sight import BUCKETS, Histogram

_GATES = ("open", "half-open", "closed", "frozen")
#: What is counted in the ledger: its word there, the name, the label and its values that are always there, the meaning.
_COUNTED: tuple[tuple[str, str, str, tuple[str, ...], str], ...] = (
    ("settled", "frames_settled", "outcome", ("succeeded", "failed"), "Frames that got their outcome."),
    (
        "failed",
        "frames_failed",
        "code",
        ("decoder_crashed",),
        "Frames that ended in an error, by its code: the dead letters.",
    ),
    ("parked", "frames_parked", "code", (), "Times that a frame was given back to wait, by what was in the way."),
    ("ended", "jobs_ended", "state", tuple(sorted(TERMINAL)), "Jobs that ended, by how."),
    ("callback", "delivery_attempts", "result", ("ok",), "Attempts at callbacks, by what came of them."),
    (
        "unwritten",
        "parts_unwritten",
        "code",
        ("internal", "storage_unavailable", "ledger_unavailable"),
        "Groups of outcomes that could not be stored or settled, by why; their frames are scored again.",
    ),
    ("step failed", "step_failures", "step", ("plan", "finish", "assemble"), "Tries of a step that failed."),
    (
        "halted",
        "jobs_halted",
        "step",
        ("plan", "finish", "assemble"),
        "Jobs that ended without a result, by the step that failed again and again.",
    ),
    ("lapsed", "leases_lapsed", "kind", ("claim",), "Leases that ran out: a worker died or stood still."),
    (
        "bad_object",
        "bad_objects",
        "pass",
        ("comparison",),
        "Times that a pass over many jobs left one out because what is stored of it cannot be used, by pass.",
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
        "ledger_up", "Whether Redis answers. Without it only this and the API's own numbers are there.", is_up
    )


def work(known: Mapping[str, Any], wanted: int, cap: int) -> Iterator[Metric]:
    """What waits and what is under way."""
    lanes, steps, deliveries = known["lanes"].items(), known["steps"].items(), known["deliveries"]
    yield _gauge("jobs_running", "Jobs with frames planned and not all of them settled.", known["jobs_running"])
    for name, kept, meaning in (
        ("frames_waiting", "waiting", "Frames without outcome that nobody holds, of the 200 oldest running jobs."),
        ("frames_leased", "leased", "Frames in the hands of workers, of the 200 oldest running jobs."),
        ("oldest_job_age_seconds", "oldest_s", "Since the oldest running job with open frames was accepted."),
    ):
        yield _gauges(name, meaning, "lane", [(lane, counted[kept]) for lane, counted in lanes])
    for name, kept, meaning in (
        ("steps_due", "due", "Jobs to plan or to finish, and items to assemble, that nobody has taken."),
        ("steps_held", "held", "The same under a lease, or put off."),
        ("step_late_seconds", "late_s", "For how long the first of those due waits to be taken."),
    ):
        yield _gauges(name, meaning, "step", [(step, counted[kept]) for step, counted in steps])
    yield _gauges("loops", "Loops of workers that run, by task.", "task", known["loops"].items())
    yield _gauge("deliveries_due", "Callbacks that could be sent now.", deliveries["due"])
    yield _gauge("deliveries_in_flight", "Callbacks under way.", deliveries["in_flight"])
    later = deliveries["total"] - deliveries["due"] - deliveries["in_flight"]
    yield _gauge("deliveries_later", "Callbacks that wait for their next attempt.", later)
    yield _gauge(
        "callback_hosts_failing", "Receivers, a tenant's each, whose last attempt failed.", known["hosts_failing"]
    )
    yield _gauge("workers_wanted", "Segment workers that the work is worth, as autoscaling asks.", wanted)
    yield _gauge("workers_cap", "The most segment workers that the endpoints can feed.", cap)


def redis(known: Mapping[str, Any]) -> Iterator[Metric]:
    """The ledger's server, and whether somebody looks after the ledger."""
    memory = known["memory"]
    yield _gauge("ledger_memory_bytes", "Memory that Redis uses.", memory["used"])
    yield _gauge("ledger_memory_limit_bytes", "Redis' maxmemory; 0 where there is none.", memory["most"])
    yield _gauge(
        "ledger_append_only", "Whether Redis writes its log: 1, or 0 where a restart forgets.", known["persists"]
    )
    yield _gauge("ledger_evicts", "Whether a full Redis forgets what is not its to forget.", known["evicts"])
    for name, kept, meaning in (
        ("sweep_age_seconds", "sweep_s", "Since the last sweep; it comes every few seconds."),
        ("reconciled_age_seconds", "reconciled_s", "Since storage and ledger were last compared."),
    ):
        if kept in known:
            yield _gauge(name, meaning, known[kept])


def counters(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    """What was counted since Redis is this one. All processes show the same: a sum over them counts it twice."""
    for what, name, label, always, meaning in _COUNTED:
        family = CounterMetricFamily(f"maskrelay_{name}", meaning, labels=(label,))
        for labelled, count in {**dict.fromkeys(always, 0), **counts.get(what, {})}.items():
            family.add_metric((labelled,), count)
        yield family


def stages(known: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(
        "maskrelay_stage_seconds", "How long the stages of the work take, in all workers.", labels=("stage",)
    )
    for stage, histogram in known.items():
        bounds = [*map(str, BUCKETS), "+Inf"]
        family.add_metric((stage,), list(zip(bounds, histogram.at_most, strict=True)), histogram.seconds)
    return family


def endpoints(documents: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """What holds a run back at each endpoint."""

    def each(name: str, meaning: str, kept: str) -> Metric:
        return _gauges(f"endpoint_{name}", meaning, "endpoint", [(one["name"], one[kept]) for one in documents])

    yield each("limit", "Scores that may be in flight now.", "limit")
    yield each("max_in_flight", "The operator's cap on them.", "max_in_flight")
    yield each("in_flight", "Scores in flight.", "in_flight")
    yield each("closed_seconds", "For how long the gate lets nothing through.", "closed_for_s")
    yield each("bytes_per_prompt", "What an answer weighs for each prompt, as learnt.", "bytes_per_prompt")
    for name in ("requests_per_s", "bytes_per_s", "bytes_per_s_learnt"):
        values = [(one["name"], one["tokens"][name]) for one in documents]
        yield _gauges(f"endpoint_{name}", "What may be sent a second.", "endpoint", values)
    for name, label, meaning, of in (
        ("waiting", "lane", "Children that wait to be admitted.", lambda one: one["waiting"]),
        ("gate", "gate", "1 for the state of the gate.", lambda one: {gate: one["gate"] == gate for gate in _GATES}),
        (
            "gate_reason",
            "reason",
            "1 for why the gate is not open.",
            lambda one: {one["reason"]: 1} if one["reason"] else {},
        ),
        ("recent_errors", "kind", "Failed scores of the last five minutes.", lambda one: one["errors"]),
    ):
        family = GaugeMetricFamily(f"maskrelay_endpoint_{name}", meaning, labels=("endpoint", label))
        for one in documents:
            for labelled, value in of(one).items():
                family.add_metric((one["name"], labelled), value)
        yield family
