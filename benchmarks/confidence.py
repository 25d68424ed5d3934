"""Fit the confidence of a match, and compare it with how often such matches are right.

    python3 -m benchmarks.confidence --data-dir /tmp/real
    python3 -m benchmarks.confidence --data-dir /tmp/real --report "flights in the confidence"

Needs what benchmarks/real_data.py writes in --data-dir. Encoders that are not in LOG_DIR/seed_0 are
trained first.
A match is right if every event that both clips mark is found within 0.1 s. A match of two different
motions is wrong. Both kinds of pairs have the same weight. Prints the constants of
tcc/confidence.py, and for each group how many matches are sure, and how many of these are right.
Writes result/confidence.png: the share that is right by the confidence.
With --report, nothing is fitted, and the groups are of the clips that are kept apart: see
benchmarks/protocol.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tabulate import tabulate

from benchmarks.instructions import see
from benchmarks.protocol import load_trained, record_look
from tcc import cli
from tcc.clips import Clip
from tcc.confidence import ALIKE, CONFIDENT, WEIGHTS, Evidence, share_right
from tcc.dtw import map_frames
from tcc.evaluate.labels import read_labels, read_recordings
from tcc.features import opposed
from tcc.plots import plot_calibration
from tcc.progress import progress
from tcc.search import locate
from tcc.synthetic.camera import sample_camera
from tcc.synthetic.skater import sample_motion
from tcc_config import Config
from tcc_data import clip_turn, feature_times, in_air, load_clips, make_features
from tcc_model import GENERIC, Encoder, embed, load_encoder

Array = NDArray[np.floating[Any]]
RIGHT_S = 0.1  # largest error of an event of a match that is right
MOST_PAIRS = 300  # of a group, drawn at random
SPARE_TICKS = 12  # a clip without its jump ends or starts this far from the flight
GENERIC_MOTION = "generic"
CHOSEN_ACTIONS = ("golf_swing", "bench_press", "jumping_jacks")
REPORTED_ACTIONS = ("tennis_forehand", "situp")


@dataclass(frozen=True, slots=True)
class Seen:
    """A clip: features (G, C) and those of its mirror image, and what is known of it.

    `airborne` (G,) is where the skater is in the air, `events_s` {name: time} are marked, `step_s`
    is the time between two ticks, and clips of one `recording` are no pair.
    """

    features: tuple[Array, Array]
    airborne: NDArray[np.bool_]
    turn: float
    events_s: dict[str, float]
    step_s: float
    recording: str

    def cut(self, ticks: slice) -> Seen:
        """Return a part of the clip, without its events."""
        first, second = (rows[ticks] for rows in self.features)
        return replace(self, features=(first, second), airborne=self.airborne[ticks], events_s={})


@dataclass(frozen=True, slots=True)
class Group:
    """Pairs of clips that show the same motion, or different ones, by one motion's encoder."""

    name: str
    encoder: str
    standards: Sequence[Seen]
    learners: Sequence[Seen]
    same: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What speaks for the match of a pair, and whether it is right."""

    evidence: Evidence
    right: bool


def main() -> None:
    """Match all pairs of every group, fit, print and plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", "log", "result"):
        parser.add_argument(f"--{name}-dir", type=Path, default=Path(name), metavar="DIR")
    parser.add_argument("--report", metavar="REASON", help="use the clips that are kept apart")
    args = parser.parse_args()
    if args.report:
        record_look("confidence", args.report)
    clips = Clips(args.data_dir)
    groups = list(reported(clips) if args.report else chosen(clips))
    encoders = {
        name: load(name, args.data_dir, args.log_dir / "seed_0")
        for name in dict.fromkeys(group.encoder for group in groups)
    }
    outcomes = [list(match(group, encoders[group.encoder])) for group in groups]
    results, weights = pool(groups, outcomes)
    if not args.report:
        print_constants(results, weights)
    rows = [row(group, results) for group, results in zip(groups, outcomes, strict=True)]
    header = ["pairs", "encoder", "number", "right", "median", "sure", "of these right"]
    print(tabulate(rows, [*header, "not found"], "github", floatfmt=".2f"))
    path = args.result_dir / f"confidence{'_report' if args.report else ''}.png"
    trust = np.array([share_right(outcome.evidence) for outcome in results])
    plot_calibration(
        path, trust, np.array([outcome.right for outcome in results]), weights, CONFIDENT
    )
    print(path)


class Clips:
    """The marked clips of every motion, read once.

    Args:
        data_dir: holds the motions that benchmarks/real_data.py writes.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.read: Callable[[str, str], dict[str, Seen]] = cache(self._read)

    def of(self, motion: str, mode: str, start: str = "", most: int = 30) -> list[Seen]:
        """Return at most `most` clips whose name starts with `start`, evenly spread."""
        named = [clip for name, clip in self.read(motion, mode).items() if name.startswith(start)]
        chosen = np.unique(np.linspace(0, len(named) - 1, most).round().astype(int))
        return [named[index] for index in chosen]

    def _read(self, motion: str, mode: str) -> dict[str, Seen]:
        config = Config()
        root = self._data_dir
        labels = {
            video: events for (row, video), events in read_labels(root, motion).items()
            if row == mode and events
        }  # fmt: skip
        recordings = read_recordings(root, motion)
        return {
            clip.name: see_clip(
                clip, labels[clip.name], f"{motion} {recordings.get((mode, clip.name), clip.name)}"
            )
            for clip in load_clips([root / motion / mode / video for video in labels], config)
        }


def see_clip(clip: Clip, events: dict[str, int], recording: str) -> Seen:
    """Return the features of a clip with its marked events."""
    config = Config()
    return Seen(
        (make_features(clip, config), make_features(clip, config, True)),
        in_air(clip, config),
        clip_turn(clip, config),
        {name: float(clip.times_s[frame] - clip.times_s[0]) for name, frame in events.items()},
        float(np.diff(feature_times(clip, config)[:2])[0]),
        recording,
    )


def chosen(clips: Clips) -> Iterator[Group]:
    """Yield the groups on which the method was chosen."""
    coaches = clips.of("skate", "train")
    uncut = clips.of("skate_full", "val", "d")
    actions = {name: clips.of(f"penn_{name}", "val") for name in CHOSEN_ACTIONS}
    for encoder in ("skate", GENERIC_MOTION):
        yield Group("24 jumps, uncut jumps", encoder, coaches, uncut)
        yield Group("uncut jumps, uncut jumps", encoder, uncut, uncut)
        yield from wrong_jumps(encoder, coaches, uncut, actions)
    markers = clips.of("fs_jump", "train", most=60)
    yield Group("FS-Jump3D, other repetitions", "fs_jump", markers, markers)
    yield from right_actions(actions)
    for name, learners in actions.items():
        encoder = f"penn_{name}"
        yield Group(f"24 jumps, {name}", encoder, coaches, learners, same=False)
        yield Group(f"{name}, uncut jumps", encoder, learners, uncut, same=False)
        for other in actions:
            if other != name:
                yield Group(f"{name}, {other}", encoder, learners, actions[other], same=False)


def reported(clips: Clips) -> Iterator[Group]:
    """Yield the groups of clips on which nothing was chosen."""
    coaches = clips.of("skate", "train")
    uncut = clips.of("skate_full", "val", "e")
    actions = {name: clips.of(f"penn_{name}", "val") for name in REPORTED_ACTIONS}
    for encoder in ("skate", GENERIC_MOTION):
        yield Group("24 jumps, uncut jumps", encoder, coaches, uncut)
        yield Group("uncut jumps, uncut jumps", encoder, uncut, uncut)
        yield from wrong_jumps(encoder, coaches, uncut, actions)
    markers = clips.of("fs_jump", "val", most=60)
    yield Group("FS-Jump3D, other repetitions", "fs_jump", markers, markers)
    yield from right_actions(actions)


def right_actions(actions: dict[str, list[Seen]]) -> Iterator[Group]:
    """Yield pairs of one action, with its encoder."""
    for name, learners in actions.items():
        yield Group(f"{name}, {name}", f"penn_{name}", learners, learners)


def wrong_jumps(
    encoder: str, jumps: list[Seen], uncut: list[Seen], actions: dict[str, list[Seen]]
) -> Iterator[Group]:
    """Yield pairs of a jump and a clip that shows none."""
    glides = [glide for clip in uncut for glide in without_jump(clip)]
    for name, learners in {"no jump": glides, "still": still(), "spin": spins(), **actions}.items():
        yield Group(f"jumps, {name}", encoder, jumps, learners, same=False)


def without_jump(clip: Seen) -> Iterator[Seen]:
    """Yield what is before and after the flight of a clip, if it is a second or longer."""
    times = [clip.events_s[name] / clip.step_s for name in ("takeoff", "landing")]
    before, after = round(times[0]) - SPARE_TICKS, round(times[1]) + SPARE_TICKS
    for part in (clip.cut(slice(0, max(before, 0))), clip.cut(slice(after, None))):
        if len(part.features[0]) * clip.step_s >= 1:
            yield part


def still() -> list[Seen]:
    """Return clips of synthetic skaters who keep one pose."""
    return [pose_clip(seed, turns_per_s=0) for seed in range(10)]


def spins() -> list[Seen]:
    """Return clips of synthetic skaters who keep one pose and spin."""
    return [pose_clip(seed, turns_per_s=1 + seed / 5) for seed in range(10)]


def pose_clip(seed: int, turns_per_s: float) -> Seen:
    """Return four seconds of a synthetic skater in one pose, as a random camera sees it."""
    generator = np.random.default_rng(seed)
    motion = sample_motion(generator, lead_in_s=1)
    pose = motion.joints_m[generator.integers(len(motion.joints_m))]
    angles = 2 * np.pi * turns_per_s * np.arange(round(4 * motion.fps)) / motion.fps
    centre = pose.mean(axis=0) * [1, 1, 0]
    turned = np.stack(
        [
            np.stack([np.cos(angles), -np.sin(angles), 0 * angles], -1),
            np.stack([np.sin(angles), np.cos(angles), 0 * angles], -1),
            np.stack([0 * angles, 0 * angles, 1 + 0 * angles], -1),
        ],
        axis=1,
    )
    joints = np.einsum("fij,kj->fki", turned, pose - centre) + centre
    points = sample_camera(generator, joints, motion.fps).project(joints)
    return see_clip(see(points, 1.0, [seed], "pose", motion.fps), {}, "pose")


def load(motion: str, data_dir: Path, log_dir: Path) -> Encoder:
    """Return the encoder of a motion, or the generic one."""
    if motion != GENERIC_MOTION:
        return load_trained(motion, data_dir, log_dir)
    return load_encoder(GENERIC, log_dir, Config(), torch.device("cpu"))[0]


def match(group: Group, encoder: Encoder) -> Iterator[Outcome]:
    """Match the pairs of a group, at most MOST_PAIRS of them."""
    pairs = [
        (row, column)
        for row, standard in enumerate(group.standards)
        for column, learner in enumerate(group.learners)
        if standard.recording != learner.recording
    ]
    generator = np.random.default_rng(0)
    drawn = generator.permutation(len(pairs))[:MOST_PAIRS]

    @cache
    def embedded(role: str, index: int) -> list[Array]:
        clip = (group.standards if role == "standard" else group.learners)[index]
        return [embed(encoder, rows) for rows in clip.features[: 2 if role == "standard" else 1]]

    for row, column in progress([pairs[index] for index in drawn], group.name, "pair"):
        standard, learner = group.standards[row], group.learners[column]
        placement = locate(
            embedded("standard", row),
            embedded("learner", column)[0],
            opposed=opposed(standard.turn, learner.turn),
            airborne=(standard.airborne, learner.airborne),
        )
        errors_s = event_errors(standard, learner, placement.matches[0].path)
        right = group.same and bool((np.abs(errors_s) <= RIGHT_S + 1e-9).all())
        yield Outcome(placement.evidence[0], right)


def event_errors(standard: Seen, learner: Seen, path: NDArray[np.int64]) -> Array:
    """Return the errors in s of the events that both clips mark, infinite for those not found."""
    names = [name for name in standard.events_s if name in learner.events_s]
    ticks = [standard.events_s[name] / standard.step_s for name in names]
    mapped = map_frames(path, len(standard.features[0]))
    found = np.interp(ticks, np.arange(len(mapped)), mapped)
    true = np.array([learner.events_s[name] / learner.step_s for name in names])
    errors_s: Array = (found - true) * learner.step_s
    return np.nan_to_num(errors_s, nan=np.inf)


def pool(groups: Sequence[Group], outcomes: Sequence[Sequence[Outcome]]) -> tuple[Any, Array]:
    """Return all outcomes and their weights.

    Half of the weight is of pairs that show the same motion, and every group of them has the same.
    """
    same = np.array([group.same for group in groups])
    kinds = np.where(same, same.sum(), (~same).sum())
    weights = [
        np.full(len(results), 0.5 / kind / len(results))
        for kind, results in zip(kinds, outcomes, strict=True)
    ]
    return [outcome for results in outcomes for outcome in results], np.concatenate(weights)


def print_constants(outcomes: Sequence[Outcome], weights: Array) -> None:
    """Fit the logistic regression and print the constants."""
    rows = [[getattr(outcome.evidence, name) for name in WEIGHTS] for outcome in outcomes]
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(
        rows, [outcome.right for outcome in outcomes], sample_weight=weights * len(outcomes)
    )
    print(f"INTERCEPT = {fitted.intercept_[0]:.2f}")
    names = zip(WEIGHTS, fitted.coef_[0], strict=True)
    print("WEIGHTS =", {name: round(float(weight), 2) for name, weight in names})


def row(group: Group, outcomes: Sequence[Outcome]) -> list[Any]:
    """Return the row of a group in the table."""
    right = np.array([outcome.right for outcome in outcomes])
    trust = np.array([share_right(outcome.evidence) for outcome in outcomes])
    sure = trust >= CONFIDENT
    kind = "" if group.same else "wrong: "
    return [
        f"{kind}{group.name}", group.encoder, len(right), right.mean() if group.same else None,
        np.median(trust), sure.mean(), right[sure].mean() if group.same and sure.any() else None,
        (trust < ALIKE).mean(),
    ]  # fmt: skip


if __name__ == "__main__":
    cli.run(main)
