"""What the folder of a clip holds: frames, keypoints, times and the choice of the skater."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import Detections, natural_key, read_detections
from tcc.clock import rate
from tcc.files import UserError, whole
from tcc.tracking import Track, choose_person
from tcc.video import VIDEO_SUFFIXES, read_image

SIDECAR = "clip.toml"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LEAST_CONFIDENCE = 1e-6
LEAST_EXTENT_PX = 1.0
MAX_CLIP_S = 3600.0  # more is another unit than seconds


class _VideoJson(msgspec.Struct):
    timestamps_s: list[float]


class _ClipToml(msgspec.Struct):
    person: int


def list_clips(root: Path) -> list[Path]:
    """Return the folders of a mode, sorted by name; hidden ones are not clips."""
    return sorted(path for path in root.glob("[!.]*") if path.is_dir())


def find_videos(root: Path) -> list[Path]:
    """Return the video files of a mode's folder, sorted by name."""
    files = (path for path in root.glob("[!.]*") if path.is_file())
    return sorted(path for path in files if path.suffix.lower() in VIDEO_SUFFIXES)


def read_track(
    folder: Path, person: int | None, fps: float, confidence_threshold: float
) -> tuple[list[Path], Detections, Track, NDArray[np.float64]]:
    """Return a clip's pictures, all its people, the one that is followed, and the times (F,) s.

    Args:
        folder: of the clip.
        person: 1 the main person, 2 the next ...; None: clip.toml decides, else 1.
        fps: frames per second where video.json tells no times.
        confidence_threshold: that some joint must reach for the clip to be of use.

    Raises:
        UserError: the clip can't be used; says why.
    """
    images = image_files(folder)
    detections = read_detections(keypoint_file(folder), [path.name for path in images] or None)
    times_s = read_times(folder, detections.num_frames, fps)
    given = person
    if person is None and (folder / SIDECAR).exists():
        given = read_person(folder)
    try:
        track = choose_person(detections, 1 if given is None else given, rate(times_s))
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    sure = float(track.keypoints[..., 2].max())
    if sure < max(confidence_threshold, LEAST_CONFIDENCE):
        raise UserError(
            f"{folder}: no joint reaches SKELETON_CONF_THRESHOLD={confidence_threshold} "
            f"(highest confidence {sure:.2f}); lower the setting or remove the clip"
        )
    extent_px = float(np.ptp(track.keypoints[..., :2], axis=1).max())
    if extent_px < LEAST_EXTENT_PX:
        raise UserError(
            f"{folder}: the skater's joints lie within {extent_px:.2g} px; expected positions in "
            "pixels; run AlphaPose again or remove the clip"
        )
    if given is not None:  # a person that the user names is in no doubt
        track = replace(track, margin=1.0)
    return images, detections, track, times_s


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


def read_frame(images: Sequence[Path], frame: int) -> NDArray[np.uint8]:
    """Read the picture (H, W, 3) BGR of a clip's frame.

    Raises:
        UserError: see `read_image`; or it is of another size than the first.
    """
    image = read_image(images[frame])
    size, usual = (f"{shape[1]} x {shape[0]}" for shape in (image.shape, _shape(images[0])))
    if size != usual:
        raise UserError(
            f"{images[frame]} is {size} px, {images[0].name} {usual}; extract the video's frames "
            "again"
        )
    return image


@lru_cache
def _shape(path: Path) -> tuple[int, ...]:
    return read_image(path).shape


def read_person(folder: Path) -> int:
    """Return the person that clip.toml names, else 1.

    Raises:
        UserError: clip.toml holds no whole number from 1.
    """
    path = folder / SIDECAR
    if not path.exists():
        return 1
    try:
        text = path.read_text(encoding="utf-8-sig")
        person = msgspec.toml.decode(text, type=_ClipToml).person
        if person < 1:
            raise ValueError(f"person = {person}")
    except (OSError, ValueError) as error:  # msgspec's and Unicode's are
        raise UserError(f"{path}: {_why(error)}; expected a line `person = 2`, from 1") from None
    return person


def _why(error: Exception) -> str:
    """Return what an error says, without the path that an OSError adds."""
    return getattr(error, "strerror", None) or str(error)


def write_person(folder: Path, person: int) -> None:
    """Write clip.toml, so that every command follows this person from now on."""
    with whole(folder / SIDECAR) as temporary:
        temporary.write_text(f"person = {person}\n", encoding="utf-8")


def read_times(folder: Path, num_frames: int, fps: float) -> NDArray[np.float64]:
    """Return each frame's time in seconds: from video.json, else at a constant rate.

    Raises:
        UserError: video.json holds no rising time for each frame; a clip is longer than an hour.
    """
    path = folder / "video.json"
    if not path.exists():
        if num_frames / fps > MAX_CLIP_S:
            raise UserError(
                f"{folder}: {num_frames} frames at FPS={fps:g} last longer than an hour; set FPS"
            )
        return np.arange(num_frames) / fps
    remedy = "run tcc_get_pose.py --force, or remove the file to have frames at a constant rate"
    try:
        times = np.array(msgspec.json.decode(path.read_bytes(), type=_VideoJson).timestamps_s)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {_why(error)}; {remedy}") from None
    if len(times) != num_frames:
        raise UserError(f"{path}: {len(times)} timestamps for {num_frames} frames; {remedy}")
    late = np.flatnonzero(np.diff(times) <= 0)
    if late.size:
        frame = int(late[0])
        raise UserError(
            f"{path} frame {frame + 1}: time {times[frame + 1]} s after {times[frame]} s; {remedy}"
        )
    if times[-1] - times[0] > MAX_CLIP_S:
        raise UserError(f"{path}: {times[0]} to {times[-1]} s is longer than an hour; {remedy}")
    return times
