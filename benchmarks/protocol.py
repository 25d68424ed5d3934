"""Measure the accuracy on the clips that variants are chosen on, or on those that are kept apart.

    python3 -m benchmarks.protocol --data-dir /tmp/real
    python3 -m benchmarks.protocol --data-dir /tmp/real --report "take-off from the flight"

Needs what benchmarks/real_data.py writes in --data-dir. Encoders that are not in LOG_DIR/seed_<n>
are trained first.
Variants are chosen with the first line. With --report, the clips that are kept apart are scored,
and benchmarks/looks.csv gets a line with the date, the command and the reason. Do this once for a
change, when it is finished.
Prints the errors of each event for one standard as it is marked, for the same without flights, for
one whose marks are checked, and for all standards voting; the intervals (95 %) are over clips. Then
the error over that of linear time, and how many matches are sure.
"""

from __future__ import annotations

import argparse
import csv
import logging
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from tcc.confidence import CONFIDENT
from tcc.evaluate.errors import Comparison, Errors, list_pairs, pool
from tcc.evaluate.intervals import calibrate, fold
from tcc.evaluate.labels import shared_events
from tcc.progress import progress
from tcc_config import Config
from tcc_data import load_labelled
from tcc_evaluate import EVERY_FRAME, tabulate_product
from tcc_model import Encoder, embed, load_encoder

ROOT = Path(__file__).resolve().parents[1]
MAX_CLIPS = 32
WITHIN = (1, 2, 3, 5)
LOOKS = Path(__file__).with_name("looks.csv")
# Pairs: their name, the motion of the encoder, the standards and the learners.
CHOSEN = {
    "24 jumps, uncut jumps": ("skate", "skate/train", "skate_full/val/d*"),
    "uncut jumps, uncut jumps": ("skate", "skate_full/val/d*", "skate_full/val/d*"),
    "golf swing": ("penn_golf_swing", "penn_golf_swing/val", "penn_golf_swing/val"),
    "bench press": ("penn_bench_press", "penn_bench_press/val", "penn_bench_press/val"),
    "jumping jacks": ("penn_jumping_jacks", "penn_jumping_jacks/val", "penn_jumping_jacks/val"),
    "FS-Jump3D, A and B": ("fs_jump", "fs_jump/train/A*", "fs_jump/train/B*"),
    "FS-Jump3D, B, two cameras": ("fs_jump", "fs_jump/train/B*", "fs_jump/train/B*"),
}
REPORTED = {
    "24 jumps, uncut jumps": ("skate", "skate/train", "skate_full/val/e*"),
    "uncut jumps, uncut jumps": ("skate", "skate_full/val/e*", "skate_full/val/e*"),
    "tennis forehand": ("penn_tennis_forehand", "penn_tennis_forehand/val",
                        "penn_tennis_forehand/val"),
    "sit-up": ("penn_situp", "penn_situp/val", "penn_situp/val"),
    "FS-Jump3D, A and B to C": ("fs_jump", "fs_jump/train", "fs_jump/val"),
    "FS-Jump3D, C, two cameras": ("fs_jump", "fs_jump/val", "fs_jump/val"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """Errors of one group of pairs: summaries[event][method], and calibrations[event]."""

    summaries: Mapping[str, Mapping[str, Mapping[str, Any]]]
    calibrations: Mapping[str, Mapping[str, float]]


def main() -> None:
    """Score every group of pairs with every encoder and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", "log"):
        parser.add_argument(f"--{name}-dir", type=Path, default=Path(name), metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument("--report", metavar="REASON", help="score the clips that are kept apart")
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if args.report:
        record_look("protocol", args.report)
    groups = REPORTED if args.report else CHOSEN
    results = {
        name: score(args.data_dir, args.log_dir, args.seeds, *groups[name])
        for name in progress(list(groups), "scoring", "group")
    }
    print_tables(results)


def record_look(command: str, reason: str) -> None:
    """Append a look at the clips that are kept apart to benchmarks/looks.csv."""
    with LOOKS.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow([time.strftime("%Y-%m-%d"), command, reason])


def load_trained(motion: str, data_dir: Path, log_dir: Path, seed: int = 0) -> Encoder:
    """Return the encoder of a motion; train it first if `log_dir` has no checkpoint."""
    path = log_dir / f"{motion}_checkpoint.pt"
    if not path.exists():
        script = [sys.executable, str(ROOT / "tcc_train.py"), "--dataset", motion]
        options = ["--data-dir", str(data_dir), "--log-dir", str(log_dir), "--seed", str(seed)]
        subprocess.run([*script, *options], check=True)
    return load_encoder(path, log_dir, Config(DATASET=motion), torch.device("cpu"))[0]


def score(
    data_dir: Path, log_dir: Path, seeds: int, motion: str, standards: str, learners: str
) -> Result:
    """Score the pairs of standards and learners with the encoders of all seeds."""
    settings = Config(DATASET=motion)
    names = shared_events(data_dir, (standards, learners))
    first, second = (
        load_labelled(data_dir, role, names, MAX_CLIPS, settings) for role in (standards, learners)
    )
    linear = Comparison.by_length(first, second, names, list_pairs(first, second))
    runs, calibrations = [], []
    for seed in range(seeds):
        encoder = load_trained(motion, data_dir, log_dir / f"seed_{seed}", seed)
        comparison = linear.represent(partial(embed, encoder)).search()
        chosen = ~linear.one_recording()
        others = comparison.select(chosen)
        errors: dict[str, dict[str, Errors]] = {"tcc": {}}
        if chosen.any():
            by_length = linear.select(chosen)
            errors = {
                **tabulate_product(others),
                "linear time": by_length.tabulate(by_length.find_events(), by_length.pairs),
            }
            calibrations.append(
                {
                    name: calibrate(errors["tcc"][name].frames, others.confidences >= CONFIDENT)
                    for name in names
                }
            )
        if not chosen.all():
            frames = comparison.frame_errors()
            errors["tcc"][EVERY_FRAME] = comparison.errors_of(frames, comparison.pairs)
        runs.append(errors)
    return Result(pool(runs, 0), fold(calibrations, np.mean) if calibrations else {})


def print_tables(results: Mapping[str, Result]) -> None:
    """Print the errors of every event, and the shares of sure matches."""
    events, spans, sure = [], [], []
    for name, result in results.items():
        for event, methods in result.summaries.items():
            linear = methods.get("linear time")
            for method, values in methods.items():
                if values is linear:
                    continue
                start = [
                    name,
                    event,
                    "one" if method == "tcc" else method.removeprefix("tcc, "),
                    values["pairs"],
                ]
                if " to " in event:
                    spans.append([*start, values["mean"], between(values["mean_interval"])])
                else:
                    events.append(
                        [
                            *start,
                            values["median"],
                            f"{values['mean']:.1f} ({values['mean_ms']:.0f} ms)",
                            *(values[f"within_{frames}"] for frames in WITHIN),
                            between(values["within_3_interval"]),
                            values["mean"] / linear["mean"] if linear else None,
                        ]
                    )
        for event, shares in result.calibrations.items():
            sure.append([name, event, *shares.values()])
    head = ["pairs", "event", "standards", "number"]
    within = [f"within {frames}" for frames in WITHIN]
    tables = (
        (events, [*head, "median", "mean", *within, "within 3, 95 %", "mean / linear time"]),
        (spans, [*head, "mean, share of the time", "95 %"]),
        (sure, ["pairs", "event", "sure", "sure within 5", "unsure within 5"]),
    )
    for rows, header in tables:
        print(tabulate(rows, header, "github", floatfmt=".2f"), end="\n\n")


def between(interval: Sequence[float]) -> str:
    """Return an interval as text."""
    return f"{interval[0]:.2f} to {interval[1]:.2f}"


if __name__ == "__main__":
    main()
