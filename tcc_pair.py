"""The learner's clip and the standard: choose them, load them, and find one in the other."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc import cli, side_by_side
from tcc.clip_cache import VideoCache
from tcc.clip_folders import find_source, list_sources, place_of, require_pattern
from tcc.clips import Clip
from tcc.clock import nearest
from tcc.confidence import CONFIDENT, certainty, describe_confidence
from tcc.contact_sheet import check_clips
from tcc.dtw import Match
from tcc.election import elect
from tcc.evaluate.labels import LabelledClip, shared_events
from tcc.features import opposed
from tcc.files import UserError
from tcc.progress import progress
from tcc.report.events import Event
from tcc.search import locate
from tcc.side_by_side import Shown
from tcc.voting import rank
from tcc_config import CONFIG, Config
from tcc_data import (
    clip_turn,
    feature_times,
    in_air,
    label_clip,
    load_clip,
    load_labelled,
    make_features,
    places_of,
)
from tcc_model import Encoder, embed

log = logging.getLogger("tcc")
PANEL_SIZE = (640, 720)  # px, in the video
MAX_STANDARDS = 1000  # that vote; of a larger folder, so many are drawn at random


@dataclass(frozen=True, slots=True)
class Result:
    """The result of the search, in frames of the clips.

    `matches` are sorted, the chosen attempt first, then the best; `attempts` are their numbers, 1
    for the best, and `confidences` those of the matches. `cost` (N, M) is the distance of each
    frame of the standard from each frame of the learner. `curve` (M,) is the cost of the cheapest
    match that starts at each frame of the learner, NaN if there is none. `mirrored` is True if the
    standard was mirrored.
    """

    matches: list[Match]
    attempts: list[int]
    confidences: list[float]
    cost: NDArray[np.floating[Any]]
    curve: NDArray[np.floating[Any]]
    mirrored: bool
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Standards:
    """All marked clips of a folder, which vote on the events of a learner's clip.

    `folder` is MOTION/MODE[/PATTERN], and `learner` the clip on whose `names` events the `clips`
    vote. `costs` (S,) is how much each differs from the learner, see `tcc.voting.rank`.
    """

    folder: str
    names: list[str]
    clips: list[LabelledClip]
    learner: LabelledClip
    costs: NDArray[np.floating[Any]]

    @property
    def nearest(self) -> Path:
        """MOTION/MODE/NAME of the clip that is most like the learner's."""
        clip = self.clips[int(self.costs.argmin())]
        return Path(clip.folder, clip.name)

    def vote(self, match: Match) -> tuple[dict[str, Event], dict[str, Any]]:
        """Return the events at the place of a match, and who voted, for the JSON file."""
        part = match.start_frame, match.end_frame
        found = elect(self.clips, self.learner, self.names, self.costs, part, CONFIG.TOP_K)
        votes = {
            "folder": self.folder,
            "clips": len(self.clips),
            "voters": max(found.num_voters),
        }
        return found.events(self.names, self.learner.times_s), votes


def attempt_suffix(attempt: int) -> str:
    """Return how the names of the results of an attempt end; those of the first have no suffix."""
    return f"_attempt{attempt}" if attempt > 1 else ""


def tell_votes(learner: str, standard: str, votes: Mapping[str, Any]) -> str:
    """Return who voted on the events of the learner, see `Standards.vote`."""
    count = f"{votes['voters']} of {votes['clips']} standards vote"
    return f"{learner}: {count}; the nearest is {standard}"


def load_standards(
    args: argparse.Namespace, learner: Clip, encoder: Encoder, settings: Config
) -> Standards:
    """Return the marked clips of --standards, without the learner's own.

    Raises:
        UserError: there is none.
    """
    names = shared_events(args.data_dir, (args.standards, args.standards))
    clips = [
        clip.represent(partial(embed, encoder))
        for clip in load_labelled(args.data_dir, args.standards, names, MAX_STANDARDS, settings)
        if (args.data_dir / clip.folder / clip.name).resolve() != learner.folder.resolve()
    ]
    if not clips:
        raise UserError(f"--standards {args.standards}: no marked clip but the learner's own")
    unknown = np.full(len(names), np.nan)
    mine = label_clip(learner, "", unknown, settings).represent(partial(embed, encoder))
    return Standards(args.standards, names, clips, mine, rank(clips, mine))


def choose_pair(args: argparse.Namespace) -> tuple[Path, ...]:
    """Return the folders or video files of the learner's clip and of the standard.

    With --standards, only that of the learner's clip. Without --dataset, the path of a clip names
    its motion.

    Raises:
        UserError: there is no such clip; there is only one clip, and not both are named; a clip is
            named twice; or a standard is named beside --standards.
    """
    sources = _choose_learner(args) if args.standards else _choose_both(args)
    places = [place_of(source, args.data_dir) for source in sources]
    motions = {place[0] for place in places if place}
    if args.dataset is None and len(motions) == 1:
        cli.override(CONFIG, "DATASET", motions.pop())
    return sources


def _choose_learner(args: argparse.Namespace) -> tuple[Path]:
    require_pattern("--standards", args.standards, f"{CONFIG.DATASET}/train")
    if args.standard or len(args.clips) > 1:
        raise UserError("--standards names the standards; name only the learner's clip")
    where = (args.data_dir, CONFIG.DATASET, args.mode)
    name = args.clips[0] if args.clips else args.learner
    return (find_source(name, *where) if name else list_sources(*where)[0],)


def _choose_both(args: argparse.Namespace) -> tuple[Path, Path]:
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


def load_pair(
    args: argparse.Namespace, encoder: Encoder, settings: Config, sources: Sequence[Path]
) -> tuple[Clip, Clip, Standards | None]:
    """Return the learner's clip, the standard, and all standards if --standards names them.

    The standard is then the one that is most like the learner.

    Args:
        args: of the command.
        encoder: trained.
        settings: as returned by `load_encoder`.
        sources: folders or video files of the learner's clip and, without --standards, of the
            standard.
    """
    cache = VideoCache(
        args.result_dir / "keypoints",
        args.weights,
        args.device,
        args.data_dir / CONFIG.DATASET / args.mode,
    )
    mine = cache.find_clip(sources[0], args.capture_fps)
    learner, standards = load_clip(mine, settings, args.person, args.trim), None
    if args.standards:
        standards = load_standards(args, learner, encoder, settings)
        sources = (sources[0], args.data_dir / standards.nearest)
    theirs = cache.find_clip(sources[1], args.standard_capture_fps)
    if mine.resolve() == theirs.resolve():
        log.warning("%s is both the learner's clip and the standard", mine)
    standard = load_clip(theirs, settings, args.standard_person, args.standard_trim)
    return learner, standard, standards


def find_start(
    encoder: Encoder,
    learner: Clip,
    standard: Clip,
    method: str,
    settings: Config,
    is_opposed: bool | None = None,
    attempt: int = 1,
) -> Result:
    """Find the standard, or its mirror image, in the learner's clip.

    Args:
        encoder: trained.
        learner: the clip that is searched.
        standard: the clip that is searched for.
        method: "dtw" or "sliding", see `tcc.dtw.search`.
        settings: as returned by `load_encoder`.
        is_opposed: whether the skaters turn in opposite directions; None: find it out.
        attempt: number of the match that is chosen, 1 for the best.

    Raises:
        UserError: there are fewer matches.
    """
    if is_opposed is None:
        is_opposed = opposed(clip_turn(standard, settings), clip_turn(learner, settings))
    variants = [
        embed(encoder, make_features(standard, settings, mirrored)) for mirrored in (False, True)
    ]
    found = locate(
        variants,
        embed(encoder, make_features(learner, settings)),
        method,
        CONFIG.TOP_K + 1,
        is_opposed,
        (in_air(standard, settings), in_air(learner, settings)),
    )
    rows, columns = (
        nearest(feature_times(clip, settings), clip.times_s) for clip in (standard, learner)
    )
    # The search counts ticks, the times at which the features are sampled. In the curve, each start
    # is at the frame that match_frames gives for its tick.
    curve = np.full(learner.num_frames, np.nan)
    np.fmin.at(curve, nearest(learner.times_s, feature_times(learner, settings)), found.curve())
    matches, confidences = places_of(found, standard, learner, settings)
    is_last = len(matches) <= CONFIG.TOP_K or confidences[-1] < CONFIDENT
    order = choose_attempt(attempt, learner, matches[: CONFIG.TOP_K])
    matches = [matches[at] for at in order]
    confidences = [confidences[at] for at in order]
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
    if not is_last:
        warnings.append(
            f"{learner.name} shows {standard.name} more than {CONFIG.TOP_K} times; increase "
            "TOP_K to see all of them"
        )
    if not found.is_whole:
        first, last = matches[0].path[[0, -1]]
        log.info(
            "%s and %s have a part in common: frames %d to %d of %s and %d to %d of %s",
            learner.name, standard.name,
            learner.first_frame + first[1], learner.first_frame + last[1], learner.name,
            standard.first_frame + first[0], standard.first_frame + last[0], standard.name,
        )  # fmt: skip
    return Result(
        matches,
        [at + 1 for at in order],
        confidences,
        found.cost[np.ix_(rows, columns)],
        curve,
        found.mirrored,
        warnings,
    )


def choose_attempt(attempt: int, learner: Clip, matches: Sequence[Match]) -> list[int]:
    """Return the order of the matches with an attempt first, which is numbered from 1.

    Raises:
        UserError: there are fewer matches.
    """
    if attempt > len(matches):
        starts = ", ".join(
            f"{number}: from {learner.times_s[match.start_frame]:.2f} s"
            for number, match in enumerate(matches, 1)
        )
        raise UserError(
            f"--attempt {attempt}: in {learner.name}, {len(matches)} places were found ({starts}); "
            "name one of them"
        )
    return [attempt - 1, *(at for at in range(len(matches)) if at != attempt - 1)]


def write_sheets(
    args: argparse.Namespace, learner: Clip, standard: Clip, stem: Path, settings: Config
) -> list[Path]:
    """Write pictures that show who is followed in both clips, and return their paths."""
    _, _, sheets = check_clips(
        (learner.folder, standard.folder), stem, f"{learner.name}, {standard.name}", CONFIG.FPS,
        settings.SKELETON_CONF_THRESHOLD,
        [(args.person, args.trim), (args.standard_person, args.standard_trim)],
    )  # fmt: skip
    return sheets


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
    window_s = side_by_side.window(
        learner, best.start_frame, best.end_frame - 1, [(standard, pairs_s)]
    )
    fps = side_by_side.video_fps(learner)
    times_s, speeds = side_by_side.schedule(window_s, fps, slow)
    frames = side_by_side.draw(
        shown, times_s, speeds, headline(result), trust < CONFIDENT, threshold, PANEL_SIZE, 2
    )
    bar = progress(frames, "drawing", "frame", len(times_s))
    write_video(path, bar, fps, hold_repeated=True)
