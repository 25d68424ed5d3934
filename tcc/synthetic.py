"""A parametric figure skater in 3D, filmed by a camera and seen by a poor pose detector.

Metres, seconds, degrees. The skater's own axes are x forward, y left, z up; the ice is z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from tcc.alphapose import FLIP, JOINTS

Array = NDArray[np.float64]
Generator = np.random.Generator

GRAVITY = 9.81
ANKLE_HEIGHT = 0.12
# The clock that all skaters share: what happens at each whole number.
PHASES = (
    "glide",
    "knee bend",
    "take-off",
    "closing",
    "opening",
    "landing",
    "deep landing",
    "glide out",
)
START = 0.4  # the motion starts where the knees visibly bend
TAKEOFF, LANDING = PHASES.index("take-off"), PHASES.index("landing")
# Angles at each phase. Thigh: forward, outward from down. Knee: bent. Trunk: forward from up.
# Arms: out from down, forward from sideways, elbow bent forward, forearm raised.
ANGLES = {
    "takeoff_thigh": (18, 50, 6, 6, 12, 8, -25, -45),
    "takeoff_out": (0, 0, 0, 4, 4, 6, 10, 10),
    "takeoff_knee": (30, 80, 8, 12, 28, 40, 25, 10),
    "landing_thigh": (-35, -28, 55, 14, 8, 16, 48, 22),
    "landing_out": (10, 8, 6, -5, -3, 0, 0, 0),
    "landing_knee": (12, 25, 75, 24, 14, 24, 80, 38),
    "trunk": (14, 32, 8, 2, 4, 10, 32, 20),
    "arm_out": (75, 50, 55, 35, 38, 50, 80, 82),
    "arm_forward": (0, -35, 50, 55, 50, 25, 0, 0),
    "elbow": (12, 15, 40, 105, 100, 50, 8, 8),
    "forearm_up": (0, 0, 15, 40, 35, 10, 0, 0),
}  # fmt: skip
ANGLE_SPREAD = 9.0
ARM_ASYMMETRY = 10.0


@dataclass(frozen=True, slots=True)
class Motion:
    """A skater in space: joints_m (F, 17, 3), phase (F,) of PHASES, frames of the events."""

    joints_m: Array
    phase: Array
    events: dict[str, int]
    fps: float

    def cut(self, start_frame: int, end_frame: int) -> Motion:
        """Return the frames from start to end (exclusive)."""
        events = {name: frame - start_frame for name, frame in self.events.items()}
        part = slice(start_frame, end_frame)
        return replace(self, joints_m=self.joints_m[part], phase=self.phase[part], events=events)


@dataclass(frozen=True, slots=True)
class Camera:
    """A hand-held camera that follows a skater.

    position_m (3,); `axes` (F, 3, 3) rows right, down, forward; focal length in px; image size.
    """

    position_m: Array
    axes: Array
    focal_px: float
    width_px: int
    height_px: int

    def project(self, points_m: Array) -> Array:
        """Project (F, ..., 3) m to (F, ..., 2) px."""
        seen = np.einsum("fij,f...j->f...i", self.axes, points_m - self.position_m)
        image = seen[..., :2] / np.maximum(seen[..., 2:], 0.1) * self.focal_px
        projected: Array = image + np.array([self.width_px / 2, self.height_px / 2])
        return projected


def sample_motion(
    generator: Generator,
    *,
    fps: float = 30.0,
    tempo: float = 1.0,
    lead_in_s: float = 0.6,
    lead_out_s: float = 0.5,
    clockwise: bool = False,
    facing: float = 180.0,
) -> Motion:
    """Skate one jump: glide, knee bend, take-off, rotation, landing on the other leg, glide out.

    Args:
        generator: of the body, the angles, the times and the rotation.
        fps: frames per second.
        tempo: speed of all but the flight, which gravity sets.
        lead_in_s: gliding before the knee bend begins.
        lead_out_s: gliding after the motion.
        clockwise: turn to the right; the mirror image.
        facing: largest angle between the skater at the start and the x axis, degrees.
    """
    flight_s = generator.uniform(0.28, 0.62)
    spans_s = np.array(
        [
            generator.uniform(0.35, 0.6) / tempo,
            generator.uniform(0.18, 0.34) / tempo,
            *flight_s * np.array([0.32, 0.4, 0.28]),
            generator.uniform(0.16, 0.28) / tempo,
            generator.uniform(0.35, 0.7) / tempo,
        ]
    )
    knots_s = lead_in_s + np.concatenate([[0], np.cumsum(spans_s)])
    times_s = np.arange(round((knots_s[-1] + lead_out_s) * fps)) / fps
    phase = np.interp(times_s, knots_s, np.arange(len(PHASES)))
    angles = _angles(generator, times_s, knots_s)
    joints = _pose(generator, angles)
    height = -joints[:, [15, 16], 2].min(axis=1) + ANKLE_HEIGHT
    flying = (times_s > knots_s[TAKEOFF]) & (times_s < knots_s[LANDING])
    rise = PchipInterpolator(times_s, height)(knots_s[[TAKEOFF, LANDING]])
    since_s = times_s - knots_s[TAKEOFF]
    speed = (rise[1] - rise[0]) / flight_s + GRAVITY * flight_s / 2
    ballistic = rise[0] + speed * since_s - GRAVITY * since_s**2 / 2
    joints[..., 2] += np.where(flying, ballistic, height)[:, None]
    joints[..., :2] = _travel(generator, joints[..., :2], times_s, knots_s, facing)
    if clockwise:
        joints = joints[:, list(FLIP)] * [1, -1, 1]
    events = {
        "start": int(np.searchsorted(phase, START)),
        "takeoff": int(np.argmax(flying)),
        "landing": int(np.argmax(flying) + flying.sum()),
        "end": int(np.searchsorted(times_s, knots_s[-1])),
    }
    return Motion(joints, phase, events, fps)


def _angles(generator: Generator, times_s: Array, knots_s: Array) -> dict[str, Array]:
    """Smooth angles (F,) in radians through this skater's own version of ANGLES."""
    waves = generator.uniform(0, 2 * np.pi, len(ANGLES))
    result = {}
    for (name, values), wave in zip(ANGLES.items(), waves, strict=True):
        own = np.array(values) + generator.normal(0, ANGLE_SPREAD / 2)
        own = own + generator.normal(0, ANGLE_SPREAD, len(values)) * (np.abs(own) + 20) / 60
        if name.endswith("knee"):
            own = np.maximum(own, 4)
        curve = PchipInterpolator(knots_s, own)(np.clip(times_s, knots_s[0], knots_s[-1]))
        idle = 4 * np.sin(2 * np.pi * times_s / 1.4 + wave)
        result[name] = np.radians(curve + idle * (1 - _bump(times_s, knots_s)))
    return result


def _bump(times_s: Array, knots_s: Array) -> Array:
    """1 from the knee bend to the landing, 0 well outside."""
    ramps = np.interp(times_s, [knots_s[0], knots_s[1], knots_s[-3], knots_s[-1]], [0, 1, 1, 0])
    return np.asarray(ramps)


def _pose(generator: Generator, angles: dict[str, Array]) -> Array:
    """Joints (F, 17, 3) about mid-hip, turned forward."""
    size = generator.uniform(0.75, 1.08)
    long = {name: size * length * generator.normal(1, 0.05) for name, length in
            (("hip", 0.13), ("thigh", 0.42), ("shank", 0.42), ("trunk", 0.5), ("shoulder", 0.18),
             ("upper_arm", 0.28), ("forearm", 0.25), ("head", 0.2))}  # fmt: skip
    joints = np.zeros((len(angles["trunk"]), len(JOINTS), 3))
    side = np.array([1.0, -1.0])
    for index, leg in enumerate(("takeoff", "landing")):
        thigh, knee = angles[f"{leg}_thigh"], angles[f"{leg}_knee"]
        out = side[index] * angles[f"{leg}_out"]
        joints[:, 11 + index] = [0, side[index] * long["hip"], 0]
        for start, name, turn in ((11, "thigh", thigh), (13, "shank", thigh - knee)):
            along = np.stack([np.sin(turn), np.sin(out), -np.cos(turn)], axis=-1)
            along /= np.linalg.norm(along, axis=-1, keepdims=True)
            joints[:, start + 2 + index] = joints[:, start + index] + long[name] * along
    sway = np.radians(generator.normal(0, 5))
    up = _unit(np.stack([np.sin(angles["trunk"]), np.full(len(joints), np.sin(sway)),
                         np.cos(angles["trunk"])], axis=-1))  # fmt: skip
    neck = long["trunk"] * up
    for index in range(2):
        joints[:, 5 + index] = neck + np.array([0, side[index] * long["shoulder"], 0])
        uneven = np.radians(generator.normal(0, ARM_ASYMMETRY, 2))
        out, forward = angles["arm_out"] + uneven[0], angles["arm_forward"] + uneven[1]
        upper = _direction(out, forward, side[index])
        lower = _direction(out + angles["forearm_up"], forward + angles["elbow"], side[index])
        joints[:, 7 + index] = joints[:, 5 + index] + long["upper_arm"] * upper
        joints[:, 9 + index] = joints[:, 7 + index] + long["forearm"] * lower
    crown = neck + long["head"] * up
    for joint, offset in enumerate(([0.11, 0, 0], [0.08, 0.035, 0.04], [0.08, -0.035, 0.04],
                                    [0, 0.075, 0.02], [0, -0.075, 0.02])):  # fmt: skip
        joints[:, joint] = crown + size * np.array(offset)
    return joints


def _direction(out: Array, forward: Array, side: float) -> Array:
    """Unit vectors (F, 3) of an arm raised by `out` from down, turned `forward` from sideways."""
    return np.stack(
        [np.sin(out) * np.sin(forward), side * np.sin(out) * np.cos(forward), -np.cos(out)], axis=-1
    )


def _unit(vectors: Array) -> Array:
    lengths: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return lengths


def _travel(
    generator: Generator, across: Array, times_s: Array, knots_s: Array, facing: float
) -> Array:
    """Turn and move joints (F, 17, 2) seen from above: the rotation of the jump on a curve."""
    turns = generator.choice([0.5, 1.0, 1.5, 2.0], p=[0.15, 0.35, 0.3, 0.2])
    shares = np.array([0, 0.12, 0.0, 0.34, 0.72, 1.0, 0.0, 0.0])
    turned = turns * shares
    turned[:3] = [-0.35, -0.3, -0.08]
    turned[6:] = turns + np.array([0.2, 0.3])
    curve = PchipInterpolator(knots_s, 2 * np.pi * turned)
    angle = np.radians(generator.uniform(-facing, facing)) + curve(
        np.clip(times_s, knots_s[0], knots_s[-1])
    )
    heading = generator.uniform(0, 2 * np.pi) + generator.normal(0, 0.25) * times_s
    speed = generator.uniform(1.5, 4)
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], -1), 0) * speed * times_s[1]
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = across[..., 0], across[..., 1]
    placed = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)
    moved: Array = placed + (path - path.mean(axis=0))[:, None]
    return moved


def sample_camera(
    generator: Generator,
    joints_m: Array,
    *,
    azimuth: tuple[float, float] = (0, 360),
    elevation: tuple[float, float] = (-2, 12),
    size_px: tuple[int, int] = (640, 360),
) -> Camera:
    """Film a skater (F, 17, 3) from a random side, panning late and with an unsteady hand.

    Args:
        generator: of the camera.
        joints_m: who is followed.
        azimuth: range in degrees. elevation: likewise.
        size_px: width, height of the picture.
    """
    distance = generator.uniform(6, 14)
    round_, up = np.radians([generator.uniform(*azimuth), generator.uniform(*elevation)])
    position = distance * np.array(
        [np.cos(round_) * np.cos(up), np.sin(round_) * np.cos(up), np.sin(up)]
    ) + [0, 0, 0.9]
    target = joints_m.mean(axis=1)
    target = gaussian_filter1d(target, generator.uniform(3, 12), axis=0, mode="nearest")
    shake = gaussian_filter1d(generator.normal(size=target.shape), 5, axis=0, mode="nearest")
    target = target + shake * generator.uniform(0.05, 0.25)
    forward = _unit(target - position)
    roll = np.radians(generator.normal(0, 3))
    right = _unit(np.cross(forward, [0, np.sin(roll), np.cos(roll)]))
    down = np.cross(forward, right)
    height = generator.uniform(0.35, 0.7) * size_px[1]
    return Camera(position, np.stack([right, down, forward], 1), height * distance / 1.7, *size_px)


def detect(generator: Generator, points_px: Array, *, noise: float = 0.02) -> NDArray[np.float32]:
    """See joints (F, 17, 2) px as AlphaPose might: unsteady, sometimes swapped or lost.

    Args:
        generator: of the errors.
        points_px: true positions.
        noise: standard deviation of a joint, share of the skater's height.

    Returns:
        (F, 17, 3) x px, y px, confidence; errors are larger where it is lower.
    """
    num_frames = len(points_px)
    height = np.ptp(points_px[..., 1], axis=1).mean()
    limb = np.array([0.6] * 5 + [0.7, 0.7, 1, 1, 1.6, 1.6, 0.7, 0.7, 1, 1, 1.4, 1.4])
    drift = gaussian_filter1d(generator.normal(size=points_px.shape), 2, axis=0, mode="nearest") * 2
    doubt = np.abs(gaussian_filter1d(generator.normal(size=(num_frames, 17)), 2, axis=0)) * 2
    wrong = (1 + 3 * np.maximum(doubt - 1, 0))[..., None]
    error = (generator.normal(size=points_px.shape) * 0.5 + drift) * limb[:, None] * wrong
    points = points_px + noise * height * error
    swapped = gaussian_filter1d(generator.normal(size=num_frames), 3, mode="nearest") > 0.6
    points[swapped] = points[swapped][:, list(FLIP)]
    confidence = np.clip(
        0.92 - 0.25 * doubt * limb + generator.normal(0, 0.03, doubt.shape), 0.02, 1
    )
    return np.concatenate([points, confidence[..., None]], axis=-1).astype(np.float32)
