"""Measure how well the instructions of tcc/report/ find faults, and how often they are wrong.

    python3 -m benchmarks.instructions
    python3 -m benchmarks.instructions --seeds 2 --jumps 20

Synthetic skaters with one planted fault are compared with a faultless skater, and the jumps of
FS-Jump3D with each other. Reads fs_jump3d/ of the folder that TCC_REAL_DATA names (default
../shared/data). docs/instructions.md explains the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measures import THRESHOLD
from tcc.clips import Clip
from tcc.features import fill_joints
from tcc.report.events import carry_over, combine, complete, find_flight, mark
from tcc.report.instructions import (
    Advice,
    Key,
    Rule,
    advise,
    spread,
)
from tcc.report.measures import mirror_name
from tcc.report.performance import Performance, perform
from tcc.synthetic.camera import detect
from tcc.synthetic.skater import Motion
from tcc.tracking import Track
from tcc_pair import find_start
from tests.jumpers import FAULTS, Fault, jumper, keypoints_of, seen_from

ROOT = Path(__file__).resolve().parents[1]
Array = NDArray[np.float64]
# Azimuth from the direction of travel and elevation of the learner's cameras, degrees. The first
# three see most measures from a side from which they are offered; the last sees the skater from the
# front and then from behind.
CAMERAS = ((90.0, 0.0), (110.0, 8.0), (-80.0, 15.0), (10.0, 5.0))
COACH_CAMERA = (90.0, 0.0)
COACH = 1000  # seed of the faultless standard
MODEST = 0.5  # of the detector's errors on amateurs
Finder = Callable[[Clip, Performance, Mapping[str, int]], tuple[dict[str, Any], float, bool]]


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

    def advice(self, rules: Sequence[Rule]) -> Advice:
        """Return what the report says."""
        around = spread([], self.standard)
        return advise(self.learner, self.standard, around, rules, self.confidence)

    def offered(self) -> bool:
        """Return whether the fault can be seen in both clips."""
        assert self.fault is not None
        return any(
            np.isfinite(number(performance, key))
            for key in self.fault.names
            for performance in (self.learner,)
        ) and all(
            any(np.isfinite(number(p, self.own(key))) for key in self.fault.names)
            for p in (self.learner, self.standard)
        )

    def own(self, key: Key) -> Key:
        """Return a key of the fault with the learner's own left and right."""
        return (mirror_name(key[0]), key[1]) if self.clockwise and key[1] else key


def number(performance: Performance, key: Key) -> float:
    """Return a value or a quantity, NaN if it is not known."""
    known = performance.values.get(key) or performance.quantities.get(key[0])
    return known.value if known else float("nan")


def clip_of(keypoints: NDArray[np.float32], fps: float, name: str) -> Clip:
    """Return a clip of keypoints (F, 17, 3)."""
    count = len(keypoints)
    track = Track(
        keypoints, np.ones(count, bool), np.zeros(count, np.int32), 1.0, np.ones(count, np.int32)
    )
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
    return clip_of(detect(generator, points_px, fps, noise), fps, name)


def marked(clip: Clip, frames: Mapping[str, int], mirrored: bool = False) -> Performance:
    """Return a performance whose take-off and landing are marked."""
    points = fill_joints(clip.keypoints, THRESHOLD)
    found = complete(mark(frames, clip.times_s), points, clip.times_s)
    return perform(clip, found, THRESHOLD, mirrored)


def matched(chain: Any, clip: Clip, standard: Performance) -> tuple[Performance, float, bool]:
    """Return a performance as the report finds it, the confidence, and whether it is mirrored."""
    encoder, settings = chain
    result = find_start(encoder, clip, standard.clip, "dtw", settings)
    points = fill_joints(clip.keypoints, THRESHOLD)
    carried = {name: event for name, event in standard.events.items() if event.source == "marked"}
    found = combine(
        carry_over(carried, result.matches[0].path, standard.clip.times_s, clip.times_s),
        find_flight(points, clip.times_s),
        clip.times_s,
    )
    found = complete(found, points, clip.times_s)
    return perform(clip, found, THRESHOLD), result.confidences[0], result.mirrored


def filmed(
    motion: Motion, camera: tuple[float, float], noise: float, seed: Sequence[int], name: str
) -> Clip:
    """Return the clip of a synthetic skater."""
    return see(seen_from(motion.joints_m, *camera), noise, seed, name, motion.fps)


def synthetic(
    names: Sequence[str], seeds: Sequence[int], noise: float, chain: Any = None
) -> Iterator[Case]:
    """Yield all cases; the name "" is the faultless skater.

    Args:
        names: of FAULTS.
        seeds: of the learners.
        noise: factor of the detector's errors.
        chain: encoder and settings that find the events; None: the events are known.
    """
    for name in names:
        fault = FAULTS.get(name)
        coach = jumper(COACH, fault=fault, planted=False, variety=0)
        clip = filmed(coach, COACH_CAMERA, noise, [COACH], "standard")
        standards = [marked(clip, coach.events, mirrored) for mirrored in (False, True)]
        for seed, clockwise in product(seeds, (False, True)):
            motion = jumper(seed, clockwise, fault)
            for camera, place in enumerate(CAMERAS):
                numbers = [seed, clockwise, camera, *name.encode()]
                learner_clip = filmed(motion, place, noise, numbers, "learner")
                if chain:
                    learner, sure, mirrored = matched(chain, learner_clip, standards[0])
                else:
                    learner, sure, mirrored = marked(learner_clip, motion.events), 1.0, clockwise
                yield Case(
                    name, fault, clockwise, camera, noise, learner, standards[mirrored], sure
                )
