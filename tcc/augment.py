"""Random training batches: which clips and frames, and how the skaters are varied."""

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
    """How a batch of clips is varied; tcc_config.py holds the values.

    Attributes:
        flip_probability: of mirroring the whole batch, left and right swapped.
        max_rotation: degrees in the image plane.
        max_scale: share by which width and height grow or shrink, each by itself.
        squeeze_probability: of multiplying a clip's width by a number between -1 and 1, as the
            view from another side would; without it only the flip mirrors.
        max_lift: share by which vertical motion grows or shrinks.
        jitter: standard deviation of a joint's position, torso lengths.
        joint_dropout: probability that a joint is hidden for a while and interpolated.
        max_time_warp: tempo lies between 1 / this and this.
        min_crop: shortest crop, share of the clip.
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
    """Crop, warp in time, hide joints, rotate, stretch, jitter and perhaps mirror a batch of clips.

    Args:
        clips: B arrays (F, J, 2) px.
        fps: B frames per second.
        generator: the only source of randomness.
        options: see AugmentOptions.

    Returns:
        features (B, F, C), each clip padded with its last frame; lengths (B,); places (B, F) of the
        frames in the clips, in frames.
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
        clip[length:] = clip[length - 1]  # the padding repeats the last frame, its jitter too
    if generator.random() < options.flip_probability:
        pose = flip(pose)
    lift = 1 + generator.uniform(-options.max_lift, options.max_lift, (len(clips), 1, 1))
    places = np.stack([pad(place, lengths.max()) for _, place in cropped])
    return join(pose, motion * lift), lengths, places


def crop_and_warp(
    clip: Array, generator: np.random.Generator, max_time_warp: float, min_crop: float
) -> tuple[Array, Array]:
    """Return a random part of a clip, resampled at a tempo that drifts, and its frames' places."""
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


def choose_clips(
    num_clips: int, batch_size: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return `batch_size` clip indices, each clip as often as any other, give or take one."""
    rounds = -(-batch_size // num_clips)
    return np.concatenate([generator.permutation(num_clips) for _ in range(rounds)])[:batch_size]


def sample_steps(
    lengths: NDArray[np.int64], num_steps: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Draw sorted random frames of each clip, none twice.

    Args:
        lengths: (B,) frames.
        num_steps: T.

    Returns:
        (B, T) frames and (B, T) mask; a clip shorter than T gives all its frames, then padding.
    """
    steps = np.empty((len(lengths), num_steps), np.int64)
    mask = np.ones((len(lengths), num_steps), np.bool_)
    for row, length in enumerate(lengths):
        count = min(num_steps, int(length))
        steps[row, :count] = np.sort(generator.choice(length, count, replace=False))
        steps[row, count:] = length - 1
        mask[row, count:] = False
    return steps, mask
