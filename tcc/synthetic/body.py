"""From a pose to the joints of a body that stands on the ice.

A pose is a row of 20 numbers: trunk forward and to the left, shoulders' turn from the hips, hips'
turn, degrees; of both legs and both arms where their ends lie from their roots, forward, outward
and up, and how far, 1 is straight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Body = dict[str, float]

ANKLE_M = 0.12  # of a skate's ankle above the ice
# Metres of a body 1.7 m tall, and the share of its mass that each joint stands for (Dempster 1955).
LENGTHS = {
    "hip": 0.12, "thigh": 0.42, "shank": 0.42, "trunk": 0.5, "shoulder": 0.18, "upper_arm": 0.28,
    "forearm": 0.25, "head": 0.2,
}  # fmt: skip
FACE = (
    (0.11, 0, 0), (0.08, 0.035, 0.04), (0.08, -0.035, 0.04), (0, 0.075, 0.02), (0, -0.075, 0.02)
)  # fmt: skip
MASSES = np.array(
    [0, 0, 0, 0.04, 0.04, 0.14, 0.14, 0.03, 0.03, 0.02, 0.02, 0.14, 0.14, 0.09, 0.09, 0.04, 0.04]
)


def reach_ice(rows: Array, left: Array, body: Body) -> Array:
    """Bend a leg that would reach below the ice, with the hips as high as the carrying leg says."""
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
    """How far below the hips the feet are, (F, 2) m."""
    length = np.linalg.norm(legs[..., :3], axis=-1)
    drop: Array = -legs[..., 2] / length * legs[..., 3] * (body["thigh"] + body["shank"])
    return drop


def skeleton(rows: Array, body: Body, head_turn: float) -> Array:
    """Joints (F, 17, 3) in the hips' axes, forward, left, up; the lower foot stands on the ice."""
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
    root: Array, way: Array, reach: Array, pole: Array, upper: float, lower: float
) -> tuple[Array, Array]:
    """Return the middle joint, bent towards the pole, and the end of a limb, each (F, 3)."""
    way = _unit(way)
    span = reach * (upper + lower)
    along = (upper**2 - lower**2 + span**2) / (2 * span)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0))
    towards = _unit(pole - (pole * way).sum(axis=-1, keepdims=True) * way)
    middle = root + along[:, None] * way + aside[:, None] * towards
    return middle, root + span[:, None] * way


def _axes(up: Array, turn: Array) -> tuple[Array, Array]:
    """Return forward and left (F, 3) of a part of the body along `up`, turned to the left."""
    level = np.stack([np.cos(turn), np.sin(turn), np.zeros(len(up))], axis=-1)
    forward = _unit(level - (level * up).sum(axis=-1, keepdims=True) * up)
    return forward, np.cross(up, forward)


def _unit(vectors: Array) -> Array:
    lengths: Array = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths)
