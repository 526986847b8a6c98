"""What `maskrelay endpoint create --lean` prints and writes, and what it refuses."""

import ast
from pathlib import Path

import pytest
import yaml

from maskrelay.admin.azure import az_commands
from maskrelay.admin.azure.spec import DeploymentSpec
from maskrelay.client.cli import main
from tests.support.lean_script import LEAN_SCRIPT

SPEC = DeploymentSpec("mip-east", "medimageparse-lean-v10", lean=True)


def test_the_deployment_names_the_same_model_with_our_script_and_environment() -> None:
    described = yaml.safe_load(az_commands.files(SPEC)["deployment.yml"])
    stock = yaml.safe_load(az_commands.files(DeploymentSpec("mip-east", "medimageparse-lean-v10"))["deployment.yml"])
    added = {name: one for name, one in described.items() if name not in stock}
    assert {name: described[name] for name in stock} == stock
    assert added == {
        "code_configuration": {"code": "lean_code", "scoring_script": "lean_scoring_script.py"},
        "environment": {"build": {"path": "lean_environment", "dockerfile_path": "Dockerfile"}},
    }


def test_save_writes_every_file_that_the_yaml_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoint", "create", "mip-east", "--lean", "--save", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "medimageparse-lean-v10=100" in printed
    assert "lean_code/lean_scoring_script.py and lean_environment/Dockerfile" in printed
    assert (tmp_path / "lean_code" / "lean_scoring_script.py").read_text() == LEAN_SCRIPT.read_text()
    assert (tmp_path / "lean_environment" / "Dockerfile").read_text().count("\nFROM mcr.microsoft.com/azureml/") == 1
    assert {path.name for path in (tmp_path / "lean_code").iterdir()} == {"lean_scoring_script.py"}


def test_apply_is_refused_since_files_have_to_be_uploaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoint", "create", "mip-east", "--lean", "--apply"]) != 0
    assert "--save" in capsys.readouterr().err


def test_the_script_imports_nothing_that_its_container_lacks() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(LEAN_SCRIPT.read_text()))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    standard = {"__future__", "base64", "collections", "io", "json", "math", "os", "struct", "typing", "zlib"}
    assert imported - standard == {"PIL", "azureml", "mlflow", "numpy", "pandas"}
