"""Read and write clip.toml and video.json, the optional files beside a clip's keypoints."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.files import UserError, whole

CLIP_TOML = "clip.toml"
ORIENTATION = 0x0112  # EXIF tag; from 5 on, OpenCV reads the picture with its sides swapped
MAX_INTERVAL_S = 1.0  # usual time between two frames; more is probably not in seconds
MAX_CLIP_S = 3600.0  # the times of a longer clip are probably not in seconds
ROUNDING_S = 1e-6
MAX_PIXELS = 2**26  # of a picture; twice as many as 8K has
# Errors of reading a small file; those of msgspec and of Unicode are ValueErrors.
UNREADABLE = (OSError, ValueError, RecursionError)


class _Timestamps(msgspec.Struct):
    timestamps_s: list[float]


class _PictureSize(msgspec.Struct):
    width_px: Annotated[int, msgspec.Meta(ge=1)]
    height_px: Annotated[int, msgspec.Meta(ge=1)]


class _ClipToml(msgspec.Struct, forbid_unknown_fields=True):
    person: Annotated[int, msgspec.Meta(ge=1)] | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Trim:
    """The part of a clip that is used: from `start_s` to `end_s`, both included.

    They are times of the video in seconds; None is the start or the end of the video.
    """

    start_s: float | None = None
    end_s: float | None = None

    def frames(self, times_s: NDArray[np.float64]) -> tuple[int, int]:
        """Return the first frame and the end (exclusive) of the part.

        Args:
            times_s: (F,) rising times of all frames.

        Raises:
            UserError: no frame is in the part.
        """
        start_s = -np.inf if self.start_s is None else self.start_s
        end_s = np.inf if self.end_s is None else self.end_s
        first = int(np.searchsorted(times_s, start_s - ROUNDING_S))
        end = int(np.searchsorted(times_s, end_s + ROUNDING_S))
        if first >= end:
            raise UserError(
                f"no frame is between {self}; the video lasts from {times_s[0]:.2f} to "
                f"{times_s[-1]:.2f} s"
            )
        return first, end

    def __str__(self) -> str:
        start = "the start" if self.start_s is None else f"{self.start_s:g} s"
        return f"{start} and {'the end' if self.end_s is None else f'{self.end_s:g} s'}"


def read_clip_toml(folder: Path) -> tuple[int | None, Trim]:
    """Return the number of the person and the part of the clip that clip.toml gives.

    Without clip.toml, and for lines that are missing, the number is None and the part is the whole
    clip.

    Raises:
        UserError: clip.toml can't be read, or holds something else.
    """
    path = folder / CLIP_TOML
    if not path.exists():
        return None, Trim()
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = msgspec.toml.decode(text, type=_ClipToml)
    except UNREADABLE as error:
        raise UserError(
            f"{path}: expected a line such as person = 2, with a whole number of at least 1, or "
            f"start_s = 4.2 or end_s = 6.0, in seconds ({_reason(error)})"
        ) from None
    return content.person, Trim(content.start_s, content.end_s)


def write_person(folder: Path, person: int) -> None:
    """Write the number of the person into clip.toml: all commands follow that person from now on.

    Other lines of clip.toml are kept.

    Raises:
        UserError: clip.toml can't be read or written.
    """
    path = folder / CLIP_TOML
    read_clip_toml(folder)
    old = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    kept = [line for line in old.splitlines() if not re.match(r"\s*person\s*=", line)]
    with whole(path) as temporary:
        temporary.write_text("\n".join([f"person = {person}", *kept, ""]), encoding="utf-8")


def read_times(folder: Path, num_frames: int, fps: float) -> NDArray[np.float64]:
    """Return the time of each frame, (F,) s: from video.json, else at a constant rate.

    Args:
        folder: of the clip.
        num_frames: F.
        fps: frames per second if there is no video.json.

    Raises:
        UserError: the times in video.json are not F numbers, each greater than the one before; or
            the clip is longer than an hour, or its frames are more than a second apart.
    """
    path = folder / "video.json"
    if not path.exists():
        if num_frames / fps > MAX_CLIP_S:
            raise UserError(
                f"{folder}: {num_frames} frames at FPS={fps:g} last longer than an hour; set FPS "
                "to the clip's frames per second"
            )
        return np.arange(num_frames) / fps
    remedy = "run tcc_get_pose.py --force, or delete the file to use the constant rate FPS"
    try:
        times = np.array(msgspec.json.decode(path.read_bytes(), type=_Timestamps).timestamps_s)
    except UNREADABLE as error:
        raise UserError(
            f"{path}: expected timestamps_s, a list of seconds ({_reason(error)}); {remedy}"
        ) from None
    if len(times) != num_frames:
        raise UserError(f"{path}: {len(times)} timestamps for {num_frames} frames; {remedy}")
    not_later = np.flatnonzero(np.diff(times) <= 0)
    if not_later.size:
        frame = int(not_later[0])
        raise UserError(
            f"{path} frame {frame + 1}: its time, {times[frame + 1]} s, is not later than "
            f"{times[frame]} s, the time of the frame before; {remedy}"
        )
    interval_s = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if times[-1] - times[0] > MAX_CLIP_S or interval_s > MAX_INTERVAL_S:
        raise UserError(
            f"{path}: the times go from {times[0]} to {times[-1]} s, {interval_s:g} s from frame "
            "to frame; timestamps_s must be in seconds: divide milliseconds by 1000"
        )
    return times


def picture_size(folder: Path, images: Sequence[Path]) -> tuple[int, int] | None:
    """Return the width and height of a clip's frames in px; None if they are unknown.

    They are in video.json if tcc_get_pose.py wrote it. Otherwise, the first image is read.

    Args:
        folder: of the clip.
        images: of vis/.

    Raises:
        UserError: the size is that of no picture.
    """
    path = folder / "video.json"
    try:
        size = msgspec.json.decode(path.read_bytes(), type=_PictureSize)
        return _usable_size(path, size.width_px, size.height_px)
    except UNREADABLE:  # video.json may hold the times only
        pass
    if not images:
        return None
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(images[0]) as image:
            turned = image.getexif().get(ORIENTATION, 1) >= 5
            return _usable_size(images[0], *(image.size[::-1] if turned else image.size))
    except Image.DecompressionBombError:
        return _usable_size(images[0], MAX_PIXELS, MAX_PIXELS)
    except UserError:
        raise
    except Exception:  # Pillow raises many types; drawing reports a broken file
        return None


def _usable_size(path: Path, width_px: int, height_px: int) -> tuple[int, int]:
    """Return width and height if a picture of that size can be kept in memory."""
    if width_px * height_px > MAX_PIXELS:
        raise UserError(
            f"{path}: says that the pictures have more than {MAX_PIXELS / 1e6:.0f} million pixels; "
            "make it again"
        )
    return width_px, height_px


def _reason(error: Exception) -> str:
    """Return the message of an error; for an OSError, without the path."""
    return getattr(error, "strerror", None) or str(error)
