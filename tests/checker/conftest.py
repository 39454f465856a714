import pytest

from .counts import summary


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the counts of what ran, and nothing where none of it did."""

    def count(outcome: str, test: str) -> int:
        reports = terminalreporter.getreports(outcome)
        return sum(report.nodeid.startswith("tests/checker/") and test in report.nodeid for report in reports)

    line = summary(count)
    if line:
        terminalreporter.write_line(line)
