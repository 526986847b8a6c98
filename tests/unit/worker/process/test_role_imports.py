"""A process imports the libraries of its own role. Others would only cost memory, and time at each start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
#: Prints, for each process, which of HEAVY it has imported, and for each role its Celery tasks. Every process is a fork
#: of one that has imported what they all need, so that this costs a few seconds less.
PROBE = """
import importlib, json, os, sys
HEAVY = {"celery", "redis", "numpy", "PIL", "pydicom", "nibabel", "highdicom", "boto3", "httpx"}
SETTINGS = {
    "MASKRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
    "MASKRELAY_STORAGE_URL": "file:///",
    "MASKRELAY_SERVER_KEY": "0" * 64,
}

def tell(process, act):
    if os.fork():
        os.wait()
        return
    tasks = act()
    sys.stdout.write(json.dumps([process, sorted(HEAVY & sys.modules.keys()), tasks]) + "\\n")
    sys.stdout.flush()
    os._exit(0)

def registered(role):
    app = broker(SETTINGS["MASKRELAY_REDIS_URL"], visibility_timeout=settings.visibility_timeout)
    celery_app.register(app, role, settings, lambda: False)
    return sorted(name for name in app.tasks if not name.startswith("celery."))

def imported(module):
    importlib.import_module(module)

tell("client", lambda: imported("maskrelay.client.cli"))
tell("heartbeat", lambda: imported("worker.alive"))
tell("simulator", lambda: imported("simulator.__main__"))
tell("supervisor", lambda: imported("maskrelay.stack.__main__"))
from maskrelay.ledger.broker import broker
from maskrelay.settings import Settings
from maskrelay.storage.factory import open_storage
settings = Settings.from_environment(SETTINGS)
open_storage(settings.storage_url, None)
tell("sweep", lambda: imported("worker.sweep.sweep_pass"))
from worker.process import celery_app
for role in celery_app.ROLES:
    tell(role, lambda: registered(role))
"""


@pytest.fixture(scope="module")
def processes() -> dict[str, tuple[set[str], list[str] | None]]:
    """For each process: the heavy libraries that it has imported, and the Celery tasks that it takes."""
    ran = subprocess.run([sys.executable, "-c", PROBE], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {process: (set(heavy), tasks) for process, heavy, tasks in lines}


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        ("heartbeat", set()),
        ("client", {"httpx"}),
        ("simulator", {"numpy", "PIL"}),
        ("supervisor", {"redis", "httpx"}),
        ("sweep", {"celery", "redis"}),
        ("deliver", {"celery", "redis", "httpx"}),
        ("control", {"celery", "redis", "numpy", "PIL", "pydicom"}),
        ("segment", {"celery", "redis", "numpy", "PIL", "pydicom", "httpx"}),
        ("assemble", {"celery", "redis", "numpy", "PIL", "pydicom", "nibabel", "highdicom"}),
    ],
)
def test_a_process_imports_no_library_that_it_does_not_need(
    processes: dict[str, tuple[set[str], list[str] | None]], process: str, expected: set[str]
) -> None:
    assert processes[process][0] == expected


@pytest.mark.parametrize(
    ("role", "tasks"),
    [
        ("segment", ["segment"]),
        ("assemble", ["assemble"]),
        ("control", ["finish", "plan", "tabulate"]),
        ("deliver", ["deliver"]),
    ],
)
def test_a_role_takes_the_tasks_of_its_own_stages(
    processes: dict[str, tuple[set[str], list[str] | None]], role: str, tasks: list[str]
) -> None:
    assert processes[role][1] == tasks
