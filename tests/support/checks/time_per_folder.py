"""A pytest hook that prints how long the tests of each folder took (setup, call and teardown together) and the whole.

The whole has a target, because a suite that takes longer is run less often: `make test`, with lint and types, in 15
minutes on two cores. When it takes longer, begin with the folder at the top, and with `--durations 30`.
"""

import time
from collections import Counter

import pytest
from _pytest.terminal import TerminalReporter

#: For pytest alone; creating the environment, lint and types take the rest.
TARGET_S = 12 * 60
BEGAN = pytest.StashKey[float]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BEGAN] = time.monotonic()


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    seconds: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "nodeid") and hasattr(report, "duration"):
                folder = "/".join(report.nodeid.split("::")[0].split("/")[:-1][:3])
                seconds[folder] += report.duration
                tests[folder] += getattr(report, "when", "") == "call"
    terminalreporter.section("time per folder")
    for folder, took in seconds.most_common():
        terminalreporter.write_line(f"{took:8.1f} s  {tests[folder]:5d} tests  {folder}")
    whole = time.monotonic() - config.stash[BEGAN]
    terminalreporter.write_line(
        f"{sum(seconds.values()):8.1f} s  {sum(tests.values()):5d} tests  together, in {whole:.0f} s; "
        f"the target of the whole suite is {TARGET_S} s on two cores"
    )
