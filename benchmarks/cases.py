"""What `benchmarks.bench` and `benchmarks.growth` measure: for each subject, ways to compute it.

Every function takes a size and returns ways to compute the same thing; the first is this program.
Peers are imported where they are used, because some of them take long.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import distance
from torch import Tensor

from benchmarks.timing import Ways
from tcc.alphapose import Detections, read_detections
from tcc.clips import Clip
from tcc.dtw import accumulate, backtrack, cost_matrix, search
from tcc.evaluate.metrics import tau_matrix
from tcc.features import extract
from tcc.losses import VARIANCE_FLOOR, LossOptions, alignment_loss
from tcc.search import locate
from tcc.synthetic.camera import film
from tcc.synthetic.skater import sample_motion
from tcc.tracking import Track, choose_person
from tcc_config import Config
from tcc_model import GENERIC, embed, load_encoder

Array = NDArray[np.float64]
T, D = 32, 128  # sampled steps, embedding size
STANDARD = 46  # frames of the standard
TEMPERATURE, VARIANCE_LAMBDA = 0.1, 0.001
LARGEST_ORACLE = 16  # clips of a batch; with 32, one round of the naive loss takes a minute
STEPS = np.array([[1, 1], [1, 2], [2, 1]])


def walk(num_frames: int, seed: int, size: int = D) -> Array:
    """Return embeddings (F, D) that change slowly."""
    steps = np.random.default_rng(seed).normal(size=(num_frames, size))
    return steps.cumsum(axis=0) / 10


def losses(num_clips: int) -> Ways:
    """Forward and backward pass of the cycle-back loss of a batch."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(num_clips, T, D, generator=generator)
    steps = torch.arange(T).repeat(num_clips, 1)
    lengths = torch.full((num_clips,), T)
    options = Config().fill(LossOptions)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "batched": lambda x: alignment_loss(x, steps, lengths, None, options),
        "pair loop": lambda x: loop_over_pairs(x, steps, lengths),
    }
    if num_clips <= LARGEST_ORACLE:
        ways["naive oracle"] = lambda x: loop_over_frames(x, steps, lengths)

    def step(loss: Callable[[Tensor], Tensor]) -> float:
        leaf = embeddings.clone().requires_grad_()
        value = loss(leaf)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    return {name: partial(step, loss) for name, loss in ways.items()}


def loop_over_pairs(embeddings: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
    """Return regression_mse_var with l2, one ordered pair of clips at a time.

    This is what published PyTorch versions do.

    Args:
        embeddings: (B, T, D).
        steps: (B, T) sampled frames.
        lengths: (B,) frames of each clip.
    """
    losses = [
        cycle_back(embeddings[i], embeddings[j], embeddings[i], steps[i] / lengths[i])
        for i in range(len(embeddings))
        for j in range(len(embeddings))
        if i != j
    ]
    return torch.cat(losses).mean()


def loop_over_frames(embeddings: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
    """Return the same as `loop_over_pairs`, one frame at a time."""
    losses = [
        cycle_back(
            embeddings[i, t, None],
            embeddings[j],
            embeddings[i],
            steps[i] / lengths[i],
            slice(t, t + 1),
        )
        for i in range(len(embeddings))
        for j in range(len(embeddings))
        for t in range(embeddings.shape[1])
        if i != j
    ]
    return torch.cat(losses).mean()


def cycle_back(
    queries: Tensor, other: Tensor, own: Tensor, positions: Tensor, which: slice = slice(None)
) -> Tensor:
    """Return the losses (Q,) of frames (Q, D) cycled through `other` (T, D) to `own` (T, D)."""
    alpha = similarity(queries, other).softmax(-1)  # (Q, T)
    beta = similarity(alpha @ other, own).softmax(-1)  # (Q, T)
    predicted = (beta * positions).sum(-1)
    spread = (beta * (positions - predicted[:, None]).square()).sum(-1)
    variance = spread.clamp_min(VARIANCE_FLOOR)
    error = positions[which] - predicted
    return error.square() / variance + VARIANCE_LAMBDA * variance.log()


def similarity(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the similarities (Q, K) of (Q, D) and (K, D).

    A similarity is the negative squared distance, divided by D and by the temperature.
    """
    squared = queries.square().sum(-1)[:, None] + keys.square().sum(-1) - 2 * queries @ keys.T
    return -squared / queries.shape[-1] / TEMPERATURE


def searching(num_frames: int) -> Ways:
    """Find a standard of STANDARD frames in a learner's clip: the best warping path."""
    standard, learner = pair(num_frames)
    return {"search": lambda: search(cost_matrix(standard, learner)), **peers(standard, learner)}


def locating(num_frames: int) -> Ways:
    """Do the whole start search: three speeds, the common part, and the confidence."""
    standard, learner = pair(num_frames)
    return {"locate": lambda: locate([standard], learner), **peers(standard, learner)}


def pair(num_frames: int) -> tuple[Array, Array]:
    """Return a standard, and a learner who shows it with noise after a third of the clip."""
    standard, learner = walk(STANDARD, 0), walk(num_frames, 1)
    shown = learner[num_frames // 3 :][:STANDARD]
    shown[:] = standard[: len(shown)] + walk(len(shown), 2) / 10
    return standard, learner


def peers(standard: Array, learner: Array) -> Ways:
    """Return how other libraries find a standard (N, D) in a learner's clip (M, D)."""
    import librosa
    from dtaidistance.subsequence.dtw import subsequence_alignment
    from tslearn.metrics import dtw_subsequence_path

    return {
        "tslearn": lambda: dtw_subsequence_path(standard, learner),
        "dtaidistance": lambda: (
            subsequence_alignment(standard, learner, use_c=True).best_match().path
        ),
        "librosa": lambda: librosa.sequence.dtw(
            standard.T, learner.T, metric="sqeuclidean", subseq=True, step_sizes_sigma=STEPS
        ),
        "sliding window": lambda: slide(standard, learner),
    }


def slide(standard: Array, learner: Array) -> int:
    """Return the offset at which a window of the standard's length differs least."""
    length = len(standard)
    offsets = range(max(1, len(learner) - length + 1))
    return int(
        np.argmin(
            [((learner[o : o + length] - standard[: len(learner)]) ** 2).mean() for o in offsets]
        )
    )


def warping(num_frames: int) -> Ways:
    """Align two whole clips, one a sixth longer."""
    import librosa
    from dtaidistance import dtw_ndim
    from tslearn.metrics import dtw_path

    first, second = walk(num_frames, 0), walk(num_frames * 7 // 6, 1)

    def align() -> NDArray[np.int64]:
        total, _, step = accumulate(cost_matrix(first, second))
        return backtrack(step, int(total[-1].argmin()))

    return {
        "accumulate": align,
        "tslearn": lambda: dtw_path(first, second),
        "dtaidistance": lambda: dtw_ndim.warping_path(first, second),
        "librosa": lambda: librosa.sequence.dtw(first.T, second.T),
    }


def distances(num_frames: int) -> Ways:
    """All distances of the embeddings of two clips."""
    first, second = walk(num_frames, 0), walk(num_frames, 1)
    return {
        "cost_matrix": lambda: cost_matrix(first, second),
        "SciPy loop": lambda: [[distance.sqeuclidean(a, b) / D for b in second] for a in first],
    }


def tau(num_clips: int) -> Ways:
    """Kendall's tau of all ordered pairs of clips of 100 frames."""
    from scipy.stats import kendalltau

    clips = [walk(100, seed) for seed in range(num_clips)]
    frames = np.arange(100)

    def loop() -> list[float]:
        return [
            kendalltau(frames, distance.cdist(a, b, "sqeuclidean").argmin(axis=1)).statistic
            for a in clips
            for b in clips
            if a is not b
        ]

    return {"tau_matrix": lambda: tau_matrix(clips, clips), "SciPy loop": loop}


def parsing(num_frames: int) -> Ways:
    """Read an AlphaPose file of eight people in every frame."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "alphapose-results.json"
    write_people(path, num_frames)

    def load(folder: object = folder) -> Any:  # keeps the folder as long as the function
        with path.open() as file:
            return json.load(file)

    return {"read_detections": lambda: read_detections(path), "json.load": load}


def write_people(path: Path, num_frames: int) -> None:
    """Write eight people in every frame in AlphaPose's format."""
    generator = np.random.default_rng(0)
    persons = [
        {
            "image_id": f"{index // 8}.jpg", "category_id": 1, "score": 2.9,
            "keypoints": keypoints.ravel().tolist(), "box": [1.0, 2.0, 3.0, 4.0], "idx": [0.0],
        }
        for index, keypoints in enumerate(
            generator.uniform(0, [1920, 1080, 1], (8 * num_frames, 17, 3)).astype(np.float32)
        )
    ]  # fmt: skip
    path.write_text(json.dumps(persons))


def tracking(num_frames: int) -> Ways:
    """Follow the skater among 20 people."""
    people = crowd(num_frames, 20)
    return {"choose_person": lambda: choose_person(people), "nearest first": lambda: follow(people)}


def crowd(num_frames: int, num_people: int) -> Detections:
    """Return the detections of people who walk around; one detection in ten is missing."""
    generator = np.random.default_rng(0)
    where = generator.uniform(0, 1500, (num_people, 1, 2))
    where = where + np.cumsum(generator.normal(0, 2, (num_frames, num_people, 1, 2)), axis=0)
    body = generator.normal(0, 30, (num_people, 17, 2))
    points = where + body + generator.normal(0, 2, (num_frames, num_people, 17, 2))
    keypoints = np.concatenate([points, np.full((*points.shape[:3], 1), 0.8)], axis=-1)
    frame = np.repeat(np.arange(num_frames, dtype=np.int32), num_people)
    kept = generator.random(len(frame)) > 0.1
    return Detections(
        frame[kept],
        keypoints.reshape(-1, 17, 3)[kept].astype(np.float32),
        generator.uniform(1, 3, int(kept.sum())).astype(np.float32),
        [""] * num_frames,
    )


def follow(people: Detections) -> list[int]:
    """Return the person of every frame, from the best score of the first to the nearest one."""
    ends = np.searchsorted(people.frame, np.arange(people.num_frames + 1))
    centres = people.keypoints[..., :2].mean(axis=1)
    chosen = [int(people.score[: ends[1]].argmax())]
    for first, end in zip(ends[1:-1], ends[2:], strict=True):
        apart = np.linalg.norm(centres[first:end] - centres[chosen[-1]], axis=1)
        chosen.append(int(first + apart.argmin()) if len(apart) else chosen[-1])
    return chosen


def features(num_frames: int) -> Ways:
    """Features of the joints, of all frames at once and in parts of one second."""
    points = walk(num_frames, 0, 34).reshape(-1, 17, 2)
    parts = np.array_split(points, max(1, num_frames // 30))
    return {
        "extract": lambda: extract(points, 30),
        "second by second": lambda: [extract(part, 30) for part in parts],
    }


def embedding(num_frames: int) -> Ways:
    """Embeddings of a clip, from an array to an array, and by the bare network."""
    torch.set_num_threads(1)  # as the commands do
    encoder = load_encoder(GENERIC, Path(), Config(), torch.device("cpu"))[0]
    rows = extract(walk(num_frames, 0, 34).reshape(-1, 17, 2), 30)
    tensor = torch.from_numpy(rows)[None]

    def bare() -> Tensor:
        with torch.inference_mode():
            result: Tensor = encoder(tensor)
        return result

    return {"embed": lambda: embed(encoder, rows), "bare network": bare}


def training(num_clips: int) -> Ways:
    """One training step, and the bare network on the same batch: forward, backward, AdamW."""
    from tcc_train import Trainer

    torch.set_num_threads(1)
    clips = [make_clip(seed) for seed in range(num_clips)]
    trainer = Trainer(clips, [], T, torch.device("cpu"))
    steps = iter(range(len(trainer.sequences)))
    encoder = load_encoder(GENERIC, Path(), Config(), torch.device("cpu"))[0]
    optimizer = torch.optim.AdamW(encoder.parameters())
    batch = trainer.sequences[0].features

    def bare() -> None:
        optimizer.zero_grad()
        loss = encoder(batch).square().mean()
        loss.backward()
        optimizer.step()

    return {
        "training step": lambda: trainer.train_step(trainer.sequences[next(steps)]),
        "bare network": bare,
    }


def make_clip(seed: int) -> Clip:
    """Return a clip of a synthetic jump."""
    generator = np.random.default_rng(seed)
    keypoints = film(generator, sample_motion(generator, jump="axel", turns=1))
    seen = np.ones(len(keypoints), np.bool_)
    none = np.zeros(len(seen), np.int32)
    track = Track(keypoints, seen, none, 1.0, seen.astype(np.int32), none > 0)
    return Clip(f"clip{seed}", Path("clip"), track, np.arange(len(seen)) / 30, [], 0, len(seen))
