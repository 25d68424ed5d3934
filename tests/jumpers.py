"""Skaters whose joints are known, for the tests of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.features import ANKLES
from tcc.flight import TORSO_M
from tcc.synthetic.body import MASSES
from tcc.synthetic.jumps import ARMS, LEGS, PHASES
from tcc.synthetic.skater import GRAVITY, Motion, sample_motion

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]
# A body that stands upright and faces the camera: x to the right, y up, in torso lengths.
STANDING = np.array(
    [(0, 1.4), (0.05, 1.45), (-0.05, 1.45), (0.1, 1.4), (-0.1, 1.4), (0.31, 1), (-0.31, 1),
     (0.35, 0.5), (-0.35, 0.5), (0.35, 0), (-0.35, 0), (0.21, 0), (-0.21, 0), (0.21, -0.8),
     (-0.21, -0.8), (0.21, -1.6), (-0.21, -1.6)]
)  # fmt: skip


START_S, PUSH_S = 1.0, 0.2  # of `straight_up`


def keypoints_of(points: Array, confidence: float = 0.9) -> NDArray[np.float32]:
    """Return keypoints (F, 17, 3) of points (F, 17, 2) px."""
    return np.insert(points, 2, confidence, axis=-1).astype(np.float32)


def axel(seed: int, clockwise: bool, fps: float = 30.0) -> Motion:
    """Return a synthetic Axel with a second before and after it."""
    return sample_motion(
        np.random.default_rng(seed),
        jump="axel", turns=1, fps=fps, lead_in_s=1, lead_out_s=1, clockwise=clockwise,
    )  # fmt: skip


def seen_from(joints_m: Array, degrees: float, elevation: float = 0.0) -> Array:
    """Return (F, 17, 2) px of joints (F, 17, 3) m, seen by a level camera far away.

    `degrees` is the direction from the skater to the camera, counted as that of `facing`, and
    `elevation` is the angle of the camera above the horizon, degrees.
    """
    angle, up = np.radians([degrees, elevation])
    right = joints_m[..., :2] @ [-np.sin(angle), np.cos(angle)]
    towards = joints_m[..., :2] @ [np.cos(angle), np.sin(angle)]
    height = joints_m[..., 2] * np.cos(up) - towards * np.sin(up)
    return 100 * np.stack([right, -height], axis=-1) + [640, 500]


def straight_up(flight_s: float, fps: float) -> tuple[Array, Times, dict[str, int]]:
    """Return points (F, 17, 2) px of somebody who jumps straight up, the times, and the events.

    The body rises from a bend at a constant acceleration for PUSH_S, flies, and stops in a bend
    like the first one. The feet stay on the ice before the flight, which begins at START_S, and
    after it.
    """
    times_s = np.arange(int((2 * START_S + flight_s) * fps)) / fps
    speed = GRAVITY * flight_s / 2
    since_s = times_s - START_S
    push_s = (since_s + PUSH_S).clip(0, PUSH_S)
    stop_s = (since_s - flight_s).clip(0, PUSH_S)
    in_air_s = since_s.clip(0, flight_s)
    flown_m = GRAVITY * in_air_s * (flight_s - in_air_s) / 2
    bent_m = speed * (push_s**2 / 2 / PUSH_S - stop_s + stop_s**2 / 2 / PUSH_S)
    points = STANDING * TORSO_M + (flown_m + bent_m)[:, None, None] * [0, 1]
    points[:, ANKLES, 1] -= bent_m[:, None]
    first, last = (int(np.ceil(since * fps - 1e-9)) for since in (START_S, START_S + flight_s))
    return 100 * points * [1, -1], times_s, {"takeoff": first, "landing": last}


# The limbs of a faultless Axel at each of PHASES: left leg, right leg, both arms.
LIMBS = (
    ("under", "soft", "wide"), ("soft", "trail", "side"), ("soft", "trail", "side"),
    ("bent", "reach", "rear"), ("straight", "knee", "scoop"), ("cross", "back", "scoop"),
    ("cross", "back", "fold"), ("landed", "soft", "guard"), ("landed", "bent", "wide"),
    ("landed", "edge", "side"), ("landed", "soft", "side"),
)  # fmt: skip
READY, BEND, TAKEOFF, CLOSED, OPENING, LANDING, DEEP = (
    PHASES.index(name)
    for name in ("ready", "bend", "take-off", "closed", "opening", "landing", "deep")
)
LEFT_LEG, RIGHT_LEG, BOTH_ARMS = slice(4, 8), slice(8, 12), slice(12, 20)
LEAN, LEFT_REACH, RIGHT_REACH = 0, 7, 11  # columns of a pose
FLIGHT_S = 0.5
Alter = Callable[[Array, Array], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is planted in a faultless skater, who turns to the left.

    Attributes:
        topic: what the first instruction must be about.
        names: measures or quantities and, for measures, the event or phase: where it is seen. Left
            and right are those of a skater who turns to the left.
        sign: 1 if the value is too high, -1 if it is too low.
        alter: see `sample_motion`.
        tilt: of the whole body against the direction of travel in the middle of the flight,
            degrees.
        base_tilt: that of the standard and of the faultless skater.
    """

    topic: str
    names: tuple[tuple[str, str], ...]
    sign: int
    alter: Alter = lambda keys, times_s: None
    tilt: float = 0.0
    base_tilt: float = 0.0


def jumper(
    seed: int,
    clockwise: bool = False,
    fault: Fault | None = None,
    *,
    planted: bool = True,
    fps: float = 30.0,
    variety: float = 0.15,
) -> Motion:
    """Return an Axel with a second before and after it, without a fault or with one.

    All seeds have the same pose at the same phase, but for `variety`. The random numbers of a seed
    do not depend on the fault.

    Args:
        seed: of body, variety and path.
        clockwise: the skater turns to the right.
        fault: None: a faultless skater.
        planted: False: the faultless skater with whom those of the fault are compared.
        fps: frames per second.
        variety: see `sample_motion`.
    """

    def alter(keys: Array, times_s: Array) -> None:
        own = np.random.default_rng([seed, 1]).normal(size=(len(keys), 16)) * variety * 0.05
        for row, (left, right, arms) in zip(keys, LIMBS, strict=True):
            row[4:] = [*LEGS[left], *LEGS[right], *ARMS[arms], *ARMS[arms]]
        keys[[BEND, LANDING], [LEFT_REACH, RIGHT_REACH]] = 0.82, 0.9
        keys[[READY, BEND], LEAN] += 8
        keys[:, 4:] += own
        keys[:, [LEFT_REACH, RIGHT_REACH]] -= own[:, [3, 7]] / 2  # a knee bends by 4 degrees each
        fly(times_s, FLIGHT_S)
        if fault and planted:
            fault.alter(keys, times_s)

    motion = sample_motion(
        np.random.default_rng(seed),
        jump="axel", turns=1, fps=fps, lead_in_s=1, lead_out_s=1, clockwise=clockwise,
        heading=(0, 0), variety=variety, alter=alter,
    )  # fmt: skip
    tilt = 0.0 if fault is None else fault.tilt if planted else fault.base_tilt
    return tilt_axis(motion, -tilt if clockwise else tilt) if tilt else motion


def fly(times_s: Array, flight_s: float) -> None:
    """Change the times of the key poses (11,) s so that the flight lasts `flight_s`."""
    start_s, end_s = times_s[[TAKEOFF, LANDING]]
    shares = (times_s[TAKEOFF:LANDING] - start_s) / (end_s - start_s)
    times_s[TAKEOFF:LANDING] = start_s + shares * flight_s
    times_s[LANDING:] += start_s + flight_s - end_s


def tilt_axis(motion: Motion, degrees: float) -> Motion:
    """Return the motion with the body tilted against the x axis, around its centre of mass.

    The skater travels along this axis, or against it if the turn is clockwise. The tilt rises from
    0 at the take-off to `degrees` in the middle, and falls to 0 at the landing.
    """
    start, end = motion.events["takeoff"], motion.events["landing"]
    share = (np.arange(start, end) - start + 0.5) / (end - start)
    angle = np.radians(degrees * np.sqrt(4 * share * (1 - share)))[:, None]
    joints_m = motion.joints_m.copy()
    centre_m = np.einsum("j,fjd->fd", MASSES, joints_m[start:end])[:, None]
    x, y, z = np.moveaxis(joints_m[start:end] - centre_m, -1, 0)
    tilted = (np.cos(angle) * x - np.sin(angle) * z, y, np.sin(angle) * x + np.cos(angle) * z)
    joints_m[start:end] = np.stack(tilted, axis=-1) + centre_m
    return replace(motion, joints_m=joints_m)


def _arms_late(keys: Array, times_s: Array) -> None:
    keys[OPENING, BOTH_ARMS] = keys[TAKEOFF, BOTH_ARMS]


def _arms_early(keys: Array, times_s: Array) -> None:
    keys[[TAKEOFF, CLOSED], BOTH_ARMS] = keys[OPENING, BOTH_ARMS]


def _reach(column: int, phases: list[int], reach: float) -> Alter:
    """Set how far a leg is extended at some phases."""

    def alter(keys: Array, times_s: Array) -> None:
        keys[phases, column] = reach

    return alter


def _lean(phases: list[int], degrees: float) -> Alter:
    def alter(keys: Array, times_s: Array) -> None:
        keys[phases, LEAN] += degrees

    return alter


def _jump(flight_s: float) -> Alter:
    return lambda keys, times_s: fly(times_s, flight_s)


def _land(reach: float) -> Alter:
    """Land on a leg that is extended to `reach`, with an unchanged speed at the take-off.

    The straighter the leg, the higher are the hips at the landing, and the earlier it comes.
    """

    def alter(keys: Array, times_s: Array) -> None:
        higher_m = (reach - keys[LANDING, RIGHT_REACH]) * 0.82
        keys[LANDING, RIGHT_REACH] = reach
        fly(times_s, FLIGHT_S - higher_m / (GRAVITY * FLIGHT_S / 2))

    return alter


def _apart(keys: Array, times_s: Array) -> None:
    keys[CLOSED : OPENING + 1, [4, 8]] *= 2.5  # one leg forward, the other backward


def _together(keys: Array, times_s: Array) -> None:
    keys[CLOSED : OPENING + 1, [4, 8]] *= 0.1  # both legs neither forward nor backward


_ENTRY, _LANDING = ("left_knee", "entry"), ("right_knee", "landing")
_HEIGHT = (("flight", ""), ("height", ""), ("rise", ""))
FAULTS = {
    "arms late": Fault("arms", (("arms_closing", ""),), 1, _arms_late),
    "arms early": Fault("arms", (("arms_closing", ""),), -1, _arms_early),
    "knee straight": Fault("entry knee", (_ENTRY,), 1, _reach(LEFT_REACH, [1, READY, BEND], 0.995)),
    "knee bent": Fault("entry knee", (_ENTRY,), -1, _reach(LEFT_REACH, [BEND], 0.48)),
    "jump low": Fault("height", _HEIGHT, -1, _jump(0.26)),
    "jump high": Fault("height", _HEIGHT, 1, _jump(0.76)),
    "trunk bent": Fault("trunk", (("trunk_tilt", "entry"),), 1, _lean([READY, BEND], 32)),
    "trunk upright": Fault("trunk", (("trunk_tilt", "entry"),), -1, _lean([READY, BEND], -32)),
    "landing early": Fault("landing", (_LANDING,), 1, _land(0.999)),
    "landing late": Fault("landing", (_LANDING,), -1, _land(0.7)),
    "legs apart": Fault("axis", (("ankle_gap", "flight"),), 1, _apart),
    "legs together": Fault("axis", (("ankle_gap", "flight"),), -1, _together),
    "axis tilted": Fault("axis", (("axis_tilt", "flight"),), 1, tilt=22),
    "axis upright": Fault("axis", (("axis_tilt", "flight"),), -1, base_tilt=22),
}
