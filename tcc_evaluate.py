"""Measure the errors at marked events, and compare them with baselines and leak tests.

    python3 tcc_evaluate.py --dataset axel --mode val

Every clip of the mode is the standard of every other clip; --standards and --learners name other
clips, as MOTION/MODE, or as MOTION/MODE/PATTERN, such as 'axel/val/a*'. Each standard is searched
for in the learner's clip, as in tcc_get_start.py. The error of an event that is marked in both
clips is found - marked, in the learner's frames. Clips with the same value in the column
`recording` of labels.csv are compared in every frame instead, also in the leak tests. Kendall's tau
and the other scores of the embeddings use all pairs.
Reads log/<motion>_checkpoint.pt (or trains encoders with --seeds), data/<motion>/<mode>/*/*.json
and data/<motion>/labels.csv. Writes result/evaluate_<standards>_vs_<learners>.json and one picture
for each event.
In the JSON, `matches` lists every pair. `found` holds the events that are marked in the standard;
an event that the search missed is null. `marked` holds the events that are marked in the learner.
Neither holds events that are not marked. Elsewhere, null is a value that can't be computed: the
mean of no pair, or the median if most pairs are missed.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import copy
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tcc import jobs
from tcc.clip_folders import require_pattern
from tcc.confidence import CONFIDENT
from tcc.evaluate.errors import Comparison, Errors, list_pairs, pool
from tcc.evaluate.intervals import calibrate, fold, lower_median, share_within
from tcc.evaluate.labels import (
    shared_events,
)
from tcc.evaluate.leak_tests import change_clips
from tcc.evaluate.tables import print_results
from tcc.files import UserError, keep_earlier, result_stem, sha256, write_json
from tcc.flight import FLIGHT
from tcc.plots import plot_error_distribution
from tcc.voting import doubtful_marks
from tcc_config import CONFIG, TRAINING
from tcc_data import load_labelled
from tcc_model import Encoder, embed, load_encoder

log = logging.getLogger("tcc")
Array = NDArray[np.floating[Any]]
Represent = Callable[[Any], Array]
UNTRAINED_SETTINGS = ("FPS", "SEED")  # all others are of the training
EVERY_FRAME = "same recording, every frame"
PATH, CHECKED, VOTING = "tcc, path alone", "tcc, marks checked", "tcc, voting"


@dataclass(frozen=True, slots=True)
class Run:
    """The results of one encoder.

    `errors[method][event]`, `scores[group][row][column]`, the matches, and the doubtful marks.
    """

    errors: dict[str, dict[str, Errors]]
    scores: dict[str, Any]
    matches: list[dict[str, Any]]
    doubtful_marks: list[str]


def main() -> None:
    """Load the clips of both roles, score every encoder on every pair, print, save and plot."""
    args = parse_arguments()
    settings, path = CONFIG, None
    workers = jobs.pick_jobs(args)
    encoders: Iterable[tuple[int, Encoder]] = train_encoders(args)
    if not args.seeds:
        device = cli.pick_device(args.device)
        encoder, settings, path = load_encoder(args.checkpoint, args.log_dir, CONFIG, device)
        encoders = [(CONFIG.SEED, encoder)]
    folders = role_folders(args)
    names = shared_events(args.data_dir, folders)
    clips = {
        folder: load_labelled(
            args.data_dir, folder, names, args.clips, settings, workers=workers or jobs.IN_TURN
        )
        for folder in dict.fromkeys(folders)
    }
    standards, learners = (clips[folder] for folder in folders)
    pairs = list_pairs(standards, learners)
    linear = Comparison.by_length(standards, learners, names, pairs)
    rows = jobs.pick_rows(workers, args.log_dir / "jobs" / f"evaluate_{CONFIG.DATASET}")
    runs = [score(seed, encoder, linear, rows) for seed, encoder in encoders]
    rows.finish()
    content: dict[str, Any] = {
        "motion": CONFIG.DATASET,
        "checkpoint": str(path) if path else None,
        "seeds": [CONFIG.SEED + index for index in range(args.seeds)],
        "standards": {"folder": folders[0], "clips": [clip.name for clip in standards]},
        "learners": {"folder": folders[1], "clips": [clip.name for clip in learners]},
        "pairs": len(pairs),
        "errors": pool([run.errors for run in runs], CONFIG.SEED),
        **fold([run.scores for run in runs], np.mean),
        "spread": fold([run.scores for run in runs], np.std),
        "matches": runs[0].matches,
        "doubtful_marks": runs[0].doubtful_marks,
    }
    print_results(content, names)
    for doubt in runs[0].doubtful_marks:
        log.warning("%s", doubt)
    stem = result_stem(
        args.result_dir,
        "evaluate_{}_vs_{}",
        *(re.sub(r"[^\w.-]+", "_", folder).strip("_") for folder in folders),
    )
    inputs = {
        "standards": [clip.fingerprint() for clip in standards],
        "learners": [clip.fingerprint() for clip in learners],
        "checkpoint": sha256(path) if path else asdict(CONFIG),
        "seeds": content["seeds"],
    }
    pictures = (picture_suffix(event) for event in (*names, EVERY_FRAME))
    keep_earlier(stem, inputs, (".json", *pictures))
    write_json(Path(f"{stem}.json"), {"inputs": inputs, **content})
    plot_errors(stem, runs, names)


def parse_arguments() -> argparse.Namespace:
    """Read and check the arguments."""
    parser = cli.parser(__doc__, TRAINING)
    cli.add_checkpoint(parser)
    jobs.add_jobs(parser)
    add = parser.add_argument
    for role in ("standards", "learners"):
        add(
            f"--{role}",
            metavar="MOTION/MODE[/PATTERN]",
            help=f"clips to use as {role} (default: --dataset and --mode)",
        )
    add(
        "--clips",
        type=int,
        default=32,
        metavar="N",
        help="largest number of standards and of learners (default: %(default)s)",
    )
    add("--seeds", type=int, default=0, metavar="N", help="train N encoders and score all of them")
    args = cli.parse(parser, CONFIG, None)
    if args.seeds and args.checkpoint:
        raise UserError("--seeds trains new encoders; leave --checkpoint out")
    unused = [name for name in args.set if name.partition("=")[0] not in UNTRAINED_SETTINGS]
    if unused and not args.seeds:
        raise UserError(f"--set {unused[0]}: a setting of the training; add --seeds N to train")
    if args.clips < 1 or args.seeds < 0:
        raise UserError(
            f"--clips {args.clips} --seeds {args.seeds}: expected at least 1 clip and at least 0 "
            "seeds"
        )
    return args


def role_folders(args: argparse.Namespace) -> tuple[str, str]:
    """Return MOTION/MODE or MOTION/MODE/PATTERN of the standards and of the learners."""
    default = f"{CONFIG.DATASET}/{args.mode}"
    for role in ("standards", "learners"):
        value = getattr(args, role)
        if value:
            require_pattern(f"--{role}", value, default)
    return args.standards or default, args.learners or default


def train_encoders(args: argparse.Namespace) -> Iterator[tuple[int, Encoder]]:
    """Run tcc_train.py with each seed in a temporary folder; yield the seed and the encoder."""
    device = cli.pick_device(args.device)
    settings = [word for setting in args.set for word in ("--set", setting)]
    for seed in range(CONFIG.SEED, CONFIG.SEED + args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            log.info("training with seed %d", seed)
            command = [sys.executable, str(Path(__file__).with_name("tcc_train.py"))]
            command += ["--dataset", CONFIG.DATASET, "--data-dir", str(args.data_dir)]
            command += ["--log-dir", folder, "--device", args.device, "--seed", str(seed)]
            done = subprocess.run(  # noqa: S603 - a command of this program
                [*command, *settings], stdout=subprocess.DEVNULL, check=False
            )
            if done.returncode:
                raise UserError(f"training with seed {seed} failed; the reason is above")
            yield seed, load_encoder(None, Path(folder), CONFIG, device)[0]


def score(seed: int, encoder: Encoder, linear: Comparison, rows: jobs.Rows) -> Run:
    """Match all pairs by every method, and by the encoder under every leak test.

    Args:
        seed: for the random weights of the untrained encoder.
        encoder: the trained encoder.
        linear: the clips with their keypoint features, matched by their lengths.
        rows: search each learner.
    """
    untrained = make_untrained(encoder, seed)
    methods: dict[str, Represent] = {
        "tcc": partial(embed, encoder),
        "raw pose": lambda features: features,
        "random encoder": partial(embed, untrained),
        "frame index": lambda features: np.arange(len(features), dtype=np.float64)[:, None],
    }
    comparisons: dict[str, Comparison] = {}
    embeddings: dict[str, dict[str, float]] = {"linear time": {}}
    for name, function in methods.items():
        comparisons[name] = linear.represent(function).search(rows, name)
        generator = np.random.default_rng(CONFIG.SEED)
        embeddings[name] = comparisons[name].score_embeddings(generator)

    one_recording = linear.one_recording()
    errors: dict[str, dict[str, Errors]] = {}
    for name, comparison in {**comparisons, "linear time": linear}.items():
        others = comparison.select(~one_recording)
        if name == "tcc":
            errors |= tabulate_product(others)
        else:
            errors[name] = others.tabulate(others.find_events(), others.pairs)
            if name in methods and len(others.pairs):
                errors[f"{name}, voting"] = others.tabulate(*others.vote())
        if one_recording.any():
            frames = comparison.frame_errors()
            errors[name][EVERY_FRAME] = comparison.errors_of(frames, comparison.pairs)
        embeddings[name]["enclosed_area"] = comparison.mean_enclosed_area()
    others = linear.select(~one_recording)
    if len(others.pairs):
        errors["constant prior"] = others.tabulate(*others.prior_events())
    confident = comparisons["tcc"].confidences[~one_recording] >= CONFIDENT
    scores = {
        "embeddings": embeddings,
        "leak_tests": score_leaks(methods["tcc"], linear, rows),
        "calibration": {
            name: calibrate(errors["tcc"][name].frames, confident) for name in linear.event_names
        },
    }
    tcc = comparisons["tcc"]
    doubts = doubtful_marks(tcc.standards, linear.event_names)
    return Run(errors, scores, tcc.list_matches(), doubts)


def tabulate_product(comparison: Comparison) -> dict[str, dict[str, Errors]]:
    """Return the errors of one standard, as it is marked and with its marks checked, and of a vote.

    Take-off and landing are refined by flights. One standard is also scored by the path alone, if
    one of them is marked.
    """
    own_s = comparison.conventions()
    errors = {"tcc": comparison.tabulate(comparison.find_events(0, own_s), comparison.pairs)}
    if len(comparison.pairs):
        if set(FLIGHT) & set(comparison.event_names):
            errors[PATH] = comparison.tabulate(comparison.find_events(), comparison.pairs)
        offsets = comparison.mark_offsets()
        shared_s = comparison.conventions(offsets)
        found = comparison.find_events(offsets, shared_s)
        errors[CHECKED] = comparison.tabulate(found, comparison.pairs)
        errors[VOTING] = comparison.tabulate(*comparison.vote(offsets, shared_s))
    return errors


def make_untrained(encoder: Encoder, seed: int) -> Encoder:
    """Return a copy of an encoder with random weights."""
    torch.manual_seed(seed)
    untrained = copy.deepcopy(encoder)
    for module in untrained.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    return untrained


def score_leaks(
    function: Represent, linear: Comparison, rows: jobs.Rows = jobs.ROWS_IN_TURN
) -> dict[str, dict[str, float]]:
    """Return the scores of the embeddings that `function` makes, under every leak test."""
    scores: dict[str, dict[str, float]] = {}
    generator = np.random.default_rng(CONFIG.SEED)
    for test, roles in change_clips(linear.standards, linear.learners, generator).items():
        changed = replace(linear, standards=roles[0], learners=roles[1])
        comparison = changed.represent(function).search(rows, test)
        others = comparison.select(~comparison.one_recording())
        table = others.tabulate(others.find_events(), others.pairs)
        scores[test] = comparison.mean_tau()
        for name in linear.event_names:
            scores[test][f"{name}_within_3"] = share_within(table[name].frames, 3)
        if test == "random crops":
            frames = comparison.frame_errors()
            if len(frames := frames[~np.isnan(frames)]):
                scores[test]["every_frame_median"] = lower_median(frames)
    return scores


def plot_errors(stem: Path, runs: Sequence[Run], names: Sequence[str]) -> None:
    """Plot the errors of every event and of every frame of one recording; print the paths."""
    for event in (*names, EVERY_FRAME):
        errors = {
            method: np.concatenate([run.errors[method][event].frames for run in runs])
            for method, tables in runs[0].errors.items()
            if event in tables
        }
        if errors:
            path = Path(f"{stem}{picture_suffix(event)}")
            plot_error_distribution(path, errors, event)
            print(path)


def picture_suffix(event: str) -> str:
    """Return the end of the name of an event's picture."""
    return f"_{event.partition(',')[0].replace(' ', '_')}.png"


if __name__ == "__main__":
    cli.run(main)
