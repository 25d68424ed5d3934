"""What the folder of a clip holds: frames, keypoints, times and the choice of the skater."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import natural_key
from tcc.cli import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class _VideoJson(msgspec.Struct):
    timestamps_s: list[float]


class _ClipToml(msgspec.Struct):
    person: int


def keypoint_file(folder: Path) -> Path:
    """Return the one AlphaPose file of a clip.

    Raises:
        UserError: there is none, or more than one.
    """
    found = sorted(path for path in folder.glob("[!.]*.json") if path.name != "video.json")
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(
            f"{folder}: expected one keypoint *.json, found {names}; keep AlphaPose's alone"
        )
    return found[0]


def image_files(folder: Path) -> list[Path]:
    """Return the frames of vis/ in order; none where there is no vis/.

    Raises:
        UserError: vis/ holds no image.
    """
    vis = folder / "vis"
    found = [path for path in vis.glob("[!.]*") if path.suffix.lower() in IMAGE_SUFFIXES]
    if vis.is_dir() and not found:
        raise UserError(f"{vis} holds no image; put every frame there or remove the folder")
    return sorted(found, key=lambda path: natural_key(path.name))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture (H, W, 3) BGR.

    Raises:
        UserError: the file is not a picture.
    """
    content = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise UserError(f"{path} is not a picture; extract the video's frames again")
    return np.asarray(image, np.uint8)


def read_person(folder: Path) -> int:
    """Return the person that clip.toml names, else 1.

    Raises:
        UserError: clip.toml holds no whole number from 1.
    """
    path = folder / "clip.toml"
    if not path.exists():
        return 1
    try:
        person = msgspec.toml.decode(path.read_bytes(), type=_ClipToml).person
        if person < 1:
            raise ValueError(f"person = {person}")
    except ValueError as error:  # msgspec's and Unicode's are
        raise UserError(f"{path}: {error}; expected a line `person = 2`, from 1") from None
    return person


def read_times(folder: Path, num_frames: int, fps: float) -> NDArray[np.float64]:
    """Return each frame's time in seconds: from video.json, else at a constant rate.

    Raises:
        UserError: video.json holds no rising time for each frame.
    """
    path = folder / "video.json"
    if not path.exists():
        return np.arange(num_frames) / fps
    remedy = "run tcc_get_pose.py --force, or remove the file to have frames at a constant rate"
    try:
        times = np.array(msgspec.json.decode(path.read_bytes(), type=_VideoJson).timestamps_s)
    except ValueError as error:
        raise UserError(f"{path}: {error}; {remedy}") from None
    if len(times) != num_frames:
        raise UserError(f"{path}: {len(times)} timestamps for {num_frames} frames; {remedy}")
    late = np.flatnonzero(np.diff(times) <= 0)
    if late.size:
        frame = int(late[0])
        raise UserError(
            f"{path} frame {frame + 1}: time {times[frame + 1]} s after {times[frame]} s; {remedy}"
        )
    return times
