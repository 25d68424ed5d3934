"""Find the clips of a motion, and the clip that a user has named."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from tcc.files import UserError

log = logging.getLogger("tcc")
MODES = ("train", "val", "test")
MAX_NAMES = 9  # in a message
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".avi", ".divx", ".mkv", ".webm", ".mts", ".m2ts", ".ts", ".mpg",
    ".mpeg", ".vob", ".wmv", ".asf", ".3gp", ".3g2", ".flv", ".ogv", ".mxf", ".gif",
)  # fmt: skip
SYSTEM_FOLDERS = {
    "__macosx", "__pycache__", "@eadir", "@recycle", "#recycle", "$recycle.bin", "recycler",
    "system volume information", "lost+found",
}  # fmt: skip


def is_of_system(path: Path) -> bool:
    """Return whether a folder was made by an operating system or a zip program, not by the user."""
    return path.name.startswith(".") or path.name.lower() in SYSTEM_FOLDERS


def list_clips(root: Path) -> list[Path]:
    """Return the folders in `root`, the folder of a mode, sorted by name; not `is_of_system`."""
    return sorted(path for path in root.glob("*") if path.is_dir() and not is_of_system(path))


def find_videos(root: Path) -> list[Path]:
    """Return the video files in `root`, the folder of a mode, sorted by name."""
    files = (path for path in root.glob("[!.]*") if path.is_file())
    return sorted(path for path in files if path.suffix.lower() in VIDEO_SUFFIXES)


def tell_unused(root: Path) -> None:
    """Log what is left out of the folder of a mode: folders of the system, and other media."""
    present = sorted(root.glob("[!.]*"))
    folders = [path.name for path in present if is_of_system(path)]
    if folders:
        log.info("%s: left out, no clip: %s", root, shorten(folders))
    media = [path.name for path in present if _is_other_media(path)]
    if media:
        log.warning("%s: not used, no video: %s; export it as .mp4", root, shorten(media))


def _is_other_media(path: Path) -> bool:
    """Return whether a file holds sound, a picture, or a video that can't be read."""
    kind = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
    is_media = kind in ("video", "audio", "image") and path.is_file()
    return is_media and path.suffix.lower() not in VIDEO_SUFFIXES


def clip_folders(data_dir: Path, motion: str, mode: str) -> list[Path]:
    """Return the folders of the clips in data/<motion>/<mode>/, sorted by name.

    Videos there that have no keypoints yet are named in a warning.

    Raises:
        UserError: the folder does not exist, or holds no clip.
    """
    root = data_dir / motion / mode
    if not root.is_dir():
        motions = [path.name for path in list_clips(data_dir)]
        choose = f" or choose another --mode or --dataset: {', '.join(motions)}" if motions else ""
        raise UserError(f"no folder {root}; put the clips there (see docs/input.md){choose}")
    folders = list_clips(root)
    tell_unused(root)
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


def list_sources(data_dir: Path, motion: str, mode: str) -> list[Path]:
    """Return the clips and videos in data/<motion>/<mode>/, sorted by name.

    A clip is a folder. A video that has a clip of its name is left out.

    Raises:
        UserError: the folder does not exist, or holds neither a clip nor a video.
    """
    root = data_dir / motion / mode
    folders, videos = list_clips(root), find_videos(root)
    names = {folder.name for folder in folders}
    sources = folders + [path for path in videos if path.stem not in names]
    if not sources:
        return clip_folders(data_dir, motion, mode)  # raises the error
    tell_unused(root)
    return sorted(sources, key=lambda path: path.name)


def find_source(name: str, data_dir: Path, motion: str, mode: str) -> Path:
    """Return the folder of the clip, or the video file, that the user has named.

    Args:
        name: of a clip or video in data/<motion>/<mode>/, or the path of any folder or video.
        data_dir: folder of the motions.
        motion: name of the motion.
        mode: name of the mode.

    Raises:
        UserError: there is no such clip or file, or there are two, or it is a keypoint file.
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
    if videos and videos[0].suffix.lower() == ".json":
        folder = videos[0].resolve().parent
        raise UserError(f"{name}: a keypoint file; give the folder that holds it, {folder}")
    if videos:
        return videos[0]
    found = [path.name for path in [*list_clips(root), *present]]
    holds = f"{root} holds {shorten(found) or 'no clip'}"
    if Path(name).suffix or Path(name).name != name:
        known = f"; {holds}" if found else ""
        raise UserError(f"{name}: no such file or folder{known}; check the path")
    raise UserError(f"no clip {name}: {holds}, and there is no file or folder {name} either")


def place_of(path: Path, data_dir: Path) -> tuple[str, str] | None:
    """Return motion and mode of a path data/<motion>/<mode>/<name>; None for any other path."""
    try:
        parts = path.resolve().relative_to(data_dir.resolve()).parts
    except ValueError:
        return None
    return (parts[0], parts[1]) if len(parts) == 3 and parts[1] in MODES else None


def require_pattern(option: str, value: str, example: str) -> None:
    """Raise a UserError if the value of an option is not MOTION/MODE or MOTION/MODE/PATTERN.

    Args:
        option: for example --standards.
        value: of the option.
        example: MOTION/MODE.
    """
    if value.count("/") not in (1, 2):
        raise UserError(
            f"{option} {value}: expected MOTION/MODE or MOTION/MODE/PATTERN, as in {example} or "
            f"'{example}/a*'"
        )


def shorten(names: Sequence[str]) -> str:
    """Return names for a message; if there are many, the first ones and how many more there are."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
