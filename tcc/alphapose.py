"""Reads and writes AlphaPose's keypoint files: every person of every frame, in flat arrays."""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.coco import JOINTS
from tcc.files import UserError

log = logging.getLogger("tcc")


# Indices of the COCO-17 joints in OpenPose's two layouts, by the number of joints of the layout.
OPENPOSE = {
    18: (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10),
    25: (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
}
NUMBERS = (3 * 17, 3 * 26, 3 * 136)  # values per person of AlphaPose's models
MAX_NUMBER_GAP = 100_000  # largest number of frames that show nobody by the image numbers
USE_IMAGES = (
    "put the images of all frames into vis/ beside this file: their sorted names give the order"
)
MAX_VALUE = 1e5  # px; wider than any picture


class _Person(msgspec.Struct, gc=False):
    image_id: str | int
    keypoints: msgspec.Raw  # decoded person by person: all lists at once would fill the memory
    score: float = 1.0


class _OpenPosePerson(msgspec.Struct):
    pose_keypoints_2d: list[float]


@dataclass(frozen=True, slots=True)
class Detections:
    """The P detections of a clip of F frames.

    `frame` (P,) int32, sorted; `keypoints` (P, 17, 3) float32 x px, y px, confidence in [0, 1];
    `score` (P,) float32; `image_names` F names, "" for a frame whose name is not known.
    """

    frame: NDArray[np.int32]
    keypoints: NDArray[np.float32]
    score: NDArray[np.float32]
    image_names: list[str]

    @property
    def num_frames(self) -> int:
        """F, the number of frames."""
        return len(self.image_names)

    def part(self, first: int, end: int) -> Detections:
        """Return the detections of the frames from `first` to `end` (exclusive)."""
        if (first, end) == (0, self.num_frames):
            return self
        inside = slice(*np.searchsorted(self.frame, (first, end)))
        return Detections(
            (self.frame[inside] - first).astype(np.int32),
            self.keypoints[inside],
            self.score[inside],
            self.image_names[first:end],
        )


def read_detections(path: Path, image_names: Sequence[str] | None = None) -> Detections:
    """Read an AlphaPose file.

    If `image_names` are given, the frame of a person is the index of its image there. Otherwise it
    is the last number in the image's name. AlphaPose counts the frames of a video from 0 and leaves
    out those that show nobody. So if a file begins with 1.jpg, frame 0 shows nobody. But if the
    smallest number is at least the number of images, that image is frame 0, and a log line reports
    this.

    Args:
        path: a file with a list of persons with `image_id`, `keypoints` (17, 26 or 136 times x, y,
            confidence; the first 17 are COCO's) and `score`; or with one such person; or with
            OpenPose's `people` (BODY_25 or COCO-18), which has no frame number and is frame 0.
        image_names: the sorted names of vis/; suffixes are ignored when names are compared.

    Raises:
        UserError: the file can't be used; the message names file, frame, value and remedy.
    """
    persons = _decode(path)
    if not persons:
        raise UserError(f"{path} holds no person; run AlphaPose on the video again")
    images = [str(person.image_id) for person in persons]
    frames, names = _number_frames(path, images, image_names)
    with np.errstate(over="ignore"):  # a value too large for float32 becomes inf and is found below
        keypoints = _decode_keypoints(path, persons)
        score = np.array([person.score for person in persons]).astype(np.float32)
    for what, value in (("keypoint value", keypoints), ("score", score[:, None, None])):
        bad = ~(np.abs(value) <= MAX_VALUE)
        bad[..., -1] |= value[..., -1] < 0
        if bad.any():
            index = int(np.argwhere(bad)[0, 0])
            raise UserError(
                f"{path} frame {images[index]}: {what} {value[index][bad[index]][0]}; expected "
                f"positions within {MAX_VALUE:.0f} px and confidences of at least 0; remove this "
                "person or run AlphaPose again"
            )
    np.minimum(keypoints[..., 2], 1, out=keypoints[..., 2])
    order = np.argsort(frames, kind="stable")
    return Detections(frames[order], keypoints[order], score[order], names)


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


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts 2.jpg before 10.jpg."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def _decode(path: Path) -> list[_Person]:
    """Decode a file of any known layout."""
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a file written by AlphaPose") from None
    try:
        if content.lstrip()[:1] == b"{":
            return _from_object(path, content)
        return msgspec.json.decode(content, type=list[_Person])
    except ValueError as error:  # the base class of msgspec's and of Unicode errors
        raise UserError(f"{path}{_explain(content, str(error))}; run AlphaPose again") from None


def _from_object(path: Path, content: bytes) -> list[_Person]:
    """Decode one AlphaPose person, or one frame of OpenPose."""
    fields = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    if "keypoints" in fields:
        return [msgspec.json.decode(content, type=_Person)]
    if "people" not in fields:
        raise UserError(
            f"{path}: expected a list of persons with image_id and keypoints, got an object with "
            f"{', '.join(list(fields)[:3]) or 'nothing'}; write it with AlphaPose's --format coco"
        )
    persons = []
    for person in msgspec.json.decode(fields["people"], type=list[_OpenPosePerson]):
        values = person.pose_keypoints_2d
        if len(values) not in (3 * count for count in OPENPOSE):
            raise UserError(
                f"{path}: expected 75 OpenPose values (BODY_25) or 54 (COCO), got {len(values)}; "
                "run OpenPose with one of these models"
            )
        joints = np.array(values).reshape(-1, 3)[list(OPENPOSE[len(values) // 3])]
        raw = msgspec.Raw(msgspec.json.encode(joints.ravel().tolist()))
        persons.append(_Person(0, raw, max(float(joints[:, 2].mean()), 0)))
    return persons


def _decode_keypoints(path: Path, persons: list[_Person]) -> NDArray[np.float32]:
    """Return the first 17 keypoints of each person, (P, 17, 3)."""
    values = np.empty((len(persons), 3 * len(JOINTS)), np.float32)
    decode = msgspec.json.Decoder(list[float]).decode
    for row, person in zip(values, persons, strict=True):
        try:
            numbers = decode(person.keypoints)
        except msgspec.DecodeError as error:
            raise UserError(
                f"{path} frame {person.image_id}: keypoints: {error}; run AlphaPose again"
            ) from None
        if len(numbers) not in NUMBERS:
            raise UserError(
                f"{path} frame {person.image_id}: expected 51 keypoint values (17 x 3), got "
                f"{len(numbers)}; AlphaPose's COCO-17, Halpe-26 and Halpe-136 models are read"
            )
        row[:] = numbers[: len(row)]
    return values.reshape(len(persons), -1, 3)


def _explain(content: bytes, message: str) -> str:
    """Return where the decoder failed: the frame, the value and the reason."""
    try:
        persons = json.loads(content)
    except (ValueError, RecursionError) as error:
        return f" is not valid JSON: {error}"
    if isinstance(persons, dict):
        persons = persons.get("people", [persons])
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
    return person.get("image_id") if isinstance(person, dict) else None


def _number_frames(
    path: Path, images: list[str], image_names: Sequence[str] | None
) -> tuple[NDArray[np.int32], list[str]]:
    """Return each detection's frame and the image name of every frame."""
    if image_names:
        place = {PurePath(name).stem: frame for frame, name in enumerate(image_names)}
        if len(place) < len(image_names):
            raise UserError(
                f"{path}: vis/ holds {len(image_names)} images with {len(place)} different names; "
                "keep one image file for each name"
            )
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
    for image in dict.fromkeys(images):
        digits = re.findall(r"\d+", PurePath(image).stem)
        if not digits or int(digits[-1]) >= 10**9:
            raise UserError(f"{path} frame {image}: the name holds no frame number; {USE_IMAGES}")
        number_of[image] = int(digits[-1])
    first = min(number_of.values())
    origin = first if first >= len(number_of) else 0
    num_frames = max(number_of.values()) + 1 - origin
    if num_frames > MAX_NUMBER_GAP + len(number_of):
        raise UserError(
            f"{path}: {len(number_of)} images are numbered {first} to {num_frames + origin - 1}; "
            + USE_IMAGES
        )
    if origin:
        log.info("%s: the smallest image number is %d; that image is frame 0", path, origin)
    elif first > len(number_of) / 10:
        log.info(
            "%s: the first image is number %d, so frames 0 to %d show nobody; if that image is "
            "the first frame of the clip, %s",
            path, first, first - 1, USE_IMAGES,
        )  # fmt: skip
    names = [""] * num_frames
    for image, number in number_of.items():
        if names[number - origin]:
            raise UserError(
                f"{path}: images {names[number - origin]} and {image} have the same frame number; "
                + USE_IMAGES
            )
        names[number - origin] = image
    return np.array([number_of[image] - origin for image in images], np.int32), names
