"""Load clips, and turn them into features and training batches."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tcc import clips as clip_files
from tcc.augment import AugmentOptions, augment, choose_clips, sample_steps
from tcc.clip_folders import clip_folders, shorten
from tcc.clips import Clip, share_sure
from tcc.clock import clock, nearest, rate, resample
from tcc.dtw import Match, at_frames
from tcc.evaluate.labels import (
    LabelledClip,
    check_labels,
    draw_folders,
    mark_events,
    read_labels,
    read_recordings,
)
from tcc.features import extract, fill_joints, flip, turn
from tcc.files import UserError
from tcc.flight import Flight, airborne, find_flights
from tcc.jobs import IN_TURN, Workers
from tcc.search import Placement
from tcc.sidecars import Trim
from tcc.tracking import MISSED, Doubt, find_doubts
from tcc_config import CONFIG, Config

log = logging.getLogger("tcc")
RECOMMENDED_CLIPS = 50


@dataclass(frozen=True, slots=True)
class Batch:
    """B augmented clips, padded with their last frame to the length F of the longest one.

    Attributes:
        features: (B, F, C) float32.
        lengths: (B,) int64, frames of each clip without padding.
        steps: (B, T) int64, the sampled frames of each clip, sorted.
        mask: (B, T) bool, False where a step is padding because the clip is shorter than T.
        phase: (B, T) float32, position of each step on the common clock of all clips, in frames;
            NaN if unknown.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    steps: torch.Tensor
    mask: torch.Tensor
    phase: torch.Tensor


def load_clip(
    folder: Path, config: Config, person: int | None = None, trim: Trim | None = None
) -> Clip:
    """Read a clip and choose its skater.

    Args:
        folder: of the clip.
        config: FPS and SKELETON_CONF_THRESHOLD are used.
        person: number of the person to follow; None: see `tcc.clips.choose_skater`.
        trim: the part of the clip to use; None: see `tcc.clips.read_folder`.

    Raises:
        UserError: the clip can't be used; the message says why.
    """
    return clip_files.load_clip(folder, config.FPS, config.SKELETON_CONF_THRESHOLD, person, trim)


def clip_doubts(clip: Clip) -> list[str]:
    """Return the doubts about a clip in full, each with the clip's name and folder."""
    doubts = find_doubts(clip.track, clip.times_s, clip.first_frame)
    return [f"{clip.name}: {doubt.sentence(clip.folder)}" for doubt in doubts]


def tell_doubts(clips: Sequence[Clip]) -> dict[str, list[tuple[Clip, Doubt]]]:
    """Print a warning for each kind of doubt, with the clips that have it, and return them."""
    found: dict[str, list[tuple[Clip, Doubt]]] = {}
    for clip in clips:
        for doubt in find_doubts(clip.track, clip.times_s, clip.first_frame):
            found.setdefault(doubt.kind, []).append((clip, doubt))
    for kind, group in found.items():
        clip, doubt = group[0]
        names = shorten([f"{clip.name} ({doubt.detail})" for clip, doubt in group])
        told = doubt.sentence(clip.folder)
        if len(group) > 1:
            told = f"{kind}: {names}"
            if doubt.remedy:
                told += f"; {doubt.remedy.replace('{folder}', f'for example {clip.folder}')}"
        who = clip.name if len(group) == 1 else f"{len(group)} clips"
        log.warning("%s: %s%s", who, told, _how_to_look([clip for clip, _ in group]))
    return found


def _how_to_look(clips: Sequence[Clip]) -> str:
    """Return the command that shows the clips, if they are clips of one mode; else nothing."""
    folders = {clip.folder.parent for clip in clips}
    root = folders.pop()
    if folders or root.name not in ("train", "val", "test"):
        return ""
    words = ["python3", "tcc_check.py", "--dataset", root.parent.name, "--mode", root.name]
    if root.parent.parent != Path("data"):
        words += ["--data-dir", str(root.parent.parent)]
    return f"; to see who is followed, run: {shlex.join(words)}"


def load_clips(
    folders: Sequence[Path], config: Config, tell: bool = True, workers: Workers = IN_TURN
) -> list[Clip]:
    """Read several clips with a progress bar, and print which of them are doubtful or have gaps.

    Args:
        folders: of the clips.
        config: see `load_clip`.
        tell: False prints nothing.
        workers: read the clips.

    Raises:
        UserError: a clip can't be used; the message says why.
    """
    clips = list(workers.map(partial(load_clip, config=config), folders, "reading", "clip"))
    if not tell:
        return clips
    told = {id(clip) for clip, _ in tell_doubts(clips).get(MISSED, ())}
    gaps = [clip for clip in clips if not clip.track.observed.all() and id(clip) not in told]
    if gaps:
        missed = sum(int((~clip.track.observed).sum()) for clip in gaps)
        empty = sum(int((clip.track.num_people == 0).sum()) for clip in gaps)
        log.info(
            "the skater was not found in %d of %d frames (nobody was found in %d); the pose there "
            "is interpolated: %s",
            missed, sum(clip.num_frames for clip in gaps), empty,
            shorten([clip.name for clip in gaps]),
        )  # fmt: skip
    return clips


def feature_times(clip: Clip, config: Config) -> NDArray[np.float64]:
    """Return the times (G,) s of a clip's features, FEATURE_FPS per second.

    They are the times of the clip's frames if the clip already has this frame rate.
    """
    return clock(clip.times_s, config.FEATURE_FPS)


def make_features(clip: Clip, config: Config, mirrored: bool = False) -> NDArray[np.float32]:
    """Return the features of a clip for the encoder, (G, C) float32, at its `feature_times`.

    Args:
        clip: F frames.
        config: FEATURE_FPS and SKELETON_CONF_THRESHOLD are used.
        mirrored: whether to make the features of the mirrored skater.
    """
    points, times_s = resample_points(clip, config), feature_times(clip, config)
    return extract(flip(points) if mirrored else points, rate(times_s))


def clip_turn(clip: Clip, config: Config, start: int = 0, end: int | None = None) -> float:
    """Return the direction in which the skater turns, positive for left: see `features.turn`.

    Args:
        clip: F frames.
        config: SKELETON_CONF_THRESHOLD is used.
        start, end: first frame and end (exclusive) of the part that counts; None: the end is F.
    """
    points = fill_joints(clip.keypoints, config.SKELETON_CONF_THRESHOLD)[start:end]
    return turn(points, clip.keypoints[start:end, :, 2], clip.fps)


def label_clip(
    clip: Clip, folder: str, events: NDArray[np.floating[Any]], config: Config, recording: str = ""
) -> LabelledClip:
    """Return a clip with its features and marked events; see `LabelledClip`."""
    return LabelledClip(
        folder=folder,
        name=clip.name,
        features=(make_features(clip, config), make_features(clip, config, True)),
        ticks_s=feature_times(clip, config),
        times_s=clip.times_s,
        events=events,
        recording=recording or f"{folder}/{clip.name}",
        start_frame=clip.first_frame,
        turn=clip_turn(clip, config),
        flights=tuple(clip_flights(clip, config)),
    )


def load_labelled(
    data_dir: Path,
    folder: str,
    names: Sequence[str],
    num_clips: int,
    settings: Config,
    tell: bool = True,
    workers: Workers = IN_TURN,
) -> list[LabelledClip]:
    """Read at most `num_clips` clips of MOTION/MODE[/PATTERN] with a marked event or a recording.

    It prints which clips are left out, doubtful, or incompletely marked, unless `tell` is False.

    Raises:
        UserError: there is no such clip, or an event lies outside its clip.
    """
    motion, mode, pattern = f"{folder}/*".split("/")[:3]
    labels, table = read_labels(data_dir, motion), data_dir / motion / "labels.csv"
    recordings = {
        video: name
        for (row_mode, video), name in read_recordings(data_dir, motion).items()
        if row_mode == mode
    }
    paths = [
        path for path in clip_folders(data_dir, motion, mode) if fnmatchcase(path.name, pattern)
    ]
    if not paths:
        raise UserError(f"{data_dir / motion / mode} has no clip named {pattern}")
    marked = [
        path for path in paths
        if path.name in recordings or set(labels.get((mode, path.name), ())) & set(names)
    ]  # fmt: skip
    if not marked:
        raise UserError(
            f"{table} marks {' or '.join(names)} in no clip of {paths[0].parent}; write the "
            f"name of the clip's folder into the column video, for example {paths[0].name}"
        )
    generator = np.random.default_rng(CONFIG.SEED)
    drawn = draw_folders(marked, recordings, num_clips, generator)
    counts = (len(paths) - len(marked), len(marked) - len(drawn))
    for count, reason in zip(counts, ("have no label", "are left out by --clips"), strict=True):
        if count and tell:
            log.warning("%s: %d of %d clips %s", folder, count, len(paths), reason)
    clips = load_clips(drawn, settings, tell, workers)
    check_labels(data_dir, motion, mode, labels, {c.name: c.total_frames for c in clips})
    labelled = [
        label_clip(
            clip,
            f"{motion}/{mode}",
            mark_events(labels.get((mode, clip.name), {}), names, clip),
            settings,
            f"{motion}/{recordings.get(clip.name, f'{mode}/{clip.name}')}",
        )
        for clip in clips
    ]
    count = sum(bool(np.isnan(clip.events).any()) for clip in labelled)
    if count and tell:
        log.warning(
            "%s: %d clips do not mark every event; the scores of phases leave them out",
            folder,
            count,
        )
    return labelled


def clip_flights(clip: Clip, config: Config) -> list[Flight]:
    """Return the flights in a clip: see `find_flights`; SKELETON_CONF_THRESHOLD is used."""
    return find_flights(fill_joints(clip.keypoints, config.SKELETON_CONF_THRESHOLD), clip.times_s)


def in_air(clip: Clip, config: Config) -> NDArray[np.bool_]:
    """Return (G,) whether the skater is in the air, at the clip's `feature_times`."""
    return airborne(clip_flights(clip, config), feature_times(clip, config))


def resample_points(clip: Clip, config: Config) -> NDArray[np.float32]:
    """Return the joints of a clip's skater at its `feature_times`, (G, J, 2) float32 px.

    Joints whose confidence is below SKELETON_CONF_THRESHOLD are interpolated in time.
    """
    points = fill_joints(clip.keypoints, config.SKELETON_CONF_THRESHOLD)
    return resample(points, clip.times_s, feature_times(clip, config))


def per_frame(embeddings: NDArray[np.float32], clip: Clip, config: Config) -> NDArray[np.float32]:
    """Interpolate embeddings in time.

    Args:
        embeddings: (G, D), at the clip's `feature_times`.
        clip: F frames.
        config: FEATURE_FPS is used.

    Returns:
        (F, D), at the clip's frames.
    """
    return resample(embeddings, feature_times(clip, config), clip.times_s)


def match_frames(match: Match, standard: Clip, learner: Clip, config: Config) -> Match:
    """Convert a match of features to frames: each feature becomes the frame nearest in time.

    Args:
        match: with indices into the `feature_times` of both clips.
        standard: the clip that was searched for.
        learner: the clip in which it was found.
        config: FEATURE_FPS is used.

    Returns:
        The match with frame numbers of both clips: see `tcc.dtw.at_frames`.
    """
    frames = [nearest(clip.times_s, feature_times(clip, config)) for clip in (standard, learner)]
    return at_frames(match, *frames)


def places_of(
    found: Placement, standard: Clip, learner: Clip, config: Config
) -> tuple[list[Match], list[float]]:
    """Return the matches of a search in frames, see `match_frames`, and their confidences.

    A confidence is lower by the share of frames that may show another person.
    """
    matches = [match_frames(match, standard, learner, config) for match in found.matches]
    confidences = [
        confidence * share_sure(match.path, standard, learner)
        for match, confidence in zip(matches, found.confidences, strict=True)
    ]
    return matches, confidences


def pick_num_steps(clips: Sequence[Clip], config: Config) -> int:
    """Return T, the number of frames to sample from each clip.

    It is NUM_STEPS. If that is None, it is one less than the length of the shortest clip, but at
    most MAX_NUM_STEPS.

    Args:
        clips: all training clips.
        config: NUM_STEPS, MAX_NUM_STEPS and FEATURE_FPS are used.

    Raises:
        UserError: there are fewer than 2 clips, or a clip has fewer than 3 features.
    """
    lengths = [len(feature_times(clip, config)) for clip in clips]
    shortest, length = clips[int(np.argmin(lengths))], min(lengths)
    if len(clips) < 2:
        raise UserError(
            f"{len(clips)} clip: training compares clips of one motion; add at least one more"
        )
    if length < 3:
        span_s = shortest.times_s[-1] - shortest.times_s[0]
        raise UserError(
            f"clip {shortest.name} lasts {span_s:.3g} s: {length} frame(s) at FEATURE_FPS="
            f"{config.FEATURE_FPS:g}, but training needs 3; remove the clip, or fix FPS or "
            "FEATURE_FPS"
        )
    if len(clips) < RECOMMENDED_CLIPS:
        log.info("%d clips; results are better with %d or more", len(clips), RECOMMENDED_CLIPS)
    if config.NUM_STEPS is None:
        return max(2, min(config.MAX_NUM_STEPS, length - 1))
    if length < config.NUM_STEPS:
        log.warning(
            "NUM_STEPS=%d is more than the %d frames of the shortest clip, %s; set NUM_STEPS below "
            "%d to train without padding",
            config.NUM_STEPS, length, shortest.name, length,
        )  # fmt: skip
    return config.NUM_STEPS


class KeypointSequences(Dataset[Batch]):
    """The training batches of one motion; item i is the `Batch` of training step i.

    A batch depends only on the seed and on the number of the step. So a training that is resumed
    gets the same batches as one that is not interrupted.

    Args:
        clips: at least 2.
        config: SEED, FEATURE_FPS, SKELETON_CONF_THRESHOLD, BATCH_SIZE, MAX_NUM_TRAINING_STEPS and
            the settings of the augmentation are used.
        num_steps: T, frames that are sampled from each clip.

    Attributes:
        points: of each clip, (G, J, 2) px, at its `feature_times`.
        fps: of each clip, features per second.
        phases: of each clip, (G,) position of each feature on the common clock of all clips, in
            frames. They are NaN until the training sets them.
    """

    def __init__(self, clips: Sequence[Clip], config: Config, num_steps: int) -> None:
        self.config = config
        self.num_steps = num_steps
        self.points = [resample_points(clip, config) for clip in clips]
        self.fps = [rate(feature_times(clip, config)) for clip in clips]
        self.phases = [np.full(len(points), np.nan) for points in self.points]

    def __len__(self) -> int:
        return self.config.MAX_NUM_TRAINING_STEPS

    def __getitem__(self, step: int) -> Batch:
        if not 0 <= step < len(self):
            raise IndexError(step)
        chosen, generator = self._choose(step)
        features, lengths, places = augment(
            [self.points[index] for index in chosen],
            [self.fps[index] for index in chosen],
            generator,
            self.config.fill(AugmentOptions),
        )
        steps, mask = sample_steps(lengths, self.num_steps, generator)
        phase = np.stack(
            [
                np.interp(place[row], np.arange(len(self.phases[index])), self.phases[index])
                for index, place, row in zip(chosen, places, steps, strict=True)
            ]
        ).astype(np.float32)
        return Batch(*map(torch.from_numpy, (features, lengths, steps, mask, phase)))

    def _choose(self, step: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """Return the clips of a batch, and the generator of all other random choices in it."""
        generator = np.random.default_rng([self.config.SEED, step])
        return choose_clips(len(self.points), self.config.BATCH_SIZE, generator), generator

    def drawn(self, first: int) -> list[int]:
        """Return the clips that occur in the batches from step `first` on, sorted."""
        batches = (self._choose(step)[0].tolist() for step in range(first, len(self)))
        return sorted({clip for batch in batches for clip in batch})
