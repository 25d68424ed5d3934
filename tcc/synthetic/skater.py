"""A parametric 3D model of a figure skater who jumps.

Units are metres and seconds; z is up and the ice is z = 0. A jump is a list of key poses (jumps.py)
on one time axis that all skaters share. Equal phases are the same moment of the jump for all
bodies, tempos and directions of turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from tcc.coco import FLIP
from tcc.synthetic import jumps
from tcc.synthetic.body import LENGTHS, MASSES, reach_ice, skeleton
from tcc.synthetic.jumps import BEND, JUMPS, LANDING, PHASES, TAKEOFF

Array = NDArray[np.float64]
Generator = np.random.Generator

GRAVITY = 9.81
SPEED = (1.5, 5.0)  # slowest and fastest speed at the beginning, m/s
EDGE = 40.0  # standard deviation of the change of the turning rate in a second, degrees/s
HEAD_TURN = 15.0  # standard deviation of the head's turn from the shoulders, degrees


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion of one skater.

    Attributes:
        joints_m: (F, 17, 3) m.
        phase: (F,) position on the time axis of PHASES, 0 to 10. Below 0 and above 10 it continues
            in seconds, and the frames correspond to no frames of other skaters.
        events: frame of each event.
        fps: frames per second.
        jump: a key of JUMPS.
    """

    joints_m: Array
    phase: Array
    events: dict[str, int]
    fps: float
    jump: str

    def cut(self, start_frame: int, end_frame: int) -> Motion:
        """Return the frames from start to end (exclusive)."""
        events = {name: frame - start_frame for name, frame in self.events.items()}
        part = slice(start_frame, end_frame)
        return replace(self, joints_m=self.joints_m[part], phase=self.phase[part], events=events)


def sample_motion(
    generator: Generator,
    *,
    jump: str | None = None,
    turns: int | None = None,
    fps: float = 30.0,
    tempo: float = 1.0,
    lead_in_s: float = 0.0,
    lead_out_s: float = 0.0,
    clockwise: bool = False,
    fall: bool = False,
    heading: tuple[float, float] = (0, 360),
    variety: float = 1.0,
    alter: Callable[[Array, Array], None] | None = None,
) -> Motion:
    """Return one random jump with glides before and after it.

    Args:
        generator: source of all randomness: body, poses, times and path.
        jump: a key of JUMPS; None: a random one.
        turns: full turns in the air, to which an Axel adds half a turn; None: 0, 1 or 2 at random.
        fps: frames per second.
        tempo: factor of the speed, except in the flight, where gravity determines the speed.
        lead_in_s: duration of the glides before the entry, s.
        lead_out_s: duration of the glides after the end, s.
        clockwise: the skater turns to the right; the mirror image in the plane of y and z.
        fall: the skater falls after the landing.
        heading: smallest and largest direction of travel at take-off, degrees from the x axis,
            before mirroring.
        variety: how much skaters differ in pose and timing: 0 is not at all, 1 as much as amateurs.
        alter: changes the key poses of the jump (11, 20) and their times (11,) s in place. It draws
            no number of `generator`, so all that it leaves alone stays the same.
    """
    jump = str(generator.choice(list(JUMPS))) if jump is None else jump
    if turns is None:
        turns = int(generator.choice(3, p=[0.7, 0.3, 0] if jump == "hop" else [0.15, 0.45, 0.4]))
    flight_s = generator.uniform(*jumps.FLIGHT_S[turns])
    low_s, high_s = np.transpose(jumps.SPANS_S)
    share = (1 + variety * generator.uniform(-1, 1, len(low_s))) / 2
    spans_s = (low_s + share * (high_s - low_s)) / tempo
    spans_s[TAKEOFF:LANDING] *= flight_s * tempo
    before, after = (_glide_spans(generator, span_s / tempo) for span_s in (lead_in_s, lead_out_s))
    knots_s = np.cumsum([0, *before, *spans_s, *after])
    knots_s += lead_in_s - knots_s[len(before)]
    entry = len(before)
    jump_s = knots_s[entry : entry + len(PHASES)]
    times_s = np.arange(round((jump_s[-1] + lead_out_s) * fps)) / fps

    keys, carried = _key_poses(generator, jump, turns, fall, len(before), len(after), variety)
    if alter:
        alter(keys[entry : entry + len(PHASES)], jump_s)
    flying = (times_s > jump_s[TAKEOFF]) & (times_s < jump_s[LANDING])

    size = generator.normal(0.97, 0.1)
    body = {name: size * length * generator.normal(1, 0.04) for name, length in LENGTHS.items()}
    keys = reach_ice(keys, carried, body)
    rows, left = _interpolate(knots_s, entry, keys, carried, times_s, flying)
    smooth = gaussian_filter1d(generator.normal(size=rows.shape), 0.25 * fps, axis=0, mode="wrap")
    rows += (
        smooth
        * jumps.VARIED
        * jumps.WOBBLE
        * np.sqrt(2 * np.sqrt(np.pi) * 0.25 * fps)
        * ~flying[:, None]
    )
    rows = np.where(flying[:, None], rows, reach_ice(rows, left, body))
    head_turn = np.radians(generator.normal(0, HEAD_TURN))
    joints = skeleton(rows, body, head_turn)
    flight = [entry + TAKEOFF, entry + LANDING]
    heights_m = skeleton(keys[flight], body, head_turn)[..., 2] @ MASSES
    joints = _fly(joints, times_s, knots_s[flight], heights_m)
    bearing = np.radians(generator.uniform(*heading))
    joints = _move(generator, joints, np.radians(rows[:, 3]), times_s, flying, bearing)
    if clockwise:
        joints = joints[:, list(FLIP)] * [-1, 1, 1]
    phase = np.interp(times_s, jump_s, np.arange(len(PHASES)))
    phase += np.minimum(times_s - jump_s[0], 0) + np.maximum(times_s - jump_s[-1], 0)
    events = {
        "start": int(np.searchsorted(times_s, jump_s[BEND])),
        "takeoff": int(np.argmax(flying)),
        "landing": int(np.argmax(flying) + flying.sum()),
        "end": int(np.searchsorted(times_s, jump_s[jumps.OUT])),
    }
    return Motion(joints, phase, events, fps, jump)


def _glide_spans(generator: Generator, total_s: float) -> Array:
    """Return durations of glides, s, with a sum of at least `total_s`."""
    spans = generator.uniform(*jumps.GLIDE_S, int(total_s / jumps.GLIDE_S[0]) + 1)
    return spans[: int(np.searchsorted(np.cumsum(spans), total_s)) + 1] if total_s else spans[:0]


def _key_poses(
    generator: Generator,
    jump: str,
    turns: int,
    fall: bool,
    before: int,
    after: int,
    variety: float,
) -> tuple[Array, Array]:
    """Return key poses (K, 20) and the share of the weight on the left leg (K,) of one skater."""
    poses = [
        *JUMPS[jump],
        *(jumps.TURNING if turns else jumps.HALF),
        *(jumps.FALLEN if fall else jumps.STOOD),
    ]
    glides = [
        jumps.GLIDES[index] for index in generator.integers(len(jumps.GLIDES), size=before + after)
    ]
    poses = [*glides[:before], *poses, *glides[before:]]
    rows = []
    for pose in poses:
        limbs = zip(pose[5:], (jumps.LEGS, jumps.LEGS, jumps.ARMS, jumps.ARMS), strict=True)
        ends = [table[str(generator.choice(name.split("|")))] for name, table in limbs]
        rows.append(np.concatenate([pose[1:5], *ends]))
    keys = np.array(rows)
    first = before + TAKEOFF
    last = first + LANDING - TAKEOFF
    backwards = 180 + 360 * turns
    keys[last:, 3] += backwards
    keys[first + 1 : last, 3] = keys[first, 3] + np.array(jumps.TURNED) * (
        backwards - keys[first, 3]
    )
    half_turns = generator.choice([0, 180, -180], (2, max(before, after)), p=[0.7, 0.15, 0.15])
    for side, (count, base) in enumerate(((before, keys[before, 3]), (after, backwards))):
        angles = base + np.cumsum(half_turns[side, :count])
        if side == 0:
            keys[:before, 3] = angles[::-1]
        else:
            keys[len(keys) - after :, 3] = angles
    varied = variety * generator.normal(size=keys.shape) * jumps.VARIED
    varied[first : last + 1, 3] /= 3
    keys += varied + variety * generator.normal(size=20) * jumps.OWN
    carried = np.array([{"L": 1.0, "R": 0.0, "LR": 0.5}[pose[0]] for pose in poses])
    return keys, carried


def _interpolate(
    knots_s: Array,
    entry: int,
    keys: Array,
    carried: Array,
    times_s: Array,
    flying: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """Return poses (F, 20) and the share of the weight on the left leg (F,).

    The parts before take-off, in the air and after landing are interpolated separately, since
    velocities change suddenly between them.
    """
    values = np.column_stack([keys, carried])
    first, last = entry + TAKEOFF, entry + LANDING
    rows = np.empty((len(times_s), values.shape[1]))
    ground = ~flying
    early = ground & (times_s <= knots_s[first])
    for part, where in (
        (slice(0, first + 1), early),
        (slice(first, last + 1), flying),
        (slice(last, None), ground & ~early),
    ):
        rows[where] = PchipInterpolator(knots_s[part], values[part])(times_s[where])
    return rows[:, :-1], rows[:, -1].clip(0, 1)


def _move(
    generator: Generator,
    joints: Array,
    turn: Array,
    times_s: Array,
    flying: NDArray[np.bool_],
    bearing: float,
) -> Array:
    """Turn and move the skater along a curve on the ice; in the air the path is straight."""
    step_s = times_s[1]
    rate = np.cumsum(generator.normal(0, np.radians(EDGE) * np.sqrt(step_s), len(times_s)))
    heading = np.cumsum(np.where(flying, 0, rate)) * step_s
    heading += bearing - heading[np.argmax(flying)]
    speed = generator.uniform(*SPEED) * np.exp(-generator.uniform(0, 0.2) * times_s)
    speed[flying] = speed[np.argmax(flying)]
    path = np.cumsum(speed[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1), 0) * step_s
    cosine, sine = np.cos(heading + turn)[:, None], np.sin(heading + turn)[:, None]
    x, y = joints[..., 0], joints[..., 1]
    joints = np.stack([cosine * x - sine * y, sine * x + cosine * y, joints[..., 2]], axis=-1)
    centre = MASSES @ joints
    joints[..., :2] += (path - centre[:, :2])[:, None]
    return joints


def _fly(joints: Array, times_s: Array, flight_s: Array, heights_m: Array) -> Array:
    """Move the centre of mass on a parabola between the heights at take-off and landing."""
    duration_s = flight_s[1] - flight_s[0]
    speed = (heights_m[1] - heights_m[0]) / duration_s + GRAVITY * duration_s / 2
    since_s = times_s - flight_s[0]
    height = heights_m[0] + speed * since_s - GRAVITY * since_s**2 / 2
    flying = (since_s > 0) & (times_s < flight_s[1])
    joints[flying, :, 2] += (height - joints[..., 2] @ MASSES)[flying, None]
    return joints
