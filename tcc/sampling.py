"""Draws the clips of a batch and their frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
