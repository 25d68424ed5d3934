"""Skaters whose joints are known, for the tests of the report."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.synthetic.skater import Motion, sample_motion

Array = NDArray[np.floating[Any]]
# A body that stands upright and faces the camera: x to the right, y up, in torso lengths.
STANDING = np.array(
    [(0, 1.4), (0.05, 1.45), (-0.05, 1.45), (0.1, 1.4), (-0.1, 1.4), (0.31, 1), (-0.31, 1),
     (0.35, 0.5), (-0.35, 0.5), (0.35, 0), (-0.35, 0), (0.21, 0), (-0.21, 0), (0.21, -0.8),
     (-0.21, -0.8), (0.21, -1.6), (-0.21, -1.6)]
)  # fmt: skip


def keypoints_of(points: Array, confidence: float = 0.9) -> NDArray[np.float32]:
    """Return keypoints (F, 17, 3) of points (F, 17, 2) px."""
    return np.insert(points, 2, confidence, axis=-1).astype(np.float32)


def axel(seed: int, clockwise: bool, fps: float = 30.0) -> Motion:
    """Return a synthetic Axel with a second before and after it."""
    return sample_motion(
        np.random.default_rng(seed),
        jump="axel", turns=1, fps=fps, lead_in_s=1, lead_out_s=1, clockwise=clockwise,
    )  # fmt: skip


def seen_from(joints_m: Array, degrees: float) -> Array:
    """Return (F, 17, 2) px of joints (F, 17, 3) m, seen by a level camera far away.

    `degrees` is the direction from the skater to the camera, counted as that of `facing`.
    """
    angle = np.radians(degrees)
    right = joints_m[..., :2] @ [-np.sin(angle), np.cos(angle)]
    return 100 * np.stack([right, -joints_m[..., 2]], axis=-1) + [640, 500]
