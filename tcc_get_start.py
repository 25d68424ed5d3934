"""Find where the motion of a standard video starts in a learner's video.

    python3 tcc_get_start.py my.mov coach.mp4 --dataset axel
    python3 tcc_get_start.py --dataset axel --mode test

Reads log/<motion>_checkpoint.pt and two clips: the learner's and the standard, the coach's. Each is
a video file, the folder of a clip, or the name of a clip in data/<motion>/<mode>/. Clips that are
not named are the first ones of this folder, sorted by name. Writes
result/start_<motion>_<learner>_vs_<standard>.mp4, .png and .json. The video shows the motion once
at its own speed and once in slow motion (--speed). If labels.csv marks events of the standard, such
as the take-off, they are carried over to the learner. The keypoints of a video are made when it is
first used (see tcc_get_pose.py) and kept in result/keypoints/, and
result/check_start_<motion>_<learner>_vs_<standard>.jpg shows the person who is followed. The best
start is printed first. If the learner's clip shows the motion several times, the other starts with
a high confidence follow, at most TOP_K starts in total.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc import side_by_side
from tcc.clip_cache import VideoCache
from tcc.clip_folders import find_source, list_sources, place_of
from tcc.clips import Clip
from tcc.clock import nearest
from tcc.contact_sheet import check_clips
from tcc.dtw import (
    CONFIDENT,
    Match,
    certainty,
    confidence,
    describe_confidence,
    locate,
    map_frames,
)
from tcc.evaluate.labels import carry_events, mark_events, order_events, read_marks
from tcc.features import opposed
from tcc.files import UserError, keep_earlier, result_stem, sha256, write_json
from tcc.plots import Moment, plot_start
from tcc.progress import progress
from tcc.side_by_side import Shown
from tcc_config import AFTER_TRAINING, CONFIG, Config
from tcc_data import (
    clip_doubts,
    clip_turn,
    feature_times,
    load_clip,
    make_features,
    match_frames,
    tell_doubts,
)
from tcc_model import Encoder, embed, load_encoder

log = logging.getLogger("tcc")
PANEL_SIZE, PICTURE_SIZE = (640, 720), (320, 360)  # px, in the video and in the picture
ENDS = ("start", "end")  # labels with these names mark what the search finds


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
    parser.add_argument("--no-video", action="store_true", help="draw no video, which is faster")
    side_by_side.add_speed(parser)
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

    result = find_start(encoder, learner, standard, args.method, settings)
    events = find_events(result.matches[0], standard, args.data_dir, args.mode)
    for warning in result.warnings:
        log.warning("%s", warning)
    tell_doubts([learner, standard])
    content = describe(result, learner, standard, args.method, events)
    print_result(content)

    inputs = {
        "learner": learner.fingerprint(),
        "standard": standard.fingerprint(),
        "checkpoint": sha256(path),
        "method": args.method,
        "top_k": CONFIG.TOP_K,
    }
    keep_earlier(stem, inputs, (".mp4", ".png", ".json"))
    threshold = settings.SKELETON_CONF_THRESHOLD
    if not args.no_video:
        draw_video(Path(f"{stem}.mp4"), result, learner, standard, args.speed, threshold)
        print(f"{stem}.mp4")
    plot_start(
        Path(f"{stem}.png"),
        result.cost,
        result.curve,
        result.matches,
        draw_moments(result, learner, standard, events, threshold),
        learner,
        standard,
        f"{learner.name}: {headline(result)}",
        result.confidences[0] < CONFIDENT,
    )
    write_json(Path(f"{stem}.json"), {"inputs": inputs, **content})
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
        starts = ", ".join(str(learner.first_frame + match.start_frame) for match in matches[1:])
        warnings.append(
            f"nothing in {learner.name} is like {standard.name}; check that both show the same "
            "motion, and with tcc_check.py that the right person is followed"
            if certainty(confidences[0]) == "not found"
            else "the start is uncertain, because the clips differ a lot"
            + (f"; other possible start frames: {starts}" if starts else "")
        )
    if len(confidences) > CONFIG.TOP_K and confidences[-1] >= CONFIDENT:
        warnings.append(
            f"{learner.name} shows {standard.name} more than {CONFIG.TOP_K} times; increase "
            "TOP_K to see all of them"
        )
    if not is_whole:
        first, last = matches[0].path[[0, -1], 0]
        start_s, end_s = standard.times_s[[first, last]]
        warnings.append(
            f"{learner.name} shows only a part of {standard.name}, its frames "
            f"{standard.first_frame + first} to {standard.first_frame + last} of "
            f"{standard.total_frames}; film the motion from before its start to after its end, or "
            f"cut {standard.name} to the motion, for example with --standard-trim "
            f"{start_s:.2f}-{end_s:.2f}"
        )
    return Result(
        matches,
        confidences[: CONFIG.TOP_K],
        found.cost[np.ix_(rows, columns)],
        curve,
        found.mirrored,
        warnings,
    )


def find_events(
    match: Match, standard: Clip, data_dir: Path, mode: str
) -> dict[str, tuple[int, int | None]]:
    """Return the frames of the standard and of the learner for each event of the standard.

    The learner's frame is None if the event is outside the matched part.
    """
    marks = read_marks(standard, data_dir, CONFIG.DATASET, mode)
    names = order_events([marks])
    frames = mark_events(marks, names, standard)
    found = carry_events(map_frames(match.path, standard.num_frames), frames)
    return {
        name: (int(frame), int(place) if np.isfinite(place) else None)
        for name, frame, place in zip(names, frames, found, strict=True)
        if np.isfinite(frame)
    }


def describe(
    result: Result,
    learner: Clip,
    standard: Clip,
    method: str,
    events: Mapping[str, tuple[int, int | None]],
) -> dict[str, Any]:
    """Return the content of the JSON file, with the fields that other programs read.

    All frames are numbered in the whole videos.
    """
    best, first = result.matches[0], learner.first_frame
    candidates = [
        {
            "start_frame": first + match.start_frame,
            "end_frame": first + match.end_frame,
            "start_s": learner.times_s[match.start_frame],
            "cost": match.cost,
            "confidence": match_confidence,
            "state": certainty(match_confidence),
        }
        for match, match_confidence in zip(result.matches, result.confidences, strict=True)
    ]
    is_found = certainty(result.confidences[0]) != "not found"
    moments = {
        name: {
            "standard_frame": standard.first_frame + at_standard,
            "standard_s": standard.times_s[at_standard],
            "learner_frame": None if at_learner is None else first + at_learner,
            "learner_s": None if at_learner is None else learner.times_s[at_learner],
        }
        for name, (at_standard, at_learner) in events.items()
        if is_found
    }
    return {
        "video_name": learner.name,
        "standard_name": standard.name,
        "motion_type": CONFIG.DATASET,
        **candidates[0],
        "end_s": learner.times_s[best.end_frame - 1],
        "method": method,
        "mirrored": result.mirrored,
        "events": moments,
        "air_time_s": {role: air_time(moments, role) for role in ("learner", "standard")},
        "candidates": candidates,
        "warnings": [*result.warnings, *clip_doubts(learner), *clip_doubts(standard)],
        "original_seq_len": learner.total_frames,
        "aligned_start_frame": first + best.start_frame,
        "aligned_end_frame": first + best.end_frame,
        "aligned_std_start_frame": standard.first_frame + int(best.path[0, 0]),
        "aligned_std_end_frame": standard.first_frame + int(best.path[-1, 0]) + 1,
        "aligned_seq_len": best.end_frame - best.start_frame,
        "path": best.path + np.array([standard.first_frame, first]),
    }


def air_time(moments: Mapping[str, Mapping[str, Any]], role: str) -> float | None:
    """Return the time from take-off to landing in s; None if one of them is unknown."""
    takeoff_s, landing_s = (
        moments.get(name, {}).get(f"{role}_s") for name in ("takeoff", "landing")
    )
    return None if takeoff_s is None or landing_s is None else landing_s - takeoff_s


def print_result(content: Mapping[str, Any]) -> None:
    """Print where the motion starts and ends, the other clear places, and the events."""
    learner, motion = content["video_name"], content["motion_type"]
    for rank, place in enumerate(content["candidates"]):
        trust = describe_confidence(place["confidence"])
        start = f"starts at frame {place['start_frame']} ({place['start_s']:.2f} s)"
        if rank and place["state"] == "sure":
            print(f"{learner}: another {motion} {start}, {trust}")
        elif not rank and place["state"] == "not found":
            print(
                f"{learner}: {motion} not found; what is most alike {start}, "
                f"confidence {place['confidence']:.2f}"
            )
        elif not rank:
            end = f"ends at frame {place['end_frame'] - 1} ({content['end_s']:.2f} s)"
            print(f"{learner}: the {motion} {start} and {end}, {trust}")
    parts = [
        f"{event_word(name)} at frame {moment['learner_frame']} ({moment['learner_s']:.2f} s)"
        if moment["learner_frame"] is not None
        else f"{event_word(name)} outside the matched part"
        for name, moment in content["events"].items()
        if name not in ENDS
    ]
    air = content["air_time_s"]
    if air["learner"] is not None:
        standard = f"{content['standard_name']}: {air['standard']:.2f} s"
        parts.append(f"time in the air {air['learner']:.2f} s ({standard})")
    if parts:
        print(f"{learner}: {', '.join(parts)}")


def event_word(name: str) -> str:
    """Return the name of an event as people write it."""
    return "take-off" if name == "takeoff" else name.replace("_", " ")


def headline(result: Result) -> str:
    """Return the motion and how sure the match is, for video and picture."""
    return f"{CONFIG.DATASET}, {describe_confidence(result.confidences[0])}"


def draw_video(
    path: Path, result: Result, learner: Clip, standard: Clip, slow: float, threshold: float
) -> None:
    """Write a video of the learner beside the frames of the standard that match."""
    from tcc.video import write_video  # PyAV, which is not needed without video

    best, trust = result.matches[0], result.confidences[0]
    is_found = certainty(trust) != "not found"
    states = ("before the start", "motion", "after the end") if is_found else ("", "", "")
    pairs_s = side_by_side.pair_times(best.path[:, ::-1], learner, standard)
    shown = [
        Shown(learner, f"learner: {learner.name}", "", False, pairs_s[:, [0, 0]],
              (best.start_frame, best.end_frame) if is_found else None, states),
        Shown(standard, f"standard: {standard.name}", "mirrored" if result.mirrored else "",
              result.mirrored, pairs_s,
              (int(best.path[0, 0]), int(best.path[-1, 0]) + 1) if is_found else None, states),
    ]  # fmt: skip
    window_s = side_by_side.window(learner, best.start_frame, best.end_frame - 1, shown[1:])
    fps = side_by_side.video_fps(learner)
    times_s, speeds = side_by_side.schedule(window_s, fps, slow)
    frames = side_by_side.draw(
        shown, times_s, speeds, headline(result), trust < CONFIDENT, threshold, PANEL_SIZE, 2
    )
    bar = progress(frames, "drawing", "frame", len(times_s))
    write_video(path, bar, fps, hold_repeated=True)


def draw_moments(
    result: Result,
    learner: Clip,
    standard: Clip,
    events: Mapping[str, tuple[int, int | None]],
    threshold: float,
) -> list[Moment]:
    """Draw both skaters at the start, at the events and at the end of the motion."""
    best, clips = result.matches[0], (learner, standard)
    panels = side_by_side.make_panels(
        [(learner, False), (standard, result.mirrored)], PICTURE_SIZE, threshold
    )
    ends = (best.start_frame, int(best.path[0, 0])), (best.end_frame - 1, int(best.path[-1, 0]))
    moments: list[tuple[str, tuple[int | None, int]]] = [("start", ends[0]), ("end", ends[1])]
    if certainty(result.confidences[0]) == "not found":
        moments = [("start of the place most alike", ends[0]), ("its end", ends[1])]
    else:
        moments[1:1] = [
            (event_word(name), pair[::-1]) for name, pair in events.items() if name not in ENDS
        ]
    drawn = []
    for name, pair in moments:
        pictures = [
            None if frame is None else panel.picture(frame)
            for frame, panel in zip(pair, panels, strict=True)
        ]
        labels = [
            "outside the matched part" if frame is None
            else f"frame {clip.first_frame + frame}, {clip.times_s[frame]:.2f} s"
            for frame, clip in zip(pair, clips, strict=True)
        ]  # fmt: skip
        drawn.append(Moment(name, pictures, labels))
    return drawn


if __name__ == "__main__":
    cli.run(main)
