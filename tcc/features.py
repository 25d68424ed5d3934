"""Features from keypoints: the pose, and how the body rises and falls.

The features do not depend on where in the picture the skater is, on the skater's size, or on a
steady movement of the camera. A camera on another side of the skater sees joints at nearly the same
height but at another horizontal position. That is why training squeezes and mirrors the width.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from tcc.coco import FLIP, JOINTS

Array = NDArray[np.floating[Any]]

SHOULDERS, HIPS, ANKLES = (
    [JOINTS.index(f"{side}_{part}") for side in ("left", "right")]
    for part in ("shoulder", "hip", "ankle")
)
FACE = [JOINTS.index(name) for name in ("nose", "left_eye", "right_eye")]
CLEAR_TURN = 0.5  # a turn below it has no clear direction; a full turn is about 1
TORSO_WINDOW_S = 1.0  # span in which the torso is measured
SPEED_SIGMAS_S = (1 / 30, 1 / 10)  # standard deviations of the Gaussians that smooth the speeds
USUAL_SPEED = 6.0  # torso lengths per second; in this unit, speeds are about as large as positions
HEIGHT_SIGMA_S, RESTING_SIGMA_S = 1 / 30, 1 / 5  # the same for the heights and for their average


def fill_joints(keypoints: Array, confidence_threshold: float) -> Array:
    """Replace joints of low confidence by linear interpolation in time.

    Args:
        keypoints: (F, J, 3) x px, y px, confidence.
        confidence_threshold: joints below it are replaced.

    Returns:
        (F, J, 2) px. A joint that is never seen is put at the mean of the frame's other joints.
    """
    num_frames, num_joints, _ = keypoints.shape
    points = keypoints[..., :2].astype(np.float32).copy()
    seen = keypoints[..., 2] >= confidence_threshold
    frames = np.arange(num_frames)
    for joint in range(num_joints):
        good = frames[seen[:, joint]]
        if 0 < len(good) < num_frames:
            for axis in range(2):
                points[:, joint, axis] = np.interp(frames, good, points[good, joint, axis])
    never = ~seen.any(axis=0)
    if never.any():
        points[:, never] = points[:, ~never].mean(axis=1, keepdims=True) if not never.all() else 0.0
    return points


def flip(points: Array) -> Array:
    """Mirror a skater: change the sign of x and swap left and right joints; (..., J, 2 or more)."""
    mirrored = points[..., list(FLIP), :].copy()
    mirrored[..., 0] *= -1
    return mirrored


def torso_length(points: Array, fps: float) -> Array:
    """Return the length of the torso, from the middle of the hips to the middle of the shoulders.

    It is the 75th percentile over TORSO_WINDOW_S around each frame. A skater who leans towards the
    camera has a shorter torso in the picture; the percentile ignores this for 3/4 of the span.

    Args:
        points: (..., F, J, 2) px.
        fps: frames per second.

    Returns:
        (..., F) px.
    """
    torso = np.linalg.norm(_middle(points, SHOULDERS) - _middle(points, HIPS), axis=-1)
    window = max(3, round(TORSO_WINDOW_S * fps) | 1)
    padded = np.pad(torso, [(0, 0)] * (torso.ndim - 1) + [(window // 2, window // 2)], "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)
    length: Array = np.maximum(np.percentile(windows, 75, axis=-1), 1e-3)
    return length


def normalize(points: Array, fps: float) -> Array:
    """Return the pose (..., F, J, 2) in torso lengths, relative to the middle of the hips.

    Args:
        points: (..., F, J, 2) px.
        fps: frames per second.
    """
    hips = _middle(points, HIPS)[..., None, :]
    pose: Array = (points - hips) / torso_length(points, fps)[..., None, None]
    return pose.astype(np.float32)


def vertical_motion(points: Array, fps: float) -> Array:
    """Return how hips, shoulders and the lower ankle rise and fall in the picture.

    A jump is a flight under gravity, and every camera sees it. Speeds and heights relative to a
    moving average do not depend on where in the picture the skater is, and depend little on how the
    camera moves.

    Args:
        points: (..., F, J, 2) px.
        fps: frames per second.

    Returns:
        (..., F, 9), up is positive: the three speeds smoothed by each of SPEED_SIGMAS_S, in units
        of USUAL_SPEED; then the three heights smoothed by HEIGHT_SIGMA_S minus those smoothed by
        RESTING_SIGMA_S, in torso lengths.
    """
    heights = -np.stack(
        [
            _middle(points, HIPS)[..., 1],
            _middle(points, SHOULDERS)[..., 1],
            points[..., ANKLES, 1].max(axis=-1),
        ],
        axis=-1,
    )
    smooth = partial(gaussian_filter1d, heights, axis=-2, mode="nearest")
    speeds = [smooth(sigma_s * fps, order=1) * fps / USUAL_SPEED for sigma_s in SPEED_SIGMAS_S]
    risen = smooth(HEIGHT_SIGMA_S * fps) - smooth(RESTING_SIGMA_S * fps)
    motion = np.concatenate([*speeds, risen], axis=-1) / torso_length(points, fps)[..., None]
    return np.asarray(motion, np.float32)


def turn(points: Array, confidence: Array, fps: float) -> float:
    """Return the direction in which a skater turns over a clip: positive is to the left.

    The width of shoulders and hips in the picture is proportional to the cosine of the angle
    between body and camera. The horizontal position of the face relative to the shoulders is
    proportional to the sine. While a body turns, the point (width, face) moves along an ellipse.
    The sum of the cross products of successive points is twice the area that the point sweeps, and
    its sign is the direction of the turn.

    Args:
        points: (F, J, 2) px.
        confidence: (F, J).
        fps: frames per second.

    Returns:
        About 1 for a full turn; near 0 if the skater does not turn or is not seen.
    """
    pairs = np.stack([points[:, [left, right], 0] for left, right in (SHOULDERS, HIPS)], axis=1)
    weights = np.stack([confidence[:, pair].min(axis=1) for pair in (SHOULDERS, HIPS)], axis=1)
    width = _weighted_mean((pairs[..., 0] - pairs[..., 1]) * [1.0, 1.5], weights)
    ahead = points[:, FACE, 0] - points[:, SHOULDERS, 0].mean(axis=1, keepdims=True)
    facing = np.stack([width, 2 * _weighted_mean(ahead, confidence[:, FACE])], axis=1)
    facing = gaussian_filter1d(facing / torso_length(points, fps)[:, None], fps / 30, axis=0)
    return float(np.sum(facing[:-1, 0] * facing[1:, 1] - facing[1:, 0] * facing[:-1, 1]))


def opposed(turn_a: float, turn_b: float) -> bool | None:
    """Return whether two results of `turn` have opposite directions; None if one is not clear."""
    return turn_a * turn_b < 0 if min(abs(turn_a), abs(turn_b)) > CLEAR_TURN else None


def extract(points: Array, fps: float) -> Array:
    """Return the features (..., F, C) that the encoder reads.

    Args:
        points: (..., F, J, 2) px.
        fps: frames per second.
    """
    return join(normalize(points, fps), vertical_motion(points, fps))


def _weighted_mean(values: Array, weights: Array) -> Array:
    mean: Array = (values * weights).sum(axis=1) / (weights.sum(axis=1) + 1e-6)
    return mean


def _middle(points: Array, pair: list[int]) -> Array:
    middle: Array = points[..., pair, :].mean(axis=-2)
    return middle


def join(pose: Array, motion: Array) -> Array:
    """Concatenate pose (..., F, J, 2) and vertical motion (..., F, 9) to features (..., F, C)."""
    return np.concatenate([pose.reshape(*pose.shape[:-2], -1), motion], -1).astype(np.float32)
