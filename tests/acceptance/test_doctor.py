"""`maskrelay doctor` as it is typed, beside the whole stack."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from maskrelay.stack.loopback import free_port
from tests.support.checks.system_programs import system_program
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import RunningStack

COMMAND = [sys.executable, "-m", "maskrelay.client.cli", "doctor"]


@pytest.fixture(scope="module", name="stack")
def swept_stack(stack: RunningStack) -> RunningStack:
    with redis.Redis.from_url(stack.valkey) as client:
        assert eventually(lambda: client.hexists("mr:sweep", "last"), 60), "nobody sweeps"
    return stack


def doctor(stack: RunningStack, *arguments: str, before: tuple[str, ...] = (), **changes: str) -> tuple[int, str]:
    """Exit code and what was printed, of the command in the stack's environment with `changes`."""
    environment = dict(os.environ) | stack.environment | changes
    done = subprocess.run(
        [*before, *COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_healthy_stack_has_no_warning_and_secrets_stay_secret(stack: RunningStack) -> None:
    code, said = doctor(stack)
    lines = said.splitlines()
    assert code == 0, said
    assert {line.split()[0] for line in lines} <= {"ok", "skip"}, said
    for check in ("settings", "keys file", "redis rights", "store creates once", "endpoint default", "sweep", "drain"):
        assert sum(line.startswith(f"ok     {check}: ") for line in lines) == 1, check
    for name in ("REDIS_URL", "SERVER_KEY", "ENDPOINT_KEY", "KEYS_FILE", "STORAGE_URL", "ENDPOINT_URL"):
        assert stack.environment[f"MASKRELAY_{name}"] not in said
    assert str(stack.data) not in said


def beside(stack: RunningStack, folder: Path, **changes: str) -> tuple[int, str]:
    """Exit code and what was printed, of the command in a terminal that knows only what `make up` prints."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")}
    given = plain | {"MASKRELAY_URL": stack.url, "MASKRELAY_API_KEY": stack.api_key, "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        COMMAND, cwd=folder, env=given | changes, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_beside_make_up_it_finds_the_embedded_stack_and_checks_the_client(stack: RunningStack, tmp_path: Path) -> None:
    (tmp_path / ".maskrelay").symlink_to(stack.data)
    code, said = beside(stack, tmp_path)
    assert code == 0, said
    for check in ("stack", "settings", "redis", "store", "endpoint default", "sweep", "client service", "client key"):
        assert sum(line.startswith(f"ok     {check}: ") for line in said.splitlines()) == 1, said
    assert "must be set" not in said
    for secret in (stack.api_key, stack.environment["MASKRELAY_SERVER_KEY"], stack.url, str(stack.data)):
        assert secret not in said


def test_a_client_without_a_stack_of_its_own_is_checked_alone(stack: RunningStack, tmp_path: Path) -> None:
    code, said = beside(stack, tmp_path)
    assert code == 0
    assert [line.split(":")[0].split(maxsplit=1) for line in said.splitlines()] == [
        ["skip", "stack"],
        ["skip", "settings"],
        ["ok", "client service"],
        ["ok", "client key"],
    ]
    code, said = beside(stack, tmp_path, MASKRELAY_API_KEY="of-nobody")
    assert code == 1
    assert "wrong  client key: the service does not accept the client's API key → set MASKRELAY_API_KEY" in said
    code, said = beside(stack, tmp_path, MASKRELAY_URL=f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "wrong  client service: maskrelay does not respond at the client's URL (service_unreachable) → " in said


def test_what_is_wrong_is_a_line_with_a_hint_and_the_exit_code(stack: RunningStack) -> None:
    code, said = doctor(stack, MASKRELAY_ENDPOINT_KEY="another")
    (line,) = (line for line in said.splitlines() if line.startswith("wrong"))
    assert code == 1
    assert line.startswith("wrong  endpoint default: the endpoint reports that its key is wrong")
    assert " → set the endpoint's current key" in line


def test_json_has_the_same_findings(stack: RunningStack) -> None:
    code, said = doctor(stack, "--json", MASKRELAY_ENDPOINT_KEY="another")
    told = json.loads(said)
    assert (code, told["healthy"]) == (1, False)
    assert [one["check"] for one in told["checks"] if one["state"] == "wrong"] == ["endpoint default"]
    assert all(one.keys() == {"check", "state", "said", "hint"} for one in told["checks"])


def test_a_clock_that_is_an_hour_off_is_found(stack: RunningStack) -> None:
    ahead = (system_program("faketime", "faketime"), "-f", "+3600")
    code, said = doctor(stack, before=ahead)
    assert code == 1
    assert "wrong  redis clock: 3600." in said
    assert "s behind this machine's clock → synchronize every machine's clock with NTP" in said


#: Run the command where these modules cannot be found, as in the API's image.
WITHOUT_ARRAYS = """
import importlib.machinery, runpy, sys
found = importlib.machinery.PathFinder.find_spec
hidden = {"numpy", "PIL", "pydicom", "pybase64", "nibabel", "isal"}
importlib.machinery.PathFinder.find_spec = (
    lambda name, *more: None if name.partition(".")[0] in hidden else found(name, *more)
)
sys.argv = ["maskrelay", "doctor"]
runpy.run_module("maskrelay.client.cli", run_name="__main__")
"""


def test_beside_the_api_which_has_no_arrays_it_leaves_the_score_out(stack: RunningStack) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ARRAYS],
        env=dict(os.environ) | stack.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "skip   endpoint default: not tested, because this needs the extra `worker`" in done.stdout
    assert "ok     store creates once" in done.stdout
