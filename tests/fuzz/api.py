"""Asks a running API for everything that its OpenAPI document says, and for much that it does not.

`python -m tests.fuzz.api --examples 200 --seed 7`. The tool is schemathesis: it draws requests from the document, valid
and invalid ones, follows what answers name, and checks each answer against the document.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.drivers.api_jobs import (
    accepted,
    finish,
    submission_of,
    succeeded,
)
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import (
    SMALL_LIMITS,
    RunningApi,
    a_valkey,
    running_api,
    write_keys,
)
from worker.context.job_records.conclusion import conclude

#: With its configuration, its hooks and the keys of two tenants.
FOLDER = Path(__file__).parent / "schemathesis"
KEYS = {"north-admin": ("north", ["admin"]), "south-admin": ("south", ["admin"])}
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
)


def command(url: str, examples: int, seed: int) -> list[str]:
    """The command that fuzzes the API at `url`, to be run in the folder of its configuration."""
    program = Path(sys.executable).with_name("schemathesis")
    # A stream of events does not end by itself. A watch can be made only of a source that the operator allows.
    what = ["--exclude-path-regex", "/events$|^/v1/watches/", "--checks", ",".join(CHECKS), "--mode", "all"]
    what += ["--seed", str(seed), "--max-examples", str(examples)]
    how = ["--generation-database", "none", "--continue-on-failure", "--request-timeout", "30", "--no-color"]
    return [str(program), "run", f"{url}/openapi.json", *what, *how]


def fuzz(examples: int, seed: int) -> "subprocess.CompletedProcess[str]":
    """Run it against an API of its own, over a Valkey and a folder that go with it."""
    with tempfile.TemporaryDirectory() as folder, a_valkey() as valkey:
        write_keys(Path(folder) / "keys.json", KEYS)
        with running_api(Path(folder) / "store", valkey, **SMALL_LIMITS) as api:
            _ended_job(api)
            asked = command(api.url, examples, seed)
            return subprocess.run(asked, cwd=FOLDER, capture_output=True, text=True, check=False)


def _ended_job(api: RunningApi) -> None:
    """A job with a result, a file and an event, under the id that the configuration names."""
    with api.client("north-admin") as north:
        options = {"callback": {"url": "http://127.0.0.1:9/hook"}}
        job = accepted(north, b"a", options=options, headers={"Idempotency-Key": "known"})
    assert job in (FOLDER / "schemathesis.toml").read_text()
    result = finish(api, job, succeeded(api, job, 0), known=False)
    conclude(parts_of(api), submission_of(api, job), result)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(" ".join(command("URL", given.examples, given.seed)))
    done = fuzz(given.examples, given.seed)
    print(done.stdout + done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
