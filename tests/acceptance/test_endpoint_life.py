"""The life of an endpoint by the real command, as a process, against the stand-in of Azure's control plane."""

import json
import stat
from pathlib import Path

import pytest

from maskrelay.endpoints import read_endpoints
from maskrelay.settings import Settings
from tests.support.servers.azures import Operator
from tests.support.servers.control_plane import running_azure
from tests.support.servers.control_plane_state import (
    CONFIG,
    GROUP,
    SUBSCRIPTION,
    WORKSPACE,
)
from tests.support.servers.simulators import running_simulator

pytestmark = pytest.mark.slow_subject("azure-endpoint")

APPLIED = ("--apply", "--patience", "1")
BLUE = "medimageparse-v10"
PRINCIPAL = "12345678-aaaa-4bbb-8ccc-1234567890ab"


def test_create_makes_endpoint_deployment_and_traffic_and_says_how_it_goes(at: Operator):
    ran = at.run("create", "mip-east", *APPLIED)
    assert ran.lines() == [
        "create mip-east: InProgress",
        "create mip-east: Succeeded",
        f"create {BLUE}: InProgress",
        f"create {BLUE}: Succeeded",
        "traffic of mip-east: InProgress",
        "traffic of mip-east: Succeeded",
        f"traffic of mip-east: {BLUE} 100 %",
    ]
    made = {path.rpartition("/")[2]: one for path, one in at.azure.there.items()}
    assert made["mip-east"]["properties"]["traffic"] == {BLUE: 100}
    assert made["mip-east"]["properties"]["authMode"] == "Key"
    assert made[BLUE]["properties"]["model"] == "azureml://registries/azureml/models/MedImageParse/versions/10"
    assert made[BLUE]["properties"]["requestSettings"] == {
        "requestTimeout": "PT1M30S",
        "maxConcurrentRequestsPerInstance": 8,
    }


@pytest.mark.parametrize("style", ["location", "state"])
def test_work_is_followed_however_azure_tells_of_it(at: Operator, style: str):
    at.azure.style = style
    at.run("create", "mip-east", *APPLIED)
    states = {one["properties"]["provisioningState"] for one in at.azure.there.values()}
    assert states == {"Succeeded"}
    at.run("delete", "mip-east", *APPLIED)
    assert at.azure.there == {}


def test_who_may_not_follow_the_work_looks_at_the_resource(at: Operator):
    at.azure.denied = {"Microsoft.MachineLearningServices/locations/mfeOperationsStatus/read"}
    at.azure.style = "both"
    ran = at.run("create", "mip-east", *APPLIED)
    assert ran.lines()[:2] == ["mip-east: Creating", "mip-east: Succeeded"]
    assert at.run("delete", "mip-east", *APPLIED).lines() == ["delete mip-east: Deleting", "mip-east is deleted"]
    assert at.azure.there == {}


def test_what_is_chosen_arrives(at: Operator):
    at.run(
        "create", "mip-west", "--deployment", "green", "--model-version", "9", "--auth", "entra",
        "--sku", "Standard_NC4as_T4_v3", "--instances", "2", "--timeout", "120", "--concurrency", "3",
        "--liveness", "delay=900,failures=5", "--readiness", "period=20", *APPLIED,
    )  # fmt: skip
    made = {path.rpartition("/")[2]: one for path, one in at.azure.there.items()}
    asked = made["green"]["properties"]
    assert made["mip-west"]["properties"]["authMode"] == "AADToken"
    assert made["green"]["sku"] == {"name": "Default", "capacity": 2}
    assert (asked["instanceType"], asked["model"][-11:]) == ("Standard_NC4as_T4_v3", "/versions/9")
    assert asked["requestSettings"] == {"requestTimeout": "PT2M", "maxConcurrentRequestsPerInstance": 3}
    assert asked["environmentVariables"] == {"WORKER_COUNT": "3"}
    assert (asked["livenessProbe"]["initialDelay"], asked["livenessProbe"]["failureThreshold"]) == ("PT15M", 5)
    assert (asked["readinessProbe"]["initialDelay"], asked["readinessProbe"]["period"]) == ("PT10S", "PT20S")


def test_a_second_create_changes_nothing(at: Operator):
    at.has("mip-east")
    ran = at.run("create", "mip-east", *APPLIED)
    assert at.azure.changes() == []
    assert ran.lines() == [
        "endpoint mip-east already exists",
        f"deployment {BLUE} already exists",
        f"traffic of mip-east: {BLUE} 100 %",
    ]


def test_a_create_that_differs_changes_the_deployment_alone_and_keeps_the_traffic(at: Operator):
    at.has("mip-east")
    at.run("create", "mip-east", "--timeout", "60", *APPLIED)
    assert at.azure.changes() == [("PUT", f"deployments/{BLUE}")]


def test_traffic_moves_to_a_second_deployment_only_when_it_is_asked_to(at: Operator):
    at.has("mip-east", sku="Standard_NC4as_T4_v3")
    ran = at.run("create", "mip-east", "--deployment", "green", "--sku", "Standard_NC4as_T4_v3", *APPLIED)
    assert f"traffic of mip-east: {BLUE} 100 %; to move it: maskrelay endpoint traffic mip-east green=100" in ran.err
    at.run("traffic", "mip-east", f"{BLUE}=10", "green=90", *APPLIED)
    endpoint = next(one for one in at.azure.there.values() if one["name"] == "mip-east")
    assert endpoint["properties"]["traffic"] == {BLUE: 10, "green": 90}
    at.azure.calls.clear()
    at.run("traffic", "mip-east", f"{BLUE}=10", "green=90", *APPLIED)
    assert at.azure.changes() == []
    missing = at.run("traffic", "mip-east", "red=100", *APPLIED, code=3)
    assert missing.lines()[0] == "maskrelay: mip-east has no deployment red [azure_missing]"
    uneven = at.run("traffic", "mip-east", "green=90", *APPLIED, code=3)
    assert "does not add up to 100 percent [azure_refused]" in uneven.err


def test_scale_changes_the_instances_and_nothing_twice(at: Operator):
    at.has("mip-east", sku="Standard_NC4as_T4_v3")
    at.run("scale", "mip-east", "3", *APPLIED)
    at.run("scale", "mip-east", "3", *APPLIED)
    assert at.azure.changes() == [("PATCH", f"deployments/{BLUE}")]
    deployment = next(one for one in at.azure.there.values() if one["name"] == BLUE)
    assert deployment["sku"]["capacity"] == 3
    assert deployment["properties"]["instanceType"] == "Standard_NC4as_T4_v3"


def test_delete_takes_all_and_what_is_gone_is_no_error(at: Operator):
    at.has("mip-east")
    assert at.run("delete", "mip-east", *APPLIED).lines()[-1] == "mip-east is deleted"
    assert at.azure.there == {}
    assert at.run("delete", "mip-east", *APPLIED).lines() == ["mip-east does not exist"]


def test_delete_in_a_workspace_that_is_not_there_is_an_error(at: Operator, tmp_path: Path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps(CONFIG | {"workspace_name": "elsewhere"}))
    ran = at.run("delete", "mip-east", "--config", str(other), *APPLIED, code=3)
    assert ran.lines()[0] == "maskrelay: there is no workspace elsewhere in resource group imaging [azure_missing]"


def test_status_shows_state_traffic_quota_and_where_the_logs_are(at: Operator):
    at.has("mip-east")
    shown = at.run("status", "mip-east").out.splitlines()
    assert shown[:2] == [
        "endpoint   mip-east: Succeeded, auth key",
        "scoring    https://mip-east.eastus.inference.ml.azure.com/score",
    ]
    assert shown[4].split() == [
        BLUE, "Succeeded", "100", "MedImageParse", "10", "Standard_NC40ads_H100_v5", "1", "8", "90",
    ]  # fmt: skip
    assert shown[7].split("  ")[0] == "Standard_NC40ads_H100_v5"
    assert shown[7].endswith("Standard NCadsH100v5 Family vCPUs          40          80    100")
    assert f"az ml online-deployment get-logs --endpoint-name mip-east --name {BLUE} --lines 100" in "\n".join(shown)
    assert "mip-east" in at.run("status").out
    at.azure.denied = {"Microsoft.MachineLearningServices/locations/usages/read"}
    without = at.run("status", "mip-east").out
    assert "quota: this identity may not read it" in without
    assert BLUE in without
    assert "there is no endpoint other in workspace" in at.run("status", "other", code=3).err


def test_an_endpoint_of_the_shared_quota_is_warned_of_with_its_end(at: Operator):
    at.has("mip-east")
    endpoint = next(one for one in at.azure.there.values() if one["name"] == "mip-east")
    endpoint["properties"]["properties"] = {"SharedComputeCapacityEnabled": "true"}
    endpoint["systemData"]["createdAt"] = "2126-11-20T08:00:00Z"
    assert (
        "warning    shared quota: Azure deletes the endpoint at 2126-11-27 08:00 UTC"
        in at.run("status", "mip-east").out
    )
    assert "warning: shared quota" in at.run("create", "mip-east", *APPLIED).err
    at.run("create", "mip-east", "--auth", "entra", *APPLIED)
    endpoint = next(one for one in at.azure.there.values() if one["name"] == "mip-east")
    assert endpoint["properties"]["authMode"] == "AADToken"
    assert endpoint["properties"]["traffic"] == {BLUE: 100}
    assert endpoint["properties"]["properties"] == {"SharedComputeCapacityEnabled": "true"}


def test_wait_sees_what_is_under_way_to_its_end(at: Operator):
    at.has("mip-east")
    deployment = next(path for path, one in at.azure.there.items() if one["name"] == BLUE)
    at.azure.style = "state"
    at.azure.there[deployment]["properties"]["provisioningState"] = "Updating"
    at.azure.work = {"1": [deployment, 2, False]}
    ran = at.run("wait", "mip-east")
    assert ran.lines() == [f"{BLUE}: Updating", f"{BLUE}: Succeeded"]
    assert ran.out == "mip-east is ready\n"


def test_grant_makes_a_role_that_may_score_alone_and_gives_it_once(at: Operator):
    at.has("mip-east")
    for _ in range(2):
        at.run("grant", "mip-east", PRINCIPAL, *APPLIED)
    assert len(at.azure.changes()) == 4
    assert len(set(at.azure.changes())) == 2
    roles = [one for path, one in at.azure.there.items() if "/roleDefinitions/" in path]
    given = {path: one for path, one in at.azure.there.items() if "/roleAssignments/" in path}
    assert [one["properties"]["permissions"] for one in roles] == [
        [
            {
                "actions": [
                    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action",
                    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/token/action",
                ],
                "notActions": [],
            }
        ]
    ]
    [(path, assignment)] = given.items()
    assert f"/workspaces/{WORKSPACE}/onlineEndpoints/mip-east/providers/Microsoft.Authorization/" in path
    assert assignment["properties"]["principalId"] == PRINCIPAL
    del at.azure.there[path]
    at.azure.there["by-another-hand"] = assignment
    assert "has the role" in at.run("grant", "mip-east", PRINCIPAL, *APPLIED).err
    assert "[azure_name_invalid]" in at.run("grant", "mip-east", "me", code=3).err


def test_a_real_picture_is_scored_and_the_settings_open_the_same_endpoint(tmp_path: Path):
    with running_simulator() as simulator, running_azure(key=simulator.key, scoring=simulator.url) as azure:
        at = Operator(azure, tmp_path)
        at.has("mip-east")
        scored = at.run("test", "mip-east").out
        assert scored.startswith("scored “optic disc in retinal fundus” on a test image in ")
        overlap = float(scored.rpartition("overlap with the optic disc ")[2])
        assert overlap > 0.5
        assert "category of the model: eye anatomies" in scored

        file, key = tmp_path / "endpoints.json", tmp_path / "mip.key"
        file.write_text(json.dumps([{"name": "mip-east", "url": "http://old/score", "key": "old", "weight": 2}]))
        written = at.run("settings", "mip-east", "--file", str(file), "--key-file", str(key))
        assert "MASKRELAY_SCORE_TIMEOUT_S" not in written.err
        assert simulator.key not in written.out + written.err + file.read_text()
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        environment = {"MASKRELAY_ENDPOINTS_FILE": str(file), "MASKRELAY_REDIS_URL": "redis://r"}
        environment |= {"MASKRELAY_STORAGE_URL": "file:///x", "MASKRELAY_SERVER_KEY": "k" * 32}
        [endpoint] = read_endpoints(Settings.from_environment(environment))
        assert (endpoint.url, endpoint.key, endpoint.key_file) == (simulator.url, None, str(key))
        assert (endpoint.weight, endpoint.concurrency, endpoint.max_in_flight) == (2, 16, 16)
        assert endpoint.model_version == "10"

        simulator.set(traffic=False)
        assert "[endpoint_unavailable]" in at.run("test", "mip-east", code=1).err


def test_settings_of_a_token_endpoint_hold_the_address_of_its_token(at: Operator):
    at.has("mip-east", auth="aml_token", timeout=180)
    written = at.run("settings", "mip-east")
    assert "a request may take 180 s: raise MASKRELAY_SCORE_TIMEOUT_S" in written.err
    [entry] = json.loads(written.out)
    path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.MachineLearningServices"
    path += f"/workspaces/{WORKSPACE}/onlineEndpoints/mip-east/token?api-version=2024-10-01"
    assert (entry["auth"], entry["token_url"]) == ("aml_token", at.azure.url + path)


def test_settings_want_a_place_for_a_key_and_leave_a_file_of_something_else_alone(at: Operator, tmp_path: Path):
    at.has("mip-east")
    assert "--key-file" in at.run("settings", "mip-east", code=3).err
    file = tmp_path / "endpoints.json"
    file.write_text("not a list")
    told = at.run("settings", "mip-east", "--file", str(file), "--key-file", str(tmp_path / "key"), code=3).err
    assert "it was not changed" in told
    assert (file.read_text(), (tmp_path / "key").exists()) == ("not a list", False)


def test_without_apply_nothing_is_asked_and_the_same_is_printed_for_az(at: Operator):
    created = at.run("create", "mip-east", "--save", "yaml").out
    where = f"--subscription {SUBSCRIPTION} --resource-group '{GROUP}' --workspace-name {WORKSPACE}"
    assert f"# az ml online-endpoint create --file endpoint.yml {where}\n" in created
    assert sorted(path.name for path in (at.folder / "yaml").iterdir()) == ["deployment.yml", "endpoint.yml"]
    assert f'--traffic "green=100" {where}\n' in at.run("traffic", "mip-east", "green=100").out
    scaled = at.run("scale", "mip-east", "2", "--deployment", "green").out
    assert (
        f"az ml online-deployment update --name green --endpoint-name mip-east --set instance_count=2 {where}" in scaled
    )
    assert f"az ml online-endpoint delete --name mip-east --yes {where}\n" in at.run("delete", "mip-east").out
    granted = at.run("grant", "mip-east", PRINCIPAL).out
    assert f"az role assignment create --assignee-object-id {PRINCIPAL}" in granted
    assert at.azure.calls == []


def test_import_remembers_the_workspace_of_the_articles_config(at: Operator, tmp_path: Path):
    (tmp_path / ".azureml" / "config.json").unlink()
    assert "no workspace is set" in at.run("status", code=3).err
    given = tmp_path / "downloads"
    given.mkdir()
    (given / "config.json").write_text(json.dumps(CONFIG | {"tenant": "unused"}))
    told = at.run("import", "downloads/config.json").out
    assert f"workspace {WORKSPACE} in resource group {GROUP}, saved in .azureml/config.json" in told
    assert json.loads((tmp_path / ".azureml" / "config.json").read_text()) == CONFIG
    at.run("status")
    for wrong in ("{}", "[1]", '{"subscription_id": "x", "resource_group": "g", "workspace_name": "abc"}', "no json"):
        (given / "config.json").write_text(wrong)
        assert at.run("import", "downloads/config.json", code=3).err.startswith("maskrelay: downloads/config.json ")
