"""Write the page that a skater and a coach look at: both videos, what differs, what to change.

    python3 tcc_report.py my.mov coach.mp4 --dataset axel
    python3 tcc_report.py my.mov coach.mp4 --dataset axel --events takeoff=64,landing=78
    python3 tcc_report.py --dataset axel --mode test

Reads log/<motion>_checkpoint.pt and two clips, as tcc_get_start.py does. Writes the folder
result/<learner>_vs_<standard>/. Open report.html in it with a browser; it needs no network. The
events of the standard, such as take-off and landing, are those of --events, else those that
labels.csv marks, else they are found in the motion, which is less certain. If data/<motion>/train/
holds enough clips, they show what is usual.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tcc import side_by_side
from tcc.clip_folders import list_clips
from tcc.clips import Clip
from tcc.confidence import CONFIDENT, describe_confidence
from tcc.dtw import WarpingPath
from tcc.evaluate.labels import read_marks
from tcc.features import opposed
from tcc.files import UserError, result_stem, sha256, whole_folder, write_json
from tcc.images import write_image
from tcc.progress import progress
from tcc.report import export, pictures
from tcc.report.comparison import Comparison, compare, through_events
from tcc.report.content import measure_bands, page_data, word
from tcc.report.events import EVENTS, Event, mark
from tcc.report.found_events import find_events, learner_events
from tcc.report.instructions import MIN_CLIPS, Advice, advise, spread
from tcc.report.page import write_page
from tcc.report.performance import Performance, perform
from tcc.report.rules import RULES, read_rules
from tcc.report.summary import summarise
from tcc.search import locate
from tcc_config import CONFIG, Config
from tcc_data import (
    clip_doubts,
    clip_turn,
    in_air,
    load_clip,
    make_features,
    match_frames,
    tell_doubts,
)
from tcc_model import Encoder, embed, load_encoder
from tcc_pair import (
    Result,
    attempt_suffix,
    choose_pair,
    draw_video,
    find_start,
    load_pair,
    tell_votes,
    write_sheets,
)

log = logging.getLogger("tcc")
OVERLAY_SIZE = (720, 720)  # px
PICTURE_SIZE, JPEG_QUALITY = (480, 540), 80  # px, of a skater on the page
FILES = {
    "side_by_side.mp4": "video side by side", "overlay.mp4": "video of both skeletons in one",
    "keyframes.png": "the key moments", "check.jpg": "who is followed",
    "alignment.csv": "which frames belong together", "angles.csv": "every measure in every frame",
    "phases.srt": "phases as subtitles", "openpose": "OpenPose files for Kinovea",
    "summary.json": "all numbers",
}  # fmt: skip
HEIGHTS = ("flight", "height", "rise")
MAX_CLIPS = 50  # of the motion that show what is usual
TURN_S = 0.1  # the turn of a flight also counts this long before and after it


def main() -> None:
    """Load the pair, match it, measure both clips, say what to change, and write the folder."""
    parser = cli.parser(__doc__, ["FPS", "TOP_K"])
    cli.add_checkpoint(parser)
    cli.add_pair(parser)
    cli.add_weights(parser)
    parser.add_argument(
        "--events",
        type=read_events,
        default={},
        metavar="NAME=FRAME",
        help="frames of the standard's events, for example takeoff=64,landing=78; names: "
        + ", ".join(EVENTS),
    )
    parser.add_argument(
        "--rules",
        type=Path,
        default=RULES,
        metavar="PATH",
        help="the rules of the instructions (default: tcc/report/rules.toml)",
    )
    parser.add_argument("--no-video", action="store_true", help="write no videos, which is faster")
    side_by_side.add_speed(parser)
    args = cli.parse(parser, CONFIG, None)
    rules = read_rules(args.rules)
    sources = choose_pair(args)
    encoder, settings, checkpoint = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )
    learner, standard, standards = load_pair(args, encoder, settings, sources)
    pattern = "{}_vs_{}" + attempt_suffix(args.attempt)
    folder = result_stem(args.result_dir, pattern, learner.name, standard.name)

    threshold = settings.SKELETON_CONF_THRESHOLD
    marked = standard_events(standard, args, settings)
    search = partial(find_start, encoder, learner, standard, "dtw", settings, attempt=args.attempt)
    result = search()
    events = learner_events(learner, standard, marked, result.matches[0].path, threshold)
    turns = flight_turn(standard, marked, settings), flight_turn(learner, events, settings)
    if opposed(*turns) not in (None, result.mirrored):
        result = search(is_opposed=opposed(*turns))
        events = learner_events(learner, standard, marked, result.matches[0].path, threshold)
    votes = None
    if standards:
        voted, votes = standards.vote(result.matches[0])
        path = result.matches[0].path
        events = learner_events(learner, standard, marked, path, threshold, voted)
    mine = perform(learner, events, threshold)
    theirs = perform(standard, marked, threshold, result.mirrored)
    best = replace(result.matches[0], path=through_events(result.matches[0].path, mine, theirs))
    result = replace(result, matches=[best, *result.matches[1:]])
    comparison = compare(mine, theirs, best.path, result.confidences[0])
    good = good_executions(encoder, comparison, args, settings)
    usual = spread([performance for performance, _ in good], theirs)
    advice = advise(mine, theirs, usual, rules, comparison.confidence)

    warnings = [
        *result.warnings, *doubts_of_events(comparison), *tell_repetitions(result, comparison)
    ]  # fmt: skip
    for warning in warnings:
        log.warning("%s", warning)
    tell_doubts([learner, standard])
    warnings += [*clip_doubts(learner), *clip_doubts(standard)]
    print_report(CONFIG.DATASET, comparison, advice)
    if votes:
        print(tell_votes(learner.name, standard.name, votes))

    inputs = {
        "learner": learner.fingerprint(),
        "standard": standard.fingerprint(),
        "checkpoint": sha256(checkpoint),
        "rules": sha256(args.rules),
        "events": {name: event.frame for name, event in marked.items()},
        "usual": [performance.clip.fingerprint() for performance, _ in good],
        "standards": votes,
    }
    with whole_folder(folder, inputs, "summary.json") as made:
        export.write_alignment(made / "alignment.csv", comparison)
        export.write_angles(made / "angles.csv", comparison)
        export.write_phases(made / "phases.srt", mine)
        for role, performance in (("learner", mine), ("standard", theirs)):
            export.write_openpose(made / "openpose" / role, performance)
        write_image(made / "keyframes.png", pictures.draw_keyframes(comparison, threshold))
        if not args.no_video:
            draw_video(made / "side_by_side.mp4", result, learner, standard, args.speed, threshold)
            draw_overlay(made / "overlay.mp4", comparison, args.speed, threshold)
        if any(source.is_file() for source in sources):
            write_sheets(args, learner, standard, made / "check", settings)
        images, keypoints = pictures.page_pictures(comparison, PICTURE_SIZE, JPEG_QUALITY)
        bands = measure_bands(good, standard.num_frames)
        content = page_data(
            comparison, advice, usual, bands, CONFIG.DATASET, warnings, keypoints, PICTURE_SIZE,
            threshold,
        )  # fmt: skip
        summary = summarise(comparison, advice, usual, inputs, CONFIG.DATASET, warnings)
        write_json(made / "summary.json", summary)
        links = [
            {"file": name, "label": label}
            for name, label in FILES.items()
            if (made / name).exists()
        ]
        write_page(made / "report.html", {**content, "links": links}, images)
    print(folder / "report.html")


def read_events(text: str) -> dict[str, int]:
    """Return {event: frame} of --events; argparse reports the error and exits with code 2."""
    events: dict[str, int] = {}
    for part in text.split(","):
        name, _, frame = part.strip().partition("=")
        if name not in EVENTS or not frame.strip().isdecimal():
            raise argparse.ArgumentTypeError(
                f"{part.strip()!r}: expected an event and its frame, as in takeoff=64,landing=78; "
                f"the events are {', '.join(EVENTS)}"
            )
        events[name] = int(frame)
    ordered = [events[name] for name in EVENTS if name in events]
    if ordered != sorted(set(ordered)):
        raise argparse.ArgumentTypeError(
            f"{text!r}: the frames must rise in this order: {', '.join(EVENTS)}"
        )
    return events


def standard_events(standard: Clip, args: argparse.Namespace, settings: Config) -> dict[str, Event]:
    """Return the events of the standard: those that are marked, else those in its motion.

    Raises:
        UserError: --events names a frame that is not in the clip.
    """
    first, end = standard.first_frame, standard.first_frame + standard.num_frames
    for name, frame in args.events.items():
        if not first <= frame < end:
            raise UserError(
                f"--events {name}={frame}: {standard.name} has frames {first} to {end - 1}; name "
                "one of them"
            )
    marks = args.events or read_marks(standard, args.data_dir, CONFIG.DATASET, args.mode)
    known = marked_events(standard, marks)
    return find_events(standard, known, settings.SKELETON_CONF_THRESHOLD)


def marked_events(clip: Clip, marks: Mapping[str, int]) -> dict[str, Event]:
    """Return the marked events that are in the clip; `marks` are frames of the whole video."""
    frames = {name: frame - clip.first_frame for name, frame in marks.items()}
    inside = {name: frame for name, frame in frames.items() if 0 <= frame < clip.num_frames}
    return mark(inside, clip.times_s)


def flight_turn(clip: Clip, events: Mapping[str, Event], settings: Config) -> float:
    """Return the direction in which the skater turns in the flight; in the whole clip without one.

    In the glides before and after the jump, skaters turn in both directions.
    """
    if not {"takeoff", "landing"} <= events.keys():
        return clip_turn(clip, settings)
    times_s = clip.times_s
    flight_s = [times_s[events[name].frame] for name in ("takeoff", "landing")]
    start, end = np.searchsorted(times_s, (flight_s[0] - TURN_S, flight_s[1] + TURN_S))
    return clip_turn(clip, settings, int(start), int(end))


def good_executions(
    encoder: Encoder, comparison: Comparison, args: argparse.Namespace, settings: Config
) -> list[tuple[Performance, WarpingPath]]:
    """Return the clips in data/<motion>/train/ that show what is usual, each with its path.

    Each is matched to the standard. Clips that are the learner's or the standard, and those whose
    match is not sure, are left out. If fewer than MIN_CLIPS are left, the list is empty.
    """
    root = args.data_dir / CONFIG.DATASET / "train"
    folders = list_clips(root) if root.is_dir() else []
    folders = folders[:: -(-len(folders) // MAX_CLIPS) or 1]
    if len(folders) < MIN_CLIPS:
        return []
    learner, standard = comparison.learner.clip, comparison.standard.clip
    threshold = settings.SKELETON_CONF_THRESHOLD
    variants = [
        embed(encoder, make_features(standard, settings, mirrored)) for mirrored in (False, True)
    ]
    shown = {learner.fingerprint(), standard.fingerprint()}
    turn = flight_turn(learner, comparison.learner.events, settings)
    good = []
    for folder in progress(folders, "measuring the train clips", "clip"):
        try:
            clip = load_clip(folder, settings)
        except UserError as error:
            log.warning("%s; it does not show what is usual", error)
            continue
        if clip.fingerprint() in shown:
            continue
        found = locate(
            variants,
            embed(encoder, make_features(clip, settings)),
            airborne=(in_air(standard, settings), in_air(clip, settings)),
        )
        if found.confidence < CONFIDENT:
            continue
        path = match_frames(found.matches[0], standard, clip, settings).path
        own = marked_events(clip, read_marks(clip, args.data_dir, CONFIG.DATASET, "train"))
        if {"takeoff", "landing"} <= own.keys():
            own = find_events(clip, own, threshold)
        else:
            own = learner_events(clip, standard, comparison.standard.events, path, threshold)
        is_opposed = opposed(turn, flight_turn(clip, own, settings))
        if is_opposed is None:  # it turns too little to tell; both directions match about equally
            is_opposed = found.mirrored != comparison.standard.mirrored
        performance = perform(clip, own, threshold, is_opposed)
        good.append((performance, through_events(path, performance, comparison.standard)))
    return good if len(good) >= MIN_CLIPS else []


def doubts_of_events(comparison: Comparison) -> list[str]:
    """Return what to doubt about take-off and landing of both clips."""
    learner, standard = comparison.learner, comparison.standard
    doubts = []
    if not {"takeoff", "landing"} <= standard.events.keys():
        doubts.append(
            f"{standard.clip.name}: no flight was found; mark it, for example with --events "
            "takeoff=64,landing=78"
        )
    elif standard.events["takeoff"].source == "motion":
        at = [standard.clip.first_frame + standard.events[n].frame for n in ("takeoff", "landing")]
        doubts.append(
            f"{standard.clip.name}: take-off and landing are not marked; by its motion they are at "
            f"frames {at[0]} and {at[1]}; if that is wrong, give the right ones with --events"
        )
    if standard.events and not {"takeoff", "landing"} <= learner.events.keys():
        doubts.append(f"{learner.clip.name}: take-off or landing was not found")
    for side in (learner, standard):
        if side.contradicts_gravity:
            air_s, height_m, rise_m = (side.quantities[name].value for name in HEIGHTS)
            doubts.append(
                f"{side.clip.name}: {air_s:.2f} s in the air mean a height of {height_m:.2f} m, "
                f"but the hips rise by {rise_m:.2f} m; check take-off and landing, and whether the "
                "video is in slow motion or the camera was raised with the skater"
            )
    return doubts


def tell_repetitions(result: Result, comparison: Comparison) -> list[str]:
    """Return where else the learner shows the motion."""
    learner = comparison.learner.clip
    found = zip(result.attempts, result.matches, result.confidences, strict=True)
    starts_s = [
        (attempt, float(learner.times_s[match.start_frame]))
        for attempt, match, confidence in list(found)[1:]
        if confidence >= CONFIDENT
    ]
    return [
        f"{learner.name} shows the motion again at {start_s:.1f} s; for a report about it, use "
        f"--attempt {attempt}"
        for attempt, start_s in starts_s
    ]


def draw_overlay(path: Path, comparison: Comparison, slow: float, threshold: float) -> None:
    """Write a video of the learner's skeleton over the standard's."""
    from tcc.video import write_video  # PyAV, which is not needed without video

    frames = pictures.draw_overlay(comparison, OVERLAY_SIZE, threshold, slow)
    fps = side_by_side.video_fps(comparison.learner.clip)
    write_video(path, progress(frames, "drawing", "frame", None), fps, hold_repeated=True)


def print_report(motion: str, comparison: Comparison, advice: Advice) -> None:
    """Print how sure the match is, the flight, and what to change."""
    learner, standard = comparison.learner, comparison.standard
    name, other = learner.clip.name, standard.clip.name
    print(f"{name}: {motion}, {describe_confidence(comparison.confidence)}")
    if parts := [
        f"{word(event)} at frame {learner.clip.first_frame + learner.events[event].frame} "
        f"({learner.events[event].at_s(learner.clip.times_s):.3f} ± "
        f"{learner.events[event].uncertainty_s:.3f} s)"
        for event in ("takeoff", "landing")
        if event in learner.events
    ]:
        if (air := learner.quantities.get("flight")) is not None:
            parts.append(f"time in the air {air.value:.3f} ± {air.uncertainty:.3f} s")
            if (their := standard.quantities.get("flight")) is not None:
                parts[-1] += f" ({other}: {their.value:.3f} ± {their.uncertainty:.3f} s)"
        print(f"{name}: {', '.join(parts)}")
    for number, item in enumerate(advice.instructions, 1):
        usual = f"; usual: {item.usual}" if item.usual else ""
        print(
            f"{number}. {item.title} ({item.when}): {item.learner}, {other}: {item.standard}{usual}"
            f"\n   {item.advice}"
        )
    if not advice.instructions:
        print("no instruction", *advice.silence, sep="\n  ")


if __name__ == "__main__":
    cli.run(main)
