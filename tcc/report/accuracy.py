"""How exact a measure or a quantity is in one clip, and how much its value counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tcc.report.events import PHASES
from tcc.report.measures import AT_S, MEASURES
from tcc.report.performance import QUANTITIES, Performance

Key = tuple[str, str]  # measure and its event or phase, or quantity and ""
SIDES = ("left", "right")
NOISE_S = 0.3  # the noise of a measure is that of the frames at most this long from the event


class Error(NamedTuple):
    """Standard deviations of the error of a measure at an event or in a phase.

    `base` is that of an exact detector and a camera at the side. `noise` is multiplied by the
    median distance of the raw from the filtered curve. `view` is multiplied by the difference of
    the squared cosines of the azimuths of two cameras.
    """

    base: float
    noise: float
    view: float


# Fitted to skaters A and B of FS-Jump3D by benchmarks/instructions.py, see docs/instructions.md.
# At events, the knee is that of the leg that carries the weight.
ERRORS = {
    ("knee", "entry"): Error(18, 2.4, 63),
    ("knee", "takeoff"): Error(6.2, 1.2, 11),
    ("knee", "flight"): Error(4.7, 0.71, 21),
    ("knee", "landing"): Error(7.8, 1.5, 16),
    ("trunk_tilt", "entry"): Error(9.7, 3.3, 26),
    ("trunk_tilt", "takeoff"): Error(5.9, 1.3, 12),
    ("trunk_tilt", "landing"): Error(4.3, 1.4, 12),
    ("trunk_tilt", "exit"): Error(8.1, 2.8, 19),
    ("axis_tilt", "entry"): Error(7.3, 5.8, 53),
    ("axis_tilt", "takeoff"): Error(5.8, 0, 0),
    ("axis_tilt", "flight"): Error(4.8, 0.99, 0),
    ("axis_tilt", "landing"): Error(4.3, 1.9, 14),
    ("ankle_gap", "entry"): Error(0.24, 2.8, 1.6),
    ("ankle_gap", "flight"): Error(0.086, 0.96, 0),
    ("ankle_gap", "landing"): Error(0.11, 1.4, 0.24),
    ("free_leg_height", "entry"): Error(0.21, 1.3, 0.2),
    ("free_leg_height", "landing"): Error(0.084, 1.5, 0.17),
    ("free_leg_height", "exit"): Error(0.18, 1.8, 0.084),
}


def number_of(performance: Performance, key: Key) -> float:
    """Return a value or a quantity, NaN if it is not known."""
    known = performance.values.get(key) or performance.quantities.get(key[0])
    return known.value if known else float("nan")


def error_of(key: Key, compared: Sequence[Performance]) -> float:
    """Return the standard deviation of the error of a learner's value, or of a difference.

    A quantity carries its own. The variance of a measure is the sum of: base^2 of each clip;
    (noise r)^2 of each, where r is the median distance of the raw from the filtered curve; the
    variance of the filtered curve within one standard deviation of the event, of each; and
    (view (p - q))^2, where p and q are the squared cosines of the azimuths of both cameras. q is 0,
    a camera at the side, if the learner is compared with many clips.

    Args:
        key: what is compared.
        compared: the learner, and the standard if there are no other good executions.
    """
    name, at = key
    if name in QUANTITIES:
        parts = [performance.quantities[name].uncertainty for performance in compared]
        return float(np.linalg.norm(parts))
    error = ERRORS[without_side(name), at]
    parts, views = [], []
    for performance in compared:
        curve = performance.curves[name]
        noise = np.abs(curve.raw - curve.filtered)[near_frames(performance, at, NOISE_S)]
        parts += [error.base, error.noise * float(np.median(noise))]
        if at in performance.events:
            late_s = performance.events[at].uncertainty_s
            parts.append(float(curve.filtered[near_frames(performance, at, late_s)].std()))
        sides, angle = MEASURES[name].places[at], curve.azimuth[near_frames(performance, at, AT_S)]
        angle = angle[(sides.low <= angle) & (angle <= sides.high)]
        views.append(float(np.mean(np.cos(np.radians(angle)) ** 2)))
    return float(np.linalg.norm([*parts, error.view * (views[0] - sum(views[1:]))]))


def weight_of(key: Key, performance: Performance) -> float:
    """Return in [0, 1] how much a value counts: the share of the valid frames.

    In a phase, a skater who turns is seen from the sides of the measure for a part of the frames
    only. So all of the frames from these sides are the whole.
    """
    name, at = key
    if name in QUANTITIES:
        return 1.0
    share = performance.values[key].valid_share
    if at in PHASES:
        sides = MEASURES[name].places[at]
        share = min(1.0, share / ((sides.high - sides.low) / 180))
    return share


def near_frames(performance: Performance, at: str, within_s: float) -> NDArray[np.bool_]:
    """Return (F,) which frames are in a phase, or at most `within_s` from an event."""
    times_s = performance.clip.times_s
    if at not in PHASES:
        near: NDArray[np.bool_] = (
            np.abs(times_s - times_s[performance.events[at].frame]) <= within_s + 1e-9
        )
        return near
    start, end = performance.phases[at]
    near = np.zeros(len(times_s), bool)
    near[start:end] = True
    return near


def without_side(name: str) -> str:
    """Return the name of a measure without left or right."""
    side, _, part = name.partition("_")
    return part if side in SIDES else name
