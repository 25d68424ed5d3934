"""Score the alignment against marked events, beside baselines.

    python3 tcc_evaluate.py --dataset axel --mode val

Every clip of the mode is the standard of every other; --standards and --learners name other
clips, as MOTION/MODE. Each standard is searched in the learner's clip as tcc_get_start.py does it,
and each event marked in both is compared: error = found - marked.
Reads log/<motion>_checkpoint.pt, data/<motion>/<mode>/*/*.json and data/<motion>/labels.csv;
writes result/evaluate_<standards>_vs_<learners>.json and .png.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc import cli
from tcc.alignment import locate
from tcc.evaluation import find_events, resample, summarize, vote
from tcc.plots import plot_error_distribution
from tcc_config import CONFIG
from tcc_data import Clip, clip_folders, load_clips, make_features, read_labels
from tcc_model import embed, load_encoder

log = logging.getLogger("tcc")
Features = NDArray[np.float32]
Array = NDArray[np.floating[Any]]
Represent = Callable[[Features], Array]


@dataclass(frozen=True, slots=True)
class Side:
    """The clips of one role: V clips, their features and marked events (V, E), NaN for none."""

    name: str
    clips: list[Clip]
    views: list[tuple[Features, Features]]
    events: Array


def main() -> None:
    """Load the clips of both roles, search every pair by every method, save."""
    parser = cli.parser(__doc__)
    cli.add_checkpoint(parser)
    for role in ("standards", "learners"):
        parser.add_argument(
            f"--{role}", metavar="MOTION/MODE", help="(default: --dataset and --mode)"
        )
    args = cli.parse(parser, CONFIG, None)
    encoder, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )
    names = read_event_names(args)
    standards, learners = (load_side(args, spec, names) for spec in specs(args))
    pairs = list_pairs(standards, learners, names)

    methods: dict[str, Represent] = {
        "tcc": lambda features: embed(encoder, features),
        "raw pose": lambda features: features,
    }
    errors: dict[str, Array] = {}
    summaries: dict[str, Any] = {}
    for name, represent in methods.items():
        found, costs = search_pairs(represent, standards, learners, pairs, name)
        votes, voters = vote(found, costs, pairs[:, 1])
        for kind, frames, rows in (("one", found, pairs), ("voting", votes, voters[:, None])):
            errors[f"{name}, {kind}"] = frames - learners.events[rows[:, -1]]
            summaries[f"{name}, {kind}"] = score(
                errors[f"{name}, {kind}"], rows, standards, learners, names
            )

    print(
        f"standards {standards.name}: {len(standards.clips)} clips; learners {learners.name}: "
        f"{len(learners.clips)} clips; {len(pairs)} pairs"
    )
    print_events(summaries, names)
    stem = args.result_dir / f"evaluate_{describe(standards.name)}_vs_{describe(learners.name)}"
    cli.write_json(
        Path(f"{stem}.json"),
        {
            "motion": CONFIG.DATASET,
            "checkpoint": str(path),
            "standards": standards.name,
            "learners": learners.name,
            "pairs": len(pairs),
            "events": summaries,
        },
    )
    for index, event in enumerate(names):
        marked = {name: rows[~np.isnan(rows[:, index]), index] for name, rows in errors.items()}
        plot_error_distribution(Path(f"{stem}_{event}.png"), marked, event)
        print(f"{stem}_{event}.png")


def describe(name: str) -> str:
    """Return MOTION/MODE as part of a file name."""
    return name.replace("/", "_")


def specs(args: argparse.Namespace) -> tuple[str, str]:
    """Return MOTION/MODE of the standards and of the learners."""
    default = f"{CONFIG.DATASET}/{args.mode}"
    for option in ("standards", "learners"):
        value = getattr(args, option)
        if value and value.count("/") != 1:
            raise cli.UserError(f"--{option} {value}: expected MOTION/MODE, as in {default}")
    return args.standards or default, args.learners or default


def read_event_names(args: argparse.Namespace) -> list[str]:
    """Return the events that are marked in clips of both roles, in the order of labels.csv.

    Raises:
        UserError: there is none.
    """
    found: list[dict[str, None]] = []
    for spec in specs(args):
        motion, mode = spec.split("/")
        labels = read_labels(args.data_dir, motion)
        found.append({e: None for (of, _), events in labels.items() if of == mode for e in events})
        if not found[-1]:
            raise cli.UserError(
                f"{args.data_dir / motion / 'labels.csv'} marks no event in mode {mode}; add "
                "rows with mode, video and a frame for each event"
            )
    names = [name for name in found[0] if name in found[1]]
    if not names:
        raise cli.UserError(
            f"{' and '.join(specs(args))} have no event in common: "
            f"{', '.join(found[0])} against {', '.join(found[1])}"
        )
    return names


def load_side(args: argparse.Namespace, spec: str, names: Sequence[str]) -> Side:
    """Read the clips MOTION/MODE that have at least one of the events.

    Raises:
        UserError: an event lies outside its clip, or no clip has one.
    """
    motion, mode = spec.split("/")
    labels = read_labels(args.data_dir, motion)
    folders = clip_folders(args.data_dir, motion, mode)
    marked = [path for path in folders if set(labels.get((mode, path.name), ())) & set(names)]
    if not marked:
        raise cli.UserError(
            f"no clip of {args.data_dir / motion / mode} is in its labels.csv with "
            f"{' or '.join(names)}; the names in column video are those of the folders"
        )
    if len(marked) < len(folders):
        log.warning(
            "%s: %d of %d clips have no label", spec, len(folders) - len(marked), len(folders)
        )
    clips = load_clips(marked, CONFIG)
    events = np.full((len(clips), len(names)), np.nan)
    for row, clip in enumerate(clips):
        for column, name in enumerate(names):
            frame = labels[mode, clip.name].get(name, np.nan)
            if not (np.isnan(frame) or 0 <= frame < clip.num_frames):
                raise cli.UserError(
                    f"{args.data_dir / motion / 'labels.csv'}: {name}_frame of {clip.name} is "
                    f"{frame}; the clip has frames 0 to {clip.num_frames - 1}"
                )
            events[row, column] = frame
    views = [(make_features(clip, CONFIG), make_features(clip, CONFIG, True)) for clip in clips]
    return Side(spec, clips, views, events)


def list_pairs(standards: Side, learners: Side, names: Sequence[str]) -> NDArray[np.int64]:
    """Return (P, 2) indices of standard and learner of different clips that share an event."""
    same = standards.name == learners.name
    pairs = [
        (standard, learner)
        for standard in range(len(standards.clips))
        for learner in range(len(learners.clips))
        if not (same and standard == learner)
        and np.isfinite(standards.events[standard] + learners.events[learner]).any()
    ]
    if not pairs:
        raise cli.UserError(
            f"no two clips of {standards.name} and {learners.name} have one event in common "
            f"({', '.join(names)}); at least two labelled clips are needed"
        )
    return np.array(pairs, np.int64)


def search_pairs(
    represent: Represent, standards: Side, learners: Side, pairs: NDArray[np.int64], name: str
) -> tuple[Array, Array]:
    """Return the events that were found (P, E), NaN where not marked, and the costs (P,)."""
    views = [tuple(map(represent, view)) for view in standards.views]
    targets = [represent(view[0]) for view in learners.views]
    found, costs = np.empty((len(pairs), standards.events.shape[1])), np.empty(len(pairs))
    for row, (standard, learner) in enumerate(cli.progress(pairs, name, "pair")):
        best = locate(views[standard], targets[learner]).matches[0]
        found[row] = find_events(best, standards.events[standard], len(views[standard][0]))
        costs[row] = best.cost
    return found, costs


def score(
    errors: Array,
    rows: NDArray[np.int64],
    standards: Side,
    learners: Side,
    names: Sequence[str],
) -> dict[str, Any]:
    """Return the summary of each event; `rows` (P, 2) pairs or (P, 1) learners."""
    same = standards.name == learners.name
    clips = [rows[:, -1] + (0 if same else len(standards.clips)), *rows[:, :-1].T]
    weights = resample(clips, np.random.default_rng(CONFIG.SEED))
    fps = np.array([learners.clips[index].fps for index in rows[:, -1]])
    return {name: summarize(errors[:, column], fps, weights) for column, name in enumerate(names)}


def print_events(summaries: dict[str, Any], names: Sequence[str]) -> None:
    """Print one table an event."""
    for event in names:
        print(
            f"\n{event:22} median    ms  mean  signed  within 1 frame    3 [95 %]           "
            "5     10  missed"
        )
        for method, events in summaries.items():
            values = events[event]
            low, high = values["within_3_interval"]
            print(
                f"{method:22} {values['median']:6.1f} {values['median_ms']:5.0f} "
                f"{values['mean']:5.1f}  {values['signed']:6.1f}  {values['within_1']:14.2f}  "
                f"{values['within_3']:.2f} [{low:.2f}, {high:.2f}]  {values['within_5']:.2f}  "
                f"{values['within_10']:.2f}  {values['missed']} of {values['pairs']}"
            )


if __name__ == "__main__":
    cli.run(main)
