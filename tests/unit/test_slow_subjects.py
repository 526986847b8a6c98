"""Slow tests run when the files of their subject have changed since they passed, and only then."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checks.slow_subjects import digest_of, files_of, subjects

ROOT = Path(__file__).parents[2]
TABLE = '[engine]\nfiles = ["engine.py"]\n\n[wheels]\nfiles = ["wheels/*.py"]\n'
TESTS = """
import pytest

@pytest.mark.slow_subject("engine")
def test_the_engine(): import engine

@pytest.mark.slow_subject("wheels")
def test_the_wheels(): pass

def test_always(): pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "engine.py").write_text("")
    (tmp_path / "wheels" / "front.py").write_text("")
    (tmp_path / "tests" / "subjects.toml").write_text(TABLE)
    (tmp_path / "tests" / "test_parts.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\npythonpath = .\nmarkers = slow_subject(name): a subject\n"
    )
    return tmp_path


def ran(project: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
    command += ["-p", "tests.support.checks.slow_subjects", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False).stdout


def names(said: str) -> set[str]:
    return set(re.findall(r"::test_(\w+) PASSED", said))


def test_what_has_passed_is_skipped_until_a_file_of_it_changes(project: Path) -> None:
    assert names(ran(project, "--changed-subjects")) == {"the_engine", "the_wheels", "always"}
    assert "recorded in tests/subjects_passed.toml: engine, wheels" in ran(project, "--record-subjects")
    assert names(ran(project, "--changed-subjects")) == {"always"}
    (project / "wheels" / "rear.py").write_text("")
    said = ran(project, "--changed-subjects")
    assert names(said) == {"the_wheels", "always"}
    assert re.search("engine +skipped: its files have not changed", said)
    assert re.search("wheels +ran: its files have changed", said)


def test_without_the_option_everything_runs(project: Path) -> None:
    ran(project, "--record-subjects")
    assert names(ran(project)) == {"the_engine", "the_wheels", "always"}


@pytest.mark.parametrize("options", [["-p", "xdist", "-n", "2"], []], ids=["in two processes", "in one"])
def test_only_what_passed_is_recorded(project: Path, options: list[str]) -> None:
    tests = project / "tests" / "test_parts.py"
    tests.write_text(TESTS.replace("test_the_wheels(): pass", "test_the_wheels(): pytest.skip('no road')"))
    assert "subjects_passed.toml: engine\n" in ran(project, "--record-subjects", *options)
    (project / "engine.py").write_text("raise OSError")
    assert "subjects_passed.toml: none\n" in ran(project, "--record-subjects", *options)
    assert "test_the_engine FAILED" in ran(project, "--changed-subjects")


def test_a_process_whose_own_tests_passed_records_nothing(project: Path) -> None:
    """The tests of a subject are in two files here, which two processes run, and those of one file fail."""
    fails = '@pytest.mark.slow_subject("wheels")\ndef test_the_axles(): assert False\n'
    (project / "tests" / "test_axles.py").write_text(f"import pytest\n\n{fails}")
    options = ["-p", "xdist", "-n", "2", "--dist", "loadfile"]
    assert "subjects_passed.toml: none\n" in ran(project, "--record-subjects", *options)
    assert "wheels =" not in (project / "tests" / "subjects_passed.toml").read_text()


def test_a_part_of_the_tests_records_nothing(project: Path) -> None:
    said = ran(project, "--record-subjects", "tests/test_parts.py::test_the_engine")
    assert "subjects_passed.toml: none\n" in said
    assert "subjects_passed.toml: none\n" in ran(project, "--record-subjects", "-k", "engine")


def test_a_digest_depends_on_names_and_contents(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text("1")
    before = digest_of(["*"], tmp_path)
    first.write_text("2")
    assert digest_of(["*"], tmp_path) != before
    first.write_text("1")
    assert digest_of(["*"], tmp_path) == before
    first.rename(tmp_path / "second")
    assert digest_of(["*"], tmp_path) != before


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pytest.UsageError, match="no file matches 'gone/\\*'"):
        files_of(["gone/*"], tmp_path)


def test_each_subject_has_tests_and_includes_their_files() -> None:
    used: dict[str, set[Path]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        if path != Path(__file__):
            for name in re.findall(r'slow_subject\("([\w-]+)"\)', path.read_text()):
                used.setdefault(name, set()).add(path)
    known = subjects(ROOT)
    assert known.keys() == used.keys()
    assert {path for name in used for path in used[name] - set(files_of(known[name], ROOT))} == set()
