"""Clips: what their folders hold, and the skater who is followed in each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import Detections, natural_key, read_detections
from tcc.clock import rate
from tcc.files import UserError, require_utf8, whole
from tcc.tracking import Track, choose_person

log = logging.getLogger("tcc")
SIDECAR = "clip.toml"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")
LEAST_CONFIDENCE = 1e-6
LEAST_EXTENT_PX = 1.0
MAX_CLIP_S = 3600.0  # a longer clip has its times in another unit than seconds


class _Timestamps(msgspec.Struct):
    timestamps_s: list[float]


class _PictureSize(msgspec.Struct):
    width_px: int
    height_px: int


class _ClipToml(msgspec.Struct):
    person: int


@dataclass(frozen=True, slots=True)
class Clip:
    """One skater in one video.

    Attributes:
        name: of the clip's folder.
        track: who is followed, F frames.
        times_s: (F,) time of each frame.
        images: the files of the F frames; none where there is no vis/.
    """

    name: str
    track: Track
    times_s: NDArray[np.float64]
    images: list[Path] = field(repr=False)

    @property
    def keypoints(self) -> NDArray[np.float32]:
        """(F, 17, 3) x px, y px, confidence."""
        return self.track.keypoints

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.times_s)

    @property
    def fps(self) -> float:
        """Frames per second of the median interval."""
        return rate(self.times_s)

    def read_image(self, frame: int) -> NDArray[np.uint8]:
        """Read the picture (H, W, 3) BGR of a frame.

        Raises:
            UserError: the file is not a picture of the clip's size.
        """
        from tcc.images import read_frame  # OpenCV, which training and embedding do without

        return read_frame(self.images, frame)


@dataclass(frozen=True, slots=True)
class ClipFolder:
    """What the folder of a clip holds.

    Attributes:
        path: of the folder.
        images: the files of the F frames; none where there is no vis/.
        detections: every person of every frame.
        times_s: (F,) time of each frame.
        picture_px: width and height of the frames, None where nothing tells them.
        person: that clip.toml names, 1 the main person; None where there is no clip.toml.
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
    """Read one clip and follow its skater.

    Args:
        folder: see `read_folder`.
        fps: frames per second where video.json tells no times.
        confidence_threshold: see `choose_skater`.
        person: see `choose_skater`.

    Raises:
        UserError: the clip can't be used; says why.
    """
    contents = read_folder(folder, fps)
    track = choose_skater(contents, confidence_threshold, person)
    return Clip(folder.resolve().name, track, contents.times_s, contents.images)


def read_folder(folder: Path, fps: float) -> ClipFolder:
    """Read what the folder of a clip holds.

    Args:
        folder: holds one AlphaPose *.json; vis/ with the frames if anything is to be drawn;
            video.json with the frames' times if tcc_get_pose.py made it; and clip.toml with a line
            `person = 2` if another person than the main person is the skater.
        fps: frames per second where video.json tells no times.

    Raises:
        UserError: a file is missing or can't be used; says why.
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
    """Follow the skater of a clip.

    Args:
        contents: of the clip's folder.
        confidence_threshold: some joint must reach it for the clip to be of use.
        person: 1 the main person, 2 the next ...; None: clip.toml decides, else 1.

    Raises:
        UserError: there is no such person, or the clip is of no use; says why.
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
    if highest < max(confidence_threshold, LEAST_CONFIDENCE):
        raise UserError(
            f"{folder}: no joint reaches SKELETON_CONF_THRESHOLD={confidence_threshold} "
            f"(highest confidence {highest:.2f}); lower the setting or remove the clip"
        )
    extent_px = float(np.ptp(track.keypoints[..., :2], axis=1).max())
    if extent_px < LEAST_EXTENT_PX:
        raise UserError(
            f"{folder}: the skater's joints lie within {extent_px:.2g} px; expected positions in "
            "pixels; run AlphaPose again or remove the clip"
        )
    # A person that the user names is not in doubt.
    return track if given is None else replace(track, margin=1.0)


def list_clips(root: Path) -> list[Path]:
    """Return the folders of a mode, sorted by name; hidden ones are not clips."""
    return sorted(path for path in root.glob("[!.]*") if path.is_dir())


def find_videos(root: Path) -> list[Path]:
    """Return the video files of a mode's folder, sorted by name."""
    files = (path for path in root.glob("[!.]*") if path.is_file())
    return sorted(path for path in files if path.suffix.lower() in VIDEO_SUFFIXES)


def clip_folders(data_dir: Path, motion: str, mode: str) -> list[Path]:
    """Return the clips of data/<motion>/<mode>/, sorted by name.

    Raises:
        UserError: the folder is missing or empty.
    """
    root = data_dir / motion / mode
    if not root.is_dir():
        motions = sorted(path.name for path in data_dir.glob("*") if path.is_dir())
        raise UserError(
            f"no folder {root}; {data_dir} holds {', '.join(motions) or 'no motion'}; "
            "put each video's folder there (see docs/input.md) or name another --dataset"
        )
    folders = list_clips(root)
    names = {folder.name for folder in folders}
    waiting = [path.name for path in find_videos(root) if path.stem not in names]
    convert = f"run: python3 tcc_get_pose.py --dataset {motion} --mode {mode}"
    if not folders:
        raise UserError(
            f"{root} holds {len(waiting)} video(s) without keypoints; {convert}"
            if waiting
            else f"{root} holds no clip; put one folder with an AlphaPose .json per video there"
        )
    if waiting:
        log.warning("%s: left out, without keypoints: %s; %s", root, ", ".join(waiting), convert)
    return folders


def find_clip(
    name: str,
    data_dir: Path,
    motion: str,
    mode: str,
    convert: Callable[[Path, Sequence[Path]], Path] | None = None,
) -> Path:
    """Return the folder of the clip that a name, or a path to a folder or video, stands for.

    Args:
        name: of a clip or video of the mode, or a path.
        convert: returns the clip's folder of a video, given folders where it may be already; None:
            videos are refused.

    Raises:
        UserError: there is none; lists those there are. There are two. A video can't be used.
    """
    root = data_dir / motion / mode
    for path in (root / name, Path(name)):
        if path.is_dir():
            return path
    videos = find_videos(root)
    videos = (
        [path for path in videos if path.name == name]
        or [path for path in videos if path.stem == name]
        or [Path(name)] * Path(name).is_file()
    )
    if len(videos) > 1:
        names = " or ".join(path.name for path in videos)
        raise UserError(f"{name} in {root} may be {names}; give the whole name")
    if videos and convert is None:
        raise UserError(f"{videos[0]} is a file; run: python3 tcc_get_pose.py {videos[0]}")
    if videos and convert is not None:
        video = videos[0]
        return convert(video, (video.with_suffix(""), root / video.stem))
    names = ", ".join(path.name for path in clip_folders(data_dir, motion, mode))
    raise UserError(f"no clip {name} in {root}; it holds {names}")


def require_images(clip: Clip) -> None:
    """Check that a clip can be drawn.

    Raises:
        UserError: it has no frames.
    """
    if not clip.images:
        raise UserError(
            f"clip {clip.name} has no vis/ with its frames to draw; add it or use --no-video"
        )


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


def picture_size(folder: Path, images: Sequence[Path]) -> tuple[int, int] | None:
    """Return the width and height in px of a clip's frames, None where nothing tells them.

    Args:
        folder: of the clip; video.json tells the size if tcc_get_pose.py made it.
        images: of vis/; the header of the first tells the size.
    """
    try:
        size = msgspec.json.decode((folder / "video.json").read_bytes(), type=_PictureSize)
        return size.width_px, size.height_px
    except (OSError, ValueError):  # a user's video.json may hold times alone
        pass
    if not images:
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(images[0]) as image:
            return image.size
    except (OSError, UnidentifiedImageError):  # drawing names the file
        return None


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
        times = np.array(msgspec.json.decode(path.read_bytes(), type=_Timestamps).timestamps_s)
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
