"""Reads and writes AlphaPose's keypoint files: every person of every frame, in flat arrays."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.coco import FIRST, JOINTS, LAYOUTS
from tcc.files import UserError
from tcc.formats import (
    Poses,
    read_content,
    read_folder_of_poses,
    read_json,
    read_poses,
)
from tcc.frame_names import USE_IMAGES, match_images, number_frames
from tcc.joints import check_layout

NUMBERS = {3 * count for count, (_, joints) in LAYOUTS.items() if joints == FIRST}
MAX_NAME = 4000  # characters of an image's name; Python reads no number of more than 4300 digits
MAX_VALUE = 1e5  # px; wider than any picture


class _Person(msgspec.Struct, gc=False):
    image_id: str | int | float
    keypoints: msgspec.Raw  # decoded person by person: all lists at once would fill the memory
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Detections:
    """The P detections of a clip of F frames.

    `frame` (P,) int32, sorted; `keypoints` (P, 17, 3) float32 x px, y px, confidence in [0, 1];
    `score` (P,) float32; `image_names` F names, "" for a frame whose name is not known; `idx` (P,)
    int64 number that a tracker gave to the person, or -1; None if there are none.
    """

    frame: NDArray[np.int32]
    keypoints: NDArray[np.float32]
    score: NDArray[np.float32]
    image_names: list[str]
    idx: NDArray[np.int64] | None = None

    @property
    def num_frames(self) -> int:
        """F, the number of frames."""
        return len(self.image_names)

    def part(self, first: int, end: int) -> Detections:
        """Return the detections of the frames from `first` to `end` (exclusive)."""
        if (first, end) == (0, self.num_frames):
            return self
        found = self.take(np.flatnonzero((self.frame >= first) & (self.frame < end)))
        return replace(
            found,
            frame=(found.frame - first).astype(np.int32),
            image_names=self.image_names[first:end],
        )

    def take(self, chosen: NDArray[np.int64]) -> Detections:
        """Return the detections with these indices, which ascend."""
        return replace(
            self,
            frame=self.frame[chosen],
            keypoints=self.keypoints[chosen],
            score=self.score[chosen],
            idx=None if self.idx is None else self.idx[chosen],
        )


def read_detections(
    path: Path,
    image_names: Sequence[str] | None = None,
    picture_px: tuple[int, int] | None = None,
) -> Detections:
    """Read the people of all frames from a keypoint file.

    If `image_names` are given, the frame of a person is the place of its image there; see
    `match_images`. Otherwise the number in the image's name tells it; see `number_frames`.

    Args:
        path: a file of AlphaPose or in the format of COCO's results: a list of persons with
            `image_id`, `keypoints` (x, y, confidence of each joint in one of the LAYOUTS) and
            `score`; or a file in one of the FORMATS of other programs; or a folder with one such
            file for each frame.
        image_names: the sorted names of vis/.
        picture_px: width and height of the frames, if they are known.

    Raises:
        UserError: the file can't be used; the message names file, frame, value and remedy.
    """
    poses = read_folder_of_poses(path, picture_px) if path.is_dir() else _read(path, picture_px)
    images = list(dict.fromkeys(poses.images)) if poses.frames is None else poses.frames
    longest = max(map(len, images), default=0)
    if longest > MAX_NAME:
        raise UserError(f"{path}: the name of an image has {longest} characters; {USE_IMAGES}")
    lists_all = poses.frames is not None
    if image_names:
        frames = match_images(path, images, image_names, lists_all)
        names = list(image_names)
    else:
        frames = number_frames(path, images, lists_all)
        names = [""] * (max(frames) + 1)
        for image, number in zip(images, frames, strict=True):
            names[number] = image
    frame_of = dict(zip(images, frames, strict=True))
    frame = np.array([frame_of[image] for image in poses.images], np.int32)
    keypoints, score = poses.keypoints, poses.score
    for what, value in (("keypoint value", keypoints), ("score", score[:, None, None])):
        bad = ~(np.abs(value) <= MAX_VALUE)
        bad[..., -1] |= value[..., -1] < 0
        if bad.any():
            index = int(np.argwhere(bad)[0, 0])
            raise UserError(
                f"{path} frame {poses.images[index]}: {what} {value[index][bad[index]][0]}; "
                f"expected positions within {MAX_VALUE:.0f} px and confidences of at least 0; "
                "remove this person or run AlphaPose again"
            )
    np.minimum(keypoints[..., 2], 1, out=keypoints[..., 2])
    order = np.argsort(frame, kind="stable")
    return Detections(frame[order], keypoints[order], score[order], names)


def to_detections(
    people: Sequence[NDArray[np.floating[Any]]], image_names: Sequence[str] | None = None
) -> Detections:
    """Return the detections of people whose keypoints are known in each of F frames.

    The score is 3 times the mean confidence, which is close to AlphaPose's.

    Args:
        people: keypoints (F, 17, 3) x px, y px, confidence of each person; a frame that is all 0
            does not show the person.
        image_names: of the F frames; None: 000000.jpg, 000001.jpg, ...
    """
    keypoints = np.stack(people, axis=1).astype(np.float32)  # (F, P, 17, 3)
    seen = keypoints.any(axis=(2, 3))
    frame = np.nonzero(seen)[0].astype(np.int32)
    score = 3 * keypoints[seen][..., 2].mean(axis=1)
    names = image_names or [f"{number:06d}.jpg" for number in range(len(keypoints))]
    return Detections(frame, keypoints[seen], score, list(names))


def write_detections(
    path: Path, detections: Detections, boxes: NDArray[np.float32] | None = None
) -> None:
    """Write an AlphaPose file.

    The people of a frame are sorted by decreasing score, and `idx` counts them from 0. Positions
    and confidences are rounded to 3 decimals, scores to 4, boxes to 2.

    Args:
        path: of the .json file.
        detections: P persons; each frame that shows one needs an image name.
        boxes: (P, 4) x, y, width, height px; None: the boxes around the joints.
    """
    if boxes is None:
        low, high = (ends(detections.keypoints[..., :2], axis=1) for ends in (np.min, np.max))
        boxes = np.concatenate([low, high - low], axis=1)
    order = np.lexsort((-detections.score, detections.frame))
    first = np.searchsorted(detections.frame, detections.frame)  # index of the frame's first person
    with path.open("w", encoding="utf-8") as file:
        for place, person in enumerate(order):
            record = {
                "image_id": detections.image_names[detections.frame[person]],
                "category_id": 1,
                "keypoints": detections.keypoints[person].astype(float).round(3).ravel().tolist(),
                "score": round(float(detections.score[person]), 4),
                "box": boxes[person].astype(float).round(2).tolist(),
                "idx": place - int(first[person]),
            }
            file.write((", " if place else "[") + json.dumps(record))
        file.write("]")


def _read(path: Path, picture_px: tuple[int, int] | None) -> Poses:
    """Read a file of any known format."""
    content = read_content(path)
    try:
        if content.lstrip()[:1] == b"{":
            persons = [msgspec.json.decode(content, type=_Person)]
        else:
            persons = msgspec.json.decode(content, type=list[_Person])
    except (ValueError, RecursionError) as error:  # msgspec's and Unicode errors are ValueErrors
        if not _is_alphapose(content):
            return read_poses(path, read_json(path), picture_px)
        raise UserError(f"{path}{_explain(content, str(error))}; run AlphaPose again") from None
    if not persons:
        raise UserError(f"{path} holds no person; run AlphaPose on the video again")
    with np.errstate(over="ignore"):  # a value too large for float32 becomes inf and is refused
        keypoints = _decode_keypoints(path, persons)
        if keypoints is None:
            return read_poses(path, read_json(path), picture_px)
        score = np.array([person.score for person in persons]).astype(np.float32)
    return Poses([_image_name(person) for person in persons], keypoints, score, None)


def _is_alphapose(content: bytes) -> bool:
    """Return whether the first person is one of AlphaPose, or the file holds a single value."""
    try:
        persons = json.loads(content)
    except (ValueError, RecursionError):
        return False
    first = persons[0] if isinstance(persons, list) and persons else persons
    return not isinstance(persons, list | dict) or (
        isinstance(first, dict) and first.keys() >= {"image_id", "keypoints"}
    )


def _image_name(person: _Person) -> str:
    image = person.image_id
    return str(int(image) if isinstance(image, float) and image.is_integer() else image)


def _decode_keypoints(path: Path, persons: list[_Person]) -> NDArray[np.float32] | None:
    """Return the first 17 keypoints of each person, (P, 17, 3); None if they are not COCO's."""
    values = np.empty((len(persons), 3 * len(JOINTS)), np.float32)
    decode = msgspec.json.Decoder(list[float]).decode
    for row, person in zip(values, persons, strict=True):
        try:
            numbers = decode(person.keypoints)
        except msgspec.DecodeError as error:
            if re.match(rb"\s*(\{|\[\s*[\[{])", person.keypoints):  # not a flat list of numbers
                return None
            raise UserError(
                f"{path} frame {person.image_id}: keypoints: {error}; run AlphaPose again"
            ) from None
        if len(numbers) not in NUMBERS:
            if len(numbers) % 3 == 0:
                check_layout(path, _image_name(person), len(numbers) // 3)
            return None
        row[:] = numbers[: len(row)]
    keypoints = values.reshape(len(persons), -1, 3)
    keypoints[~keypoints[..., :2].any(axis=-1), 2] = 0  # at 0, 0 if there is no position
    return keypoints


def _explain(content: bytes, message: str) -> str:
    """Return where the decoder failed: the frame, the value and the reason."""
    persons = json.loads(content)
    if isinstance(persons, dict):
        persons = [persons]
    found = re.fullmatch(r"(.*) - at `\$\[(\d+)\]\.?(.*)`", message)
    if found:
        image = _image(persons[int(found[2])]) or f"of person {found[2]} (counted from 0)"
        return f" frame {image}: {found[3] or 'person'}: {found[1]}"
    for person in persons if isinstance(persons, list) else []:
        # Python's json module reads and writes these values, which are not valid JSON.
        value = re.search(r"(?<=[ \[])-?(NaN|Infinity)(?=[,\]}])", json.dumps(person))
        if value:
            return f" frame {_image(person) or 0}: value {value[0]}"
    return f": expected a list of persons in UTF-8: {message}"


def _image(person: object) -> object:
    """Return the name of a person's image, or None if it has none."""
    image = person.get("image_id") if isinstance(person, dict) else None
    return image if isinstance(image, str | int | float) else None
