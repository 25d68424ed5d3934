"""What `benchmarks.bench` measures of whole commands, each in a fresh process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.timing import ROOT, launch, ratio
from tcc.evaluate.errors import Comparison, list_pairs
from tcc.evaluate.intervals import share_within
from tcc.synthetic.rink import write_dataset
from tcc_config import Config
from tcc_data import load_labelled
from tcc_model import embed, load_encoder

COUNTS = {"train": 24, "val": 6, "test": 2}
# Commands on the pair in test/, with keypoints ready, and what they are told.
PAIRS = {
    "tcc_get_start.py": ("--no-video",),
    "tcc_get_start.py, video": (),
    "tcc_align.py": ("--no-video",),
    "tcc_align.py, video": (),
    "tcc_get_kendalls_tau.py": (),
    "tcc_get_embed.py": (),
    "tcc_check.py": ("--mode", "test"),
    "tcc_report.py": ("--no-video",),
    "tcc_report.py, video": (),
}
STEPS = (500, 60, 125, 250)  # training steps that are tried: the default, then until ENOUGH
ENOUGH, WITHIN = 0.85, 3  # share of take-offs within so many frames
REFERENCE = "import torch"
Row = tuple[object, ...]


def write_clips(data_dir: Path) -> None:
    """Write the synthetic motion of the demo."""
    write_dataset(data_dir / "demo", 0, COUNTS)


def start_up(rounds: int) -> Iterator[Row]:
    """Yield the time of `--help` of every command, beside that of importing PyTorch."""
    commands: dict[str, list[Any]] = {
        path.name: [path, "--help"] for path in sorted(ROOT.glob("tcc_*.py"))
    }
    for name in ("tcc_config.py", "tcc_data.py", "tcc_model.py", "tcc_pair.py"):
        del commands[name]
    yield from _measure({f"{name} --help": words for name, words in commands.items()}, rounds)


def on_a_pair(work: Path, rounds: int) -> Iterator[Row]:
    """Yield the time of every command on two clips of 640 x 360 px with keypoints and pictures."""
    dirs = [f"--{name}-dir={work / name}" for name in ("data", "log", "result")]
    commands: dict[str, list[Any]] = {}
    for name, options in PAIRS.items():
        program = name.partition(",")[0]
        shared = [word for word in dirs if program != "tcc_check.py" or "log" not in word]
        commands[f"{name}, a pair"] = [ROOT / program, "--dataset", "demo", *shared, *options]
    yield from _measure(commands, rounds)


def _measure(commands: dict[str, list[Any]], rounds: int) -> Iterator[Row]:
    words: dict[str, list[Any]] = {REFERENCE: ["-c", REFERENCE], **commands}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in words}
    for turn in range(rounds + 1):
        for name, command in words.items():
            run = launch([sys.executable, *command])[:2]
            if turn:  # the first warms the disk's cache
                runs[name].append(run)
    times = {name: [taken_s for taken_s, _ in values] for name, values in runs.items()}
    peaks = {name: max(peak for _, peak in values) for name, values in runs.items()}
    for name in commands:
        yield (
            name, median(times[name]), REFERENCE, median(times[REFERENCE]),
            ratio(times[REFERENCE], times[name]), peaks[name], peaks[REFERENCE],
        )  # fmt: skip


def train(work: Path, data_dir: Path | None) -> Iterator[Row]:
    """Yield the time of trainings of 24 clips until the take-offs are found.

    Args:
        work: holds the synthetic clips.
        data_dir: holds recorded clips, skate and skate_full; None: the synthetic ones are used.
    """
    motion, standards, learners = "demo", "demo/train", "demo/val"
    if data_dir:
        motion, standards, learners = "skate", "skate/train", "skate_full/val/d*"
    root = data_dir or work / "data"
    first, second = (
        load_labelled(root, role, ["takeoff"], 32, Config()) for role in (standards, learners)
    )
    pairs = Comparison.by_length(first, second, ["takeoff"], list_pairs(first, second))
    for steps in STEPS:
        taken_s, peak, _ = launch([
            sys.executable, ROOT / "tcc_train.py", "--dataset", motion, f"--data-dir={root}",
            f"--log-dir={work / 'log'}", "--set", f"MAX_NUM_TRAINING_STEPS={steps}",
        ])  # fmt: skip
        path = work / "log" / f"{motion}_checkpoint.pt"
        encoder, _, _ = load_encoder(path, work, Config(DATASET=motion), torch.device("cpu"))
        found = pairs.represent(partial(embed, encoder)).search()
        errors = found.tabulate(found.find_events(), found.pairs)["takeoff"].frames
        share = share_within(errors, WITHIN)
        name = f"tcc_train.py, {len(first)} clips of {motion}, {steps} steps"
        found_share = f"{share:.2f} of take-offs within {WITHIN} frames"
        yield f"{name}: {found_share}", taken_s, None, None, None, peak, None
        if share >= ENOUGH and steps != STEPS[0]:
            break
