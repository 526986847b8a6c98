"""The types of the client, as a type checker of a program that uses it sees them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checks.system_programs import node_file, system_program


@pytest.mark.slow_subject("public-types")
def test_every_public_name_of_the_client_has_its_type(tmp_path: Path) -> None:
    pyright = [system_program("node", "nodejs"), str(node_file("pyright/index.js"))]
    ran = subprocess.run(
        [*pyright, "--outputjson", "--ignoreexternal", "--verifytypes", "maskrelay.client"],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    found = json.loads(ran.stdout)["typeCompleteness"]
    incomplete = [
        (symbol["name"], [one["message"] for one in symbol["diagnostics"]])
        for symbol in found["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
    ]
    assert incomplete == []
    assert found["completenessScore"] == 1
    assert found["exportedSymbolCounts"]["withKnownType"] > 400
