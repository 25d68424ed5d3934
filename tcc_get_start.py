"""Find where the motion of a standard video starts in a learner's video.

    python3 tcc_get_start.py my.mov coach.mp4 --dataset axel
    python3 tcc_get_start.py --dataset axel --mode test
    python3 tcc_get_start.py my.mov --dataset axel --standards axel/train

Reads log/<motion>_checkpoint.pt and two clips: the learner's and the standard, the coach's. Each is
a video file, the folder of a clip, or the name of a clip in data/<motion>/<mode>/. Clips that are
not named are the first ones of this folder, sorted by name. Writes
result/start_<motion>_<learner>_vs_<standard>.mp4, .png and .json. The video shows the motion once
at its own speed and once in slow motion (--speed). If labels.csv marks events of the standard, such
as the take-off, they are carried over to the learner; take-off and landing also come from the
learner's flight. The keypoints of a video are made when it is first used (see tcc_get_pose.py) and
kept in result/keypoints/, and result/check_start_<motion>_<learner>_vs_<standard>.jpg shows the
person who is followed. The best start is printed first. If the learner's clip shows the motion
several times, the other starts with a high confidence follow, at most TOP_K starts in total;
--attempt N uses another one. With --standards, all marked clips of a folder vote on the events, and
the nearest is the standard.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tcc import side_by_side
from tcc.clips import Clip
from tcc.confidence import CONFIDENT, certainty, describe_confidence
from tcc.dtw import WarpingPath
from tcc.evaluate.labels import mark_events, order_events, read_marks
from tcc.files import keep_earlier, result_stem, sha256, write_json
from tcc.plots import Moment, plot_start
from tcc.report.events import Event, event_word, marked_event
from tcc.report.found_events import follow_path
from tcc_config import AFTER_TRAINING, CONFIG
from tcc_data import clip_doubts, tell_doubts
from tcc_model import load_encoder
from tcc_pair import (
    Result,
    attempt_suffix,
    choose_pair,
    draw_video,
    find_start,
    headline,
    load_pair,
    tell_votes,
    write_sheets,
)

log = logging.getLogger("tcc")
PICTURE_SIZE = (320, 360)  # px, of a skater in the picture
ENDS = ("start", "end")  # labels with these names mark what the search finds


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
    learner, standard, standards = load_pair(args, encoder, settings, sources)
    pattern = "start_{}_{}_vs_{}" + attempt_suffix(args.attempt)
    stem = result_stem(args.result_dir, pattern, CONFIG.DATASET, learner.name, standard.name)
    if any(source.is_file() for source in sources):
        check = stem.with_name(f"check_{stem.name}")
        print(*write_sheets(args, learner, standard, check, settings), sep="\n")

    result = find_start(encoder, learner, standard, args.method, settings, attempt=args.attempt)
    threshold = settings.SKELETON_CONF_THRESHOLD
    marks = read_marks(standard, args.data_dir, CONFIG.DATASET, args.mode)
    events = find_events(marks, learner, standard, result.matches[0].path, threshold)
    ballot = None
    if standards:
        voted, ballot = standards.vote(result.matches[0])
        events = {name: (theirs, voted.get(name)) for name, (theirs, _) in events.items()}
    for warning in result.warnings:
        log.warning("%s", warning)
    tell_doubts([learner, standard])
    content = {
        **describe(result, learner, standard, args.method, events),
        "standards": ballot,
    }
    print_result(content)

    inputs = {
        "learner": learner.fingerprint(),
        "standard": standard.fingerprint(),
        "checkpoint": sha256(path),
        "method": args.method,
        "top_k": CONFIG.TOP_K,
        "attempt": args.attempt,
    }
    keep_earlier(stem, inputs, (".mp4", ".png", ".json"))
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


def find_events(
    marks: Mapping[str, int], learner: Clip, standard: Clip, path: WarpingPath, threshold: float
) -> dict[str, tuple[Event, Event | None]]:
    """Return each event of the standard and of the learner, as in tcc_report.py.

    The learner's event is None if it is outside the matched part and not found in a flight.

    Args:
        marks: {event: frame} of the standard, counted from its first frame in the folder.
        learner, standard, path, threshold: see `follow_path`.
    """
    names = order_events([marks])
    frames = zip(names, mark_events(marks, names, standard), strict=True)
    marked = {
        name: marked_event(int(frame), standard.times_s)
        for name, frame in frames
        if np.isfinite(frame)
    }
    found = follow_path(learner, standard, marked, path, threshold)
    return {name: (event, found.get(name)) for name, event in marked.items()}


def describe(
    result: Result,
    learner: Clip,
    standard: Clip,
    method: str,
    events: Mapping[str, tuple[Event, Event | None]],
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
            "attempt": attempt,
            "cost": match.cost,
            "confidence": match_confidence,
            "state": certainty(match_confidence),
        }
        for match, attempt, match_confidence in zip(
            result.matches, result.attempts, result.confidences, strict=True
        )
    ]
    is_found = certainty(result.confidences[0]) != "not found"
    moments = {
        name: {
            "standard_frame": standard.first_frame + theirs.frame,
            "standard_s": theirs.at_s(standard.times_s),
            "learner_frame": None if mine is None else first + mine.frame,
            "learner_s": None if mine is None else mine.at_s(learner.times_s),
            "uncertainty_s": None if mine is None else mine.uncertainty_s,
        }
        for name, (theirs, mine) in events.items()
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
            print(
                f"{learner}: another {motion} {start}, {trust}; to use it: "
                f"--attempt {place['attempt']}"
            )
        elif not rank and place["state"] == "not found":
            print(
                f"{learner}: {motion} not found; what is most alike {start}, "
                f"confidence {place['confidence']:.2f}"
            )
        elif not rank:
            end = f"ends at frame {place['end_frame'] - 1} ({content['end_s']:.2f} s)"
            print(f"{learner}: the {motion} {start} and {end}, {trust}")
    if votes := content["standards"]:
        print(tell_votes(learner, content["standard_name"], votes))
    parts = [
        f"{event_word(name)} at frame {moment['learner_frame']} "
        f"({moment['learner_s']:.2f} s ± {1000 * moment['uncertainty_s']:.0f} ms)"
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


def draw_moments(
    result: Result,
    learner: Clip,
    standard: Clip,
    events: Mapping[str, tuple[Event, Event | None]],
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
            (event_word(name), (None if mine is None else mine.frame, theirs.frame))
            for name, (theirs, mine) in events.items()
            if name not in ENDS
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
