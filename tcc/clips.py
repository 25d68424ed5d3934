"""Read the folder of a clip, and choose the skater who is followed in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import Detections, natural_key, read_detections
from tcc.clock import rate
from tcc.files import UserError, require_utf8, whole
from tcc.tracking import Track, choose_person

log = logging.getLogger("tcc")
SIDECAR = "clip.toml"
ORIENTATION = 0x0112  # EXIF tag; from 5 on, OpenCV reads the picture with its sides swapped
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")
MIN_CONFIDENCE = 1e-6
MIN_EXTENT_PX = 1.0
MAX_CLIP_S = 3600.0  # the times of a longer clip are probably not in seconds


class _Timestamps(msgspec.Struct):
    timestamps_s: list[float]


class _PictureSize(msgspec.Struct):
    width_px: Annotated[int, msgspec.Meta(ge=1)]
    height_px: Annotated[int, msgspec.Meta(ge=1)]


class _ClipToml(msgspec.Struct):
    person: int


@dataclass(frozen=True, slots=True)
class Clip:
    """One skater in one video of F frames.

    Attributes:
        name: of the clip's folder.
        track: the skater in each of the F frames.
        times_s: (F,) time of each frame, s.
        images: the files of the F frames; empty if there is no vis/.
    """

    name: str
    track: Track
    times_s: NDArray[np.float64]
    images: list[Path] = field(repr=False)

    @property
    def keypoints(self) -> NDArray[np.float32]:
        """Keypoints of the skater, (F, 17, 3): x px, y px, confidence."""
        return self.track.keypoints

    @property
    def num_frames(self) -> int:
        """F, the number of frames."""
        return len(self.times_s)

    @property
    def fps(self) -> float:
        """Frames per second: one over the median time between two frames."""
        return rate(self.times_s)

    def read_image(self, frame: int) -> NDArray[np.uint8]:
        """Return the image of a frame, (H, W, 3) uint8 BGR.

        Raises:
            UserError: the file is not an image of the size of the first frame.
        """
        from tcc.images import read_frame  # imports OpenCV, which training does not need

        return read_frame(self.images, frame)


@dataclass(frozen=True, slots=True)
class ClipFolder:
    """The content of a clip's folder.

    Attributes:
        path: of the folder.
        images: the files of the F frames; empty if there is no vis/.
        detections: all persons in all frames.
        times_s: (F,) time of each frame, s.
        picture_px: width and height of the frames in px; None if unknown.
        person: the number in clip.toml, 1 for the main person; None if there is no clip.toml.
    """

    path: Path
    images: list[Path]
    detections: Detections
    times_s: NDArray[np.float64]
    picture_px: tuple[int, int] | None
    person: int | None


def load_clip(
    folder: Path, fps: float, confidence_threshold: float, person: int | None = None
) -> Clip:
    """Read a clip and choose its skater.

    Args:
        folder: of the clip; see `read_folder`.
        fps: frames per second of a clip without video.json.
        confidence_threshold: see `choose_skater`.
        person: see `choose_skater`.

    Raises:
        UserError: the clip can't be used; the message says why.
    """
    contents = read_folder(folder, fps)
    track = choose_skater(contents, confidence_threshold, person)
    return Clip(folder.resolve().name, track, contents.times_s, contents.images)


def read_folder(folder: Path, fps: float) -> ClipFolder:
    """Read the files in the folder of a clip.

    Args:
        folder: holds one keypoint file of AlphaPose (*.json). These are optional: vis/ with the
            frames as images, which drawing needs; video.json with the times of the frames, which
            tcc_get_pose.py writes; clip.toml with a line such as `person = 2`, if the skater is not
            the main person.
        fps: frames per second of a clip without video.json.

    Raises:
        UserError: a file is missing or can't be used; the message says why.
    """
    require_utf8(folder.resolve())
    images = image_files(folder)
    detections = read_detections(keypoint_file(folder), [path.name for path in images] or None)
    times_s = read_times(folder, detections.num_frames, fps)
    person = read_person(folder) if (folder / SIDECAR).exists() else None
    return ClipFolder(folder, images, detections, times_s, picture_size(folder, images), person)


def choose_skater(
    contents: ClipFolder, confidence_threshold: float, person: int | None = None
) -> Track:
    """Choose the skater of a clip and return the track, F frames.

    Args:
        contents: of the clip's folder.
        confidence_threshold: at least one joint of the skater must have this confidence.
        person: 1 for the main person, 2 for the next and so on; None: the number in clip.toml, or 1
            without clip.toml.

    Raises:
        UserError: there is no such person, or the clip can't be used; the message says why.
    """
    folder, fps = contents.path, rate(contents.times_s)
    given = contents.person if person is None else person
    try:
        track = choose_person(
            contents.detections, 1 if given is None else given, fps, contents.picture_px
        )
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    highest = float(track.keypoints[..., 2].max())
    if highest < max(confidence_threshold, MIN_CONFIDENCE):
        raise UserError(
            f"{folder}: no joint reaches SKELETON_CONF_THRESHOLD={confidence_threshold} "
            f"(highest confidence {highest:.2f}); lower the setting or remove the clip"
        )
    extent_px = float(np.ptp(track.keypoints[..., :2], axis=1).max())
    if extent_px < MIN_EXTENT_PX:
        raise UserError(
            f"{folder}: all joints of the skater are within {extent_px:.2g} px, so their positions "
            "can't be in pixels; run AlphaPose again or remove the clip"
        )
    # If the user has chosen the person, there is no doubt about the choice.
    return track if given is None else replace(track, margin=1.0)


def list_clips(root: Path) -> list[Path]:
    """Return the folders in `root`, the folder of a mode, sorted by name; hidden ones excluded."""
    return sorted(path for path in root.glob("[!.]*") if path.is_dir())


def find_videos(root: Path) -> list[Path]:
    """Return the video files in `root`, the folder of a mode, sorted by name."""
    files = (path for path in root.glob("[!.]*") if path.is_file())
    return sorted(path for path in files if path.suffix.lower() in VIDEO_SUFFIXES)


def clip_folders(data_dir: Path, motion: str, mode: str) -> list[Path]:
    """Return the folders of the clips in data/<motion>/<mode>/, sorted by name.

    Videos there that have no keypoints yet are named in a warning.

    Raises:
        UserError: the folder does not exist, or holds no clip.
    """
    root = data_dir / motion / mode
    if not root.is_dir():
        motions = sorted(path.name for path in data_dir.glob("*") if path.is_dir())
        choose = f" or choose another --mode or --dataset: {', '.join(motions)}" if motions else ""
        raise UserError(f"no folder {root}; put the clips there (see docs/input.md){choose}")
    folders = list_clips(root)
    names = {folder.name for folder in folders}
    unused = [path.name for path in find_videos(root) if path.stem not in names]
    remedy = f"run: python3 tcc_get_pose.py --dataset {motion} --mode {mode}"
    if not folders:
        raise UserError(
            f"{root} holds {len(unused)} video(s) without keypoints; {remedy}"
            if unused
            else f"{root} holds no clip; put the clips there (see docs/input.md)"
        )
    if unused:
        log.warning(
            "%s: these videos have no keypoints yet and are not used: %s; %s",
            root, ", ".join(unused), remedy,
        )  # fmt: skip
    return folders


def find_clip(
    name: str,
    data_dir: Path,
    motion: str,
    mode: str,
    convert: Callable[[Path, Sequence[Path]], Path] | None = None,
) -> Path:
    """Return the folder of a clip that the user has named.

    Args:
        name: of a clip or video in data/<motion>/<mode>/, or the path of any folder or video.
        data_dir: folder of the motions.
        motion: name of the motion.
        mode: name of the mode.
        convert: is called with a video and with the folders where tcc_get_pose.py may have put its
            clip; returns the folder of the clip. None: videos are refused.

    Raises:
        UserError: there is no such clip or there are two, or a video can't be used.
    """
    root = data_dir / motion / mode
    for path in (root / name, Path(name)):
        if path.is_dir():
            return path
    present = find_videos(root)
    videos = (
        [path for path in present if path.name == name]
        or [path for path in present if path.stem == name]
        or [Path(name)] * Path(name).is_file()
    )
    if len(videos) > 1:
        names = " or ".join(path.name for path in videos)
        raise UserError(f"{name} can be {names} in {root}; give the full file name")
    if videos and convert is None:
        raise UserError(
            f"{videos[0]} is a file, not the folder of a clip; run: python3 tcc_get_pose.py "
            f"{videos[0]}"
        )
    if videos and convert is not None:
        video = videos[0]
        return convert(video, (video.with_suffix(""), root / video.stem))
    names = ", ".join(path.name for path in [*list_clips(root), *present]) or "no clip"
    raise UserError(
        f"no clip {name} in {root}; it holds {names}; there is no file or folder {name} either"
    )


def require_images(clip: Clip) -> None:
    """Check that a clip has the images that drawing needs.

    Raises:
        UserError: it has none.
    """
    if not clip.images:
        raise UserError(
            f"clip {clip.name} has no frames in vis/ to draw; add them or use --no-video"
        )


def keypoint_file(folder: Path) -> Path:
    """Return the keypoint file in the folder of a clip.

    Raises:
        UserError: there is no such file, or more than one.
    """
    found = sorted(path for path in folder.glob("[!.]*.json") if path.name != "video.json")
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(
            f"{folder}: expected one keypoint file (*.json), found {names}; keep only the file of "
            "AlphaPose"
        )
    return found[0]


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a clip's frames, in the order of the numbers in their names.

    The list is empty if the clip has no vis/.

    Raises:
        UserError: there is a vis/, but it holds no image.
    """
    vis = folder / "vis"
    found = [path for path in vis.glob("[!.]*") if path.suffix.lower() in IMAGE_SUFFIXES]
    if vis.is_dir() and not found:
        raise UserError(f"{vis} holds no image; put all frames there or remove the folder")
    return sorted(found, key=lambda path: natural_key(path.name))


def picture_size(folder: Path, images: Sequence[Path]) -> tuple[int, int] | None:
    """Return the width and height of a clip's frames in px; None if they are unknown.

    They are in video.json if tcc_get_pose.py wrote it. Otherwise, the first image is read.

    Args:
        folder: of the clip.
        images: of vis/.
    """
    try:
        size = msgspec.json.decode((folder / "video.json").read_bytes(), type=_PictureSize)
        return size.width_px, size.height_px
    except (OSError, ValueError):  # video.json may hold the times only
        pass
    if not images:
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(images[0]) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION, 1) >= 5
            return (height, width) if turned else (width, height)
    except (OSError, UnidentifiedImageError):  # drawing reports a broken file
        return None


def read_person(folder: Path) -> int:
    """Return the number of the person in clip.toml; 1 if there is no clip.toml.

    Raises:
        UserError: clip.toml can't be read, or holds no whole number of at least 1.
    """
    path = folder / SIDECAR
    if not path.exists():
        return 1
    try:
        text = path.read_text(encoding="utf-8-sig")
        person = msgspec.toml.decode(text, type=_ClipToml).person
        if person < 1:
            raise ValueError(f"person = {person}")
    except (OSError, ValueError) as error:  # errors of msgspec and of Unicode are ValueErrors
        raise UserError(
            f"{path}: expected a line such as person = 2, with a whole number of at least 1 "
            f"({_reason(error)})"
        ) from None
    return person


def _reason(error: Exception) -> str:
    """Return the message of an error; for an OSError, without the path."""
    return getattr(error, "strerror", None) or str(error)


def write_person(folder: Path, person: int) -> None:
    """Write the number of the person into clip.toml: all commands follow that person from now on.

    Raises:
        UserError: clip.toml can't be written.
    """
    with whole(folder / SIDECAR) as temporary:
        temporary.write_text(f"person = {person}\n", encoding="utf-8")


def read_times(folder: Path, num_frames: int, fps: float) -> NDArray[np.float64]:
    """Return the time of each frame, (F,) s: from video.json, else at a constant rate.

    Args:
        folder: of the clip.
        num_frames: F.
        fps: frames per second if there is no video.json.

    Raises:
        UserError: the times in video.json are not F numbers, each greater than the one before; or
            the clip is longer than an hour.
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
    except (OSError, ValueError) as error:
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
    if times[-1] - times[0] > MAX_CLIP_S:
        raise UserError(
            f"{path}: the times go from {times[0]} to {times[-1]} s, longer than an hour; {remedy}"
        )
    return times
