"""Time and memory of functions and of processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Ways = dict[str, Callable[[], object]]  # several ways to compute the same; the first is the program
ROUNDS = 5
# Starts a command from a small process: the peak of a process begins with that of its parent.
LAUNCH = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
text = process.stdout.read()
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss)
sys.stdout.flush()
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(status))
"""
MAXRSS_MB = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes on macOS, else kB


def seconds(run: Callable[[], object]) -> float:
    """Return how long `run` takes."""
    began_s = perf_counter()
    run()
    return perf_counter() - began_s


def interleave(
    ways: Mapping[str, Callable[[], float]], rounds: int = ROUNDS, warm: bool = True
) -> dict[str, list[float]]:
    """Measure every way in every round, so that other programs slow down all of them equally.

    Args:
        ways: functions that return what they measure.
        rounds: number of rounds.
        warm: call every way once before.
    """
    if warm:
        for way in ways.values():
            way()
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            measured[name].append(way())
    return measured


def time_ways(ways: Ways, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return the seconds of every way in every round, warm."""
    return interleave({name: _timed(way) for name, way in ways.items()}, rounds)


def _timed(way: Callable[[], object]) -> Callable[[], float]:
    return lambda: seconds(way)


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median over the rounds of how many times as long `slow` takes."""
    return median(long / short for long, short in zip(slow, fast, strict=True))


def launch(command: list[Any], **options: Any) -> tuple[float, float, str]:
    """Run a command in a fresh process.

    Returns:
        Its seconds, its peak memory in MB, and what it printed.

    Raises:
        RuntimeError: the command failed.
    """
    words = [sys.executable, "-S", "-c", LAUNCH, *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    first, _, text = done.stdout.partition("\n")
    taken_s, peak = map(float, first.split())
    return taken_s, peak / MAXRSS_MB, text
