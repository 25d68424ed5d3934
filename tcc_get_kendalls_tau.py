"""Score how well the clips of one mode align in time.

    python3 tcc_get_kendalls_tau.py --dataset axel --mode val

Kendall's tau is 1 if the frames of one clip have their nearest neighbours in another clip in the
same order. A network that only counts frames also gets 1. Three leak tests show whether it does so:
a constant pose (tau must be undefined or 0), clips cropped at random around their events (tau must
hardly fall), and reversed clips (tau must fall, unless the motion looks the same backwards).
If labels.csv marks events, the alignment error is also printed: the distance in frames between an
event and the nearest neighbour of the same event of another clip.
Reads log/<motion>_checkpoint.pt and data/<motion>/<mode>/*/*.json; writes
result/kendalls_tau_<motion>_<mode>.json and .png.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc import jobs
from tcc.clip_folders import clip_folders
from tcc.evaluate.intervals import finite_mean
from tcc.evaluate.labels import (
    LabelledClip,
    check_labels,
    mark_events,
    order_events,
    read_labels,
)
from tcc.evaluate.leak_tests import change_clips
from tcc.evaluate.metrics import event_errors, tau_matrix
from tcc.evaluate.tables import number, print_table
from tcc.files import UserError, keep_earlier, result_stem, sha256, write_json
from tcc.plots import plot_tau
from tcc_config import AFTER_TRAINING, CONFIG, Config
from tcc_data import feature_times, load_clips, make_features
from tcc_model import Encoder, embed, load_encoder

Matrix = NDArray[np.floating[Any]]


def main() -> None:
    """Embed the clips, score them and the leak tests; print, save and plot the scores."""
    parser = cli.parser(__doc__, ["FPS", "SEED", *AFTER_TRAINING["tcc_get_kendalls_tau.py"]])
    cli.add_checkpoint(parser)
    jobs.add_jobs(parser)
    args = cli.parse(parser, CONFIG, None)
    encoder, settings, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )
    workers = jobs.pick_jobs(args)
    rows = jobs.pick_rows(workers, args.log_dir / "jobs" / f"tau_{CONFIG.DATASET}_{args.mode}")
    clips, events = load_labelled(args, settings, workers or jobs.IN_TURN)
    embedded = embed_clips(encoder, clips)
    matrix = score(embedded, embedded, rows, "tau")
    scores = {"clips": summarize(matrix)}
    for test, roles in change_clips(clips, clips, np.random.default_rng(CONFIG.SEED)).items():
        queries, references = (embed_clips(encoder, role) for role in roles)
        scores[test.replace(" ", "_")] = summarize(score(queries, references, rows, test))
    rows.finish()
    errors = score_events(embedded, events)
    print_scores(scores, errors)
    names = [clip.name for clip in clips]
    stem = result_stem(args.result_dir, "kendalls_tau_{}_{}", CONFIG.DATASET, args.mode)
    inputs = {
        "clips": [clip.fingerprint() for clip in clips],
        "checkpoint": sha256(path),
        "stride": CONFIG.KENDALLS_TAU_STRIDE,
        "distance": CONFIG.KENDALLS_TAU_DISTANCE,
        "seed": CONFIG.SEED,
    }
    keep_earlier(stem, inputs, (".json", ".png"))
    write_json(
        Path(f"{stem}.json"),
        {
            "inputs": inputs,
            "motion": CONFIG.DATASET,
            "mode": args.mode,
            "checkpoint": str(path),
            "stride": CONFIG.KENDALLS_TAU_STRIDE,
            "distance": CONFIG.KENDALLS_TAU_DISTANCE,
            **scores,
            "alignment_error_frames": errors,
            "videos": names,
            "matrix": matrix,
        },
    )
    plot_tau(
        Path(f"{stem}.png"),
        matrix,
        names,
        f"Kendall's tau, {CONFIG.DATASET} {args.mode}, mean {scores['clips']['tau']:.3f}",
    )
    print(f"{stem}.png")


def load_labelled(
    args: argparse.Namespace, settings: Config, workers: jobs.Workers
) -> tuple[list[LabelledClip], list[str]]:
    """Read the clips of the mode, and the names of the events that labels.csv marks in them.

    Raises:
        UserError: there are fewer than 2 clips, or an event lies outside its clip.
    """
    folder = args.data_dir / CONFIG.DATASET
    folders = clip_folders(args.data_dir, CONFIG.DATASET, args.mode)
    clips = load_clips(folders, settings, workers=workers)
    if len(clips) < 2:
        raise UserError(
            f"{folder / args.mode} holds {len(clips)} clip; tau compares at least 2: add one or "
            "choose another --mode"
        )
    labels = read_labels(args.data_dir, CONFIG.DATASET) if (folder / "labels.csv").exists() else {}
    lengths = {clip.name: clip.total_frames for clip in clips}
    check_labels(args.data_dir, CONFIG.DATASET, args.mode, labels, lengths)
    marks = [labels.get((args.mode, clip.name), {}) for clip in clips]
    names = order_events(marks)
    labelled = [
        LabelledClip(
            folder=f"{CONFIG.DATASET}/{args.mode}",
            name=clip.name,
            features=(make_features(clip, settings),),
            ticks_s=feature_times(clip, settings),
            times_s=clip.times_s,
            events=mark_events(mark, names, clip),
            recording=clip.name,
        )
        for clip, mark in zip(clips, marks, strict=True)
    ]
    return labelled, names


def embed_clips(encoder: Encoder, clips: Sequence[LabelledClip]) -> list[LabelledClip]:
    """Return the clips with embeddings in place of their features."""
    return [clip.represent(partial(embed, encoder)) for clip in clips]


def score(
    queries: Sequence[LabelledClip],
    references: Sequence[LabelledClip],
    rows: jobs.Rows,
    title: str,
) -> Matrix:
    """Return tau of every ordered pair of different clips (V, V)."""
    return tau_matrix(
        [clip.features[0] for clip in queries],
        [clip.features[0] for clip in references],
        CONFIG.KENDALLS_TAU_STRIDE,
        CONFIG.KENDALLS_TAU_DISTANCE,
        rows,
        title,
    )


def summarize(matrix: Matrix) -> dict[str, float | int]:
    """Return the mean tau of all pairs and of each direction, and how many pairs are undefined."""
    pairs = len(matrix) * (len(matrix) - 1)
    return {
        "tau": finite_mean(matrix),
        "tau_forward": finite_mean(matrix[np.triu_indices_from(matrix, 1)]),
        "tau_backward": finite_mean(matrix[np.tril_indices_from(matrix, -1)]),
        "pairs": pairs,
        "undefined": pairs - int(np.isfinite(matrix).sum()),
    }


def print_scores(
    scores: dict[str, dict[str, float | int]], errors: dict[str, dict[str, float | int]]
) -> None:
    """Print a table of tau and one of the alignment error."""
    rows = [["Kendall's tau", "mean", "forward", "backward", "undefined"]]
    for name, values in scores.items():
        means = [number(values[key], 3) for key in ("tau", "tau_forward", "tau_backward")]
        undefined = f"{values['undefined']} of {values['pairs']} pairs"
        rows.append([name.replace("_", " "), *means, undefined])
    print_table(rows)
    rows = [["alignment error, frames", "mean", "median", "pairs"]]
    for event, values in errors.items():
        means = [number(values[key], 1) for key in ("mean", "median")]
        rows.append([event, *means, str(values["pairs"])])
    if errors:
        print_table(rows)
    else:
        print(
            "\nalignment error: unknown; labels.csv must mark the same event in two of these clips"
        )
    print()


def score_events(
    clips: Sequence[LabelledClip], names: Sequence[str]
) -> dict[str, dict[str, float | int]]:
    """Return the alignment error in frames of each event that is marked in two clips."""
    embeddings = [clip.per_frame() for clip in clips]
    summary = {}
    for event, frames in zip(names, np.array([clip.events for clip in clips]).T, strict=True):
        errors = event_errors(embeddings, frames, CONFIG.KENDALLS_TAU_DISTANCE)
        if errors.size:
            summary[event] = {
                "mean": float(errors.mean()),
                "median": float(np.median(errors)),
                "pairs": len(errors),
            }
    return summary


if __name__ == "__main__":
    cli.run(main)
