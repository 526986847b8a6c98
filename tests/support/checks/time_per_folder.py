"""A pytest hook that prints how long the tests of each folder took: setup, call and teardown together."""

from collections import Counter

from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
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
