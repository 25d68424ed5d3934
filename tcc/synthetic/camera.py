"""Films skaters in 3D: random cameras, and keypoints with the errors of a pose detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr, ndtri

from tcc.coco import FLIP, JOINTS
from tcc.synthetic.skater import Motion, sample_motion

Array = NDArray[np.float64]
Generator = np.random.Generator

# Measured on AlphaPose's keypoints of amateur skaters. CONFIDENCE: its values at the shares LEVELS.
# ERROR: standard deviation of a joint's position in torso lengths; half of the variance changes
# from frame to frame, half over a fifth of a second.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.98)
CONFIDENCE = {
    "nose": (0.00, 0.03, 0.32, 0.62, 0.9), "eye": (0.00, 0.01, 0.10, 0.50, 0.9),
    "ear": (0.00, 0.05, 0.32, 0.61, 0.9), "shoulder": (0.30, 0.53, 0.68, 0.75, 0.9),
    "elbow": (0.05, 0.28, 0.57, 0.74, 0.9), "wrist": (0.03, 0.16, 0.45, 0.72, 0.9),
    "hip": (0.35, 0.51, 0.60, 0.66, 0.85), "knee": (0.35, 0.55, 0.67, 0.75, 0.9),
    "ankle": (0.28, 0.47, 0.60, 0.69, 0.85),
}  # fmt: skip
ERROR = {
    "nose": 0.04, "eye": 0.045, "ear": 0.03, "shoulder": 0.03, "elbow": 0.06, "wrist": 0.08,
    "hip": 0.03, "knee": 0.035, "ankle": 0.045,
}  # fmt: skip
PARTS = [name.split("_")[-1] for name in JOINTS]
DRIFT_S = 0.1  # standard deviation of the Gaussian that smooths the errors that change slowly
MISSED = 0.01  # share of frames in which the skater is not found
SWAPPED = 0.03  # share of frames with left and right swapped, and of those with the legs swapped
# Doubt is a standard normal number. The larger the doubt of a joint, the lower its confidence.
BLUR = 0.12  # doubt of a joint that moves by a torso length in a second
CLOSE = 0.35  # distance from the trunk, in torso lengths, below which an arm has more doubt
HIDDEN = 1.2  # doubt of an arm in front of the trunk
NOISE = (0.7, 1.8)  # range of a clip's errors, as factors of ERROR
LEGS = [JOINTS.index(f"{side}_{part}") for part in ("knee", "ankle") for side in ("left", "right")]
ARMS = [JOINTS.index(f"{side}_{part}") for part in ("elbow", "wrist") for side in ("left", "right")]


@dataclass(frozen=True, slots=True)
class Camera:
    """A hand-held camera that follows a skater.

    `position_m` (3,); `axes` (F, 3, 3), whose rows point right, down and forward; `focal_px`, the
    focal length; `width_px` and `height_px` of the picture.
    """

    position_m: Array
    axes: Array
    focal_px: float
    width_px: int
    height_px: int

    def project(self, points_m: Array) -> Array:
        """Project (F, J, 3) m to (F, J, 2) px; the optical axis meets the picture's centre."""
        seen = (points_m - self.position_m) @ self.axes.transpose(0, 2, 1)
        image = seen[..., :2] / np.maximum(seen[..., 2:], 0.1) * self.focal_px
        projected: Array = image + np.array([self.width_px / 2, self.height_px / 2])
        return projected


@dataclass(frozen=True, slots=True)
class FilmedMotion:
    """A motion seen by V cameras at the same moments.

    `keypoints` (V, F, 17, 3) float32 x px, y px, confidence, all 0 in a frame that misses the
    skater; `phase` (F,) and `events` {name: frame} as in Motion; `fps` frames per second.
    """

    keypoints: NDArray[np.float32]
    phase: Array
    events: dict[str, int]
    fps: float


def sample_clip(
    generator: Generator,
    *,
    views: int = 1,
    jump: str | None = None,
    max_lead_s: float = 3.0,
) -> FilmedMotion:
    """Film a random skater who jumps, at a random frame rate, tempo and direction of turn.

    Args:
        generator: source of all random numbers.
        views: V, the number of cameras, which are at random places.
        jump: one of tcc.synthetic.jumps.JUMPS; None: a random one.
        max_lead_s: longest time that the skater glides before the entry, and after the end.
    """
    motion = sample_motion(
        generator,
        jump=jump,
        fps=float(generator.choice([24, 25, 30, 50, 60], p=[0.15, 0.15, 0.4, 0.1, 0.2])),
        tempo=generator.uniform(0.75, 1.3),
        lead_in_s=generator.uniform(0, max_lead_s),
        lead_out_s=generator.uniform(0, max_lead_s),
        clockwise=bool(generator.random() < 0.5),
        fall=bool(generator.random() < 0.07),
    )
    noise = generator.uniform(*NOISE)
    seen = [film(generator, motion, noise) for _ in range(views)]
    return FilmedMotion(np.stack(seen), motion.phase, motion.events, motion.fps)


def film(generator: Generator, motion: Motion, noise: float = 1.0) -> NDArray[np.float32]:
    """Return the keypoints (F, 17, 3) that a detector finds in the view of a random camera.

    `noise` is the factor of the errors of position.
    """
    camera = sample_camera(generator, motion.joints_m, motion.fps)
    return detect(generator, camera.project(motion.joints_m), motion.fps, noise)


def sample_camera(
    generator: Generator,
    joints_m: Array,
    fps: float,
    *,
    azimuth: tuple[float, float] = (0, 360),
    elevation: tuple[float, float] = (-2, 20),
    size_px: tuple[int, int] = (1280, 720),
) -> Camera:
    """Return a random hand-held camera that follows a skater with a delay and unsteadily.

    Args:
        generator: source of all random numbers.
        joints_m: (F, 17, 3) of the skater, z up; the camera stands at least 4 m away.
        fps: frames per second.
        azimuth: range of the camera's direction from the skater, degrees.
        elevation: range of its angle above the skater's hips, degrees.
        size_px: width and height of the picture.
    """
    hips = joints_m[:, 11:13].mean(axis=1)
    side, up = np.radians([generator.uniform(*azimuth), generator.uniform(*elevation)])
    away = np.array([np.cos(side) * np.cos(up), np.sin(side) * np.cos(up), np.sin(up)])
    centre = hips.mean(axis=0)
    nearest = generator.uniform(4, 12)
    distance = nearest + ((hips - centre) @ away).max()
    position = centre + distance * away
    position[2] = max(position[2], 0.5)
    lag = round(generator.uniform(0, 0.2) * fps)
    target = np.concatenate([np.repeat(hips[:1], lag, axis=0), hips])[: len(hips)]
    target = gaussian_filter1d(target, generator.uniform(0.1, 0.5) * fps, axis=0, mode="nearest")
    # A camera follows a skater to the side, but is hardly raised in a jump.
    target[:, 2] = gaussian_filter1d(target[:, 2], 2 * fps, mode="nearest")
    target = target + generator.uniform(0.02, 0.1) * _drift(generator, target.shape, 0.2 * fps)
    forward = target - position
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    roll = np.radians(generator.normal(0, 3))
    right = np.cross(forward, [np.sin(roll) * -away[1], np.sin(roll) * away[0], np.cos(roll)])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    focal = generator.uniform(0.3, 0.7) * size_px[1] / 1.7 * (nearest + distance) / 2
    return Camera(position, axes, float(focal), *size_px)


def detect(
    generator: Generator,
    points_px: Array,
    fps: float,
    noise: float = 1.0,
    missed: float = MISSED,
) -> NDArray[np.float32]:
    """Add the errors that AlphaPose makes on amateur skaters.

    The error of a joint grows as its confidence falls. The confidence changes slowly at random, and
    is lower for fast joints and for arms in front of the trunk. Sides are swapped and frames are
    missed for several frames at a time.

    Args:
        generator: source of all random numbers.
        points_px: true positions (F, 17, 2).
        fps: frames per second.
        noise: factor of the errors of position.
        missed: share of frames in which the skater is not found, for several frames at a time.

    Returns:
        (F, 17, 3) float32 x px, y px, confidence, distributed over the clip as in CONFIDENCE and
        ERROR; all 0 in the frames that miss the skater.
    """
    shoulders, hips = (points_px[:, [k, k + 1]].mean(axis=1) for k in (5, 11))
    torso = float(np.percentile(np.linalg.norm(shoulders - hips, axis=-1), 75))
    num_frames = len(points_px)
    doubt = _drift(generator, points_px.shape[:2], DRIFT_S * fps)
    moved = np.gradient(points_px - hips[:, None], axis=0) if num_frames > 1 else 0 * points_px
    cause = BLUR * np.linalg.norm(moved, axis=-1) * fps / torso
    for joint in ARMS:
        distance = _to_segment(points_px[:, joint], shoulders, hips) / torso
        cause[:, joint] += HIDDEN * np.maximum(1 - distance / CLOSE, 0)
    doubt += cause - cause.mean(axis=0)  # CONFIDENCE describes whole clips
    level = ndtr(-doubt)
    confidence = np.stack(
        [np.interp(level[:, j], LEVELS, CONFIDENCE[part]) for j, part in enumerate(PARTS)], axis=1
    )
    error = _drift(generator, points_px.shape, DRIFT_S * fps)
    error = (error + generator.normal(size=points_px.shape)) / np.sqrt(2)
    spread = np.array([ERROR[part] for part in PARTS]) * np.exp(0.5 * np.minimum(doubt, 4))
    points = points_px + noise * torso * spread[..., None] * error
    swapped, crossed, lost = (
        _drift(generator, (num_frames, 3), DRIFT_S * fps) > ndtri([1 - SWAPPED] * 2 + [1 - missed])
    ).T
    swap = np.array(FLIP)
    points[swapped] = points[swapped][:, swap]
    legs = np.ix_(crossed, LEGS)
    points[legs] = points[:, swap][legs]
    keypoints = np.concatenate([points, confidence[..., None]], axis=-1)
    keypoints[lost] = 0
    return keypoints.astype(np.float32)


def _to_segment(points: Array, start: Array, end: Array) -> Array:
    """Return the distances (F,) of points (F, 2) from segments with ends (F, 2)."""
    line = end - start
    share = ((points - start) * line).sum(axis=-1) / np.maximum((line**2).sum(axis=-1), 1e-9)
    distances: Array = np.linalg.norm(points - start - share.clip(0, 1)[:, None] * line, axis=-1)
    return distances


def _drift(generator: Generator, shape: tuple[int, ...], frames: float) -> Array:
    """Return standard normal numbers that change slowly along the first axis."""
    smooth = gaussian_filter1d(generator.normal(size=shape), frames, axis=0, mode="reflect")
    return np.asarray(smooth * np.sqrt(2 * np.sqrt(np.pi) * frames))
