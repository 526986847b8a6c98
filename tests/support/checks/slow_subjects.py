"""A pytest plugin for tests that are slow, and whose subject rarely changes: they run when it has changed.

`@pytest.mark.slow_subject("image")` names a subject of `tests/subjects.toml`, which lists the files that it consists
of. `tests/subjects_passed.toml` holds the digest that these files had when the tests of the subject last passed.
`make slow` writes it. With `--changed-subjects`, as in `make test`, the tests of a subject whose files still have this
digest are skipped, and a section at the end of the run names every subject and says why it ran or not.
"""

import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

#: Below the root of the project.
TABLE, RECORD = "tests/subjects.toml", "tests/subjects_passed.toml"
MARK = "slow_subject"
HEAD = "# Written by `make slow`: the digest of a subject's files when its tests last passed.\n"
#: The digests of the files as they are before the first test.
DIGESTS = pytest.StashKey[dict[str, str]]()


def files_of(globs: Iterable[str], root: Path) -> list[Path]:
    """Return the files that match, in order. Raises UsageError for a pattern without a file, which is a mistake."""
    found: set[Path] = set()
    for pattern in globs:
        matching = {path for path in root.glob(pattern) if path.is_file() and path.suffix != ".pyc"}
        if not matching:
            raise pytest.UsageError(f"{TABLE}: no file matches {pattern!r}")
        found |= matching
    return sorted(found)


def digest_of(globs: Iterable[str], root: Path) -> str:
    """Return a digest of the names and contents of the files that match."""
    digest = hashlib.sha256()
    for path in files_of(globs, root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()


def subjects(root: Path) -> dict[str, list[str]]:
    """Return the patterns of the files of each subject."""
    table = root / TABLE
    return {name: subject["files"] for name, subject in tomllib.loads(table.read_text()).items()}


def passed(root: Path) -> dict[str, str]:
    """Return the digest with which the tests of each subject last passed."""
    record = root / RECORD
    return tomllib.loads(record.read_text()) if record.exists() else {}


def write_passed(root: Path, new: dict[str, str]) -> None:
    """Add digests to the record, and remove subjects that no longer exist."""
    known, merged = subjects(root), passed(root) | new
    lines = [f'{name} = "{merged[name]}"\n' for name in sorted(known.keys() & merged.keys())]
    (root / RECORD).write_text(HEAD + "".join(lines))


def reason(digest: str, recorded: str | None) -> str:
    """Say whether the tests of a subject are skipped, and why."""
    if recorded is None:
        return "ran: its tests have never passed on record"
    if recorded != digest:
        return "ran: its files have changed since its tests last passed on record"
    return "skipped: its files have not changed since its tests last passed"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("slow subjects")
    group.addoption("--changed-subjects", action="store_true", help="skip the tests of subjects that have not changed")
    group.addoption("--record-subjects", action="store_true", help="record the subjects whose tests all pass")


def pytest_configure(config: pytest.Config) -> None:
    root = config.rootpath
    config.stash[DIGESTS] = {name: digest_of(globs, root) for name, globs in subjects(root).items()}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    now, record = config.stash[DIGESTS], passed(config.rootpath)
    left_out: list[pytest.Item] = []
    for item in items:
        if (mark := item.get_closest_marker(MARK)) is not None:
            (name,) = mark.args
            if name not in now:
                raise pytest.UsageError(f"{item.nodeid}: {TABLE} has no subject {name!r}")
            item.user_properties.append((MARK, name))
            if config.getoption("--changed-subjects") and record.get(name) == now[name]:
                left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a process of xdist knows only its own tests, and those of a subject may run in several processes
    now, record = config.stash[DIGESTS], passed(config.rootpath)
    if config.getoption("--changed-subjects"):
        terminalreporter.section("slow subjects")
        for name, digest in now.items():
            terminalreporter.write_line(f"{name:20} {reason(digest, record.get(name))}")
    if config.getoption("--record-subjects"):
        whole = exitstatus == pytest.ExitCode.OK and config.args_source == config.ArgsSource.TESTPATHS
        whole = whole and not config.option.keyword
        new = all_passed(terminalreporter) if whole else set()
        write_passed(config.rootpath, {name: now[name] for name in new})
        terminalreporter.write_line(f"recorded in {RECORD}: {', '.join(sorted(new)) or 'none'}")


def all_passed(terminalreporter: TerminalReporter) -> set[str]:
    """Return the subjects of which a test ran, and all that ran passed. A skipped test proves nothing."""
    outcomes: dict[str, set[str]] = defaultdict(set)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                for key, name in report.user_properties:
                    if key == MARK:
                        outcomes[str(name)].add(report.outcome)
    return {name for name, seen in outcomes.items() if seen == {"passed"}}
