"""The Grafana dashboard as data: rows of panels, each a title, a unit and its expressions. Written by `make docs`."""  # noqa: INP001

import json
from typing import Any

#: A panel: its title, Grafana's unit, and expressions with their legends.
Panel = tuple[str, str, list[tuple[str, str]]]


def _most(name: str, by: str = "") -> str:
    """A number that every API process shows alike, and may show with labels of its own."""
    return f"max by ({by}) (maskrelay_{name})" if by else f"max(maskrelay_{name})"


def _pace(name: str, by: str) -> str:
    return f"max by ({by}) (rate(maskrelay_{name}[5m]))"


def _slowest(share: float, name: str, by: str, over: str) -> str:
    return f"histogram_quantile({share}, {over} by (le, {by}) (rate(maskrelay_{name}_bucket[5m])))"


ROWS: list[tuple[str, list[Panel]]] = [
    (
        "Waiting work",
        [
            ("Frames waiting", "short", [(_most("frames_waiting", "lane"), "{{lane}}")]),
            ("Frames in progress", "short", [(_most("frames_leased", "lane"), "{{lane}}")]),
            ("Oldest open job", "s", [(_most("oldest_job_age_seconds", "lane"), "{{lane}}")]),
            (
                "Segment workers",
                "short",
                [
                    (_most("workers_wanted"), "wanted"),
                    (_most("workers_cap"), "cap of the endpoints"),
                    (_most("jobs_running"), "running jobs"),
                ],
            ),
        ],
    ),
    (
        "Endpoints",
        [
            (
                "State of the gate (1: current)",
                "short",
                [(_most("endpoint_gate", "endpoint, gate"), "{{endpoint}} {{gate}}")],
            ),
            (
                "In flight",
                "short",
                [
                    (_most("endpoint_in_flight", "endpoint"), "{{endpoint}}"),
                    (_most("endpoint_limit", "endpoint"), "{{endpoint}} limit"),
                    (_most("endpoint_max_in_flight", "endpoint"), "{{endpoint}} cap"),
                ],
            ),
            (
                "Failed requests, 5 minutes",
                "short",
                [
                    (_most("endpoint_recent_errors", "endpoint, kind"), "{{endpoint}} {{kind}}"),
                    (_most("endpoint_gate_reason", "endpoint, reason"), "{{endpoint}} closed: {{reason}}"),
                ],
            ),
            (
                "Limit on bytes per second",
                "Bps",
                [
                    (_most("endpoint_bytes_per_s", "endpoint"), "{{endpoint}} cap"),
                    (_most("endpoint_bytes_per_s_learnt", "endpoint"), "{{endpoint}} measured"),
                ],
            ),
        ],
    ),
    (
        "Throughput",
        [
            ("Frames settled", "ops", [(_pace("frames_settled_total", "outcome"), "{{outcome}}")]),
            ("Frames failed, by code", "ops", [(_pace("frames_failed_total", "code"), "{{code}}")]),
            ("Frames backed off, by cause", "ops", [(_pace("frames_parked_total", "code"), "{{code}}")]),
            (
                "Jobs ended, leases lapsed, bad objects",
                "ops",
                [
                    (_pace("jobs_ended_total", "state"), "{{state}}"),
                    (_pace("leases_lapsed_total", "kind"), "lapsed"),
                    (_pace("bad_objects_total", "pass"), "left out: {{pass}}"),
                ],
            ),
        ],
    ),
    (
        "Stages",
        [
            ("Median", "s", [(_slowest(0.5, "stage_seconds", "stage", "max"), "{{stage}}")]),
            ("95th percentile", "s", [(_slowest(0.95, "stage_seconds", "stage", "max"), "{{stage}}")]),
            ("Seconds per second", "short", [(_pace("stage_seconds_sum", "stage"), "{{stage}}")]),
            (
                "Steps",
                "short",
                [
                    (_most("steps_due", "step"), "{{step}} due"),
                    (_most("steps_held", "step"), "{{step}} in progress"),
                    (_most("loops", "task"), "loops: {{task}}"),
                ],
            ),
        ],
    ),
    (
        "Callbacks and requests",
        [
            (
                "Callbacks",
                "short",
                [
                    (_most("deliveries_due"), "due"),
                    (_most("deliveries_in_flight"), "in progress"),
                    (_most("deliveries_later"), "later"),
                    (_most("callback_hosts_failing"), "receivers failing"),
                ],
            ),
            ("Attempts, by result", "ops", [(_pace("delivery_attempts_total", "result"), "{{result}}")]),
            (
                "Requests",
                "reqps",
                [
                    (
                        "sum by (method, route, status) (rate(maskrelay_api_request_seconds_count[5m]))",
                        "{{method}} {{route}} {{status}}",
                    )
                ],
            ),
            (
                "Response time, 95th percentile",
                "s",
                [(_slowest(0.95, "api_request_seconds", "route", "sum"), "{{route}}")],
            ),
        ],
    ),
    (
        "Ledger",
        [
            (
                "Memory",
                "bytes",
                [(_most("ledger_memory_bytes"), "used"), (_most("ledger_memory_limit_bytes"), "maxmemory")],
            ),
            (
                "Responds, keeps, evicts",
                "short",
                [
                    (_most("ledger_up"), "responds"),
                    (_most("ledger_append_only"), "append-only file"),
                    (_most("ledger_evicts"), "evicts"),
                ],
            ),
            (
                "Time since the last",
                "s",
                [(_most("sweep_age_seconds"), "sweep"), (_most("reconciled_age_seconds"), "comparison with storage")],
            ),
            ("Steps late", "s", [(_most("step_late_seconds", "step"), "{{step}}")]),
        ],
    ),
]
_HEIGHT, _WIDTH = 7, 6


def dashboard() -> str:
    """The whole dashboard as Grafana imports it, in JSON."""
    panels: list[dict[str, Any]] = []
    for number, (title, row) in enumerate(ROWS):
        top = number * (_HEIGHT + 1)
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []})
        panels += [_panel(panel, place * _WIDTH, top + 1) for place, panel in enumerate(row)]
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    whole = {
        "uid": "maskrelay",
        "title": "maskrelay",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }
    return json.dumps(whole, indent=1) + "\n"


def _panel(panel: Panel, x: int, y: int) -> dict[str, Any]:
    title, unit, told = panel
    return {
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"x": x, "y": y, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi"}, "legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend}
            for place, (expression, legend) in enumerate(told)
        ],
    }
