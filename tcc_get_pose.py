"""Find the people in every frame of your videos, and write the clips that other commands read.

    python3 tcc_get_pose.py --dataset axel --mode test
    python3 tcc_get_pose.py ~/Downloads/jump.mov --dataset axel --mode test

Reads all videos in data/<motion>/<mode>/, or those that you name. A video in the folder of another
motion or mode belongs there. Writes a folder data/<motion>/<mode>/<video>/ for each, with vis/ (the
frames as images), alphapose-results.json (the keypoints of all people) and video.json (the times of
the frames). Videos that are finished are skipped. Also writes result/check_<motion>_<mode>.jpg,
which shows the person who is followed in every clip. If that is the wrong person, run the command
again with the name of the video and --person 2. The number is kept in clip.toml in the folder of
the clip, and all commands use it. Needs the packages in requirements-pose.txt.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tcc import jobs
from tcc.clip_folders import VIDEO_SUFFIXES, find_videos, list_clips, place_of, tell_unused
from tcc.clips import load_clip
from tcc.contact_sheet import check_and_print
from tcc.estimator import EstimatorError, Rtmo, require_weights
from tcc.files import UserError, sha256
from tcc.pose import MakeClip, require_capture_fps
from tcc.sidecars import CLIP_TOML, write_person
from tcc_config import CONFIG

log = logging.getLogger("tcc")


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
    jobs.add_jobs(parser)
    add("--force", action="store_true", help="convert finished videos again")
    add(
        "--person",
        type=int,
        metavar="K",
        help="follow the K-th person of this video from now on (1: the main person)",
    )
    args = cli.parse(parser, CONFIG, None)
    workers = jobs.pick_jobs(args)
    require_capture_fps(args.capture_fps)
    require_weights(args.weights)
    root = args.data_dir / CONFIG.DATASET / args.mode
    videos = args.videos or find_videos(root)
    if not args.videos:
        tell_unused(root)
    if not videos:
        raise UserError(
            f"{root} holds no video ({' '.join(VIDEO_SUFFIXES)}); put one there or give its path"
        )
    for video in videos:
        if not video.exists():
            raise UserError(f"{video}: no such file; check the path")
    places = [place_of(video, args.data_dir) or (CONFIG.DATASET, args.mode) for video in videos]
    if args.person is not None and len(videos) != 1:
        raise UserError(
            f"--person {args.person}: expected one video, not {len(videos)}; give its name"
        )

    folders = [
        args.data_dir.joinpath(*place, video.stem)
        for video, place in zip(videos, places, strict=True)
    ]
    failed = convert(dict(zip(videos, folders, strict=True)), args, workers)
    problems = []
    if failed:
        problems.append(f"{len(failed)} of {len(videos)} videos failed: {', '.join(failed)}")
    for motion, mode in dict.fromkeys(places):
        clips = list_clips(args.data_dir / motion / mode)
        if not clips:  # all its videos failed
            continue
        unreadable = check_and_print(
            clips, args.result_dir, motion, mode, CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD
        )
        if unreadable:
            names = ", ".join(unreadable)
            problems.append(f"{len(unreadable)} of {len(clips)} clips can't be read: {names}")
    if problems:
        raise UserError("; ".join(problems))


def convert(
    folders: dict[Path, Path], args: argparse.Namespace, workers: jobs.Jobs | None
) -> list[str]:
    """Make the clips {video: folder}; return the names of the videos that failed.

    Raises:
        UserError: the only video failed, or the model can't be used for any.
    """
    model = args.weights and sha256(args.weights)
    failed = []
    made = make_clips(folders, args, workers)
    for (video, folder), info in zip(folders.items(), made, strict=True):
        if isinstance(info, UserError):
            if isinstance(info, EstimatorError) or len(folders) == 1:
                raise info
            log.error("%s", info)
            failed.append(video.name)
        else:
            size = f"{info['width_px']} x {info['height_px']}"
            if model and info["estimator"].get("weights_sha256") not in (None, model):
                log.warning(
                    "%s: its keypoints were made with another model than --weights, %s; use "
                    "--force to make them again",
                    folder, info["estimator"]["name"],
                )  # fmt: skip
            if args.person is not None:
                keep_person(folder, args.person)
            uses_sidecar = args.person is None and (folder / CLIP_TOML).exists()
            note = ", follows the person in its clip.toml" if uses_sidecar else ""
            print(f"{folder}: {info['num_frames']} frames, {size}{note}")
    return failed


def make_clips(
    folders: dict[Path, Path], args: argparse.Namespace, workers: jobs.Jobs | None
) -> Iterator[dict[str, Any] | UserError]:
    """Make the clips {video: folder}; yield the content of video.json of each, or its error."""
    refused = {video: error for video in folders if (error := namesake_error(video, folders))}
    chosen = [place for place in folders.items() if place[0] not in refused]
    job = MakeClip(args.weights, args.device, args.capture_fps, args.force, args.person)
    made: Iterable[dict[str, Any] | UserError]
    if workers is None:
        made = map(partial(job.make, Rtmo(args.weights, args.device)), chosen)
    else:
        made = workers.map(job, chosen, "keypoints", "video")
    results = iter(made)
    for video in folders:
        yield refused.get(video) or next(results)


def keep_person(folder: Path, person: int) -> None:
    """Write the number of the person into clip.toml; raise UserError if there is no such person."""
    load_clip(folder, CONFIG.FPS, CONFIG.SKELETON_CONF_THRESHOLD, person)
    write_person(folder, person)


def namesake_error(video: Path, folders: dict[Path, Path]) -> UserError | None:
    """Return an error if the clip of another video would have the same folder, else None."""
    others = [
        str(other)
        for other, folder in folders.items()
        if other != video and folder == folders[video]
    ]
    if not others:
        return None
    return UserError(
        f"{video}: its clip would have the same name, {video.stem}, as that of "
        f"{', '.join(others)}; rename one"
    )


if __name__ == "__main__":
    cli.run(main)
