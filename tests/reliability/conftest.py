"""Counts of the reliability tests, and the table that `make soak` prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.reliability.server import Server

SOAK = float(os.environ.get("TCC_SOAK", "0"))  # share of the long counts; 0: the short counts
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]  # memfd, /proc, tmpfs
results: dict[str, tuple[int, bool]] = {}


def claim(text: str, short: int, long: int) -> Callable[[Any], Any]:
    """Say what a test shows, and how many times it tries in `make test` and in `make soak`."""
    return pytest.mark.claim(text, short, long)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    """How many times a test tries."""
    mark = request.node.get_closest_marker("claim")
    assert mark
    _, short, long = mark.args
    number = max(short, 1, round(SOAK * long)) if SOAK else int(short)
    if not number:
        pytest.skip("in make soak")
    return number


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A process that runs the program at once."""
    started = Server()
    yield started
    started.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the claim of each test and how many times it tried, also for another process."""
    report = yield
    mark = item.get_closest_marker("claim")
    if mark and not report.skipped and (report.when == "call" or report.failed):
        tried = getattr(item, "funcargs", {}).get("count", 1)
        report.user_properties.append(("claim", (mark.args[0], tried)))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the result of each claim; one with several tests is true if all of them pass."""
    for name, value in report.user_properties:
        if name == "claim":
            assert isinstance(value, list | tuple)
            text, tried = value
            before, passed = results.get(text, (0, True))
            results[text] = before + tried, passed and report.passed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of `make soak`."""
    if SOAK and results:
        terminalreporter.write_line("\n| claim | count | result |\n|---|---|---|")
        for text, (tried, passed) in results.items():
            terminalreporter.write_line(
                f"| {text} | {tried:,} | {'holds' if passed else 'FAILS'} |"
            )
