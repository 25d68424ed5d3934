"""Make keypoints and frames of videos: .mp4 in, the input of every other command out.

    python3 tcc_get_pose.py --dataset axel --mode test
    python3 tcc_get_pose.py ~/Downloads/jump.mov --dataset axel --mode test

Reads every video of data/<motion>/<mode>/, or those named; writes data/<motion>/<mode>/<video>/
with vis/ (frames), alphapose-results.json (every person) and video.json (the frames' times, and
what they were made of), and result/check_<motion>_<mode>.jpg, where the person that is followed in
every clip is drawn. If it is the wrong one, name the video with --person 2: clip.toml in its folder
keeps that for every command. Needs requirements-pose.txt. A video that is finished is skipped.
"""

from __future__ import annotations

import logging
from pathlib import Path

from tcc import cli
from tcc.clips import (
    SIDECAR,
    VIDEO_SUFFIXES,
    find_videos,
    list_clips,
    load_clip,
    write_person,
)
from tcc.contact_sheet import check_and_print
from tcc.estimator import EstimatorError, Rtmo
from tcc.files import UserError
from tcc.pose import video_to_keypoints
from tcc_config import CONFIG

log = logging.getLogger("tcc")
MAX_CAPTURE_FPS = 100_000


def main() -> None:
    """Convert one video after the other; one that can't be is told and doesn't stop the rest."""
    parser = cli.parser(__doc__, settings=["SKELETON_CONF_THRESHOLD"])
    add = parser.add_argument
    add("videos", nargs="*", type=Path, help="(default: every video of data/MOTION/MODE/)")
    cli.add_weights(parser)
    add("--capture-fps", type=float, metavar="FPS", help="of a slow motion, as it was filmed")
    add("--force", action="store_true", help="make finished ones again")
    add("--person", type=int, metavar="K", help="of one video: the skater is the K-th choice, kept")
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
        raise UserError(f"--person {args.person} is for one video, not {len(videos)}; name it")

    estimator = Rtmo(args.weights, args.device)
    failed = []
    for video in videos:
        try:
            refuse_namesakes(video, videos)
            info = video_to_keypoints(
                video, root / video.stem, estimator,
                capture_fps=args.capture_fps, force=args.force, person=args.person,
            )  # fmt: skip
        except EstimatorError:
            raise
        except UserError as error:
            log.error("%s", error)
            failed.append(video.name)
        else:
            folder, size = root / video.stem, f"{info['width_px']} x {info['height_px']}"
            kept = args.person is None and (folder / SIDECAR).exists()
            note = ", follows the person that its clip.toml names" if kept else ""
            print(f"{folder}: {info['num_frames']} frames, {size}{note}")
            if args.person is not None:
                keep_person(folder, args.person)
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


def keep_person(folder: Path, person: int) -> None:
    """Write clip.toml; a person that is not there is a UserError."""
    load_clip(folder, CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD, person)
    write_person(folder, person)


def refuse_namesakes(video: Path, videos: list[Path]) -> None:
    """Raise UserError if another video would have the same folder."""
    others = [str(other) for other in videos if other.stem == video.stem]
    others.remove(str(video))
    if others:
        raise UserError(
            f"{video}: would become the clip {video.stem}, and so would {', '.join(others)}; "
            "rename one"
        )


if __name__ == "__main__":
    cli.run(main)
