"""What `maskrelay endpoint create` writes, read by Azure's own client in an environment of its own (`make azure`)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maskrelay.admin.azure.spec import DeploymentSpec, Probe
from tests.support.servers.azures import Operator
from tests.support.servers.control_plane import running_azure
from tests.support.servers.control_plane_state import CONFIG, TOKEN

pytestmark = pytest.mark.slow_subject("azure-endpoint")

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-azure" / "bin" / "python"
LOCATION = "eastus"
BLUE = "medimageparse-v10"

#: What is typed, and what is wanted by it.
CASES: dict[str, tuple[list[str], DeploymentSpec]] = {
    "as it comes": (["mip-east"], DeploymentSpec("mip-east", "medimageparse-v10")),
    "everything chosen": (
        [
            "MIP-West2", "--deployment", "green", "--model-version", "9", "--auth", "entra", "--sku",
            "Standard_NC24ads_A100_v4", "--instances", "3", "--timeout", "180", "--concurrency", "2",
            "--liveness", "delay=1200,period=30,timeout=5,failures=4", "--readiness", "delay=3661",
        ],
        DeploymentSpec(
            "MIP-West2", "green", "9", "entra", "Standard_NC24ads_A100_v4", 3, 180, 2,
            Probe(1200, 30, 5, 4), Probe(3661),
        ),
    ),
    "names that look like words": (
        ["null", "--deployment", "true", "--auth", "aml_token"],
        DeploymentSpec("null", "true", auth="aml_token"),
    ),
}  # fmt: skip


def written(folder: Path, words: list[str]) -> dict[str, str]:
    """The two files of one `create`, by a process of the real command."""
    command = [sys.executable, "-m", "maskrelay.client.cli", "endpoint", "create", *words, "--save", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return {"endpoint": str(folder / "endpoint.yml"), "deployment": str(folder / "deployment.yml")}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("yaml")
    paths = {name: written(folder / str(place), words) for place, (name, (words, _)) in enumerate(CASES.items())}
    wrong = folder / "wrong.yml"
    wrong.write_text(Path(paths["as it comes"]["deployment"]).read_text().replace("initial_delay", "delay"))
    paths["wrong"] = paths["as it comes"] | {"deployment": str(wrong)}
    return by_azures_client("load.py", {"location": LOCATION, "cases": paths})


def by_azures_client(script: str, asked: dict[str, Any], **environment: str) -> dict[str, Any]:
    """What a script of tests/azure answers. Skips at a desk without `make azure`; fails where CI is set."""
    if not PYTHON.exists() and not os.environ.get("CI"):
        pytest.skip("the environment of azure-ai-ml is not there: `make azure`")
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(PYTHON), str(ROOT / "tests" / "azure" / script)]
    ran = subprocess.run(
        command,
        input=json.dumps(asked),
        env=given | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


@pytest.mark.parametrize("name", CASES)
def test_azures_own_loaders_read_the_yaml_as_managed(loaded: dict[str, Any], name: str):
    assert loaded[name].get("refused") is None
    assert loaded[name]["kinds"] == {"endpoint": "ManagedOnlineEndpoint", "deployment": "ManagedOnlineDeployment"}


@pytest.mark.parametrize("name", CASES)
def test_what_apply_sends_is_what_azures_client_would_send(loaded: dict[str, Any], name: str):
    wanted = CASES[name][1]
    assert plain(loaded[name]["endpoint"]) == plain(wanted.endpoint_body(LOCATION))
    theirs = plain(loaded[name]["deployment"])
    assert theirs["properties"].pop("appInsightsEnabled") is False  # the service's own default, which we do not send
    assert theirs == wanted.deployment_body(LOCATION)


def test_the_loaders_do_refuse_what_is_wrong(loaded: dict[str, Any]):
    assert "delay" in loaded["wrong"]["refused"]


def test_azures_client_reads_from_the_stand_in_what_apply_made_there(tmp_path: Path):
    with running_azure() as azure:
        Operator(azure, tmp_path).has("mip-east")
        asked = {"token": TOKEN, "workspace": list(CONFIG.values()), "endpoint": "mip-east", "deployment": BLUE}
        assert by_azures_client("ask.py", asked, AZUREML_DEV_URL_MFE=azure.url) == {
            "endpoints": ["mip-east"],
            "kinds": ["ManagedOnlineEndpoint", "ManagedOnlineDeployment"],
            "auth": "key",
            "uri": azure.scoring.format(name="mip-east"),
            "traffic": {BLUE: 100},
            "key": azure.key,
            "model": "azureml://registries/azureml/models/MedImageParse/versions/10",
            "machines": ["Standard_NC40ads_H100_v5", 1],
            "timeout_ms": 90000,
            "liveness_delay_s": 600,
        }


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what is empty, which Azure's client sends along."""
    return {
        name: plain(one) if isinstance(one, dict) else one for name, one in body.items() if one not in (None, {}, [])
    }
