"""Reads the keypoint files of other programs than AlphaPose.

They hold the same things in other places: frames, the people of a frame, the joints of a person.
FORMATS tells where a file has its frames; people and joints are found by their usual names.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.files import UserError
from tcc.frame_names import natural_key
from tcc.joints import (
    CONFIDENCE_KEYS,
    WAY_ON,
    Person,
    is_number,
    is_point,
    joint_order,
    split_people,
    to_coco,
    to_pixels,
)

Frame = tuple[
    str | None, Any
]  # name or number of a frame, if there is one, and what the file holds

FRAME_KEYS = (
    "image_id", "file_name", "filename", "image", "image_name", "img_name", "image_path",
    "img_path", "img", "frame_id", "frame", "frame_idx", "frame_index", "frame_number", "frame_num",
    "frame_no", "frameIndex", "frameId",
)  # fmt: skip
TIME_KEYS = ("time", "timestamp", "timestamp_ms")
PEOPLE_KEYS = (
    "instances", "people", "bodies", "persons", "predictions", "detections", "instance_info",
    "skeleton", "poses", "objects", "humans", "annotations",
)  # fmt: skip
JOINT_KEYS = (
    "keypoints", "pose_keypoints_2d", "pose_keypoints", "joints", "landmarks", "pose_landmarks",
    "pose", "keypoints_2d", "kpts", "points", "person",
)  # fmt: skip
SCORE_KEYS = ("score", "confidence", "conf", "bbox_score", "box_score", "scores")
LIST_KEYS = ("frames", "data", "results", "predictions", "poses", "keypoints", "annotations")
PERSON_KEYS = {"bbox", "box", "class", "category_id"}  # of one person, not of a frame
BOX_KEYS = {*PERSON_KEYS, "boxes", "bboxes"}
# Errors of reading values that are not where the readers of a format expect them.
MALFORMED = (
    LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Poses:
    """P people as a file holds them, before their frames are numbered.

    `images` (P,) names the image or the frame of each person; `keypoints` (P, 17, 3) float32 are
    x px, y px and confidence; `score` (P,) float32. `frames` are the names of all frames, if the
    file lists them, also those that show nobody.
    """

    images: list[str]
    keypoints: NDArray[np.float32]
    score: NDArray[np.float32]
    frames: list[str] | None


@dataclass(frozen=True, slots=True)
class Format:
    """A layout of files: what it is, how it is recognised, and its frames.

    `lists_all` tells whether such a file lists all frames, also those that show nobody.
    """

    name: str
    matches: Callable[[Any], object]
    frames: Callable[[Any], list[Frame]]
    lists_all: bool = False


def read_poses(path: Path, content: Any, picture_px: tuple[int, int] | None) -> Poses:
    """Find the people in the content of a keypoint file.

    Args:
        path: of the file, for messages.
        content: of the file, decoded.
        picture_px: width and height of the picture, for positions that are shares of it.

    Raises:
        UserError: the format is not known, or lacks what is needed; the message names it.
    """
    if isinstance(content, list) and content and all(isinstance(text, str) for text in content):
        with suppress(ValueError):  # Ultralytics' to_json() returns text
            content = [json.loads(text) for text in content]
    known = next((known for known in FORMATS if known.matches(content)), None)
    unknown = UserError(f"{path}: {_describe(content)}, not keypoints in a known format; {WAY_ON}")
    if known is None:
        raise unknown
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # such values are refused afterwards
            return _read(path, content, known, picture_px)
    except MALFORMED:
        raise unknown from None


def _read(path: Path, content: Any, known: Format, picture_px: tuple[int, int] | None) -> Poses:
    """Return the people in a file of a known format; see `read_poses`."""
    frames = known.frames(content)
    keyed = all(name is not None for name, _ in frames)
    if not keyed:
        names: list[str | None] = [str(index) for index in range(len(frames))]
        if len(frames) > 1 and all(_is_person(frame) for _, frame in frames):
            names = [_time_name(frame) for _, frame in frames]
        if None in names:
            raise UserError(
                f"{path}: {_describe(content)}: people without the number of a frame; add it to "
                f"each person as image_id, save one list for each frame, or {WAY_ON}"
            )
        frames = [(name, frame) for name, (_, frame) in zip(names, frames, strict=True)]
    return _gather(path, known.name, frames, content, known.lists_all, picture_px)


def read_folder_of_poses(path: Path, picture_px: tuple[int, int] | None) -> Poses:
    """Read a folder of JSON files, one for each frame, as OpenPose and mmpose write.

    Args:
        path: of the folder.
        picture_px: see `read_poses`.

    Raises:
        UserError: a file can't be read.
    """
    frames: list[Frame] = []
    for file in sorted(path.glob("[!.]*"), key=lambda file: natural_key(file.name)):
        if file.suffix.lower() == ".json" and file.name.lower() != "video.json":
            content = read_json(file)
            frames.append((re.sub("_keypoints$", "", file.stem), content))
            with suppress(*MALFORMED):
                if _num_frames(content) > 1:
                    raise UserError(
                        f"{path}: expected one keypoint file (*.json), or one for each frame, but "
                        f"{file.name} holds several frames; keep only one file"
                    )
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return _gather(path, "a file for each frame", frames, None, True, picture_px)
    except MALFORMED:
        raise UserError(
            f"{path}: the first file holds {_describe(frames[0][1])}, not the keypoints of one "
            f"frame; {WAY_ON}"
        ) from None


def read_content(path: Path) -> bytes:
    """Return the content of a text file in UTF-8, without byte order mark.

    Raises:
        UserError: it can't be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a file of keypoints") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes
        content = content.decode("utf-16", "replace").encode()
    return content.removeprefix(codecs.BOM_UTF8)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        UserError: it can't be read, or is not JSON.
    """
    content = read_content(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        lines = content.split(b"\n")
        with suppress(ValueError, RecursionError):  # JSON Lines: one object in each line
            return [json.loads(line) for line in lines if line.strip()] or json.loads(b"")
        raise UserError(f"{path} is not valid JSON: {error}; {WAY_ON}") from None


def _gather(
    path: Path,
    known_as: str,
    frames: Sequence[Frame],
    content: Any,
    lists_all: bool,
    picture_px: tuple[int, int] | None,
) -> Poses:
    """Return the people of all frames with the joints of COCO, in pixels."""
    people = [(str(name), person) for name, frame in frames for person in _people(frame)]
    names = list(dict.fromkeys(str(name) for name, _ in frames))
    if not people:
        if all(_is_empty(frame) for _, frame in frames):
            raise UserError(f"{path}, read as {known_as}, holds no person; {WAY_ON}")
        if any(_boxes_only(frame) for _, frame in frames):
            raise UserError(f"{path}: {_describe(content)}: boxes without keypoints; {WAY_ON}")
        raise ValueError
    images = [name for name, _ in people]
    joints = [person[0] for _, person in people]
    keypoints = to_coco(path, images, joints, joint_order(path, content))
    scores = [
        float(found[:, 2].mean()) if person[1] is None else person[1]
        for (_, person), found in zip(people, keypoints, strict=True)
    ]
    pixels = to_pixels(path, keypoints, _picture_size(frames, content) or picture_px)
    lists_all = lists_all or len(set(images)) < len(names)
    return Poses(
        images,
        pixels.astype(np.float32),
        np.array(scores).astype(np.float32),
        names if lists_all else None,
    )


def _num_frames(content: Any) -> int:
    """Return how many frames a file tells of by their names or numbers, or as lists of people."""
    known = next((known for known in FORMATS if known.matches(content)), None)
    if known is None:
        return 1
    frames = known.frames(content)
    names = {name for name, _ in frames} - {None}
    lists = sum(
        isinstance(frame, list) and bool(frame) and _has_joints(frame[0]) for _, frame in frames
    )
    return max(len(names), lists)


def _listed(frames: list[Any]) -> list[Frame]:
    """Return the frames of a list, each with its name or number."""
    return [(_frame_name(frame), frame) for frame in frames]


def _frame_name(frame: Any) -> str | None:
    for key in FRAME_KEYS if isinstance(frame, dict) else ():
        name = frame.get(key)
        if isinstance(name, float) and name.is_integer():
            return str(int(name))
        if isinstance(name, str | int | float):
            return str(name)
    return None


def _time_name(person: dict[str, Any]) -> str | None:
    """Return the time of a person's frame as a decimal number, so that it is read as a time."""
    time = next((person[key] for key in TIME_KEYS if is_number(person.get(key))), None)
    return None if time is None else f"{time:.6f}"


def _annotations(content: dict[str, Any]) -> list[Frame]:
    """Return the images of COCO annotations, in the order of the file, and who is annotated."""
    people: dict[Any, list[Any]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        people.setdefault(annotation["image_id"], []).append(annotation)
    names = {image["id"]: image.get("file_name", image["id"]) for image in content["images"]}
    return [(str(names.get(image, image)), found) for image, found in people.items()]


def _inner_list(content: Any) -> list[Any]:
    """Return the list of frames in an object; an empty list if there is none."""
    for key in LIST_KEYS if isinstance(content, dict) else ():
        inner = content.get(key)
        if isinstance(inner, list) and inner and isinstance(inner[0], dict | list):
            return inner
    return []


def _is_by_number(content: Any) -> bool:
    """Return whether all keys of an object hold a number, and the values are lists or objects."""
    return (
        isinstance(content, dict)
        and bool(content)
        and all(re.search(r"\d", key) for key in content)
        and all(isinstance(value, dict | list) for value in content.values())
    )


def _is_by_person(content: Any) -> bool:
    return _is_by_number(content) and all(map(_is_by_number, content.values()))


def _frames_of_tracks(content: dict[str, dict[str, Any]]) -> list[Frame]:
    return [frame for track in content.values() for frame in track.items()]


def _has(*keys: str) -> Callable[[Any], bool]:
    return lambda content: isinstance(content, dict) and all(key in content for key in keys)


def _one_frame(content: Any) -> list[Frame]:
    return [(None, content)]


FORMATS = (
    Format("COCO annotations", _has("images", "annotations"), _annotations, True),
    Format("mmpose", _has("instance_info"), lambda file: _listed(file["instance_info"]), True),
    Format("OpenPose, one image", _has("people"), _one_frame),
    Format("AlphaPose --format cmu, one image", _has("bodies"), _one_frame),
    Format("a list of frames", lambda file: isinstance(file, list), _listed),
    Format("an object with a list of frames", _inner_list, lambda file: _listed(_inner_list(file))),
    Format("AlphaPose, frames by person", _is_by_person, _frames_of_tracks),
    Format("PoseFlow, AlphaPose --format open or cmu", _is_by_number, lambda file: [*file.items()]),
)


def _has_joints(person: Any) -> bool:
    return isinstance(person, dict) and any(key in person for key in JOINT_KEYS)


def _is_person(item: Any) -> bool:
    """Return whether an item of a list is one person rather than a frame.

    It has a box or a time, or its joints are one list of numbers.
    """
    if not _has_joints(item):
        return False
    joints = next(item[key] for key in JOINT_KEYS if key in item)
    first = joints[0] if isinstance(joints, list) and joints else None
    is_flat = isinstance(first, int | float)
    is_one = is_flat or is_point(first) or (isinstance(first, list) and _are_numbers(first))
    return bool(is_flat or item.keys() & PERSON_KEYS or (is_one and _time_name(item) is not None))


def _is_pair(frame: Any) -> bool:
    """Return whether a frame is what rtmlib returns: positions (P, J, 2) and confidences (P, J)."""
    if not (isinstance(frame, list) and len(frame) == 2 and all(map(_is_list, frame))):
        return False
    points, confidence = frame
    if len(points) != len(confidence):
        return False
    return all(
        _is_list(person)
        and _is_list(own)
        and len(person) == len(own) > 0
        and _is_list(person[0])
        and len(person[0]) == 2
        and _are_numbers([*person[0], own[0]])
        for person, own in zip(points, confidence, strict=True)
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _are_numbers(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _is_empty(frame: Any) -> bool:
    """Return whether a frame is known to show nobody."""
    if frame == [[], []]:  # of rtmlib
        return True
    if isinstance(frame, dict) and frame:
        return any(
            key in frame and all(map(_is_empty, frame[key] or ()))
            for key in (*PEOPLE_KEYS, *JOINT_KEYS)
        )
    return not frame


def _boxes_only(frame: Any) -> bool:
    """Return whether a frame holds boxes around people or objects, but no joints."""
    if isinstance(frame, dict):
        return bool(frame.keys() & BOX_KEYS) or any(map(_boxes_only, frame.values()))
    return isinstance(frame, list) and any(map(_boxes_only, frame))


def _people(frame: Any) -> Iterator[Person]:
    """Yield the people in a frame: a list of people, or an object that holds people or joints."""
    if isinstance(frame, list):
        if _is_pair(frame):
            yield from split_people(frame[0], frame[1], None)
        elif frame and isinstance(frame[0], dict) and not is_point(frame[0]):
            for person in frame:
                yield from _people(person)
        else:
            yield from split_people(frame, None, None)
        return
    if not isinstance(frame, dict):
        return
    for key in PEOPLE_KEYS:
        if isinstance(frame.get(key), list):
            for person in frame[key]:
                yield from _people(person)
            return
    for key in JOINT_KEYS:
        joints = frame.get(key)
        if isinstance(joints, list) and joints and _has_joints(joints[0]):
            yield from _people(joints)
            return
        if isinstance(joints, list | dict):
            confidence = next(
                (frame[name] for name in CONFIDENCE_KEYS if isinstance(frame.get(name), list)), None
            )
            score = next((frame[name] for name in SCORE_KEYS if is_number(frame.get(name))), None)
            yield from split_people(joints, confidence, score)
            return


def _picture_size(frames: Sequence[Frame], content: Any) -> tuple[int, int] | None:
    """Return the width and height of the picture if the file tells them."""
    holders = [content, frames[0][1]]
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        holders += content["images"][:1]
    for holder in holders:
        for width, height in (("canvas_width", "canvas_height"), ("width", "height")):
            if isinstance(holder, dict) and all(is_number(holder.get(k)) for k in (width, height)):
                return holder[width], holder[height]
    return None


def _describe(content: Any, article: str = "an object", plural: str = "a list") -> str:
    """Return in a few words what a file holds."""
    if isinstance(content, dict):
        names = ", ".join(map(str, list(content)[:4])) or "nothing"
        return f"{article} with {names}{', ...' if len(content) > 4 else ''}"
    if isinstance(content, list):
        return f"{plural} of {_describe(content[0], 'objects', 'lists') if content else 'nothing'}"
    return {str: "text", int: "numbers", float: "numbers"}.get(type(content), "nothing")
