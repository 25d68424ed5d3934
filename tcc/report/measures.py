"""Measures of a skater's body that 2D keypoints can tell, and from which side they can be trusted.

A picture shows an angle at its true size only from the side of the plane in which the joint bends.
`benchmarks/measures.py` compares each measure with 3D markers by the azimuth of the camera. A
measure is offered only from where its error is smaller than the differences between skaters; see
docs/measures.md.

Every function of MEASURES takes points (F, 17, D) in torso lengths, of which the last of the D axes
points up, and returns (F,). So one function measures pictures (D = 2) and 3D markers (D = 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt

from tcc.clock import clock, rate, resample
from tcc.coco import JOINTS
from tcc.features import ANKLES, HIPS, SHOULDERS, fill_joints, normalize, torso_length
from tcc.report.events import Event, Quantity, phases

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]

CUTOFF_HZ = 6.0  # of the filter; see docs/measures.md
# Width of shoulders and hips of FS-Jump3D's skaters A and B seen from the front, torso lengths.
WIDTHS = ((SHOULDERS, 0.62), (HIPS, 0.42))
AT_S = 0.05  # the value at an event is the median of the valid frames at most this long from it
TURN_S = 0.067  # standard deviation of the Gaussian that averages the speed of the turn
CLOSED = 0.5  # the arms are closed if the wrists are nearer to the trunk, torso lengths
STAY_CLOSED = 0.6  # and if they stay nearer than this
HOLD_S = 0.1  # for so long
ARMS_S = 0.08  # standard deviation of the time until the arms are closed; see docs/measures.md


class Place(NamedTuple):
    """Where a measure is offered: at an event or in a phase, from some sides.

    `low` and `high` are the smallest and largest azimuth of the camera, degrees, see `azimuth`.
    `tolerance` is the usual difference there between two skaters, in the measure's unit.
    """

    low: float
    high: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of the body in each frame.

    Attributes:
        unit: of the values.
        zero: what 0 means.
        joints: indices of the joints that it needs.
        function: see the top of this file.
        places: {event or phase: where it is offered}.
    """

    unit: str
    zero: str
    joints: tuple[int, ...]
    function: Callable[[Array], Array]
    places: dict[str, Place]


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure in F frames, each (F,).

    `raw` and `filtered` are in its unit. `valid` says where it is offered, in any of its places,
    and `azimuth` is that of the camera, degrees.
    """

    raw: Array
    filtered: Array
    valid: NDArray[np.bool_]
    azimuth: Array


@dataclass(frozen=True, slots=True)
class Value:
    """A measure at an event or in a phase: the median of the valid frames, NaN if there are none.

    `valid_share` is the share of the frames that are valid.
    """

    value: float
    valid_share: float


def curves(keypoints: Array, times_s: Times, threshold: float) -> dict[str, Curve]:
    """Return the curve of each measure.

    The filter is a Butterworth low pass of order 2 at CUTOFF_HZ, run forwards and backwards over
    the joints, so that nothing is delayed. A frame is valid if the detector is sure of all joints
    and the azimuth of the camera is in one of the measure's `places`.

    Args:
        keypoints: (F, 17, 3) x px, y px, confidence.
        times_s: (F,) s.
        threshold: joints of a lower confidence are interpolated, and not valid.
    """
    points = fill_joints(keypoints, threshold)
    raw = normalize(points, rate(times_s)) * [1, -1]
    filtered = low_pass(raw, times_s)
    seen = keypoints[..., 2] >= threshold
    angle = azimuth(points, rate(times_s))
    found = {}
    for name, measure in MEASURES.items():
        valid = np.any([_between(angle, place) for place in measure.places.values()], axis=0)
        valid = valid & seen[:, [*measure.joints, *SHOULDERS, *HIPS]].all(axis=1)
        found[name] = Curve(measure.function(raw), measure.function(filtered), valid, angle)
    return found


def at_places(
    curve: Curve, measure: Measure, events: Mapping[str, Event], times_s: Times
) -> dict[str, Value]:
    """Return the value of a measure at each of its places that the clip has.

    Args:
        curve: of the measure.
        measure: of MEASURES.
        events: see `tcc.report.events`.
        times_s: (F,) s.
    """
    spans = phases(events, times_s)
    found = {}
    for place, sides in measure.places.items():
        if place in events:
            near = np.abs(times_s - times_s[events[place].frame]) <= AT_S + 1e-9
        elif place in spans:
            near = np.zeros(len(times_s), bool)
            near[slice(*spans[place])] = True
        else:
            continue
        good = near & curve.valid & _between(curve.azimuth, sides)
        value = float(np.median(curve.filtered[good])) if good.any() else float("nan")
        found[place] = Value(value, float(good.sum() / near.sum()))
    return found


def azimuth(points: Array, fps: float) -> Array:
    """Return the azimuth of the camera around the skater, (F,) degrees: 0 in front, 180 behind.

    Left and right of the skater are both 90. The width of shoulders and of hips in the picture,
    relative to the torso, is WIDTHS times the cosine of this angle. It is not filtered, because a
    skater turns up to five times in a second.

    Args:
        points: (F, 17, 2) px, without gaps.
        fps: frames per second.
    """
    width = _width(points) / torso_length(points, fps)
    return np.asarray(np.degrees(np.arccos(width.clip(-1, 1))))


def low_pass(values: Array, times_s: Times) -> Array:
    """Return values (F, ...) without what changes faster than CUTOFF_HZ; see `curves`."""
    ticks_s = clock(times_s, rate(times_s))
    fps = rate(ticks_s)
    if fps <= 2 * CUTOFF_HZ:
        return values
    filtered = sosfiltfilt(
        butter(2, CUTOFF_HZ, fs=fps, output="sos"), resample(values, times_s, ticks_s), axis=0,
        padlen=min(round(fps / CUTOFF_HZ), len(ticks_s) - 1),
    )  # fmt: skip
    return resample(filtered, ticks_s, times_s)


def arms_closing(
    found: Mapping[str, Curve], events: Mapping[str, Event], times_s: Times
) -> Quantity | None:
    """Return the time from the take-off until the arms are closed, s; 0: closed at the take-off.

    This is the first frame, from the take-off on, in which the mean distance of the wrists from the
    trunk is below CLOSED and from which it is below STAY_CLOSED for HOLD_S. It is the air time if
    there is none before the landing. All sides show it about equally well. The time before the
    take-off is left out: seen from the side, arms that swing past the trunk look closed.

    Args:
        found: from `curves`.
        events: None is returned without "takeoff" and "landing".
        times_s: (F,) s.
    """
    if not {"takeoff", "landing"} <= events.keys():
        return None
    takeoff, landing = events["takeoff"], events["landing"]
    wrists = np.stack([found[name].filtered for name in ("left_wrist", "right_wrist")])
    distance = wrists.mean(axis=0)
    frame = landing.frame
    for first in takeoff.frame + np.flatnonzero(distance[takeoff.frame : landing.frame] < CLOSED):
        end = int(np.searchsorted(times_s, times_s[first] + HOLD_S - 1e-9))
        if (distance[first:end] < STAY_CLOSED).all():
            frame = int(first)
            break
    uncertainty_s = float(np.hypot(takeoff.uncertainty_s, ARMS_S))
    return Quantity(float(times_s[frame] - times_s[takeoff.frame]), uncertainty_s)


def fastest_turn(points: Array, events: Mapping[str, Event], times_s: Times) -> float | None:
    """Return when the turn is fastest, as a share of the flight; 0: at the take-off.

    It is where the width of shoulders and hips in the picture changes fastest, averaged by a
    Gaussian of TURN_S.

    Args:
        points: (F, 17, 2) px, without gaps.
        events: None is returned without "takeoff" and "landing".
        times_s: (F,) s.
    """
    if not {"takeoff", "landing"} <= events.keys():
        return None
    ticks_s = clock(times_s, rate(times_s))
    points, fps = resample(points, times_s, ticks_s), rate(ticks_s)
    change = np.abs(np.gradient(_width(points) / torso_length(points, fps)))
    change = resample(gaussian_filter1d(change, TURN_S * fps), ticks_s, times_s)
    start, end = events["takeoff"].frame, events["landing"].frame
    fastest = start + int(change[start:end].argmax())
    return float((times_s[fastest] - times_s[start]) / (times_s[end] - times_s[start]))


def mirror_name(name: str) -> str:
    """Return the name of the measure that `name` becomes in the mirror image."""
    side, _, part = name.partition("_")
    return {"left": "right_", "right": "left_"}.get(side, f"{side}_") + part


def _between(angle: Array, sides: Place) -> NDArray[np.bool_]:
    """Return (F,) whether the camera is where a measure is offered."""
    return (sides.low <= angle) & (angle <= sides.high)


def _width(points: Array) -> Array:
    """Return (F,) px the width of shoulders and hips, divided by that seen from the front."""
    widths = [(points[:, left, 0] - points[:, right, 0]) / width for (left, right), width in WIDTHS]
    return np.asarray(np.mean(widths, axis=0))


def _angle(first: int, middle: int, last: int, points: Array) -> Array:
    """Return (F,) degrees the angle at a joint."""
    arms = points[:, [first, last]] - points[:, [middle]]
    lengths = np.linalg.norm(arms, axis=-1).prod(axis=-1)
    cosine = arms.prod(axis=1).sum(axis=-1) / np.maximum(lengths, 1e-9)
    return np.asarray(np.degrees(np.arccos(cosine.clip(-1, 1))))


def _tilt(lower: list[int], points: Array) -> Array:
    """Return (F,) degrees the angle of the line from a pair of joints to the shoulders."""
    line = points[:, SHOULDERS].mean(axis=1) - points[:, lower].mean(axis=1)
    return np.asarray(np.degrees(np.arctan2(np.linalg.norm(line[:, :-1], axis=-1), line[:, -1])))


def _gap(points: Array) -> Array:
    return np.asarray(np.linalg.norm(points[:, ANKLES[0]] - points[:, ANKLES[1]], axis=-1))


def _free_leg(points: Array) -> Array:
    return np.asarray(np.abs(points[:, ANKLES[0], -1] - points[:, ANKLES[1], -1]))


def _from_trunk(wrist: int, points: Array) -> Array:
    """Return (F,) the distance of a wrist from the line between hips and shoulders."""
    hips = points[:, HIPS].mean(axis=1)
    trunk = points[:, SHOULDERS].mean(axis=1) - hips
    arm = points[:, wrist] - hips
    share = (arm * trunk).sum(axis=-1) / np.maximum((trunk**2).sum(axis=-1), 1e-9)
    return np.asarray(np.linalg.norm(arm - share.clip(0, 1)[:, None] * trunk, axis=-1))


_FOLDED = "the limb is folded; 180 is straight"
_ARMS, _LEGS = (
    [tuple(JOINTS.index(f"{side}_{part}") for part in parts) for side in ("left", "right")]
    for parts in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
)


def _both(
    part: str,
    limbs: Sequence[tuple[int, ...]],
    function: Callable[..., Array],
    unit: str,
    zero: str,
    places: dict[str, Place],
) -> dict[str, Measure]:
    """Return the measures of the left and the right limb."""
    return {
        f"{side}_{part}": Measure(unit, zero, joints, partial(function, *joints), places)
        for side, joints in zip(("left", "right"), limbs, strict=True)
    }


# The places are those of the first table in docs/measures.md, by the rule that is stated there.
MEASURES = {
    **_both(
        "knee", _LEGS, _angle, "degrees", _FOLDED,
        {"entry": Place(30, 150, 16), "takeoff": Place(60, 120, 9),
         "flight": Place(30, 150, 13), "landing": Place(30, 150, 13)},
    ),
    **_both(
        "hip", [(arm[0], *leg[:2]) for arm, leg in zip(_ARMS, _LEGS, strict=True)], _angle,
        "degrees", "the thigh lies on the trunk; 180 is straight",
        {"entry": Place(30, 150, 21), "flight": Place(30, 150, 8),
         "landing": Place(30, 150, 11), "exit": Place(60, 120, 15)},
    ),
    "trunk_tilt": Measure(
        "degrees", "the shoulders are above the hips, seen from the side",
        (*HIPS, *SHOULDERS), partial(_tilt, HIPS),
        {"entry": Place(30, 150, 12), "takeoff": Place(30, 150, 6),
         "landing": Place(30, 150, 4), "exit": Place(30, 150, 9)},
    ),
    "axis_tilt": Measure(
        "degrees", "the shoulders are above the ankles, seen from the side",
        (*ANKLES, *SHOULDERS), partial(_tilt, ANKLES),
        {"entry": Place(60, 120, 8), "takeoff": Place(60, 120, 4),
         "flight": Place(60, 120, 4), "landing": Place(60, 120, 3)},
    ),
    "ankle_gap": Measure(
        "torso lengths", "the ankles touch", tuple(ANKLES), _gap,
        {"entry": Place(60, 120, 0.36), "flight": Place(60, 120, 0.14),
         "landing": Place(0, 180, 0.22)},
    ),
    "free_leg_height": Measure(
        "torso lengths", "both ankles are at the same height", tuple(ANKLES), _free_leg,
        {"entry": Place(0, 180, 0.45), "landing": Place(0, 180, 0.22),
         "exit": Place(0, 180, 0.19)},
    ),
    # Seen well enough from no side. The wrists only tell when the arms close.
    **_both("elbow", _ARMS, _angle, "degrees", _FOLDED, {}),
    **_both(
        "wrist", [arm[2:] for arm in _ARMS], _from_trunk,
        "torso lengths", "the wrist is on the line from hips to shoulders", {},
    ),
}  # fmt: skip
