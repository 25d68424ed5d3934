"""Reads AlphaPose's keypoint files: every person of every frame, in flat arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.cli import UserError

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12),
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
# COCO-17 out of OpenPose's two layouts, by the number of their joints.
OPENPOSE = {
    18: (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10),
    25: (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
}
KEYPOINT_COUNTS = (17, 26, 136)
MAX_NUMBER_GAP = 100_000


class _Person(msgspec.Struct):
    image_id: str | int
    keypoints: list[float]
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Detections:
    """The P detections of a clip of F frames.

    `frame` (P,) int32, rising; `keypoints` (P, 17, 3) float32 x px, y px, confidence in [0, 1];
    `score` (P,) float32; `image_names` F names, "" where nothing names the frame.
    """

    frame: NDArray[np.int32]
    keypoints: NDArray[np.float32]
    score: NDArray[np.float32]
    image_names: list[str]

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.image_names)


def read_detections(path: Path, image_names: Sequence[str] | None = None) -> Detections:
    """Read an AlphaPose file.

    A frame's index is its place among `image_names`, where they are given. Otherwise it is the last
    number in the image's name, as AlphaPose counts a video's frames from 0, less the smallest
    number if that is not below the count of images: then the numbering begins elsewhere.

    Args:
        path: a list of persons with `image_id`, `keypoints` (17, 26 or 136 times x, y, confidence;
            the first 17 are COCO's) and `score`; one such person; or one frame of OpenPose.
        image_names: the sorted names of vis/.

    Raises:
        UserError: the file can't be used; names file, frame, value and remedy.
    """
    persons = _decode(path)
    if not persons:
        raise UserError(f"{path} holds no person; run AlphaPose on the video again")
    frames, names = _number_frames(path, [str(p.image_id) for p in persons], image_names)
    sizes = np.array([len(person.keypoints) for person in persons])
    if not np.isin(sizes, [3 * count for count in KEYPOINT_COUNTS]).all():
        index = int(np.flatnonzero(~np.isin(sizes, [3 * count for count in KEYPOINT_COUNTS]))[0])
        raise UserError(
            f"{path} frame {persons[index].image_id}: expected 51 keypoint values (17 x 3), got "
            f"{sizes[index]}; AlphaPose's COCO-17, Halpe-26 and Halpe-136 models are read"
        )
    keypoints = np.array([person.keypoints[:51] for person in persons], np.float32)
    keypoints = keypoints.reshape(-1, len(JOINTS), 3)
    bad = ~np.isfinite(keypoints).all(axis=(1, 2)) | (keypoints[..., 2] < 0).any(axis=1)
    if bad.any():
        index = int(bad.argmax())
        value = next(v for v in keypoints[index].ravel() if not np.isfinite(v) or v < 0)
        raise UserError(
            f"{path} frame {persons[index].image_id}: keypoint value {value}; expected finite "
            "positions and confidences from 0; remove this person or run AlphaPose again"
        )
    np.minimum(keypoints[..., 2], 1, out=keypoints[..., 2])
    order = np.argsort(frames, kind="stable")
    score = np.array([person.score for person in persons], np.float32)
    return Detections(frames[order], keypoints[order], score[order], names)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key by which 2.jpg comes before 10.jpg."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _decode(path: Path) -> list[_Person]:
    """Decode a file of any of the known layouts."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    try:
        if content.lstrip()[:1] == b"{":
            return _from_object(path, msgspec.json.decode(content))
        return msgspec.json.decode(content, type=list[_Person])
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {_locate(content, str(error))}; run AlphaPose again") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not valid JSON: {error}; run AlphaPose again") from None


def _from_object(path: Path, content: dict[str, Any]) -> list[_Person]:
    """Read one AlphaPose person, or one frame of OpenPose."""
    if "keypoints" in content:
        return [msgspec.convert(content, _Person)]
    if "people" not in content:
        raise UserError(
            f"{path}: expected a list of persons with image_id and keypoints, got an object with "
            f"{', '.join(list(content)[:3])}; write it with AlphaPose's --format coco"
        )
    persons = []
    for person in content["people"]:
        values = np.asarray(person["pose_keypoints_2d"], np.float64).reshape(-1, 3)
        if len(values) not in OPENPOSE:
            raise UserError(
                f"{path}: OpenPose person of {len(values)} joints; expected 18 or 25 (BODY_25)"
            )
        joints = values[list(OPENPOSE[len(values)])].ravel().tolist()
        persons.append(_Person("0", joints, float(values[:, 2].mean())))
    return persons


def _locate(content: bytes, message: str) -> str:
    """Add the image's name to a decoder's message about the n-th person."""
    found = re.search(r"\$\[(\d+)\]", message)
    if not found:
        return f"expected a list of persons: {message}"
    person = msgspec.json.decode(content)[int(found[1])]
    image = person.get("image_id", "?") if isinstance(person, dict) else "?"
    return f"person {found[1]}, frame {image}: {message}"


def _number_frames(
    path: Path, images: list[str], image_names: Sequence[str] | None
) -> tuple[NDArray[np.int32], list[str]]:
    """Return each detection's frame and the image name of every frame."""
    if image_names is not None:
        place = {PurePath(name).stem: frame for frame, name in enumerate(image_names)}
        stems = [PurePath(image).stem for image in images]
        missing = next(
            (image for image, stem in zip(images, stems, strict=True) if stem not in place), None
        )
        if missing is not None:
            raise UserError(
                f"{path} frame {missing}: vis/ holds no such image ({image_names[0]} to "
                f"{image_names[-1]}); put every frame of the video there"
            )
        return np.array([place[stem] for stem in stems], np.int32), list(image_names)

    number_of: dict[str, int] = {}
    for image in set(images):
        digits = re.findall(r"\d+", PurePath(image).stem)
        if not digits or int(digits[-1]) >= 10**9:
            raise UserError(
                f"{path} frame {image}: the name carries no frame number; put the frames in vis/ "
                "beside it, their order by name then counts"
            )
        number_of[image] = int(digits[-1])
    first = min(number_of.values())
    origin = first if first >= len(number_of) else 0
    num_frames = max(number_of.values()) + 1 - origin
    if num_frames > MAX_NUMBER_GAP + len(number_of):
        raise UserError(
            f"{path}: {len(number_of)} images are numbered {first} to {num_frames + origin - 1}; "
            "put the frames in vis/ beside it, their order by name then counts"
        )
    names = [""] * num_frames
    for image, number in number_of.items():
        if names[number - origin]:
            raise UserError(
                f"{path}: images {names[number - origin]} and {image} carry the same frame number; "
                "put the frames in vis/ beside it, their order by name then counts"
            )
        names[number - origin] = image
    return np.array([number_of[image] - origin for image in images], np.int32), names
