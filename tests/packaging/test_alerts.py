"""Every alert fires in the state it is for, and none where all is well: the rules under Prometheus' own unit tests."""

import subprocess
from pathlib import Path

import yaml

from tests.support.checks.system_programs import system_program

RULES = Path(__file__).parents[2] / "helm" / "maskrelay" / "alerts.yml"
ALERTS = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
MINUTES = 100
WELL = {
    "maskrelay_ledger_up": "1",
    "maskrelay_ledger_memory_bytes": "100",
    "maskrelay_ledger_memory_limit_bytes": "1000",
    "maskrelay_ledger_evicts": "0",
    "maskrelay_ledger_append_only": "1",
    "maskrelay_sweep_age_seconds": "3",
    "maskrelay_reconciled_age_seconds": "300",
    'maskrelay_api_request_seconds_count{status="200"}': "+100",
    'maskrelay_endpoint_gate{endpoint="west",gate="open"}': "1",
    'maskrelay_endpoint_gate{endpoint="west",gate="closed"}': "0",
    'maskrelay_endpoint_limit{endpoint="west"}': "8",
    'maskrelay_endpoint_max_in_flight{endpoint="west"}': "8",
    'maskrelay_endpoint_in_flight{endpoint="west"}': "7",
    'maskrelay_frames_waiting{lane="interactive"}': "4",
    'maskrelay_frames_waiting{lane="bulk"}': "400",
    'maskrelay_loops{task="segment"}': "2",
    "maskrelay_workers_wanted": "2",
    "maskrelay_workers_cap": "2",
    'maskrelay_oldest_job_age_seconds{lane="interactive"}': "20",
    'maskrelay_oldest_job_age_seconds{lane="bulk"}': "90000",
    'maskrelay_step_late_seconds{step="plan"}': "1",
    'maskrelay_frames_settled_total{outcome="succeeded"}': "+60",
    'maskrelay_frames_settled_total{outcome="failed"}': "+1",
    'maskrelay_frames_failed_total{code="decoder_crashed"}': "0",
    'maskrelay_parts_unwritten_total{code="internal"}': "5",
    'maskrelay_jobs_halted_total{step="finish"}': "2",
    'maskrelay_step_failures_total{step="finish"}': "7",
    'maskrelay_leases_lapsed_total{kind="claim"}': "3",
    'maskrelay_bad_objects_total{pass="comparison"}': "0",
    "maskrelay_callback_hosts_failing": "0",
    "maskrelay_deliveries_due": "0",
}
#: What is otherwise in the state that an alert is for; None: the series is not there.
STATES: dict[str, dict[str, str | None]] = {
    "MaskrelayNotScraped": {"maskrelay_ledger_up": None},
    "MaskrelayLedgerAway": {"maskrelay_ledger_up": "0"},
    "MaskrelayLedgerNearlyFull": {"maskrelay_ledger_memory_bytes": "900"},
    "MaskrelayLedgerEvicts": {"maskrelay_ledger_evicts": "1"},
    "MaskrelayLedgerForgets": {"maskrelay_ledger_append_only": "0"},
    "MaskrelayNoSweep": {"maskrelay_sweep_age_seconds": "200"},
    "MaskrelayNotReconciled": {"maskrelay_reconciled_age_seconds": "4000"},
    "MaskrelayBadObjects": {'maskrelay_bad_objects_total{pass="comparison"}': "once"},
    "MaskrelayRequestsFail": {'maskrelay_api_request_seconds_count{status="503"}': "+10"},
    "MaskrelayEndpointDenied": {'maskrelay_endpoint_gate_reason{endpoint="west",reason="unauthorized"}': "1"},
    "MaskrelayEndpointClosed": {
        'maskrelay_endpoint_gate{endpoint="west",gate="open"}': "0",
        'maskrelay_endpoint_in_flight{endpoint="west"}': "0",
        'maskrelay_loops{task="segment"}': "0",  # with every gate closed nobody is woken, and no worker is missed
    },
    "MaskrelayEndpointBelowItsCap": {'maskrelay_endpoint_limit{endpoint="west"}': "3"},
    "MaskrelayTooFewWorkers": {
        'maskrelay_loops{task="segment"}': "1",
        'maskrelay_endpoint_in_flight{endpoint="west"}': "2",
    },
    "MaskrelayNoWorkers": {'maskrelay_loops{task="segment"}': "0"},
    "MaskrelayEndpointIsTheLimit": {'maskrelay_frames_waiting{lane="bulk"}': "50000"},
    "MaskrelayInteractiveLate": {'maskrelay_oldest_job_age_seconds{lane="interactive"}': "700"},
    "MaskrelayStepsLate": {'maskrelay_step_late_seconds{step="plan"}': "130"},
    "MaskrelayFramesFail": {'maskrelay_frames_settled_total{outcome="failed"}': "+20"},
    "MaskrelayDecoderCrashed": {'maskrelay_frames_failed_total{code="decoder_crashed"}': "once"},
    "MaskrelayOutcomesUnwritten": {'maskrelay_parts_unwritten_total{code="internal"}': "+1"},
    "MaskrelayJobHalted": {'maskrelay_jobs_halted_total{step="finish"}': "+1"},
    "MaskrelayStepsFail": {'maskrelay_step_failures_total{step="finish"}': "+1"},
    "MaskrelayLeasesLapse": {'maskrelay_leases_lapsed_total{kind="claim"}': "+2"},
    "MaskrelayCallbacksFail": {"maskrelay_callback_hosts_failing": "1"},
    "MaskrelayDeliveriesLate": {"maskrelay_deliveries_due": "5"},
}

#: More states: what is otherwise, and which alerts alone fire.
MORE: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "nobody has swept since this Redis is new": ({"maskrelay_sweep_age_seconds": None}, ["MaskrelayNoSweep"]),
    "while Redis is away only that is told": (
        {name: None for name in WELL if "api_request" not in name} | {"maskrelay_ledger_up": "0"},
        ["MaskrelayLedgerAway"],
    ),
    "nothing is scraped": (dict.fromkeys(WELL), ["MaskrelayNotScraped"]),
}


def case(state: dict[str, str | None], expected: list[str]) -> dict[str, object]:
    """The series of a state from two API processes, and that exactly these alerts fire at its end."""
    series = {name: value for name, value in {**WELL, **state}.items() if value is not None}
    firing = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in expected]
    return {
        "interval": "1m",
        "input_series": [
            {"series": labelled(name, pod), "values": values(value)} for name, value in series.items() for pod in "ab"
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{MINUTES}m",
                "exp_samples": firing,
            }
        ],
    }


def labelled(name: str, pod: str) -> str:
    return f'{name.removesuffix("}")},pod="{pod}"}}' if name.endswith("}") else f'{name}{{pod="{pod}"}}'


def values(value: str) -> str:
    """`7` stays so; `+7` grows by so much a minute; `once` happens half an hour before the end."""
    if value == "once":
        return f"0x{MINUTES - 30} 1x30"
    return f"0+{value[1:]}x{MINUTES}" if value.startswith("+") else f"{value}x{MINUTES}"


def test_every_alert_has_its_state():
    assert list(STATES) == ALERTS


def test_an_alert_fires_in_its_state_and_in_no_other(tmp_path: Path):
    file = tmp_path / "test.yml"
    tests = [{"name": "all is well", **case({}, [])}]
    tests += [{"name": alert, **case(state, [alert])} for alert, state in STATES.items()]
    tests += [{"name": name, **case(state, fire)} for name, (state, fire) in MORE.items()]
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    command = [system_program("promtool", "prometheus"), "test", "rules", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
