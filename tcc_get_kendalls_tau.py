"""Score how well the clips of one mode align in time.

    python3 tcc_get_kendalls_tau.py --dataset axel --mode val

Kendall's tau is 1 where the nearest neighbours of one clip's frames follow in order in another.
A network that counts frames scores 1 for nothing; so the same is printed for a constant pose (any
value but undefined or 0 is a clock), for clips cropped at random (it must hardly fall) and for
reversed clips (lower, unless it looks alike backwards). Where labels.csv marks events, the
alignment error follows: how many frames the nearest neighbour of an event is off in another clip.
Reads log/<motion>_checkpoint.pt and data/<motion>/<mode>/*/*.json; writes
result/kendalls_tau_<motion>_<mode>.json and .png.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc import cli
from tcc.clips import Clip, clip_folders
from tcc.evaluate.intervals import finite_mean
from tcc.evaluate.labels import check_labels, order_events, read_labels
from tcc.evaluate.metrics import event_errors, tau_matrix
from tcc.evaluate.sides import SHORTEST_CROP
from tcc.files import UserError, write_json
from tcc.plots import plot_tau
from tcc_config import AFTER_TRAINING, CONFIG, Config
from tcc_data import load_clips, make_features, per_frame
from tcc_model import Encoder, embed, load_encoder, tell_other_embeddings

Features = NDArray[np.float32]
Matrix = NDArray[np.floating[Any]]


def main() -> None:
    """Load, embed, score the clips and the leak tests, save."""
    parser = cli.parser(__doc__, AFTER_TRAINING["tcc_get_kendalls_tau.py"])
    cli.add_checkpoint(parser)
    args = cli.parse(parser, CONFIG, None)
    encoder, settings, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )

    clips = load_clips(clip_folders(args.data_dir, CONFIG.DATASET, args.mode), settings)
    if len(clips) < 2:
        raise UserError(
            f"{args.data_dir / CONFIG.DATASET / args.mode} holds {len(clips)} clip; tau "
            "compares at least 2: add one or choose another --mode"
        )
    tell_other_embeddings(args.log_dir, CONFIG, args.mode, path)
    features = [make_features(clip, settings) for clip in clips]
    generator = np.random.default_rng(CONFIG.SEED)
    constant = [np.repeat(clip[len(clip) // 2, None], len(clip), axis=0) for clip in features]
    cropped = [crop(clip, generator) for clip in features]
    backwards = [clip[::-1].copy() for clip in features]
    matrix = score(encoder, features, features)
    scores = {
        "clips": summarize(matrix),
        "constant_pose": summarize(score(encoder, constant, constant)),
        "random_crops": summarize(score(encoder, cropped, cropped)),
        "reversed": summarize(score(encoder, features, backwards)),
    }

    for name, values in scores.items():
        print(
            f"{name.replace('_', ' '):14} tau {values['tau']:6.3f}  "
            f"undefined {values['undefined']} of {values['pairs']} pairs"
        )
    errors = score_events(encoder, settings, clips, features, args.data_dir, args.mode)
    for event, values in errors.items():
        print(
            f"{event:14} error of the alignment, mean {values['mean']:.1f} and median "
            f"{values['median']:.1f} frames in {values['pairs']} pairs"
        )
    if not errors:
        print("alignment error: unknown, labels.csv marks no event of two of these clips")
    stem = args.result_dir / f"kendalls_tau_{CONFIG.DATASET}_{args.mode}"
    write_json(
        stem.with_suffix(".json"),
        {
            "motion": CONFIG.DATASET,
            "mode": args.mode,
            "checkpoint": str(path),
            "stride": CONFIG.KENDALLS_TAU_STRIDE,
            "distance": CONFIG.KENDALLS_TAU_DISTANCE,
            **scores,
            "alignment_error_frames": errors,
            "videos": [clip.name for clip in clips],
            "matrix": matrix,
        },
    )
    plot_tau(
        stem.with_suffix(".png"),
        matrix,
        [clip.name for clip in clips],
        f"Kendall's tau, {CONFIG.DATASET} {args.mode}, mean {scores['clips']['tau']:.3f}",
    )
    print(f"{stem}.png")


def score(encoder: Encoder, queries: list[Features], references: list[Features]) -> Matrix:
    """Embed features (F, C) and return tau of every ordered pair of different clips (V, V)."""
    return tau_matrix(
        [embed(encoder, clip) for clip in queries],
        [embed(encoder, clip) for clip in references],
        CONFIG.KENDALLS_TAU_STRIDE,
        CONFIG.KENDALLS_TAU_DISTANCE,
    )


def summarize(matrix: Matrix) -> dict[str, float | int]:
    """Return the mean tau, that of each direction, and how many ordered pairs are undefined."""
    pairs = len(matrix) * (len(matrix) - 1)
    return {
        "tau": finite_mean(matrix),
        "tau_forward": finite_mean(matrix[np.triu_indices_from(matrix, 1)]),
        "tau_backward": finite_mean(matrix[np.tril_indices_from(matrix, -1)]),
        "pairs": pairs,
        "undefined": pairs - int(np.isfinite(matrix).sum()),
    }


def score_events(
    encoder: Encoder,
    settings: Config,
    clips: list[Clip],
    features: list[Features],
    data_dir: Path,
    mode: str,
) -> dict[str, dict[str, float | int]]:
    """Return for each marked event the alignment error in frames; empty without labels.csv.

    Raises:
        UserError: an event lies behind the end of its clip.
    """
    if not (data_dir / CONFIG.DATASET / "labels.csv").exists():
        return {}
    labels = read_labels(data_dir, CONFIG.DATASET)
    lengths = {clip.name: clip.num_frames for clip in clips}
    check_labels(data_dir, CONFIG.DATASET, mode, labels, lengths)
    marks = [labels.get((mode, clip.name), {}) for clip in clips]
    embeddings = [
        per_frame(embed(encoder, values), clip, settings)
        for clip, values in zip(clips, features, strict=True)
    ]
    summary = {}
    for event in order_events(marks):
        errors = event_errors(
            embeddings, [mark.get(event) for mark in marks], CONFIG.KENDALLS_TAU_DISTANCE
        )
        if errors.size:
            summary[event] = {
                "mean": float(errors.mean()),
                "median": float(np.median(errors)),
                "pairs": len(errors),
            }
    return summary


def crop(clip: Features, generator: np.random.Generator) -> Features:
    """Return a random part of a clip, at least SHORTEST_CROP of it."""
    length = max(1, round(len(clip) * generator.uniform(SHORTEST_CROP, 1)))
    first = int(generator.integers(len(clip) - length + 1))
    return clip[first : first + length]


if __name__ == "__main__":
    cli.run(main)
