"""Keypoints to features: position, size and camera drop out, the pose stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import FLIP, JOINTS

Array = NDArray[np.floating[Any]]

LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = (
    JOINTS.index(name) for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
)
TORSO_WINDOW_S = 1.0


def fill_joints(keypoints: Array, confidence_threshold: float) -> Array:
    """Interpolate the joints that the detector was unsure of.

    Args:
        keypoints: (F, J, 3) x px, y px, confidence.
        confidence_threshold: joints below it are replaced, linearly in time.

    Returns:
        (F, J, 2) px. A joint that is never seen lies at the mean of the joints of its frame.
    """
    num_frames, num_joints, _ = keypoints.shape
    points = keypoints[..., :2].astype(np.float32).copy()
    seen = keypoints[..., 2] >= confidence_threshold
    frames = np.arange(num_frames)
    for joint in range(num_joints):
        known = frames[seen[:, joint]]
        if 0 < len(known) < num_frames:
            for axis in range(2):
                points[:, joint, axis] = np.interp(frames, known, points[known, joint, axis])
    never = ~seen.any(axis=0)
    if never.any():
        points[:, never] = points[:, ~never].mean(axis=1, keepdims=True) if not never.all() else 0.0
    return points


def flip(points: Array) -> Array:
    """Mirror a skater: x changes sign, left and right change names; (..., J, 2 or more)."""
    mirrored = points[..., list(FLIP), :].copy()
    mirrored[..., 0] *= -1
    return mirrored


def normalize(points: Array, fps: float) -> Array:
    """Put mid-hip at the origin and scale by the torso's length.

    Args:
        points: (..., F, J, 2) px.
        fps: frames per second.

    Returns:
        (..., F, J, 2) torso lengths. The torso is the upper envelope of mid-hip to mid-shoulder
        over a second: leaning towards the camera shortens it in the picture, not in the skater.
    """
    hips = points[..., [LEFT_HIP, RIGHT_HIP], :].mean(axis=-2)
    shoulders = points[..., [LEFT_SHOULDER, RIGHT_SHOULDER], :].mean(axis=-2)
    torso = np.linalg.norm(shoulders - hips, axis=-1)
    window = max(3, round(TORSO_WINDOW_S * fps) | 1)
    padded = np.pad(torso, [(0, 0)] * (torso.ndim - 1) + [(window // 2, window // 2)], "edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)
    length = np.maximum(np.percentile(views, 75, axis=-1), 1e-3)
    normalized: Array = (points - hips[..., None, :]) / length[..., None, None]
    return normalized.astype(np.float32)


def extract(points: Array, fps: float) -> Array:
    """Return the encoder's features: (..., F, J, 2) px -> (..., F, C)."""
    pose = normalize(points, fps)
    return pose.reshape(*pose.shape[:-2], -1)


def augment(
    clips: Sequence[Array],
    fps: Sequence[float],
    generator: np.random.Generator,
    *,
    flip_probability: float,
    max_rotation: float,
    max_scale: float,
    jitter: float,
    joint_dropout: float,
    max_time_warp: float,
    min_crop: float,
) -> tuple[Array, NDArray[np.int64]]:
    """Crop, warp in time, hide joints, turn, stretch, shake and perhaps mirror a batch of clips.

    Args:
        clips: B arrays (F, J, 2) px.
        fps: B frames per second.
        generator: the one source of chance.
        flip_probability: of mirroring the whole batch, left and right swapped.
        max_rotation: degrees in the image plane.
        max_scale: share by which width and height grow or shrink, each by itself.
        jitter: standard deviation in torso lengths.
        joint_dropout: probability that a joint is hidden for a while and interpolated.
        max_time_warp: tempo lies between 1 / this and this.
        min_crop: shortest crop, share of the clip.

    Returns:
        features (B, F, C), each clip padded with its last frame; lengths (B,).
    """
    warped = [crop_and_warp(clip, generator, max_time_warp, min_crop) for clip in clips]
    lengths = np.array([len(clip) for clip in warped])
    pose = np.stack(
        [
            pad(normalize(hide_joints(clip, generator, joint_dropout), rate), lengths.max())
            for clip, rate in zip(warped, fps, strict=True)
        ]
    )
    angle = np.radians(generator.uniform(-max_rotation, max_rotation, len(clips)))
    stretch = 1 + generator.uniform(-max_scale, max_scale, (len(clips), 2))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1)
    pose = pose @ (turn.reshape(-1, 2, 2) * stretch[:, :, None])[:, None]
    pose = pose + generator.normal(0, jitter, pose.shape)
    if generator.random() < flip_probability:
        pose = flip(pose)
    return pose.reshape(*pose.shape[:2], -1).astype(np.float32), lengths


def crop_and_warp(
    clip: Array, generator: np.random.Generator, max_time_warp: float, min_crop: float
) -> Array:
    """Return a random part of a clip, resampled at a tempo that drifts from frame to frame."""
    num_frames = len(clip)
    length = max(2, round(num_frames * generator.uniform(min_crop, 1)))
    first = generator.integers(num_frames - length + 1)
    bound = np.log(max_time_warp)
    ends = np.clip(
        generator.uniform(-bound, bound) + generator.normal(0, bound / 4, 2), -bound, bound
    )
    tempo = np.exp(np.linspace(ends[0], ends[1], 2 * length + 1))
    times = np.cumsum(tempo) - tempo[0]
    times = first + times[times <= length - 1]
    before = np.minimum(times.astype(int), num_frames - 2)
    share = (times - before).astype(np.float32)[:, None, None]
    resampled: Array = clip[before] * (1 - share) + clip[before + 1] * share
    return resampled


def hide_joints(clip: Array, generator: np.random.Generator, probability: float) -> Array:
    """Replace random joints for up to a third of the clip by straight lines in time."""
    hidden = np.flatnonzero(generator.random(clip.shape[1]) < probability)
    clip = clip.copy()
    for joint in hidden:
        count = int(generator.integers(1, max(2, len(clip) // 3)))
        first = int(generator.integers(0, len(clip) - count + 1))
        ends = clip[[max(first - 1, 0), min(first + count, len(clip) - 1)], joint]
        share = (np.arange(1, count + 1) / (count + 1))[:, None]
        clip[first : first + count, joint] = ends[0] * (1 - share) + ends[1] * share
    return clip


def pad(clip: Array, num_frames: int) -> Array:
    """Repeat the last frame up to `num_frames`."""
    return np.pad(clip, [(0, num_frames - len(clip))] + [(0, 0)] * (clip.ndim - 1), "edge")
