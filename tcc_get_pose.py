"""Make keypoints and frames of videos: .mp4 in, the input of every other command out.

    python3 tcc_get_pose.py --dataset axel --mode test
    python3 tcc_get_pose.py ~/Downloads/jump.mov --dataset axel --mode test

Reads every video of data/<motion>/<mode>/, or those named; writes data/<motion>/<mode>/<video>/
with vis/ (frames), alphapose-results.json (every person) and video.json (the frames' times, and
what they were made of). Needs requirements-pose.txt. A video that is finished is skipped.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from tcc import cli
from tcc.estimator import EstimatorError, Rtmo
from tcc.pose import video_to_keypoints
from tcc.video import VIDEO_SUFFIXES
from tcc_config import CONFIG

log = logging.getLogger("tcc")


def main() -> None:
    """Convert one video after the other; one that can't be is told and doesn't stop the rest."""
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("videos", nargs="*", type=Path, help="(default: every video of data/MOTION/MODE/)")
    add("--weights", type=Path, metavar="PATH", help="RTMO .onnx (default: fetched at first use)")
    add("--capture-fps", type=float, metavar="FPS", help="of a slow motion, as it was filmed")
    add("--force", action="store_true", help="make finished ones again")
    args = cli.parse(parser, CONFIG, None)
    if args.capture_fps is not None and not args.capture_fps > 0:
        raise cli.UserError(f"--capture-fps {args.capture_fps}: expected above 0, as in 240")
    root = args.data_dir / CONFIG.DATASET / args.mode
    videos = args.videos or find_videos(root)
    refuse_namesakes(videos)

    estimator = Rtmo(args.weights, args.device)
    failed = []
    for video in videos:
        try:
            info = video_to_keypoints(
                video, root / video.stem, estimator,
                capture_fps=args.capture_fps, force=args.force,
            )  # fmt: skip
        except EstimatorError:
            raise
        except cli.UserError as error:
            log.error("%s", error)
            failed.append(video.name)
        else:
            size = f"{info['width_px']} x {info['height_px']}"
            print(f"{root / video.stem}: {info['num_frames']} frames, {size}")
    # The contact sheet of all clips of the mode, check_<motion>_<mode>.jpg, is drawn from here.
    if failed:
        raise cli.UserError(f"{len(failed)} of {len(videos)} videos failed: {', '.join(failed)}")


def find_videos(root: Path) -> list[Path]:
    """Return the videos of a folder, sorted by name.

    Raises:
        UserError: there is none.
    """
    found = [path for path in root.glob("[!.]*") if path.suffix.lower() in VIDEO_SUFFIXES]
    if not found:
        raise cli.UserError(
            f"{root} holds no video ({' '.join(VIDEO_SUFFIXES)}); put one there or give its path"
        )
    return sorted(found)


def refuse_namesakes(videos: list[Path]) -> None:
    """Raise UserError if two videos would share a folder."""
    stem, count = Counter(video.stem for video in videos).most_common(1)[0]
    if count > 1:
        names = ", ".join(str(video) for video in videos if video.stem == stem)
        raise cli.UserError(f"{names}: all would become the clip {stem}; rename all but one")


if __name__ == "__main__":
    cli.run(main)
