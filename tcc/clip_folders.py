"""Find the clips of a motion, and the clip that a user has named."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from tcc.files import UserError

log = logging.getLogger("tcc")
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")


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
