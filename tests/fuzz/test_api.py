"""The short run of `make api-fuzz`: every operation, every check, a fixed seed."""

import pytest

from tests.fuzz.api import CHECKS, command, fuzz


@pytest.mark.slow_subject("api-document")
def test_no_answer_of_the_api_is_one_that_its_document_does_not_name() -> None:
    done = fuzz(examples=3, seed=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Missing test data" not in done.stdout, done.stdout
    selected, known = map(int, done.stdout.partition("Selected: ")[2].split()[0].split("/"))
    assert known - selected == 4, "only the two streams of events, and the two calls of a known watch, are left out"


def test_the_command_names_its_checks_and_its_seed() -> None:
    asked = command("http://127.0.0.1:8080", 3, 7)
    assert asked[asked.index("--checks") + 1].split(",") == list(CHECKS)
    assert asked[asked.index("--seed") + 1] == "7"
