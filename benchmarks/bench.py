"""Compare the program with other libraries and with plain loops.

    python3 -m benchmarks.bench
    python3 -m benchmarks.bench --quick --only tau

Prints one table. Each row is a ratio of one run: how many times as long the peer takes. Both sides
alternate, warm, and the times are the medians of five rounds. Kernels run in this process, with one
thread as in the commands; commands run in fresh processes. "MB" is the memory that is added at the
peak, for a command all of it, measured in a process of its own.
Rows of recorded clips need TCC_REAL_DATA, those of the pose model --weights.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import torch
from tabulate import tabulate

from benchmarks import cases, commands, pose, rendering
from benchmarks.timing import MAXRSS_MB, ROUNDS, Ways, launch, ratio, time_ways
from tcc.estimator import Rtmo
from tcc.video import read_frames

HEADER = ("", "this program", "peer", "peer takes", "times as long", "MB", "peer's MB")


@dataclass(frozen=True, slots=True)
class Case:
    """Ways to compute something of a size; `small` is the size that warms up and of --quick."""

    name: str
    make: Callable[[int], Ways]
    size: int
    small: int


CASES = (
    *(Case("loss, B {}", cases.losses, size, 2) for size in (8, 16, 32)),
    Case("DTW of two clips, {} frames", cases.warping, 250, 20),
    *(
        Case(f"{name}, {cases.STANDARD} in {{}} frames", make, size, 60)
        for name, make in (("DTW of a standard", cases.searching), ("start search", cases.locating))
        for size in (180, 1800, 18_000)
    ),
    Case("tau, {} clips of 100 frames", cases.tau, 100, 3),
    Case("distances, {0} x {0} frames", cases.distances, 300, 20),
    Case("parsing, {} frames of 8 people", cases.parsing, 5000, 10),
    Case("tracking, {} frames of 20 people", cases.tracking, 10_000, 20),
    Case("features, {} frames", cases.features, 10_000, 60),
    Case("embedding, {} frames", cases.embedding, 10_000, 60),
    Case("training step, {} clips", cases.training, 24, 4),
    Case("side by side, {} frames", rendering.drawing, 20, 4),
    Case("side by side as video, {} frames", rendering.encoding, 20, 4),
)


def main() -> None:
    """Measure what is asked for and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains TEXT")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round, for a try")
    parser.add_argument("--weights", type=Path, metavar="PATH", help="RTMO as .onnx")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)  # for the fresh process
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.memory:
        index, way, size = args.memory
        print(added_mb(CASES[int(index)], way, int(size)))
        return
    rows = []
    for row in measure(args):
        rows.append(row)
        print(f"{row[0]}: {row[4]}", file=sys.stderr)
    print(tabulate(rows, HEADER, "github", floatfmt=("", ".4f", "", ".4f", ".2f", ".0f", ".0f")))


def measure(args: argparse.Namespace) -> Iterator[commands.Row]:
    """Yield the rows of the table; times are in seconds."""
    rounds = 1 if args.quick else ROUNDS
    sizes = [case.small if args.quick else case.size for case in CASES]
    names = [case.name.format(size) for case, size in zip(CASES, sizes, strict=True)]
    for name in dict.fromkeys(name for name in names if args.only in name):
        index = names.index(name)
        yield from compare(name, index, sizes[index], rounds)
    real = Path(os.environ["TCC_REAL_DATA"]) if "TCC_REAL_DATA" in os.environ else None
    if args.only in "pose" and args.weights and real:
        yield compare_pose(real / "videos" / "axel.mp4", args.weights, rounds)
    if args.only in "start-up":
        yield from commands.start_up(rounds)
    if args.only in "a pair, training":
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            commands.write_clips(work / "data")
            if args.only in "a pair":
                yield from commands.on_a_pair(work, rounds)
            if args.only in "training" and not args.quick:
                yield from commands.train(work, real)


def compare(name: str, index: int, size: int, rounds: int) -> Iterator[commands.Row]:
    """Yield a row for each peer of a case."""
    times = time_ways(CASES[index].make(size), rounds)
    words = [sys.executable, "-m", "benchmarks.bench", "--memory", index]
    peaks = {way: float(launch([*words, way, size])[2]) for way in times}
    own, *others = times
    for peer in others:
        yield (
            name, median(times[own]), peer, median(times[peer]),
            ratio(times[peer], times[own]), peaks[own], peaks[peer],
        )  # fmt: skip


def compare_pose(video: Path, weights: Path, rounds: int) -> commands.Row:
    """Return the row of the pose model: from a video file to a clip's folder."""
    frames = [frame.image for frame in islice(read_frames(video), 4 * rounds)]
    alone, everything = pose.time_both(frames, Rtmo(weights), rounds)
    name = f"pose, {len(frames)} frames of {video.name}"
    speed = ratio(alone, everything)
    return name, median(everything), "bare model", median(alone), speed, None, None


def added_mb(case: Case, way: str, size: int) -> float:
    """Return by how many MB the peak of this process rises; a small case warms up before."""
    case.make(case.small)[way]()
    run = case.make(size)[way]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / MAXRSS_MB


if __name__ == "__main__":
    main()
