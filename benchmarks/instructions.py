"""Measure how well the instructions of tcc/report/ find faults, and how often they are wrong.

    python3 -m benchmarks.instructions
    python3 -m benchmarks.instructions --seeds 2 --jumps 20

Synthetic skaters with one planted fault are compared with a faultless skater, and the jumps of
FS-Jump3D with each other. Reads fs_jump3d/ of the folder that TCC_REAL_DATA names (default
../shared/data). docs/instructions.md explains the tables.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from tabulate import tabulate

from benchmarks.measures import FPS, STEP, THRESHOLD, Jump, facing, from_all_sides, measure_markers
from benchmarks.real_data import fs_events, joints_3d, load
from tcc import cli
from tcc.clips import Clip
from tcc.features import ANKLES, HIPS, fill_joints, torso_length
from tcc.report.accuracy import ERRORS, NOISE_S, Key, near_frames, number_of
from tcc.report.events import BEND_S, complete, mark, tempo
from tcc.report.found_events import learner_events
from tcc.report.instructions import Advice, advise, spread
from tcc.report.measures import AT_S, MEASURES, arms_closing, at_places, mirror_name
from tcc.report.performance import Performance, perform
from tcc.report.rules import Rule, read_rules
from tcc.synthetic.camera import NOISE, detect, sample_camera
from tcc.synthetic.skater import Motion
from tcc.tracking import Track
from tcc_config import Config
from tcc_model import GENERIC, load_encoder
from tcc_pair import find_start
from tests.jumpers import FAULTS, Fault, jumper, keypoints_of, seen_from

ROOT = Path(__file__).resolve().parents[1]
Array = NDArray[np.float64]
# Azimuth from the direction of travel and elevation of the learner's cameras, degrees. The first
# three see most measures from a side from which they are offered; the last sees the skater from the
# front and then from behind.
CAMERAS = ((90.0, 0.0), (110.0, 8.0), (-80.0, 15.0), (10.0, 5.0))
COACH_CAMERA = (90.0, 0.0)
GOOD = 2000  # seed of the first clip that shows what is usual
COACH = 1000  # number added to the seed of a learner for the seed of the faultless standard
FITTED = (0.0, 0.5, 1.0, 1.8)  # factors of the detector's errors to which ERRORS are fitted
MODEST = 0.5  # of the detector's errors on amateurs
CLIPS = 24  # that show what is usual, if there are any
STANDARDS = 4  # other skaters' jumps with which a jump of FS-Jump3D is compared, at most


@dataclass(frozen=True, slots=True)
class Case:
    """One learner beside one standard, and what the report says."""

    name: str
    fault: Fault | None
    clockwise: bool
    camera: int
    noise: float
    learner: Performance
    standard: Performance
    confidence: float
    good: Sequence[Performance] = ()

    def advice(self, rules: Sequence[Rule]) -> Advice:
        """Return what the report says."""
        around = spread(self.good, self.standard)
        return advise(self.learner, self.standard, around, rules, self.confidence)

    def offered(self) -> bool:
        """Return whether the fault can be seen in both clips."""
        assert self.fault is not None
        keys = [self.own(key) for key in self.fault.names]
        clips = (self.learner, self.standard)
        return all(any(np.isfinite(number_of(clip, key)) for key in keys) for clip in clips)

    def own(self, key: Key) -> Key:
        """Return a key of the fault with the learner's own left and right."""
        return (mirror_name(key[0]), key[1]) if self.clockwise and key[1] else key


def clip_of(keypoints: NDArray[np.float32], fps: float, name: str) -> Clip:
    """Return a clip of keypoints (F, 17, 3)."""
    count = len(keypoints)
    track = Track(
        keypoints, np.ones(count, bool), np.zeros(count, np.int32), 1.0, np.ones(count, np.int32),
        np.zeros(count, bool),
    )  # fmt: skip
    return Clip(name, Path(name), track, np.arange(count) / fps, [], 0, count)


def see(
    points_px: NDArray[np.floating[Any]],
    noise: float,
    seed: Sequence[int],
    name: str,
    fps: float = 30.0,
) -> Clip:
    """Return the clip of points (F, 17, 2) px, with the detector's errors times `noise`."""
    if not noise:
        return clip_of(keypoints_of(points_px), fps, name)
    generator = np.random.default_rng(list(seed))
    return clip_of(detect(generator, np.asarray(points_px, np.float64), fps, noise), fps, name)


def marked(clip: Clip, frames: Mapping[str, int], mirrored: bool = False) -> Performance:
    """Return a performance whose take-off and landing are marked."""
    points = fill_joints(clip.keypoints, THRESHOLD)
    found = complete(mark(frames, clip.times_s), points, clip.times_s)
    return perform(clip, found, THRESHOLD, mirrored)


def matched(chain: Any, clip: Clip, standard: Performance) -> tuple[Performance, float, bool]:
    """Return a performance as the report finds it, the confidence, and whether it is mirrored."""
    encoder, settings = chain
    result = find_start(encoder, clip, standard.clip, "dtw", settings)
    path = result.matches[0].path
    found = learner_events(clip, standard.clip, standard.events, path, THRESHOLD)
    return perform(clip, found, THRESHOLD), result.confidences[0], result.mirrored


def filmed(
    motion: Motion, camera: tuple[float, float], noise: float, seed: Sequence[int], name: str
) -> Clip:
    """Return the clip of a synthetic skater."""
    return see(seen_from(motion.joints_m, *camera), noise, seed, name, motion.fps)


def synthetic(
    names: Sequence[str], seeds: Sequence[int], noise: float, chain: Any = None, clips: int = 0
) -> Iterator[Case]:
    """Yield all cases; the name "" is the faultless skater.

    Args:
        names: of FAULTS.
        seeds: of the learners.
        noise: factor of the detector's errors.
        chain: encoder and settings that find the events; None: the events are known.
        clips: number of clips of other faultless skaters, which show what is usual.
    """
    for name in names:
        fault = FAULTS.get(name)
        good: dict[bool, list[Performance]] = {False: [], True: []}
        for seed in range(GOOD, GOOD + clips):
            motion = jumper(seed, fault=fault, planted=False)
            clip = filmed(motion, CAMERAS[seed % (len(CAMERAS) - 1)], noise, [seed], "good")
            for mirrored, performances in good.items():
                performances.append(marked(clip, motion.events, mirrored))
        for seed in seeds:
            coach = jumper(COACH + seed, fault=fault, planted=False, variety=0)
            clip = filmed(coach, COACH_CAMERA, noise, [COACH + seed], "standard")
            standards = [marked(clip, coach.events, mirrored) for mirrored in (False, True)]
            for clockwise, (camera, place) in product((False, True), enumerate(CAMERAS)):
                motion = jumper(seed, clockwise, fault)
                numbers = [seed, clockwise, camera, *name.encode()]
                learner_clip = filmed(motion, place, noise, numbers, "learner")
                if chain:
                    learner, sure, mirrored = matched(chain, learner_clip, standards[0])
                else:
                    learner, sure, mirrored = marked(learner_clip, motion.events), 1.0, clockwise
                yield Case(
                    name, fault, clockwise, camera, noise, learner, standards[mirrored], sure,
                    good[mirrored],
                )  # fmt: skip


def planted(cases: Sequence[Case], rules: Sequence[Rule]) -> list[list[Any]]:
    """Return for each fault how often it is offered, first, among the three, with the right text.

    The last number is that of the instructions about something else.
    """
    by_name = {rule.name: rule for rule in rules}
    rows = []
    for name in FAULTS:
        fault = FAULTS[name]
        seen, first, among, right, other = 0, 0, 0, 0, 0
        for case in (case for case in cases if case.name == name):
            if case.camera == len(CAMERAS) - 1 or not case.offered():
                continue
            seen += 1
            told = case.advice(rules).instructions
            topics = [by_name[instruction.rule].topic for instruction in told]
            first += topics[:1] == [fault.topic]
            other += sum(topic != fault.topic for topic in topics)
            if fault.topic in topics:
                among += 1
                instruction = told[topics.index(fault.topic)]
                rule = by_name[instruction.rule]
                side = case.own(fault.names[0])[0].partition("_")[0]
                text = rule.high if fault.sign > 0 else rule.low
                right += instruction.title == text.title.format(side=side)
        rows.append([name, seen, first, among, right, other])
    return rows


def shares(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the counts of `planted` as shares, with a row for all faults.

    The right text is a share of the faults that are among the three, NaN if there are none.
    """
    total = ["all", *np.sum([row[1:] for row in rows], axis=0)]
    return [
        [name, seen, first / seen, among / seen, right / among if among else np.nan, other / seen]
        for name, seen, first, among, right, other in [*rows, total]
    ]


def quiet(cases: Sequence[Case], rules: Sequence[Rule]) -> float:
    """Return the share of the faultless learners who get no instruction."""
    told = [case.advice(rules).instructions for case in cases if not case.name]
    return float(np.mean([not instructions for instructions in told]))


def true_values(motion: Motion) -> dict[Key, float]:
    """Return the measures and quantities of the joints in 3D, at the marked events."""
    joints_m, times_s = motion.joints_m, np.arange(len(motion.joints_m)) / motion.fps
    found = complete(mark(motion.events, times_s), joints_m[..., [0, 2]] * [1, -1], times_s)
    body = joints_m - joints_m[:, HIPS].mean(axis=1)[:, None]
    body = body / torso_length(joints_m, motion.fps)[:, None, None]
    ahead = facing(joints_m)
    side = np.stack([(body[..., :2] * ahead[:, None]).sum(axis=-1), body[..., 2]], axis=-1)
    curves = {
        name: from_all_sides(measure.function(side if name == "trunk_tilt" else body))
        for name, measure in MEASURES.items()
    }
    values = {
        (name, place): value.value
        for name, measure in MEASURES.items()
        for place, value in at_places(curves[name], measure, found, times_s).items()
    }
    closing = arms_closing(curves, found, times_s)
    flight_s = tempo(found, times_s)["flight"].value
    return {**values, ("arms_closing", ""): closing.value if closing else np.nan,
            ("flight", ""): flight_s}  # fmt: skip


def change(fault: Fault, seed: int, clockwise: bool = False) -> dict[Key, float]:
    """Return by how much a fault changes the true values of a skater."""
    with_fault = true_values(jumper(seed, clockwise, fault))
    without = true_values(jumper(seed, clockwise, fault, planted=False))
    return {key: with_fault[key] - without[key] for key in with_fault.keys() & without.keys()}


def exact_errors(cases: Sequence[Case], seeds: Sequence[int]) -> list[list[Any]]:
    """Return the errors of the measures of faultless skaters with exact keypoints."""
    errors: dict[str, list[float]] = {}
    truths = {(seed, clockwise): true_values(jumper(seed, clockwise))
              for seed, clockwise in product(seeds, (False, True))}  # fmt: skip
    keys = [key for key in product(seeds, (False, True)) for _ in CAMERAS]
    for case, key in zip((case for case in cases if not case.name), keys, strict=True):
        for (name, place), true in truths[key].items():
            if np.isfinite(found := number_of(case.learner, (name, place))):
                label = f"{name.removeprefix('left_').removeprefix('right_')} {place}".strip()
                errors.setdefault(label, []).append(found - true)
    return [[name, len(wrong), float(np.median(np.abs(wrong))),
             float(np.quantile(np.abs(wrong), 0.9))] for name, wrong in errors.items()]  # fmt: skip


def recorded(source: Path, skaters: str, cameras: int, limit: int | None) -> dict[str, list[Any]]:
    """Return {name of a jump: (markers, marks, clips of several random cameras)} of FS-Jump3D."""
    markers, events = load(source / "fs_jump3d/markers_60hz_mm.npz"), fs_events(source)
    jumps = {}
    names = [name for name, event in events.items()
             if event["plausible"] and name.split("/")[0][-1] in skaters]  # fmt: skip
    for name in names[:: max(1, len(names) // limit) if limit else 1]:
        joints, first = joints_3d(markers[name], markers["joint_names"].tolist())
        marks = {key: -(-(events[name][key] - first) // STEP) for key in ("takeoff", "landing")}
        if marks["takeoff"] < BEND_S[1] * FPS:
            continue
        joints = joints[::STEP]
        clips = []
        for camera in range(cameras):
            generator = np.random.default_rng([0, camera, *name.encode()])
            points = sample_camera(generator, joints, FPS).project(joints)
            noise = generator.uniform(*NOISE)
            clips.append(clip_of(detect(generator, points, FPS, noise), FPS, name))
        jumps[name] = [joints, marks, clips]
    return jumps


def compare_recorded(
    jumps: Mapping[str, list[Any]], skaters: str, rules: Sequence[Rule], chain: Any = None
) -> list[Any]:
    """Return the row of skaters in the third table.

    Args:
        jumps: from `recorded`, with three cameras.
        skaters: the learners. The standards of the first part are the other skaters' jumps.
        rules: from `read_rules`.
        chain: encoder and settings that find the learner's events; None: they are known.
    """
    standards = {name: marked(clips[2], marks) for name, (_, marks, clips) in jumps.items()}

    def told(name: str, camera: int, standard: Performance) -> list[str]:
        _, marks, clips = jumps[name]
        if chain:
            learner, sure, mirrored = matched(chain, clips[camera], standard)
            if mirrored:
                return []  # all skaters turn to the left
        else:
            learner, sure = marked(clips[camera], marks), 1.0
        advice = advise(learner, standard, spread([], standard), rules, sure)
        return [instruction.title for instruction in advice.instructions]

    pairs, repeated = [], []
    for name in (name for name in jumps if name.split("/")[0][-1] in skaters):
        skater, kind, _ = name.split("/")
        others = [other for other in jumps if other.split("/")[1] == kind]
        different = [other for other in others if other.split("/")[0] != skater][:STANDARDS]
        pairs += [[(told(name, camera, standards[other]) or [""])[0] for camera in (0, 1)]
                  for other in different]  # fmt: skip
        same = [other for other in others if other.split("/")[0] == skater and other != name]
        repeated += [len(told(name, 0, standards[other])) for other in same[:STANDARDS]]
    equal = np.array([first == second for first, second in pairs])
    silent = np.array([not first and not second for first, second in pairs])
    shares = [float(np.mean(found)) for found in (equal, silent, equal[~silent], repeated)]
    return [skaters, "path and motion" if chain else "known", len(pairs), *shares[:3],
            len(repeated), shares[3]]  # fmt: skip


def fit_errors(jumps: Mapping[str, list[Any]], seed: int = 0) -> list[list[Any]]:
    """Return ERRORS, fitted to pairs of clips of jumps of one kind.

    The squared error of a difference is fitted by non-negative least squares, and scaled so that
    68 % of the errors are within one standard deviation. At events, the knee is that of the leg
    that carries the weight, as the markers show it.
    """
    rows: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    generator = np.random.default_rng(seed)
    for name, (joints, marks, _) in jumps.items():
        times_s = np.arange(len(joints)) / FPS
        truth = Jump(name, "", times_s, measure_markers(joints, marks), [])
        for camera, noise in product(range(4), FITTED):
            numbers = np.random.default_rng([1, camera, *name.encode()])
            points = sample_camera(numbers, joints, FPS).project(joints)
            found = marked(see(points, noise, [2, camera, *name.encode()], name), marks)
            for (measure, place), value in found.values.items():
                base = measure.removeprefix("left_").removeprefix("right_")
                if base == "knee" and place in found.events:
                    height = np.median(joints[truth.frames(place)][:, ANKLES, 2], axis=0)
                    if measure != ("left_knee" if height[0] < height[1] else "right_knee"):
                        continue
                true = truth.true_values(measure).get(place, np.nan)
                if (base, place) in ERRORS and np.isfinite(value.value - true):
                    parts = spread_of_error(found, (measure, place))
                    kind = measure if place not in found.events or base != "knee" else base
                    row = (name.split("/")[1], kind, value.value - true, *parts)
                    rows.setdefault((base, place), []).append(row)
    table = []
    for key, found_rows in rows.items():
        picked = generator.integers(len(found_rows), size=(200000, 2))
        pairs = [(found_rows[i][2:], found_rows[j][2:]) for i, j in picked
                 if i != j and found_rows[i][:2] == found_rows[j][:2]]  # fmt: skip
        (error, noise, view), (error2, noise2, view2) = np.transpose(pairs, (1, 2, 0))
        squared = (error - error2) ** 2
        target = np.minimum(squared, 16 * np.median(squared))
        terms = np.stack([np.full(len(pairs), 2.0), noise**2 + noise2**2, (view - view2) ** 2], 1)
        weights, _ = nnls(terms / target.mean(), target / target.mean())
        scale = np.quantile(np.sqrt(squared / np.maximum(terms @ weights, 1e-9)), 0.68)
        table.append([*key, len(pairs), *(scale * np.sqrt(weights))])
    return table


def spread_of_error(performance: Performance, key: Key) -> tuple[float, float]:
    """Return the noise of a measure and the squared cosine of the azimuth, as `_error` does."""
    name, at = key
    curve, sides = performance.curves[name], MEASURES[name].places[at]
    near = near_frames(performance, at, NOISE_S)
    angle = curve.azimuth[near_frames(performance, at, AT_S)]
    angle = angle[(sides.low <= angle) & (angle <= sides.high)]
    noise = float(np.median(np.abs(curve.raw - curve.filtered)[near]))
    return noise, float(np.mean(np.cos(np.radians(angle)) ** 2))


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="(%(default)s)")
    parser.add_argument("--jumps", type=int, metavar="N", help="of FS-Jump3D (default: all)")
    args = parser.parse_args()
    source = Path(os.environ.get("TCC_REAL_DATA", ROOT / "../shared/data"))
    rules = read_rules()
    encoder, settings, _ = load_encoder(GENERIC, source, Config(), torch.device("cpu"))
    seeds = range(args.seeds)
    real = (encoder, settings)
    for noise, chain, clips in (
        (0.0, None, 0), (MODEST, None, 0), (MODEST, real, 0),
        (0.0, None, CLIPS), (MODEST, None, CLIPS), (MODEST, real, CLIPS),
    ):  # fmt: skip
        cases = list(synthetic(["", *FAULTS], seeds, noise, chain, clips))
        rows = shares(planted(cases, rules))
        what = "events by path and motion" if chain else "known events"
        what += f", {clips} clips of good executions"
        show(f"Planted faults, errors of the detector times {noise:g}, {what}",
             ["fault", "cases", "first", "among three", "right text", "others"], rows)  # fmt: skip
        print(f"faultless learners without an instruction: {quiet(cases, rules):.2f}\n")
        if not noise and not clips:
            show("Errors of the measures with exact keypoints",
                 ["measure", "values", "median", "90 %"], exact_errors(cases, seeds))  # fmt: skip
    jumps = recorded(source, "ABC", 3, args.jumps)
    chosen = {name: jump for name, jump in jumps.items() if name.split("/")[0][-1] != "C"}
    rows = [
        compare_recorded(these, skaters, rules, chain)
        for skaters, these in (("AB", chosen), ("C", jumps))
        for chain in (None, (encoder, settings))
    ]
    show("FS-Jump3D", ["learners", "events", "pairs", "same first", "none twice",
                       "same of the others", "repetitions", "instructions"], rows)  # fmt: skip
    show("Errors of a measure", ["measure", "at", "pairs", "base", "noise", "view"],
         fit_errors(chosen))  # fmt: skip


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table."""
    print(f"{title}\n\n{tabulate(rows, header, 'github', floatfmt='.2g')}\n", flush=True)


if __name__ == "__main__":
    cli.run(main)
