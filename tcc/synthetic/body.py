"""Computes the joints of a body that stands on the ice from its pose.

A pose is a row of 20 numbers. The first four are angles in degrees: lean of the trunk forward, lean
to the left, turn of the shoulders relative to the hips, turn of the hips. Then come four numbers
for each of left leg, right leg, left arm and right arm: the direction from the root of the limb to
its end, as (forward, outward, up), and how far it is extended, where 1 is straight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Body = dict[str, float]

ANKLE_M = 0.12  # height of the ankle of a standing skate above the ice
# Lengths in metres of a body 1.7 m tall.
LENGTHS = {
    "hip": 0.12, "thigh": 0.42, "shank": 0.42, "trunk": 0.5, "shoulder": 0.18, "upper_arm": 0.28,
    "forearm": 0.25, "head": 0.2,
}  # fmt: skip
# Nose, eyes and ears relative to the end of the head: forward, left, up, in metres.
FACE = (
    (0.11, 0, 0), (0.08, 0.035, 0.04), (0.08, -0.035, 0.04), (0, 0.075, 0.02), (0, -0.075, 0.02)
)  # fmt: skip
# Share of the body's mass at each COCO joint, after Dempster (1955).
MASSES = np.array(
    [0, 0, 0, 0.04, 0.04, 0.14, 0.14, 0.03, 0.03, 0.02, 0.02, 0.14, 0.14, 0.09, 0.09, 0.04, 0.04]
)


def reach_ice(rows: Array, left: Array, body: Body) -> Array:
    """Bend each leg that would reach below the ice.

    The height of the hips is the mean of that of both legs, weighted by the weight they carry.

    Args:
        rows: (F, 20) poses.
        left: (F,) share of the weight on the left leg.
        body: lengths as in LENGTHS, m.

    Returns:
        (F, 20) poses.
    """
    rows = rows.copy()
    legs = rows[:, 4:12].reshape(-1, 2, 4)
    legs[..., 2] = np.minimum(legs[..., 2], -0.08)
    legs[..., 3] = legs[..., 3].clip(0.4, 0.995)
    down = _drop(legs, body)
    hips = left * down[:, 0] + (1 - left) * down[:, 1]
    hips = np.maximum(hips, 0.55 * down.max(axis=1))
    legs[..., 3] *= np.minimum(hips[:, None] / down, 1)
    rows[:, 4:12] = legs.reshape(-1, 8)
    return rows


def _drop(legs: Array, body: Body) -> Array:
    """Return how far below the hips the left and the right foot are, (F, 2) m."""
    length = np.linalg.norm(legs[..., :3], axis=-1)
    drop: Array = -legs[..., 2] / length * legs[..., 3] * (body["thigh"] + body["shank"])
    return drop


def skeleton(rows: Array, body: Body, head_turn: float) -> Array:
    """Return the joints of poses; the lower foot stands on the ice.

    Args:
        rows: (F, 20) poses.
        body: lengths as in LENGTHS, m.
        head_turn: turn of the head relative to the shoulders, radians.

    Returns:
        (F, 17, 3) m along the axes of the hips: forward, left, up.
    """
    joints = np.zeros((len(rows), 17, 3))
    legs = rows[:, 4:12].reshape(-1, 2, 4)
    hips = _drop(legs, body).max(axis=1) + ANKLE_M
    lean, tilt, twist = np.radians(rows[:, :3].T)
    up = _unit(np.stack([np.tan(lean), np.tan(tilt), np.ones(len(rows))], axis=-1))
    chest, chest_left = _axes(up, twist)
    face, face_left = _axes(up, twist + head_turn)
    neck = up * body["trunk"]
    for index, side in enumerate((1.0, -1.0)):
        out = np.array([1, side, 1])
        joints[:, 11 + index, 1] = side * body["hip"]
        joints[:, 13 + index], joints[:, 15 + index] = _limb(
            joints[:, 11 + index], legs[:, index, :3] * out, legs[:, index, 3],
            np.array([1, 0.1, 0.25]) * out, body["thigh"], body["shank"],
        )  # fmt: skip
        arm = rows[:, 12 + 4 * index : 16 + 4 * index]
        joints[:, 5 + index] = neck + side * body["shoulder"] * chest_left
        joints[:, 7 + index], joints[:, 9 + index] = _limb(
            joints[:, 5 + index],
            arm[:, :1] * chest + side * arm[:, 1:2] * chest_left + arm[:, 2:3] * up,
            arm[:, 3].clip(0.4, 0.995),
            side * 0.8 * chest_left - 0.3 * chest - 0.6 * up, body["upper_arm"], body["forearm"],
        )  # fmt: skip
    crown = neck + up * body["head"]
    for joint, (ahead, aside, above) in enumerate(FACE):
        joints[:, joint] = crown + ahead * face + aside * face_left + above * up
    joints[..., 2] += hips[:, None]
    return joints


def _limb(
    root: Array, direction: Array, reach: Array, pole: Array, upper: float, lower: float
) -> tuple[Array, Array]:
    """Return the middle joint, which bends towards `pole`, and the end of a limb, each (F, 3)."""
    direction = _unit(direction)
    span = reach * (upper + lower)
    along = (upper**2 - lower**2 + span**2) / (2 * span)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0))
    towards = _unit(pole - (pole * direction).sum(axis=-1, keepdims=True) * direction)
    middle = root + along[:, None] * direction + aside[:, None] * towards
    return middle, root + span[:, None] * direction


def _axes(up: Array, turn: Array) -> tuple[Array, Array]:
    """Return the forward and left axes (F, 3) of a body part along `up` with a turn to the left."""
    level = np.stack([np.cos(turn), np.sin(turn), np.zeros(len(up))], axis=-1)
    forward = _unit(level - (level * up).sum(axis=-1, keepdims=True) * up)
    return forward, np.cross(up, forward)


def _unit(vectors: Array) -> Array:
    lengths: Array = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths)
