"""The loader: clips to keypoint sequences, features and training batches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tcc import clips as clip_files
from tcc.augment import AugmentOptions, augment, choose_clips, sample_steps
from tcc.cli import progress
from tcc.clips import Clip
from tcc.clock import clock, nearest, rate, resample
from tcc.dtw import Match, at_frames
from tcc.features import extract, fill_joints, flip, turn
from tcc.files import UserError
from tcc.tracking import find_doubts
from tcc_config import Config

log = logging.getLogger("tcc")
LONG_ENOUGH = 50
MANY = 10  # names in a line


@dataclass(frozen=True, slots=True)
class Batch:
    """Augmented clips, padded with their last frame.

    `features` (B, F, C) float32; `lengths` (B,) frames of each clip; `steps` (B, T) sorted sampled
    frames; `mask` (B, T) False where a clip is shorter than T and the step is padding; `phase`
    (B, T) of each step on the clock that all clips share, NaN where there is none.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    steps: torch.Tensor
    mask: torch.Tensor
    phase: torch.Tensor


def load_clip(folder: Path, config: Config, person: int | None = None) -> Clip:
    """Read one clip and follow its skater: see `tcc.clips.load_clip`."""
    return clip_files.load_clip(folder, config.FPS, config.SKELETON_CONF_THRESHOLD, person)


def clip_doubts(clip: Clip) -> list[str]:
    """Return what is doubtful about the skater of a clip, with the clip's name."""
    return [f"{clip.name}: {doubt}" for doubt in find_doubts(clip.track, clip.times_s)]


def load_clips(folders: Sequence[Path], config: Config) -> list[Clip]:
    """Read several clips, with a progress bar; say what is doubtful and what interpolated."""
    clips = [load_clip(folder, config) for folder in progress(folders, "reading", "clip")]
    for clip in clips:
        for doubt in clip_doubts(clip):
            log.warning("%s", doubt)
    gaps = [clip.name for clip in clips if not clip.track.observed.all()]
    if gaps:
        missed = sum(int((~clip.track.observed).sum()) for clip in clips)
        empty = sum(int((clip.track.num_people == 0).sum()) for clip in clips)
        log.info(
            "no skater in %d of %d frames (%d with nobody), interpolated: %s",
            missed, sum(clip.num_frames for clip in clips), empty,
            ", ".join(gaps) if len(gaps) < MANY else f"{len(gaps)} clips",
        )  # fmt: skip
    return clips


def feature_times(clip: Clip, config: Config) -> NDArray[np.float64]:
    """Return the times (G,) s of a clip's features; its frames' own where it is of that rate."""
    return clock(clip.times_s, config.FEATURE_FPS)


def make_features(clip: Clip, config: Config, mirrored: bool = False) -> NDArray[np.float32]:
    """Return the features (G, C) of a whole clip at `feature_times`, as the encoder reads them."""
    points, times_s = resample_points(clip, config), feature_times(clip, config)
    return extract(flip(points) if mirrored else points, rate(times_s))


def clip_turn(clip: Clip, config: Config) -> float:
    """Return which way the skater of a clip turns, as `tcc.features.turn` does."""
    points = fill_joints(clip.keypoints, config.SKELETON_CONF_THRESHOLD)
    return turn(points, clip.keypoints[..., 2], clip.fps)


def resample_points(clip: Clip, config: Config) -> NDArray[np.float32]:
    """Return the joints (G, J, 2) px at `feature_times`, unsure ones interpolated."""
    points = fill_joints(clip.keypoints, config.SKELETON_CONF_THRESHOLD)
    return resample(points, clip.times_s, feature_times(clip, config))


def per_frame(embeddings: NDArray[np.float32], clip: Clip, config: Config) -> NDArray[np.float32]:
    """Return the embeddings (F, D) of a clip's frames from those at `feature_times` (G, D)."""
    return resample(embeddings, feature_times(clip, config), clip.times_s)


def match_frames(match: Match, standard: Clip, learner: Clip, config: Config) -> Match:
    """Return a match of features with the frames nearest in time instead: see `at_frames`."""
    frames = [nearest(clip.times_s, feature_times(clip, config)) for clip in (standard, learner)]
    return at_frames(match, *frames)


def pick_num_steps(clips: Sequence[Clip], config: Config) -> int:
    """Return NUM_STEPS: the setting, else just below the shortest clip and at most MAX_NUM_STEPS.

    Raises:
        UserError: fewer than 2 clips, or a clip of one frame.
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
            f"{config.FEATURE_FPS:g}, and 3 are needed; remove it, or mend FPS or FEATURE_FPS"
        )
    if len(clips) < LONG_ENOUGH:
        log.info("%d clips; %d or more align better", len(clips), LONG_ENOUGH)
    if config.NUM_STEPS is None:
        return max(2, min(config.MAX_NUM_STEPS, length - 1))
    if length < config.NUM_STEPS:
        log.warning(
            "NUM_STEPS=%d is above the %d frames of clip %s, the shortest: the rest is padding; "
            "set NUM_STEPS below %d",
            config.NUM_STEPS, length, shortest.name, length,
        )  # fmt: skip
    return config.NUM_STEPS


class KeypointSequences(Dataset[Batch]):
    """The training batches of one motion: item `step` depends on the seed and on `step` alone.

    So a resumed run sees the batches that an uninterrupted one would have seen.

    Args:
        clips: at least 2.
        config: sizes and augmentation.
        num_steps: T, frames drawn from a clip.

    `phases` holds for each clip the places (F,) of its frames on a clock that all clips share.
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
        generator = np.random.default_rng([self.config.SEED, step])
        chosen = choose_clips(len(self.points), self.config.BATCH_SIZE, generator)
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
