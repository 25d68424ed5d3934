"""Turns the joints of people, as programs write them, into the joints of COCO in pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.coco import FIRST, JOINTS, LAYOUTS, OTHER_LAYOUTS
from tcc.files import UserError

Joints = NDArray[np.float64]  # (J, 3): x, y, confidence
Person = tuple[Joints, float | None]  # and the score of the person, if there is one

CONFIDENCE_KEYS = (
    "keypoint_scores", "keypoints_scores", "keypoint_score", "kp_score", "scores", "score",
    "confidences", "confidence", "visible", "visibility", "conf", "c", "v", "likelihood",
)  # fmt: skip
NUMBERS_PER_JOINT = (3, 2, 4)  # x, y, confidence; x, y; x, y, z, confidence
SHARE = 2.0  # largest coordinate of positions that are shares of the picture
MIN_INSIDE = 0.9  # of such positions, how many must be in the picture
FAR = 0.4  # body sizes from the nose; eyes are nearer, ankles farther
WAY_ON = "make the keypoints with tcc_get_pose.py from the video, or with AlphaPose"


def split_people(joints: Any, confidence: Any, score: float | None) -> Iterator[Person]:
    """Yield people whose joints are in one list or object.

    Args:
        joints: of one person or of several.
        confidence: of the joints, or of the people; None if it is with the joints.
        score: of the person; None if unknown.
    """
    if isinstance(joints, dict) and isinstance(joints.get("x"), list):
        if joints["x"] and isinstance(joints["x"][0], list):
            for index in range(len(joints["x"])):
                yield _join({key: value[index] for key, value in joints.items()}, None, score)
        elif joints["x"]:
            yield _join(joints, confidence, score)
        return
    if isinstance(joints, dict):
        yield _join(joints, confidence, score)
        return
    if not joints:
        return
    first = next((joint for joint in joints if joint is not None), 0.0)
    is_one = not isinstance(first, list) or (len(first) <= 4 and not isinstance(first[0], list))
    if not is_one and not first:
        return
    if is_one:
        yield _join(joints, confidence, score)
        return
    for index, person in enumerate(joints):
        while isinstance(person, list) and len(person) == 1:  # mmpose: one list more a person
            person = person[0]
        own = confidence[index] if confidence and index < len(confidence) else None
        if person:
            yield _join(person, own, own if is_number(own) else score)


def _join(joints: Any, confidence: Any, score: float | None) -> Person:
    """Return a person's joints (J, 3) and score; J is 17 if the joints have names."""
    while isinstance(confidence, list) and len(confidence) == 1 and isinstance(confidence[0], list):
        confidence = confidence[0]
    names: list[str] = []
    rows: list[Any]
    if isinstance(joints, dict) and isinstance(joints.get("x"), list):
        own = next((joints[key] for key in CONFIDENCE_KEYS if key in joints), None)
        confidence = own if confidence is None else confidence
        rows = [list(row) for row in zip(joints["x"], joints["y"], strict=False)]
    elif isinstance(joints, dict):
        names, rows = list(joints), [_point(value) for value in joints.values()]
    elif isinstance(joints[0], dict):
        names = [str(joint.get("name", joint.get("part", ""))) for joint in joints]
        rows = [_point(joint) for joint in joints]
    elif isinstance(joints[0], list):
        rows = joints
    else:
        width = _width(len(joints))
        rows = [joints[start : start + width] for start in range(0, len(joints), width)]
    points = np.zeros((len(rows), 3))
    for index, row in enumerate(rows):
        own = row[-1] if len(row) > 2 else 1.0
        if isinstance(confidence, list) and index < len(confidence):
            own = confidence[index]
        while isinstance(own, list) and own:
            own = own[0]
        values = [*row[:2], own]
        if all(map(is_number, values)):
            points[index] = values
    order = _order(names)
    return (points if order is None else points[order]), score


def _point(joint: Any) -> list[Any]:
    """Return x, y and confidence of a joint that is an object or a list."""
    if not isinstance(joint, dict):
        return list(joint) if isinstance(joint, list) else []
    where = joint.get("position", joint)
    confidence = next((joint[key] for key in CONFIDENCE_KEYS if key in joint), 1.0)
    return [where.get("x"), where.get("y"), confidence]


def is_point(value: Any) -> bool:
    """Return whether a value is one joint as an object with a position."""
    return isinstance(value, dict) and ("position" in value or is_number(value.get("x")))


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; JSON of Python may hold NaN."""
    return isinstance(value, int | float) and abs(value) < math.inf


def _width(length: int) -> int:
    """Return how many numbers a joint has in a flat list."""
    for width in NUMBERS_PER_JOINT:
        if length % width == 0 and length // width in LAYOUTS:
            return width
    return 3


def _order(names: Sequence[str]) -> list[int] | None:
    """Return the indices of COCO's joints in a list of names; None if one is missing."""
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in names]
    wanted = [joint.replace("_", "") for joint in JOINTS]
    return [plain.index(name) for name in wanted] if set(wanted) <= set(plain) else None


def joint_order(path: Path, content: Any) -> list[int] | None:
    """Return the indices of COCO's joints if the file names its joints in another order.

    Raises:
        UserError: the file names joints, and some of COCO's are missing.
    """
    if not isinstance(content, dict):
        return None
    meta = content.get("meta_info") or {}
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(names, dict):
        names = list(names.values())
    for category in content.get("categories") or ():
        names = names or (category.get("keypoints") if isinstance(category, dict) else None)
    if not names:
        return None
    order = _order(list(map(str, names)))
    if order is None and any(re.sub("[^a-z]", "", str(n).lower()) == "leftknee" for n in names):
        known = meta.get("dataset_name", "its joints") if isinstance(meta, dict) else "its joints"
        raise UserError(
            f"{path}: {len(names)} keypoints ({known}) that lack joints of COCO; {WAY_ON}"
        )
    return order


def to_coco(
    path: Path, images: Sequence[str], people: Sequence[Joints], order: list[int] | None
) -> NDArray[np.float64]:
    """Return the joints of COCO, (P, 17, 3); a joint at 0, 0 has confidence 0.

    Raises:
        UserError: a person has another number of joints than all known layouts.
    """
    result = np.zeros((len(people), len(JOINTS), 3))
    for count in {len(joints) for joints in people}:
        which = [index for index, joints in enumerate(people) if len(joints) == count]
        if order is None or count <= max(order):
            check_layout(path, images[which[0]], count)
        joints = np.stack([people[index] for index in which])
        indices = list(LAYOUTS[count][1]) if order is None or count <= max(order) else order
        if count == 25 and _is_body_25b(joints):
            indices = list(FIRST)
        result[which] = joints[:, indices]
    result[~result[..., :2].any(axis=-1), 2] = 0
    np.maximum(result[..., 2], 0, out=result[..., 2])
    return result


def check_layout(path: Path, image: str, count: int) -> None:
    """Raise UserError if a person with that number of joints can't be read."""
    if count not in LAYOUTS:
        name = OTHER_LAYOUTS.get(count, "an unknown layout")
        raise UserError(
            f"{path} frame {image}: {count} keypoints a person ({name}), not one of "
            f"{', '.join(map(str, LAYOUTS))}; {WAY_ON}"
        )


def _is_body_25b(joints: Joints) -> bool:
    """Return whether 25 joints are those of BODY_25B, where joints 15 and 16 are the ankles.

    In BODY_25 they are the eyes, near the nose, joint 0.
    """
    seen = (joints[:, [0, 15, 16], 2] > 0).all(axis=1)
    points = joints[seen, :, :2]
    size = np.maximum(np.linalg.norm(np.ptp(points, axis=1), axis=-1), 1e-9)
    apart = np.linalg.norm(points[:, [15, 16]] - points[:, :1], axis=-1).mean(axis=1)
    return bool(seen.any() and np.median(apart / size) > FAR)


def to_pixels(
    path: Path, keypoints: NDArray[np.float64], picture_px: tuple[int, int] | None
) -> NDArray[np.float64]:
    """Return keypoints (P, 17, 3) in pixels, also if they are shares of the picture.

    Raises:
        UserError: they are shares of a picture whose size is not known.
    """
    points = keypoints[keypoints[..., 2] > 0][:, :2]
    if not len(points) or np.abs(points).max() > SHARE:
        return keypoints
    is_usable = ((points >= 0) & (points <= 1)).all(axis=1).mean() >= MIN_INSIDE
    if not is_usable or picture_px is None:
        raise UserError(
            f"{path}: the positions are shares of the picture, {points.min():.3g} to "
            f"{points.max():.3g}; save them in pixels"
            + (", or put the images of all frames into vis/" if is_usable else "")
        )
    return np.asarray(keypoints * np.array([*picture_px, 1.0]))
