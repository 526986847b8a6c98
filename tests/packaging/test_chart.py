"""The chart: linted, rendered with several sets of values, every manifest validated strictly, wrong values refused."""

import json
from typing import Any

import jsonschema
import pytest

from api.app import create
from tests.packaging.chart import KUBERNETES, ROLES, ROOT, VALUES, container, deployment, environment, of_kind, render
from worker.process.celery_app import ROLES as WORKER_ROLES

FOREIGN = ("ScaledObject", "ServiceMonitor", "PrometheusRule", "HTTPRoute")
SCHEMAS = {kind: json.loads((ROOT / "tests" / "data" / "schemas" / f"{kind}.json").read_text()) for kind in FOREIGN}
EVERY = sorted(VALUES)

#: Values that are wrong, and the words that must tell why.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is none": ({"replica": 1}, "additional properties 'replica' not allowed"),
    "a role that is none": ({"workers": {"sweep": {}}}, "additional properties 'sweep' not allowed"),
    "a number unquoted": ({"settings": {"MASKRELAY_HANDS": 8}}, "/settings/MASKRELAY_HANDS': got number, want string"),
    "a setting misspelt": ({"settings": {"MASKRELAY_ENDPOINT_URI": "x"}}, "MASKRELAY_ENDPOINT_URI is not a setting"),
    "a secret among settings": (
        {"workers": {"segment": {"settings": {"MASKRELAY_ENDPOINT_KEY": "k"}}}},
        "what is secret comes from the Secret",
    ),
    "a negative number": ({"api": {"replicas": -1}}, "/api/replicas': minimum: got -1, want 0"),
    "an autoscaler that is none": ({"autoscaling": {"kind": "vpa"}}, "/autoscaling/kind'"),
    "an ingress without a name": ({"ingress": {"enabled": True}}, "ingress.host must be given"),
    "a route without a gateway": ({"gateway": {"enabled": True}}, "gateway.parentRefs must name a Gateway"),
    "a scaler without a cap": (
        {"autoscaling": {"kind": "keda"}, "secret": {"keys": {"endpoints": "e.json"}}},
        "autoscaling.maxReplicas must be given",
    ),
    "a setting slipped by": ({"environment": {"MASKRELAY_HANDS": "8"}}, "MASKRELAY_HANDS belongs into settings"),
    "Redis without users": (
        {"redis": {"bundled": True}, "secret": {"keys": {"redisUsers": ""}}},
        "secret.keys.redisUsers",
    ),
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, Any]]:
    return render(VALUES)


@pytest.fixture(scope="module")
def refused() -> dict[str, dict[str, Any]]:
    return render({name: values for name, (values, _) in WRONG.items()})


@pytest.mark.parametrize("name", EVERY)
def test_it_is_linted_and_every_manifest_is_strictly_valid(rendered: dict[str, Any], name: str):
    case = rendered[name]
    assert case.get("refused") is None
    assert case["lint"] == []
    assert case["invalid"] == []
    assert len(case["manifests"]) >= 7


@pytest.mark.parametrize("name", EVERY)
def test_a_kind_that_is_not_kubernetes_own_fits_its_projects_types(rendered: dict[str, Any], name: str):
    for kind in FOREIGN:
        for one in of_kind(rendered[name], kind):
            errors = jsonschema.Draft7Validator(SCHEMAS[kind]).iter_errors(one)
            assert [f"{list(error.path)} {error.message}" for error in errors] == []


def test_the_validations_refuse_what_is_wrong(rendered: dict[str, Any]):
    (invalid,) = render({"toleration": {"tolerations": [{"nonsense": True}]}}).values()
    assert len(invalid["invalid"]) == 5 * len(KUBERNETES)  # one for each deployment
    assert "nonsense" in invalid["invalid"][0]
    (scaled,) = of_kind(rendered["keda"], "ScaledObject")
    slip = {**scaled, "spec": {**scaled["spec"], "minReplicas": 1}}
    assert not jsonschema.Draft7Validator(SCHEMAS["ScaledObject"]).is_valid(slip)
    assert of_kind(rendered["keda"], "ServiceMonitor")
    assert of_kind(rendered["keda"], "HTTPRoute")


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_values_are_refused_with_words_that_tell_why(refused: dict[str, Any], name: str):
    assert WRONG[name][1] in refused[name].get("refused", "")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("role", ["api", *ROLES])
def test_a_pod_is_hardened_and_asked_how_it_is(rendered: dict[str, Any], name: str, role: str):
    pod, box = deployment(rendered[name], role)["spec"]["template"]["spec"], container(rendered[name], role)
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert box["securityContext"]["readOnlyRootFilesystem"] is True
    assert box["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert box["resources"]["limits"]["memory"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= box.keys()
    writable = [mount["mountPath"] for mount in box["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/tmp"]
    (scratch,) = [volume for volume in pod["volumes"] if volume["name"] == "tmp"]
    assert scratch["emptyDir"]["sizeLimit"]


def test_the_scaled_workers_are_as_many_as_the_endpoint_can_feed_and_no_replicas_fight_it(rendered: dict[str, Any]):
    (scaled,) = of_kind(rendered["keda"], "ScaledObject")
    # 32 in flight, twice over, by 6 hands of 2 children: 5.33
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (0, 6)
    trigger = scaled["spec"]["triggers"][0]
    assert trigger["metadata"]["url"] == "http://trial.imaging.svc:80/v1/scaling"
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment(rendered["keda"], "segment")["metadata"]["name"]
    assert "replicas" not in deployment(rendered["keda"], "segment")["spec"]
    (pods,) = of_kind(rendered["external-redis-tls"], "HorizontalPodAutoscaler")
    assert pods["spec"]["maxReplicas"] == 5
    assert deployment(rendered["default"], "segment")["spec"]["replicas"] == 1


def test_callers_from_outside_reach_every_path_of_theirs_and_none_of_ours(
    rendered: dict[str, Any], tmp_path, monkeypatch: pytest.MonkeyPatch
):
    (ingress,) = of_kind(rendered["external-redis-tls"], "Ingress")
    (route,) = of_kind(rendered["keda"], "HTTPRoute")
    paths = [one["path"] for one in ingress["spec"]["rules"][0]["http"]["paths"]]
    assert paths == [one["path"]["value"] for one in route["spec"]["rules"][0]["matches"]]
    inside = {"/livez", "/readyz", "/v1/scaling", "/metrics"}
    theirs = {one for one in paths_of_the_api(tmp_path, monkeypatch) if one not in inside}
    theirs |= {"/", "/docs", "/assets/style.css"}  # the web page, whose paths are not in the table
    assert [one for one in theirs if not reached(one, paths)] == []
    assert [one for one in inside if reached(one, paths)] == []
    assert [one for one in paths if not any(reached(path, [one]) for path in theirs)] == []


def reached(path: str, prefixes: list[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in prefixes)


def paths_of_the_api(tmp_path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "keys.json").write_text("[]")
    for name, value in {
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "STORAGE_URL": tmp_path.as_uri(),
        "SERVER_KEY": "k" * 32,
        "KEYS_FILE": str(tmp_path / "keys.json"),
    }.items():
        monkeypatch.setenv(f"MASKRELAY_{name}", value)
    app: Any = create()
    while not hasattr(app, "routes"):
        app = app._app if hasattr(app, "_app") else app.app
    return [route.path for route in app.routes]


def test_redis_of_the_release_persists_never_evicts_and_speaks_to_our_pods_alone(rendered: dict[str, Any]):
    (redis,) = of_kind(rendered["minimal"], "StatefulSet")
    arguments = redis["spec"]["template"]["spec"]["containers"][0]["args"]
    options = {one: arguments[place + 1] for place, one in enumerate(arguments) if one.startswith("--")}
    assert (options["--appendonly"], options["--appendfsync"]) == ("yes", "everysec")
    assert options["--maxmemory-policy"] == "noeviction"
    assert of_kind(rendered["default"], "StatefulSet") == []


def test_a_workload_identity_is_named_on_pod_and_account_and_no_key_is_asked_for(rendered: dict[str, Any]):
    case = rendered["workload-identity"]
    (account,) = of_kind(case, "ServiceAccount")
    assert account["metadata"]["annotations"] == {"azure.workload.identity/client-id": "0000"}
    pod = deployment(case, "segment")["spec"]["template"]
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]


@pytest.mark.parametrize("name", EVERY)
def test_the_notes_say_how_to_make_exactly_the_secret_that_the_pods_wait_for(rendered: dict[str, Any], name: str):
    case = rendered[name]
    keys = VALUES[name].get("secret", {}).get("keys", {})
    assert f"create secret generic {VALUES[name].get('secret', {}).get('name', 'maskrelay')} " in case["notes"]
    assert f"={keys.get('redisUrl', 'redis-url')}" in case["notes"]
    assert ("--from-literal=endpoint-key=" in case["notes"]) == (not {"endpoints", "endpointKey"} & keys.keys())
    assert ("users.acl" in case["notes"]) == bool(of_kind(case, "StatefulSet"))


def test_every_role_of_the_worker_has_its_deployment():
    assert set(WORKER_ROLES) <= set(ROLES)
    assert KUBERNETES[0] == "1.30"
    assert 'kubeVersion: ">=1.30.0-0"' in (ROOT / "helm" / "maskrelay" / "Chart.yaml").read_text()


def test_links_begin_with_the_ingress_or_with_the_service(rendered: dict[str, Any]):
    found = {name: environment(rendered[name], "api").get("MASKRELAY_PUBLIC_URL") for name in EVERY}
    assert found["external-redis-tls"] == "https://m.example"
    assert found["keda"] == "https://m.example"
    assert str(found["default"]).startswith("http://trial.")
    assert None not in found.values()


def test_where_egress_is_bounded_name_servers_and_the_releases_own_pods_are_still_reached(rendered: dict[str, Any]):
    named = {one["metadata"]["name"]: one for one in of_kind(rendered["external-redis-tls"], "NetworkPolicy")}
    policy = named["trial-egress"]["spec"]
    assert policy["policyTypes"] == ["Egress"]
    names, own, *others = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert own["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "trial"
    assert {port["port"] for rule in others for port in rule["ports"]} == {443, 6379, 6380}
    assert "trial-egress" not in {one["metadata"]["name"] for one in of_kind(rendered["default"], "NetworkPolicy")}
