"""Score the alignment against marked events, beside baselines and leak tests.

    python3 tcc_evaluate.py --dataset axel --mode val

Every clip of the mode is the standard of every other; --standards and --learners name other
clips, as MOTION/MODE. Each standard is searched in the learner's clip as tcc_get_start.py does it,
and each event marked in both is compared: error = found - marked, in the learner's frames. Clips
with the same value in the column `recording` of labels.csv are compared in every frame instead.
Reads log/<motion>_checkpoint.pt, or trains with --seeds; data/<motion>/<mode>/*/*.json and
data/<motion>/labels.csv; writes result/evaluate_<standards>_vs_<learners>.json and .png.
"""

from __future__ import annotations

import argparse
import copy
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tcc import cli
from tcc.clips import clip_folders
from tcc.dtw import CONFIDENT
from tcc.evaluate import errors as evaluation
from tcc.evaluate.errors import Errors, Matches
from tcc.evaluate.intervals import calibrate, lower_median, resample, share_within, summarize
from tcc.evaluate.labels import check_labels, order_events, read_labels, read_recordings
from tcc.evaluate.sides import Side, crop, hold_pose, represent, reverse
from tcc.evaluate.tables import print_results
from tcc.files import UserError, write_json
from tcc.plots import plot_error_distribution
from tcc_config import CONFIG, TRAINING, Config
from tcc_data import clip_turn, feature_times, load_clips, make_features
from tcc_model import Encoder, embed, load_encoder

log = logging.getLogger("tcc")
Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]
Represent = Callable[[Any], Array]
EVERY_FRAME = "same recording, every frame"


@dataclass(frozen=True, slots=True)
class Run:
    """What one encoder scored: errors[method][event], scores[group][row][column], its matches."""

    errors: dict[str, dict[str, Errors]]
    scores: dict[str, Any]
    matches: list[dict[str, Any]]


def main() -> None:
    """Load the clips of both roles, score every encoder on every pair, save."""
    parser = cli.parser(__doc__, TRAINING)
    cli.add_checkpoint(parser)
    add = parser.add_argument
    for role in ("standards", "learners"):
        add(f"--{role}", metavar="MOTION/MODE", help="(default: --dataset and --mode)")
    add("--clips", type=int, default=32, metavar="N", help="most of a role (default: %(default)s)")
    add("--seeds", type=int, default=0, metavar="N", help="train with N seeds and score each")
    args = cli.parse(parser, CONFIG, None)
    if args.seeds and args.checkpoint:
        raise UserError("--seeds trains encoders of its own; leave --checkpoint out")
    unread = [name for name in args.set if name.partition("=")[0] not in cli.SHARED_SETTINGS]
    if unread and not args.seeds:
        raise UserError(f"--set {unread[0]}: a setting of the training; add --seeds N to train")
    if args.clips < 1 or args.seeds < 0:
        raise UserError(
            f"--clips {args.clips} --seeds {args.seeds}: expected at least 1 clip and 0 seeds"
        )
    trained, settings = None, CONFIG
    if not args.seeds:
        device = cli.pick_device(args.device)
        encoder, settings, path = load_encoder(args.checkpoint, args.log_dir, CONFIG, device)
        trained = encoder, path
    names = read_event_names(args)
    sides = {
        folder: load_side(args, settings, folder, names)
        for folder in dict.fromkeys(role_folders(args))
    }
    standards, learners = (sides[folder] for folder in role_folders(args))
    pairs = list_pairs(standards, learners)

    encoders = [(CONFIG.SEED, trained[0])] if trained else train_encoders(args)
    runs = [score(*seeded, standards, learners, pairs, names) for seeded in encoders]
    errors = pool(runs)
    content: dict[str, Any] = {
        "motion": CONFIG.DATASET,
        "checkpoint": str(trained[1]) if trained else None,
        "seeds": [CONFIG.SEED + index for index in range(args.seeds)],
        "standards": {"folder": standards.folder, "clips": standards.names},
        "learners": {"folder": learners.folder, "clips": learners.names},
        "pairs": len(pairs),
        "errors": errors,
        **fold([run.scores for run in runs], np.mean),
        "spread": fold([run.scores for run in runs], np.std),
        "matches": runs[0].matches,
    }
    print_results(content, names)
    stem = "evaluate_" + "_vs_".join(
        side.folder.replace("/", "_") for side in (standards, learners)
    )
    write_json(args.result_dir / f"{stem}.json", content)
    for event in (*names, EVERY_FRAME):
        shown = {
            method: np.concatenate([run.errors[method][event].frames for run in runs])
            for method in errors.get(event, {})
        }
        if shown:
            name = event.partition(",")[0].replace(" ", "_")
            path = args.result_dir / f"{stem}_{name}.png"
            plot_error_distribution(path, shown, event)
            print(path)


def role_folders(args: argparse.Namespace) -> tuple[str, str]:
    """Return MOTION/MODE of the standards and of the learners."""
    default = f"{CONFIG.DATASET}/{args.mode}"
    for role in ("standards", "learners"):
        value = getattr(args, role)
        if value and value.count("/") != 1:
            raise UserError(f"--{role} {value}: expected MOTION/MODE, as in {default}")
    return args.standards or default, args.learners or default


def train_encoders(args: argparse.Namespace) -> Iterator[tuple[int, Encoder]]:
    """Run tcc_train.py with each seed into a temporary folder and yield seed and encoder."""
    device = cli.pick_device(args.device)
    settings = [word for setting in args.set for word in ("--set", setting)]
    for seed in range(CONFIG.SEED, CONFIG.SEED + args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            log.info("training with seed %d", seed)
            command = [sys.executable, str(Path(__file__).with_name("tcc_train.py"))]
            command += ["--dataset", CONFIG.DATASET, "--data-dir", str(args.data_dir)]
            command += ["--log-dir", folder, "--device", args.device, "--seed", str(seed)]
            done = subprocess.run([*command, *settings], stdout=subprocess.DEVNULL, check=False)
            if done.returncode:
                raise UserError(f"training with seed {seed} failed; the reason is above")
            yield seed, load_encoder(None, Path(folder), CONFIG, device)[0]


def read_event_names(args: argparse.Namespace) -> list[str]:
    """Return the events that are marked in clips of both roles, as they follow one another.

    Raises:
        UserError: there is none.
    """
    found: list[list[str]] = []
    for folder in role_folders(args):
        motion, mode = folder.split("/")
        labels = read_labels(args.data_dir, motion)
        found.append(order_events(events for (of, _), events in labels.items() if of == mode))
        if not found[-1]:
            raise UserError(
                f"{args.data_dir / motion / 'labels.csv'} marks no event in mode {mode}; add "
                "rows with mode, video and a frame for each event"
            )
    names = [name for name in found[0] if name in found[1]]
    if not names:
        raise UserError(
            f"{' and '.join(role_folders(args))} have no event in common: "
            f"{', '.join(found[0])} against {', '.join(found[1])}"
        )
    return names


def load_side(
    args: argparse.Namespace, settings: Config, folder: str, names: Sequence[str]
) -> Side:
    """Read at most --clips clips of MOTION/MODE that have an event or a recording.

    Raises:
        UserError: an event lies outside its clip, or no clip has one.
    """
    motion, mode = folder.split("/")
    labels, table = read_labels(args.data_dir, motion), args.data_dir / motion / "labels.csv"
    shown = {video: name for (of, video), name in read_recordings(args.data_dir, motion).items()
             if of == mode}  # fmt: skip
    paths = clip_folders(args.data_dir, motion, mode)
    marked = [
        path for path in paths
        if path.name in shown or set(labels.get((mode, path.name), ())) & set(names)
    ]  # fmt: skip
    if not marked:
        raise UserError(
            f"{table} names no clip of {paths[0].parent} with {' or '.join(names)}; column video "
            f"holds the folders' names, as {paths[0].name}"
        )
    recordings = [shown.get(path.name, path.name) for path in marked]
    order = list(dict.fromkeys(np.random.default_rng(CONFIG.SEED).permutation(recordings).tolist()))
    drawn = sorted(range(len(marked)), key=lambda i: order.index(recordings[i]))[: args.clips]
    counts = (len(paths) - len(marked), len(marked) - len(drawn))
    for count, reason in zip(counts, ("have no label", "are left out by --clips"), strict=True):
        if count:
            log.warning("%s: %d of %d clips %s", folder, count, len(paths), reason)
    clips = load_clips([marked[index] for index in sorted(drawn)], settings)
    lengths = {clip.name: clip.num_frames for clip in clips}
    check_labels(args.data_dir, motion, mode, labels, lengths)
    marks = [labels.get((mode, clip.name), {}) for clip in clips]
    events = np.array([[mark.get(name, np.nan) for name in names] for mark in marks])
    if count := int(np.isnan(events).any(axis=1).sum()):
        log.warning("%s: %d clips lack an event: no phases of them", folder, count)
    return Side(
        folder=folder,
        names=[clip.name for clip in clips],
        views=[
            (make_features(clip, settings), make_features(clip, settings, True)) for clip in clips
        ],
        ticks_s=[feature_times(clip, settings) for clip in clips],
        times_s=[clip.times_s for clip in clips],
        turns=np.array([clip_turn(clip, settings) for clip in clips]),
        events=events,
        recordings=[f"{motion}/{shown.get(c.name, f'{mode}/{c.name}')}" for c in clips],
        starts=np.zeros(len(clips), np.int64),
    )


def list_pairs(standards: Side, learners: Side) -> Indices:
    """Return (P, 2) standard and learner: different clips that share an event or a recording."""
    pairs = [
        (standard, learner)
        for standard in range(len(standards.names))
        for learner in range(len(learners.names))
        if not (standards.folder == learners.folder and standard == learner)
        and (
            standards.recordings[standard] == learners.recordings[learner]
            or np.isfinite(standards.events[standard] + learners.events[learner]).any()
        )
    ]
    if not pairs:
        raise UserError(
            f"no two clips of {standards.folder} and {learners.folder} have an event in common; "
            "label at least two"
        )
    return np.array(pairs, np.int64)


def score(
    seed: int,
    encoder: Encoder,
    standards: Side,
    learners: Side,
    pairs: Indices,
    names: Sequence[str],
) -> Run:
    """Match all pairs by every method, and by the encoder under every leak test."""
    untrained = forget(encoder, seed)
    methods: dict[str, Represent] = {
        "tcc": lambda features: embed(encoder, features),
        "raw pose": lambda features: features,
        "random encoder": lambda features: embed(untrained, features),
        "frame index": lambda features: np.arange(len(features), dtype=np.float64)[:, None],
    }
    same = np.array([standards.recordings[a] == learners.recordings[b] for a, b in pairs])
    others = pairs[~same]
    matches: dict[str, Matches] = {"linear time": evaluation.scale_time(standards, learners, pairs)}
    embeddings: dict[str, dict[str, float]] = {"linear time": {}}
    for name, change in methods.items():
        sides = [represent(side, change) for side in (standards, learners)]
        bar = cli.progress(pairs, name, "pair")
        matches[name] = evaluation.match_pairs(sides[0], sides[1], bar)
        generator = np.random.default_rng(CONFIG.SEED)
        embeddings[name] = evaluation.score_embeddings(
            sides[0], sides[1], pairs, matches[name], generator
        )

    errors: dict[str, dict[str, Errors]] = {}
    for name in (*methods, "linear time"):
        found = evaluation.find_events(standards, pairs, matches[name])[~same]
        errors[name] = evaluation.tabulate(found, others, standards, learners, names)
        if name in methods and len(others):
            votes, voters = evaluation.vote(found, matches[name].costs[~same], others[:, 1])
            errors[f"{name}, voting"] = evaluation.tabulate(
                votes, voters[:, None], standards, learners, names
            )
        if same.any():
            frames = evaluation.frame_errors(standards, learners, pairs, matches[name])
            errors[name][EVERY_FRAME] = evaluation.errors_of(frames, pairs, standards, learners)
        embeddings[name]["enclosed_area"] = evaluation.mean_enclosed_area(
            standards, learners, pairs, matches[name]
        )
    if len(others):
        prior, rows = evaluation.prior_events(standards, learners, others)
        errors["constant prior"] = evaluation.tabulate(
            prior, rows[:, None], standards, learners, names
        )
    sure = matches["tcc"].confidences[~same] >= CONFIDENT
    scores = {
        "embeddings": embeddings,
        "leak_tests": leak_tests(methods["tcc"], standards, learners, pairs, names),
        "calibration": {name: calibrate(errors["tcc"][name].frames, sure) for name in names},
    }
    return Run(
        errors, scores, evaluation.list_matches(standards, learners, pairs, matches["tcc"], names)
    )


def forget(encoder: Encoder, seed: int) -> Encoder:
    """Return a copy with random weights."""
    torch.manual_seed(seed)
    untrained = copy.deepcopy(encoder)
    for module in untrained.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    return untrained


def leak_tests(
    change: Represent, standards: Side, learners: Side, pairs: Indices, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Score clips that hold one pose, are cropped, or (the learners) run backwards."""
    generator = np.random.default_rng(CONFIG.SEED)
    changed = {
        "constant pose": (hold_pose(standards), hold_pose(learners)),
        "random crops": (
            crop(standards, generator), crop(learners, generator)
        ),
        "reversed": (standards, reverse(learners)),
    }  # fmt: skip
    scores: dict[str, dict[str, float]] = {}
    for test, sides in changed.items():
        before, after = (represent(side, change) for side in sides)
        matches = evaluation.match_pairs(before, after, cli.progress(pairs, test, "pair"))
        found = evaluation.find_events(before, pairs, matches)
        table = evaluation.tabulate(found, pairs, before, after, names)
        scores[test] = evaluation.mean_tau(before, after, pairs, matches)
        for name in names:
            scores[test][f"{name}_within_3"] = share_within(table[name].frames, 3)
        if test == "random crops":
            frames = evaluation.frame_errors(before, after, pairs, matches)
            if len(frames := frames[~np.isnan(frames)]):
                scores[test]["every_frame_median"] = lower_median(frames)
    return scores


def pool(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Summarise the errors of all runs together, so that intervals and medians are over all."""
    summaries: dict[str, dict[str, Any]] = {}
    for method, tables in runs[0].errors.items():
        for event, first in tables.items():
            mine = [run.errors[method][event] for run in runs]
            clips = np.concatenate([errors.clips for errors in mine])
            weights = resample(list(clips.T), np.random.default_rng(CONFIG.SEED))
            frames = np.concatenate([errors.frames for errors in mine])
            values = summarize(frames, np.tile(first.fps, len(mine)), weights)
            each = [share_within(errors.frames, 3) for errors in mine]
            summaries.setdefault(event, {})[method] = {**values, "within_3_spread": np.std(each)}
    return summaries


def fold(values: Sequence[Any], function: Callable[[Any], Any]) -> Any:
    """Apply a function to the numbers of equal nested dictionaries."""
    if isinstance(values[0], dict):
        return {key: fold([value[key] for value in values], function) for key in values[0]}
    return float(function(values))


if __name__ == "__main__":
    cli.run(main)
