"""Every setting that the chart takes reaches the process it is for, which accepts it."""

from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from maskrelay.endpoints import read_endpoints
from maskrelay.settings import Settings, name_of
from tests.packaging.chart import (
    CHART,
    ROLES,
    VALUES,
    container,
    deployment,
    environment,
    of_kind,
    render,
    secret_files,
)

NAMES = (CHART / "settings.txt").read_text().split()
FIELDS = {name_of(field): field for field in Settings.model_fields}
#: What lies in the Secret, by key.
SECRET = {
    "redis-url": "rediss://user:word@redis.example:6380/0\n",
    "url": "rediss://user:word@redis.example:6380/0?ssl_ca_certs=/run/maskrelay/redis-ca.crt\n",
    "server-key": "a server key that is long enough\n",
    "server-key-of-2025": "a server key of before that is long enough\n",
    "keys.json": "[]",
    "endpoint-key": "the endpoint's key\n",
    "metrics-key": "a key for metrics that is long enough\n",
    "endpoints.json": '[{"name": "west", "url": "https://west.example/score", "key": "k"}]',
}


def another(field: str) -> str:
    """A value that the setting accepts and does not have by default."""
    info = Settings.model_fields[field]
    default, choices = info.default, get_args(info.annotation)
    if isinstance(default, timedelta):
        return f"{default.total_seconds() + 0.001:.3f}"  # so little that the clocks keep their order
    if isinstance(default, bool):
        return str(not default).lower()
    if isinstance(default, int | float):
        return str(default + 1)
    if isinstance(default, str) and all(isinstance(one, str) for one in choices) and choices:
        return next(one for one in choices if one != default)
    return "7" if {int, float} & {*choices} else "https://other.example/score"


def with_own(role: str, settings: dict[str, str]) -> dict[str, Any]:
    own = {"settings": settings}
    return {"api": own} if role == "api" else {"workers": {role: own}}


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, Any]]:
    every = {name: another(FIELDS[name]) for name in NAMES}
    every |= {"MASKRELAY_STORAGE_URL": "s3://elsewhere/runs", "MASKRELAY_ENDPOINT_AUTH": "key"}
    cases = {role: with_own(role, {"MASKRELAY_LOG_LEVEL": "debug"}) for role in ["api", *ROLES]}
    files = {"credentials": "credentials.json", "tables": "tables.json", "siteIdentifiers": "site-identifiers.json"}
    sources = {"secret": {"keys": files}}
    clocks = {"MASKRELAY_TERMINATION_GRACE_S": "240.5", "MASKRELAY_SOFT_SHUTDOWN_S": "200"}
    return render({**VALUES, **cases, "every": {"settings": every}, "slow": {"settings": clocks}, "sources": sources})


def read(case: dict[str, Any], role: str, folder: Path) -> Settings:
    """The settings as the process would read them, with the Secret's files laid out in `folder`."""
    files = secret_files(case, role)
    for path, key in files.items():
        (folder / Path(path).name).write_text(SECRET.get(key, "x"))
    given = environment(case, role)
    for name, value in given.items():
        if value.startswith("/run/maskrelay/"):
            assert value in files, f"{name} names a file that the pod does not see"
    return Settings.from_environment(
        {name: value.replace("/run/maskrelay", str(folder)) for name, value in given.items()}
    )


@pytest.mark.parametrize("name", sorted(VALUES))
@pytest.mark.parametrize("role", ["api", *ROLES])
def test_a_process_accepts_what_it_is_given_and_has_what_it_needs(
    rendered: dict[str, Any], name: str, role: str, tmp_path: Path
):
    settings = read(rendered[name], role, tmp_path)
    assert settings.redis_url.get_secret_value().startswith("rediss://user:word@redis.example:6380")
    if role == "api":
        settings.require("keys_file")
    else:
        settings.require("heartbeat_file")
    if role == "segment":
        (endpoint,) = read_endpoints(settings)
        assert endpoint.name == ("west" if name == "several-endpoints" else "default")


@pytest.mark.parametrize("role", ["api", *ROLES])
def test_every_setting_reaches_every_process(rendered: dict[str, Any], role: str, tmp_path: Path):
    settings = read(rendered["every"], role, tmp_path)
    same = [
        name
        for name in NAMES
        if getattr(settings, FIELDS[name]) == Settings.model_fields[FIELDS[name]].default
        and name != "MASKRELAY_ENDPOINT_AUTH"
    ]
    assert same == []


@pytest.mark.parametrize("role", ["api", *ROLES])
def test_a_setting_of_one_process_reaches_that_one_alone(rendered: dict[str, Any], role: str):
    case = rendered[role]
    told = {one for one in ["api", *ROLES] if environment(case, one).get("MASKRELAY_LOG_LEVEL") == "debug"}
    assert told == {role}


@pytest.mark.parametrize("role", ROLES)
def test_a_worker_has_the_time_that_its_settings_count_on(rendered: dict[str, Any], role: str, tmp_path: Path):
    for name, grace in (("default", 180), ("slow", 241)):
        pod = deployment(rendered[name], role)["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == grace
        assert read(rendered[name], role, tmp_path).termination_grace <= timedelta(seconds=grace)


def test_a_process_sees_the_secrets_that_it_needs_and_no_others(rendered: dict[str, Any]):
    seen = {role: {Path(one).name for one in secret_files(rendered["default"], role)} for role in ["api", *ROLES]}
    assert seen["api"] == {"redis-url", "server-key", "keys.json"}
    assert seen["segment"] == {"redis-url", "server-key", "endpoint-key"}
    assert seen["control"] == {"redis-url", "server-key", "keys.json"}
    assert seen["deliver"] == seen["assemble"] == {"redis-url", "server-key"}
    with_sources = {
        role: {Path(one).name for one in secret_files(rendered["sources"], role)} for role in ["api", *ROLES]
    }
    assert [role for role in with_sources if "credentials.json" in with_sources[role]] == [
        "api",
        *sorted(set(ROLES) - {"deliver"}, key=ROLES.index),
        "deliver",
    ]
    assert [role for role in with_sources if "tables.json" in with_sources[role]] == list(ROLES)
    assert [role for role in with_sources if "site-identifiers.json" in with_sources[role]] == ["control"]
    several = {Path(one).name for one in secret_files(rendered["several-endpoints"], "segment")}
    assert several == {"redis-url", "server-key", "endpoints.json"}


def test_a_key_for_metrics_is_asked_for_by_the_api_and_given_to_prometheus_and_keda(
    rendered: dict[str, Any], tmp_path: Path
):
    case = rendered["keda"]
    assert read(case, "api", tmp_path).metrics_key is not None
    assert [role for role in ROLES if "MASKRELAY_METRICS_KEY_FILE" in environment(case, role)] == []
    (monitor,) = of_kind(case, "ServiceMonitor")
    (scraped,) = monitor["spec"]["endpoints"]
    assert scraped["authorization"]["credentials"] == {"name": "maskrelay", "key": "metrics-key"}
    (shown,) = of_kind(case, "TriggerAuthentication")
    assert shown["spec"]["secretTargetRef"] == [{"parameter": "token", "name": "maskrelay", "key": "metrics-key"}]
    (scaled,) = of_kind(case, "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["authMode"] == "bearer"
    assert trigger["authenticationRef"]["name"] == shown["metadata"]["name"]
    assert "metrics-key=" in case["notes"]
    assert "metrics-key" not in secret_files(rendered["default"], "api").values()
    assert of_kind(rendered["several-endpoints"], "TriggerAuthentication") == []


def test_the_server_key_of_before_comes_along_where_there_is_one(rendered: dict[str, Any]):
    case = rendered["workload-identity"]
    for role in ["api", *ROLES]:
        path = environment(case, role)["MASKRELAY_SERVER_KEY_BEFORE_FILE"]
        assert secret_files(case, role)[path] == "server-key-of-2025"
        assert "MASKRELAY_SERVER_KEY_BEFORE_FILE" not in environment(rendered["default"], role)


def test_redis_authority_is_where_the_url_says(rendered: dict[str, Any]):
    files = secret_files(rendered["external-redis-tls"], "control")
    assert files["/run/maskrelay/redis-ca.crt"] == "ca.crt"
    assert files["/run/maskrelay/redis-url"] == "url"
    assert environment(rendered["external-redis-tls"], "api")["AWS_DEFAULT_REGION"] == "eu-central-1"


def test_a_pod_runs_the_process_of_its_name(rendered: dict[str, Any]):
    assert "args" not in container(rendered["default"], "api")  # the image's own
    for role in ROLES:
        assert container(rendered["default"], role)["args"] == ["worker", role]
