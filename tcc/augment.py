"""Random training batches: draws clips and frames, and changes the skaters (augmentation)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.features import flip, join, normalize, vertical_motion

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """Settings of the augmentation; tcc_config.py holds the values.

    Attributes:
        flip_probability: probability that the whole batch is mirrored, with left and right swapped.
        max_rotation: largest rotation in the image plane, degrees.
        max_scale: largest change of width and of height, drawn separately; 0.1 is 10 %.
        squeeze_probability: probability that a clip's width is multiplied by a number between -1
            and 1, as if the camera stood on another side.
        max_lift: largest change of the vertical motion; 0.3 is 30 %.
        jitter: standard deviation of the noise on a joint's position, torso lengths.
        joint_dropout: probability that a joint is hidden in some frames and interpolated there.
        max_time_warp: largest tempo; the smallest is 1 / max_time_warp.
        min_crop: length of the shortest crop, as a share of the clip.
    """

    flip_probability: float
    max_rotation: float
    max_scale: float
    squeeze_probability: float
    max_lift: float
    jitter: float
    joint_dropout: float
    max_time_warp: float
    min_crop: float


def augment(
    clips: Sequence[Array],
    fps: Sequence[float],
    generator: np.random.Generator,
    options: AugmentOptions,
) -> tuple[Array, NDArray[np.int64], Array]:
    """Crop, warp in time, hide joints, rotate, stretch, jitter and sometimes mirror clips.

    Args:
        clips: B arrays (F, J, 2) px.
        fps: B frames per second.
        generator: source of all randomness.
        options: see AugmentOptions.

    Returns:
        features (B, F, C), each clip padded with its last frame; lengths (B,) without the padding;
        places (B, F), position of each frame in the original clip, in frames.
    """
    cropped = [
        crop_and_warp(clip, generator, options.max_time_warp, options.min_crop) for clip in clips
    ]
    warped = [clip for clip, _ in cropped]
    lengths = np.array([len(clip) for clip in warped])
    hidden = [hide_joints(clip, generator, options.joint_dropout) for clip in warped]
    pose, motion = (
        np.stack(
            [pad(make(clip, rate), lengths.max()) for clip, rate in zip(hidden, fps, strict=True)]
        )
        for make in (normalize, vertical_motion)
    )
    angle = np.radians(generator.uniform(-options.max_rotation, options.max_rotation, len(clips)))
    stretch = 1 + generator.uniform(-options.max_scale, options.max_scale, (len(clips), 2))
    squeezed = generator.random(len(clips)) < options.squeeze_probability
    stretch[:, 0] *= np.where(squeezed, generator.uniform(-1, 1, len(clips)), 1)
    rotation = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1)
    pose = pose @ (stretch[:, :, None] * rotation.reshape(-1, 2, 2))[:, None]
    pose = pose + generator.normal(0, options.jitter, pose.shape)
    for clip, length in zip(pose, lengths, strict=True):
        clip[length:] = clip[length - 1]  # the padding repeats the last frame with its jitter
    if generator.random() < options.flip_probability:
        pose = flip(pose)
    lift = 1 + generator.uniform(-options.max_lift, options.max_lift, (len(clips), 1, 1))
    places = np.stack([pad(place, lengths.max()) for _, place in cropped])
    return join(pose, motion * lift), lengths, places


def crop_and_warp(
    clip: Array, generator: np.random.Generator, max_time_warp: float, min_crop: float
) -> tuple[Array, Array]:
    """Cut a random part out of a clip and resample it at a slowly changing random tempo.

    Args:
        clip: (F, ...), F at least 2.
        generator: source of all randomness.
        max_time_warp: largest tempo; the smallest is 1 / max_time_warp.
        min_crop: length of the shortest part, as a share of the clip.

    Returns:
        The resampled part (G, ...) and the position (G,) of its frames in the clip, in frames.
    """
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
    return resampled, times


def hide_joints(clip: Array, generator: np.random.Generator, probability: float) -> Array:
    """Hide random joints and interpolate them.

    Args:
        clip: (F, J, 2).
        generator: source of all randomness.
        probability: probability of hiding a joint, in a row of up to a third of the frames.

    Returns:
        (F, J, 2), with hidden positions on a straight line between the positions before and after.
    """
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
    """Repeat the last frame of a clip (F, ...) until it has `num_frames`."""
    return np.pad(clip, [(0, num_frames - len(clip))] + [(0, 0)] * (clip.ndim - 1), "edge")


def choose_clips(
    num_clips: int, batch_size: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return `batch_size` random clip indices; no clip occurs 2 times more than another."""
    rounds = -(-batch_size // num_clips)
    return np.concatenate([generator.permutation(num_clips) for _ in range(rounds)])[:batch_size]


def sample_steps(
    lengths: NDArray[np.int64], num_steps: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Draw random frames of each clip without replacement.

    Args:
        lengths: (B,) number of frames of each clip.
        num_steps: T.
        generator: source of all randomness.

    Returns:
        (B, T) sorted frames and (B, T) mask. A clip shorter than T gives all its frames; the rest
        repeats its last frame, with mask False.
    """
    steps = np.empty((len(lengths), num_steps), np.int64)
    mask = np.ones((len(lengths), num_steps), np.bool_)
    for row, length in enumerate(lengths):
        count = min(num_steps, int(length))
        steps[row, :count] = np.sort(generator.choice(length, count, replace=False))
        steps[row, count:] = length - 1
        mask[row, count:] = False
    return steps, mask
