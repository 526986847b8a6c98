"""The chart rendered for several sets of values, by Helm itself in an environment of its own (`make helm`)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "helm" / "maskrelay"
PYTHON = ROOT / ".venv-helm" / "bin" / "python"
#: The oldest that the chart takes, and the newest known.
KUBERNETES = ["1.30", "1.37"]
ROLES = ["segment", "assemble", "control", "deliver"]

Manifest = dict[str, Any]

VALUES: dict[str, dict[str, Any]] = {
    "default": {},
    "minimal": {
        "api": {"replicas": 1},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "serviceAccount": {"create": False},
        "redis": {"bundled": True},
    },
    "keda": {
        "settings": {"MASKRELAY_ENDPOINT_MAX_IN_FLIGHT": "32"},
        "workers": {"segment": {"settings": {"MASKRELAY_HANDS": "6", "MASKRELAY_SEGMENT_CHILDREN": "2"}}},
        "autoscaling": {"kind": "keda", "minReplicas": 0},
        "secret": {"keys": {"metricsKey": "metrics-key"}},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "alerts": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
        "gateway": {
            "enabled": True,
            "parentRefs": [{"name": "outer", "namespace": "gateways"}],
            "hostnames": ["m.example"],
        },
    },
    "external-redis-tls": {
        "secret": {"name": "redis-of-ours", "keys": {"redisUrl": "url", "redisCa": "ca.crt", "awsCredentials": "aws"}},
        "environment": {"AWS_DEFAULT_REGION": "eu-central-1"},
        "autoscaling": {"kind": "hpa", "maxReplicas": 5},
        "networkPolicy": {"egress": {"enabled": True}},
        "ingress": {"enabled": True, "className": "nginx", "host": "m.example", "tlsSecret": "m-tls"},
    },
    "workload-identity": {
        "settings": {"MASKRELAY_ENDPOINT_AUTH": "entra"},
        "secret": {"keys": {"endpointKey": "", "serverKeyBefore": "server-key-of-2025"}},
        "serviceAccount": {"annotations": {"azure.workload.identity/client-id": "0000"}},
        "podLabels": {"azure.workload.identity/use": "true"},
    },
    "several-endpoints": {
        "secret": {"keys": {"endpoints": "endpoints.json"}},
        "autoscaling": {"kind": "keda", "maxReplicas": 8},
    },
}


def render(cases: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the harness answers for these values. Skips at a desk without `make helm`; fails where CI is set."""
    if not PYTHON.exists() and not os.environ.get("CI"):
        pytest.skip("Helm's environment is not there: `make helm`")
    asked = {"chart": str(CHART), "versions": KUBERNETES, "cases": cases}
    command = [str(PYTHON), str(ROOT / "tests" / "helm" / "render.py")]
    ended = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    answered: dict[str, dict[str, Any]] = json.loads(ended.stdout)
    return answered


def of_kind(case: dict[str, Any], kind: str) -> list[Manifest]:
    return [one for one in case["manifests"] if one["kind"] == kind]


def deployment(case: dict[str, Any], role: str) -> Manifest:
    (found,) = [one for one in of_kind(case, "Deployment") if one["metadata"]["name"] == f"trial-{role}"]
    return found


def container(case: dict[str, Any], role: str) -> dict[str, Any]:
    (found,) = deployment(case, role)["spec"]["template"]["spec"]["containers"]
    return found


def environment(case: dict[str, Any], role: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(case, role)["env"]}


def secret_files(case: dict[str, Any], role: str) -> dict[str, str]:
    """The files of the Secret that a role's container sees, each with its key."""
    volumes = deployment(case, role)["spec"]["template"]["spec"]["volumes"]
    (secret,) = [one["secret"] for one in volumes if "secret" in one]
    return {f"/run/maskrelay/{one['path']}": one["key"] for one in secret["items"]}
