"""Find where the motion of a standard video starts in a learner's video.

    python3 tcc_get_start.py my.mov coach.mp4 --dataset axel
    python3 tcc_get_start.py --dataset axel --mode test

Reads log/<motion>_checkpoint.pt and two clips: the learner's and the standard, the coach's. Each is
a video file, the folder of a clip, or the name of a clip in data/<motion>/<mode>/. Clips that are
not named are the first ones of this folder, sorted by name. Writes
result/start_<motion>_<learner>_vs_<standard>.mp4, .png and .json. The keypoints of a video are made
when it is first used (see tcc_get_pose.py) and kept in result/keypoints/, and
result/check_start_<motion>_<learner>_vs_<standard>.jpg shows the person who is followed. The best
start is printed first. If the learner's clip shows the motion several times, the other starts with
a high confidence follow, at most TOP_K starts in total.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.clip_cache import VideoCache
from tcc.clip_folders import find_source, list_sources, place_of
from tcc.clips import Clip, require_images
from tcc.clock import clock, nearest
from tcc.contact_sheet import check_clips
from tcc.draw import ClipPanel
from tcc.dtw import CONFIDENT, Match, confidence, locate, map_frames
from tcc.features import opposed
from tcc.files import UserError, keep_earlier, result_stem, sha256, write_json
from tcc.plots import plot_start
from tcc.progress import progress
from tcc_config import AFTER_TRAINING, CONFIG, Config
from tcc_data import clip_doubts, clip_turn, feature_times, load_clip, make_features, match_frames
from tcc_model import Encoder, embed, load_encoder

log = logging.getLogger("tcc")
PANEL_SIZE = (640, 720)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of the search, in frames of the clips.

    `matches` are sorted, the best first; `confidences` are those of the matches. `cost` (N, M) is
    the distance of each frame of the standard from each frame of the learner. `curve` (M,) is the
    cost of the cheapest match that starts at each frame of the learner, NaN if there is none.
    `mirrored` is True if the standard was mirrored.
    """

    matches: list[Match]
    confidences: list[float]
    cost: NDArray[np.floating[Any]]
    curve: NDArray[np.floating[Any]]
    mirrored: bool
    warnings: list[str]


def main() -> None:
    """Load the pair, search, save."""
    parser = cli.parser(__doc__, ["FPS", *AFTER_TRAINING["tcc_get_start.py"]])
    cli.add_checkpoint(parser)
    cli.add_pair(parser)
    cli.add_weights(parser)
    parser.add_argument(
        "--method",
        choices=("dtw", "sliding"),
        default="dtw",
        help="dtw: dynamic time warping, also finds faster and slower motions; sliding: a sliding "
        "window of the standard's length (default: %(default)s)",
    )
    parser.add_argument(
        "--no-video", action="store_true", help="draw no video; vis/ is then not needed"
    )
    args = cli.parse(parser, CONFIG, None)
    sources = choose_pair(args)
    encoder, settings, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )
    learner, standard = load_pair(args, sources, settings)
    stem = result_stem(
        args.result_dir, "start_{}_{}_vs_{}", CONFIG.DATASET, learner.name, standard.name
    )
    if any(source.is_file() for source in sources):
        _, _, sheets = check_clips(
            (learner.folder, standard.folder), stem.with_name(f"check_{stem.name}"),
            f"{learner.name}, {standard.name}", CONFIG.FPS, settings.SKELETON_CONF_THRESHOLD,
            [(args.person, args.trim), (args.standard_person, args.standard_trim)],
        )  # fmt: skip
        print(*sheets, sep="\n")
    if not args.no_video:
        require_images(learner)
        require_images(standard)

    result = find_start(encoder, learner, standard, args.method, settings)
    best = result.matches[0]
    for warning in result.warnings:
        log.warning("%s", warning)
    for match, match_confidence in zip(result.matches, result.confidences, strict=True):
        if match is best or match_confidence >= CONFIDENT:
            print(
                f"{CONFIG.DATASET} of {standard.name} starts at frame {match.start_frame} "
                f"({learner.times_s[match.start_frame]:.2f} s) of {learner.name}, "
                f"confidence {match_confidence:.2f}"
            )

    inputs = {
        "learner": learner.fingerprint(),
        "standard": standard.fingerprint(),
        "checkpoint": sha256(path),
        "method": args.method,
        "top_k": CONFIG.TOP_K,
    }
    keep_earlier(stem, inputs, (".mp4", ".png", ".json"))
    if not args.no_video:
        from tcc.video import write_video

        frames = draw_frames(result, learner, standard, settings.SKELETON_CONF_THRESHOLD)
        write_video(
            Path(f"{stem}.mp4"),
            progress(frames, "drawing", "frame", len(clock(learner.times_s, learner.fps))),
            learner.fps,
        )
        print(f"{stem}.mp4")
    title = f"{CONFIG.DATASET}: where {standard.name} starts in {learner.name}"
    plot_start(Path(f"{stem}.png"), result.cost, result.curve, result.matches, title)
    write_json(
        Path(f"{stem}.json"), {"inputs": inputs, **describe(result, learner, standard, args.method)}
    )
    print(f"{stem}.png")


def load_pair(
    args: argparse.Namespace, sources: tuple[Path, Path], settings: Config
) -> tuple[Clip, Clip]:
    """Return the learner's clip and the standard, of folders or video files."""
    cache = VideoCache(
        args.result_dir / "keypoints",
        args.weights,
        args.device,
        args.data_dir / CONFIG.DATASET / args.mode,
    )
    learner = cache.find_clip(sources[0], args.capture_fps)
    standard = cache.find_clip(sources[1], args.standard_capture_fps)
    if learner.resolve() == standard.resolve():
        log.warning("%s is both the learner's clip and the standard", learner)
    return (
        load_clip(learner, settings, args.person, args.trim),
        load_clip(standard, settings, args.standard_person, args.standard_trim),
    )


def choose_pair(args: argparse.Namespace) -> tuple[Path, Path]:
    """Return the folders or video files of the learner's clip and of the standard.

    Raises:
        UserError: there is no such clip; there is only one clip, and not both are named; or a clip
            is named twice.
    """
    where = (args.data_dir, CONFIG.DATASET, args.mode)
    if len(args.clips) > 2 or (args.clips and (args.learner or args.standard)):
        raise UserError(
            f"{' '.join(args.clips)}: expected two clips, the learner's and the coach's; name each "
            "once"
        )
    names = [*args.clips, None, None] if args.clips else [args.learner, args.standard]
    learner, standard = (find_source(name, *where) if name else None for name in names[:2])
    if learner is None or standard is None:
        root = args.data_dir / CONFIG.DATASET / args.mode
        if (named := learner or standard) and not root.is_dir():
            raise UserError(
                f"{named}: name the other clip too, as in: tcc_get_start.py learner.mp4 coach.mp4 "
                f"(there is no folder {root} to take it from)"
            )
        sources = list_sources(*where)
        learner = learner or first_except(sources, standard)
        standard = standard or first_except([*sources[1:], sources[0]], learner)
    places = [place_of(source, args.data_dir) for source in (learner, standard)]
    motions = {place[0] for place in places if place}
    if args.dataset is None and len(motions) == 1:  # the path of a clip names its motion
        cli.override(CONFIG, "DATASET", motions.pop())
    return learner, standard


def first_except(sources: list[Path], taken: Path | None) -> Path:
    """Return the first of `sources` that is not `taken`.

    Raises:
        UserError: there is no other.
    """
    for source in sources:
        if taken is None or source.resolve() != taken.resolve():
            return source
    raise UserError(
        f"{sources[0].parent} holds only the clip {sources[0].name}; add the standard, or name "
        "both clips, the learner's first"
    )


def find_start(
    encoder: Encoder, learner: Clip, standard: Clip, method: str, settings: Config
) -> Result:
    """Find the standard, or its mirror image, in the learner's clip.

    Args:
        encoder: trained.
        learner: the clip that is searched.
        standard: the clip that is searched for.
        method: "dtw" or "sliding", see `tcc.dtw.search`.
        settings: as returned by `load_encoder`.
    """
    variants = [
        embed(encoder, make_features(standard, settings, mirrored)) for mirrored in (False, True)
    ]
    found = locate(
        variants,
        embed(encoder, make_features(learner, settings)),
        method,
        CONFIG.TOP_K + 1,
        opposed(clip_turn(standard, settings), clip_turn(learner, settings)),
    )
    first, last = found.matches[0].path[[0, -1], 0]
    is_whole = first == 0 and last == len(variants[0]) - 1
    rows, columns = (
        nearest(feature_times(clip, settings), clip.times_s) for clip in (standard, learner)
    )
    # The search counts ticks, the times at which the features are sampled. In the curve, each start
    # is at the frame that match_frames gives for its tick.
    curve = np.full(learner.num_frames, np.nan)
    np.fmin.at(curve, nearest(learner.times_s, feature_times(learner, settings)), found.curve())
    confidences = [confidence(match, found.cost) for match in found.matches]
    best = found.matches[: CONFIG.TOP_K]
    matches = [match_frames(match, standard, learner, settings) for match in best]
    warnings = []
    if found.mirrored:
        warnings.append(
            f"{learner.name} turns in the other direction, so {standard.name} is mirrored"
        )
    if confidences[0] < CONFIDENT:
        starts = ", ".join(str(match.start_frame) for match in matches[1:])
        warnings.append(
            "the start is uncertain, because the clips differ a lot; other possible start frames: "
            f"{starts or 'none'}"
        )
    if len(confidences) > CONFIG.TOP_K and confidences[-1] >= CONFIDENT:
        warnings.append(
            f"{learner.name} shows {standard.name} more than {CONFIG.TOP_K} times; increase "
            "TOP_K to see all of them"
        )
    if not is_whole:
        first, last = matches[0].path[[0, -1], 0]
        warnings.append(
            f"{learner.name} shows only a part of {standard.name}, its frames {first} to {last} of "
            f"{standard.num_frames}; film the motion from before its start to after its end"
        )
    warnings += clip_doubts(learner) + clip_doubts(standard)
    return Result(
        matches,
        confidences[: CONFIG.TOP_K],
        found.cost[np.ix_(rows, columns)],
        curve,
        found.mirrored,
        warnings,
    )


def describe(result: Result, learner: Clip, standard: Clip, method: str) -> dict[str, object]:
    """Return the content of the JSON file, with the fields that other programs read."""
    best = result.matches[0]
    candidates = [
        {
            "start_frame": match.start_frame + learner.first_frame,
            "end_frame": match.end_frame + learner.first_frame,
            "start_s": learner.times_s[match.start_frame],
            "cost": match.cost,
            "confidence": match_confidence,
        }
        for match, match_confidence in zip(result.matches, result.confidences, strict=True)
    ]
    return {
        "video_name": learner.name,
        "standard_name": standard.name,
        "motion_type": CONFIG.DATASET,
        **candidates[0],
        "method": method,
        "mirrored": result.mirrored,
        "candidates": candidates,
        "warnings": result.warnings,
        "original_seq_len": learner.total_frames,
        "aligned_start_frame": best.start_frame + learner.first_frame,
        "aligned_end_frame": best.end_frame + learner.first_frame,
        "aligned_std_start_frame": int(best.path[0, 0]) + standard.first_frame,
        "aligned_std_end_frame": int(best.path[-1, 0]) + 1 + standard.first_frame,
        "aligned_seq_len": best.end_frame - best.start_frame,
        "path": best.path + np.array([standard.first_frame, learner.first_frame]),
    }


def draw_frames(
    result: Result, learner: Clip, standard: Clip, threshold: float
) -> Iterator[NDArray[np.uint8]]:
    """Yield the learner's frames, each beside the frame of the standard that it matches.

    Before the start, the standard's first matched frame is shown, and after the end its last one.
    If the learner's clip has a variable frame rate, it is shown at a constant rate.
    """
    best = result.matches[0]
    matched = map_frames(best.path[:, ::-1], learner.num_frames)
    matched[: best.start_frame] = best.path[0, 0]
    matched[best.end_frame :] = best.path[-1, 0]
    learner_panel, standard_panel = (
        ClipPanel(clip.read_image, clip.keypoints, clip.times_s, PANEL_SIZE, threshold, mirrored)
        for clip, mirrored in ((learner, False), (standard, result.mirrored))
    )
    span = (int(best.path[0, 0]), int(best.path[-1, 0]) + 1)
    for frame in nearest(learner.times_s, clock(learner.times_s, learner.fps)):
        state = (
            "before the start" if frame < best.start_frame
            else "motion" if frame < best.end_frame else "after the end"
        )  # fmt: skip
        note = "mirrored" if result.mirrored else ""
        yield np.concatenate(
            [
                learner_panel.draw(
                    int(frame), f"learner {learner.name}", state, (best.start_frame, best.end_frame)
                ),
                standard_panel.draw(round(matched[frame]), f"standard {standard.name}", note, span),
            ],
            axis=1,
        )


if __name__ == "__main__":
    cli.run(main)
