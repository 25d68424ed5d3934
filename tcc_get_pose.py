"""Find the people in every frame of your videos, and write the clips that other commands read.

    python3 tcc_get_pose.py --dataset axel --mode test
    python3 tcc_get_pose.py ~/Downloads/jump.mov --dataset axel --mode test

Reads all videos in data/<motion>/<mode>/, or those that you name. Writes a folder
data/<motion>/<mode>/<video>/ for each, with vis/ (the frames as images), alphapose-results.json
(the keypoints of all people) and video.json (the times of the frames). Videos that are finished are
skipped. Also writes result/check_<motion>_<mode>.jpg, which shows the person who is followed in
every clip. If that is the wrong person, run the command again with the name of the video and
--person 2. The number is kept in clip.toml in the folder of the clip, and all commands use it.
Needs the packages in requirements-pose.txt.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from tcc import cli
from tcc.clip_folders import VIDEO_SUFFIXES, find_videos, list_clips
from tcc.clips import load_clip
from tcc.contact_sheet import check_and_print
from tcc.estimator import EstimatorError, Rtmo
from tcc.files import UserError
from tcc.pose import video_to_keypoints
from tcc.sidecars import CLIP_TOML, write_person
from tcc_config import CONFIG

log = logging.getLogger("tcc")
MAX_CAPTURE_FPS = 100_000


def main() -> None:
    """Convert all videos and check the clips. If one of several videos fails, do the others."""
    parser = cli.parser(__doc__, settings=["FPS", "SKELETON_CONF_THRESHOLD"])
    add = parser.add_argument
    add(
        "videos",
        nargs="*",
        type=Path,
        help="video files (default: all videos in DATA_DIR/MOTION/MODE/)",
    )
    cli.add_weights(parser)
    add(
        "--capture-fps",
        type=float,
        metavar="FPS",
        help="frames per second that the camera recorded, for slow-motion videos",
    )
    add("--force", action="store_true", help="convert finished videos again")
    add(
        "--person",
        type=int,
        metavar="K",
        help="follow the K-th person of this video from now on (1: the main person)",
    )
    args = cli.parse(parser, CONFIG, None)
    if args.capture_fps is not None and not 1 <= args.capture_fps <= MAX_CAPTURE_FPS:
        raise UserError(
            f"--capture-fps {args.capture_fps:g}: expected 1 to {MAX_CAPTURE_FPS}, as in 240"
        )
    root = args.data_dir / CONFIG.DATASET / args.mode
    videos = args.videos or find_videos(root)
    if not videos:
        raise UserError(
            f"{root} holds no video ({' '.join(VIDEO_SUFFIXES)}); put one there or give its path"
        )
    if args.person is not None and len(videos) != 1:
        raise UserError(
            f"--person {args.person}: expected one video, not {len(videos)}; give its name"
        )

    failed = convert(videos, root, args)
    problems = []
    if failed:
        problems.append(f"{len(failed)} of {len(videos)} videos failed: {', '.join(failed)}")
    if len(failed) < len(videos):
        folders = list_clips(root)
        unreadable = check_and_print(
            folders, args.result_dir, CONFIG.DATASET, args.mode,
            CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD,
        )  # fmt: skip
        if unreadable:
            names = ", ".join(unreadable)
            problems.append(f"{len(unreadable)} of {len(folders)} clips can't be read: {names}")
    if problems:
        raise UserError("; ".join(problems))


def convert(videos: list[Path], root: Path, args: argparse.Namespace) -> list[str]:
    """Make clips of videos in `root`; return the names of the videos that failed.

    Raises:
        UserError: the only video failed, or the model can't be used for any.
    """
    estimator = Rtmo(args.weights, args.device)
    failed = []
    for video in videos:
        try:
            refuse_namesakes(video, videos)
            info = video_to_keypoints(
                video, root / video.stem, estimator,
                capture_fps=args.capture_fps, force=args.force, person=args.person,
            )  # fmt: skip
        except UserError as error:
            if isinstance(error, EstimatorError) or len(videos) == 1:
                raise
            log.error("%s", error)
            failed.append(video.name)
        else:
            folder, size = root / video.stem, f"{info['width_px']} x {info['height_px']}"
            if args.person is not None:
                keep_person(folder, args.person)
            uses_sidecar = args.person is None and (folder / CLIP_TOML).exists()
            note = ", follows the person in its clip.toml" if uses_sidecar else ""
            print(f"{folder}: {info['num_frames']} frames, {size}{note}")
    return failed


def keep_person(folder: Path, person: int) -> None:
    """Write the number of the person into clip.toml; raise UserError if there is no such person."""
    load_clip(folder, CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD, person)
    write_person(folder, person)


def refuse_namesakes(video: Path, videos: list[Path]) -> None:
    """Raise UserError if the clip of another video would have the same name."""
    others = [str(other) for other in videos if other.stem == video.stem]
    others.remove(str(video))
    if others:
        raise UserError(
            f"{video}: its clip would have the same name, {video.stem}, as that of "
            f"{', '.join(others)}; rename one"
        )


if __name__ == "__main__":
    cli.run(main)
