"""The real serving stack as a child process, out of its own environment (`make fidelity` makes it)."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.support.lean_script import LEAN_SCRIPT
from tests.support.servers.simulators import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = ROOT / ".venv-fidelity" / "bin" / "azmlinfsrv"
SCRIPT = Path(__file__).parent / "score.py"


@contextmanager
def real_server(script: Path = SCRIPT, **environment: str) -> Iterator[str]:
    """Its address, once it is healthy; it and its workers end with the block. `environment` is added to ours."""
    port = _free_port()
    command = [COMMAND, "--entry_script", script, "--port", str(port), "--health_port", str(_free_port())]
    # It writes a trace for every error, more than a pipe that nobody reads would hold, and files under HOME.
    with TemporaryDirectory() as home, (Path(home) / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=script.parent,
            env={**os.environ, "HOME": home, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            base = f"http://127.0.0.1:{port}"
            ready = eventually(lambda: process.poll() is not None or _is_healthy(base), within_s=60)
            assert ready, Path(log.name).read_text()
            assert process.poll() is None, Path(log.name).read_text()
            yield base
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def lean_server() -> Iterator[str]:
    """The same stack with the lean deployment's script, which loads the same stand-in under MLflow's name."""
    with TemporaryDirectory() as models:
        folder = Path(models) / "MedImageParse" / "10" / "mlflow_model_folder"
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors: {}\n")
        path = f"{SCRIPT.parent / 'stand_in'}:{SCRIPT.parent}"
        with real_server(LEAN_SCRIPT, AZUREML_MODEL_DIR=models, PYTHONPATH=path) as base:
            yield base


def _is_healthy(base: str) -> bool:
    try:
        return httpx.get(base).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
