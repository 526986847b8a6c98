"""The types of the client, as a type checker of a program that uses it sees them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checks.system_programs import node_file, system_program

ROOT = Path(__file__).parents[2]


@pytest.mark.slow_subject("public-types")
def test_every_public_name_of_the_client_has_its_type() -> None:
    command = [system_program("node", "nodejs"), str(node_file("pyright/index.js")), "--outputjson", "--ignoreexternal"]
    ran = subprocess.run(
        [*command, "--pythonpath", sys.executable, "--verifytypes", "maskrelay.client"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    found = json.loads(ran.stdout)["typeCompleteness"]
    incomplete = [
        (symbol["name"], [one["message"] for one in symbol["diagnostics"]])
        for symbol in found["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    ]
    assert incomplete == []
    assert found["completenessScore"] == 1
    assert {"maskrelay.client.Client.submit", "maskrelay.client.job_handles.Job.wait"} & {
        symbol["name"] for symbol in found["symbols"]
    }
