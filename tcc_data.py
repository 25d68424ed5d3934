"""Finds clips, makes keypoint sequences of them and samples training batches.

    python3 tcc_data.py --check --dataset axel --mode train

--check prints every clip's length, gaps and people, names the clips to look at, and writes
result/check_<motion>_<mode>.jpg, where the chosen person of every clip is drawn (100 clips a
sheet, then ..._2.jpg), and .json.

data/<motion>/<train|val|test>/<video>/    vis/ (frames, for drawing) and one AlphaPose *.json
data/<motion>/labels.csv                   optional: mode, video, <event>_frame, ...
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tcc import cli
from tcc.augment import AugmentOptions, augment, choose_clips, sample_steps
from tcc.cli import progress
from tcc.clip_cache import VideoCache
from tcc.clips import find_videos, list_clips, read_frame, read_track
from tcc.clock import clock, nearest, rate, resample
from tcc.contact_sheet import check_clips, describe_clips, doubt_gaps
from tcc.dtw import Match, at_frames
from tcc.features import extract, fill_joints, flip, turn
from tcc.files import UserError, require_utf8
from tcc.tracking import doubt_margin
from tcc_config import CONFIG, Config

log = logging.getLogger("tcc")
LONG_ENOUGH = 50
MANY = 10  # names in a line


def main() -> None:
    """Check the clips of one mode."""
    parser = cli.parser(__doc__, mode="train")
    parser.add_argument("--check", action="store_true", required=True, help="look at every clip")
    args = cli.parse(parser, CONFIG, None)
    folders = clip_folders(args.data_dir, CONFIG.DATASET, args.mode)
    failed = check(folders, args.mode, args.result_dir, CONFIG)
    if failed:
        raise UserError(f"{len(failed)} of {len(folders)} clips can't be read: {', '.join(failed)}")


def check(folders: Sequence[Path], mode: str, result_dir: Path, config: Config) -> list[str]:
    """Draw and print what to know of every clip; return the names of those that can't be read."""
    for folder in folders:
        require_utf8(folder)
    checked, failed, sheets = check_clips(
        progress(folders, "checking", "clip"), result_dir / f"check_{config.DATASET}_{mode}",
        f"{config.DATASET} {mode}", config.FPS, config.SKELETON_CONF_THRESHOLD,
    )  # fmt: skip
    print(describe_clips(checked))
    for sheet in sheets:
        print(sheet)
    return failed


@dataclass(frozen=True, slots=True)
class Clip:
    """One skater in one video: keypoints (F, J, 3), observed (F,) and times_s (F,)."""

    name: str
    keypoints: NDArray[np.float32]
    observed: NDArray[np.bool_]
    times_s: NDArray[np.float64]
    margin: float
    num_people: NDArray[np.int32]
    images: list[Path] = field(repr=False)

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.keypoints)

    @property
    def fps(self) -> float:
        """Frames per second of the median interval."""
        return rate(self.times_s)

    def read_image(self, frame: int) -> NDArray[np.uint8]:
        """Read the picture (H, W, 3) BGR of a frame.

        Raises:
            UserError: the file is no picture of the clip's size.
        """
        return read_frame(self.images, frame)


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


def clip_folders(data_dir: Path, motion: str, mode: str) -> list[Path]:
    """Return the clips of data/<motion>/<mode>/, sorted by name.

    Raises:
        UserError: the folder is missing or empty.
    """
    root = data_dir / motion / mode
    if not root.is_dir():
        motions = sorted(path.name for path in data_dir.glob("*") if path.is_dir())
        raise UserError(
            f"no folder {root}; {data_dir} holds {', '.join(motions) or 'no motion'}; "
            "put each video's folder there (see Input in README.md) or name another --dataset"
        )
    folders = list_clips(root)
    names = {folder.name for folder in folders}
    waiting = [path.name for path in find_videos(root) if path.stem not in names]
    convert = f"run: python3 tcc_get_pose.py --dataset {motion} --mode {mode}"
    if not folders:
        raise UserError(
            f"{root} holds {len(waiting)} video(s) without keypoints; {convert}"
            if waiting
            else f"{root} holds no clip; put one folder with an AlphaPose .json per video there"
        )
    if waiting:
        log.warning("%s: left out, without keypoints: %s; %s", root, ", ".join(waiting), convert)
    return folders


def load_clip(folder: Path, config: Config, person: int | None = None) -> Clip:
    """Read one clip and follow its skater.

    Args:
        folder: holds one AlphaPose *.json, vis/ with the frames if anything is to be drawn,
            video.json with the frames' times if tcc_get_pose.py made it, and clip.toml with a line
            `person = 2` if another person than the one chosen is the skater.
        person: 1 the main person, 2 the next ...; None: clip.toml decides, else 1.

    Raises:
        UserError: the clip can't be used; says why.
    """
    require_utf8(folder.resolve())
    images, _, track, times_s = read_track(
        folder, person, config.FPS, config.SKELETON_CONF_THRESHOLD
    )
    return Clip(
        name=folder.resolve().name,
        keypoints=track.keypoints,
        observed=track.observed,
        times_s=times_s,
        margin=track.margin,
        num_people=track.num_people,
        images=images,
    )


def find_clip(
    name: str, data_dir: Path, motion: str, mode: str, cache: VideoCache | None = None
) -> Path:
    """Return the folder of the clip that a name, or a path to a folder or video, stands for.

    Args:
        name: of a clip or video of the mode, or a path.
        cache: makes the clips of videos; None: they are not taken.

    Raises:
        UserError: there is none; lists those there are. There are two. A video can't be used.
    """
    root = data_dir / motion / mode
    for path in (root / name, Path(name)):
        if path.is_dir():
            return path
    videos = find_videos(root)
    videos = (
        [path for path in videos if path.name == name]
        or [path for path in videos if path.stem == name]
        or [Path(name)] * Path(name).is_file()
    )
    if len(videos) > 1:
        names = " or ".join(path.name for path in videos)
        raise UserError(f"{name} in {root} may be {names}; give the whole name")
    if videos and cache is None:
        raise UserError(f"{videos[0]} is a file; run: python3 tcc_get_pose.py {videos[0]}")
    if videos and cache is not None:
        video = videos[0]
        return cache.find_clip(video, (video.with_suffix(""), root / video.stem))
    names = ", ".join(path.name for path in clip_folders(data_dir, motion, mode))
    raise UserError(f"no clip {name} in {root}; it holds {names}")


def require_images(clip: Clip) -> None:
    """Check that a clip can be drawn.

    Raises:
        UserError: it has no frames.
    """
    if not clip.images:
        raise UserError(
            f"clip {clip.name} has no vis/ with its frames to draw; add it or use --no-video"
        )


def load_clips(folders: Sequence[Path], config: Config) -> list[Clip]:
    """Read several clips, with a progress bar; say what is doubtful and what interpolated."""
    clips = [load_clip(folder, config) for folder in progress(folders, "reading", "clip")]
    for clip in clips:
        for doubt in doubt_margin(clip.name, clip.margin):
            log.warning("%s", doubt)
        for doubt in doubt_gaps(clip.observed, clip.num_people, clip.times_s):
            log.warning("%s: the skater is %s, where the pose is made up", clip.name, doubt)
    gaps = [clip.name for clip in clips if not clip.observed.all()]
    if gaps:
        missed = sum(int((~clip.observed).sum()) for clip in clips)
        empty = sum(int((clip.num_people == 0).sum()) for clip in clips)
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


if __name__ == "__main__":
    cli.run(main)
