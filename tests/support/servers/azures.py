"""`maskrelay endpoint …` as a process in a folder of its own, with a substitute for Azure's control plane."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskrelay.admin.azure.arm import Arm
from maskrelay.admin.azure.bearer import GivenToken
from maskrelay.admin.azure.create import create
from maskrelay.admin.azure.spec import DeploymentSpec
from maskrelay.admin.azure.workspace import Workspace
from tests.support.servers.control_plane_state import CONFIG, TOKEN, Azure

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Operator:
    """An operator at a shell in `folder`, where the workspace is saved."""

    azure: Azure
    folder: Path

    def __post_init__(self) -> None:
        (self.folder / ".azureml").mkdir(exist_ok=True)
        (self.folder / ".azureml" / "config.json").write_text(json.dumps(CONFIG))

    def has(self, name: str, **chosen: Any) -> None:
        """Create an endpoint with its deployment, as `create` makes it, but without a process."""
        wanted = DeploymentSpec(name, chosen.pop("deployment", "medimageparse-v10"), **chosen)
        with closing(Arm(self.azure.url, GivenToken(TOKEN), say=lambda _: None, patience=60)) as arm:
            create(arm, Workspace.model_validate(CONFIG), wanted, lambda _: None)
        self.azure.calls.clear()

    def run(self, *words: str, code: int = 0, **environment: str) -> "Ran":
        """Run one command, whose exit code must be `code`."""
        names = {"MASKRELAY_AZURE_URL": self.azure.url, "MASKRELAY_AZURE_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
        given = {name: value for name, value in os.environ.items() if not name.startswith(("MASKRELAY_", "AZURE_"))}
        ran = subprocess.run(
            [sys.executable, "-m", "maskrelay.client.cli", "endpoint", *words],
            cwd=self.folder, env=given | names | environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ran.returncode == code, f"{words} ended with {ran.returncode}\n{ran.stdout}{ran.stderr}"
        assert "Traceback" not in ran.stderr
        assert TOKEN not in ran.stdout + ran.stderr
        return Ran(ran.stdout, ran.stderr)


@dataclass(frozen=True)
class Ran:
    out: str
    err: str

    def lines(self) -> list[str]:
        return self.err.splitlines()
