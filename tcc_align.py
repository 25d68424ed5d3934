"""Align several clips of one motion to a reference clip, and show all of them in one video.

    python3 tcc_align.py --mode test

Reads data/<motion>/<mode>/*/ and log/<motion>_checkpoint.pt. The clips are aligned by dynamic time
warping (DTW) with free ends: of two clips that are cut differently, only a part matches. Writes
result/output_<motion>_<mode>.mp4, a grid of the clips in which each one shows the frame that
matches the frame of the reference clip, once at its own speed and once in slow motion (--speed);
.jpg, a t-SNE picture of the embeddings of all frames; and .json.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from tcc import side_by_side
from tcc.clip_cache import VideoCache
from tcc.clip_folders import find_source, list_sources
from tcc.clips import Clip
from tcc.confidence import ALIKE, CONFIDENT, certainty, describe_confidence
from tcc.contact_sheet import check_clips
from tcc.dtw import Match, WarpingPath, map_frames
from tcc.features import opposed
from tcc.files import UserError, keep_earlier, result_stem, sha256, write_json
from tcc.plots import plot_tsne
from tcc.progress import long_step, progress
from tcc.search import locate
from tcc.side_by_side import Shown
from tcc_config import AFTER_TRAINING, CONFIG, Config
from tcc_data import (
    clip_turn,
    in_air,
    load_clips,
    make_features,
    match_frames,
    per_frame,
    places_of,
)
from tcc_model import Encoder, embed, load_encoder
from tcc_pair import attempt_suffix, choose_attempt

log = logging.getLogger("tcc")
PANEL_SIZE = (420, 420)
MAX_INTERPRETED_CELLS = 5_000_000  # of all cost matrices; with more, compiling tslearn saves time
ROUNDING = 1e-6  # smaller relative differences of float32 embeddings are rounding errors


@dataclass(frozen=True, slots=True)
class Aligned:
    """A clip of F frames, aligned to the reference.

    `embeddings` (F, D) are those of the clip, or of its mirror image if `mirrored` is True. `path`
    (K, 2) are pairs of a frame of the reference and a frame of the clip that match. `cost` is their
    mean distance, `confidence` that of the match. `others` are the start in s, the confidence and
    the number of the other attempts.
    """

    clip: Clip
    embeddings: NDArray[np.float32]
    path: WarpingPath
    cost: float
    confidence: float
    mirrored: bool
    others: Sequence[tuple[float, float, int]] = ()


def main() -> None:
    """Choose the clips, embed and align them, save the results."""
    parser = cli.parser(__doc__, ["FPS", "SEED", "TOP_K", *AFTER_TRAINING["tcc_align.py"]])
    cli.add_checkpoint(parser)
    cli.add_weights(parser)
    cli.add_attempt(parser)
    parser.add_argument(
        "--videos",
        metavar="A,B,...",
        help="clips or videos, the first is the reference (default: NUM_VIDEOS random clips)",
    )
    parser.add_argument("--no-video", action="store_true", help="draw no video, which is faster")
    side_by_side.add_speed(parser)
    args = cli.parse(parser, CONFIG, None)
    sources = choose_sources(args)
    encoder, settings, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )
    cache = VideoCache(
        args.result_dir / "keypoints",
        args.weights,
        args.device,
        args.data_dir / CONFIG.DATASET / args.mode,
    )
    clips = load_clips([cache.find_clip(source) for source in sources], settings)
    pattern = "output_{}_{}" + attempt_suffix(args.attempt)
    stem = result_stem(args.result_dir, pattern, CONFIG.DATASET, args.mode)
    if any(source.is_file() for source in sources):
        _, _, sheets = check_clips(
            [clip.folder for clip in clips], stem.with_name(f"check_{stem.name}"),
            f"{CONFIG.DATASET} {args.mode}", CONFIG.FPS, settings.SKELETON_CONF_THRESHOLD,
        )  # fmt: skip
        print(*sheets, sep="\n")

    with long_step("aligning"):
        aligned = align_all(encoder, clips, settings, args.attempt)
    for item in aligned[1:]:
        trust = describe_confidence(item.confidence)
        note = ", mirrored" if item.mirrored else ""
        print(f"{item.clip.name} to {clips[0].name}: mean distance {item.cost:.4f}, {trust}{note}")
        for start_s, confidence, attempt in item.others:
            if confidence >= CONFIDENT:
                print(
                    f"{item.clip.name} shows it also from {start_s:.2f} s, "
                    f"{describe_confidence(confidence)}; to use it: --attempt {attempt}"
                )

    inputs = {
        "clips": [clip.fingerprint() for clip in clips],
        "checkpoint": sha256(path),
        "seed": CONFIG.SEED,
        "attempt": args.attempt,
    }
    keep_earlier(stem, inputs, (".mp4", ".jpg", ".json"))
    with ThreadPoolExecutor(1) as pool:  # t-SNE runs while the video is drawn
        points = pool.submit(project, np.concatenate([item.embeddings for item in aligned]))
        if not args.no_video:
            draw_grid(Path(f"{stem}.mp4"), aligned, args.speed, settings.SKELETON_CONF_THRESHOLD)
            print(f"{stem}.mp4")
        with long_step("computing the t-SNE picture"):
            placed = points.result()
    write_json(Path(f"{stem}.json"), {"inputs": inputs, **describe(aligned, args.mode)})
    plot_tsne(
        Path(f"{stem}.jpg"),
        placed,
        [clip.name for clip in clips for _ in range(clip.num_frames)],
        np.concatenate([clip.first_frame + np.arange(clip.num_frames) for clip in clips]),
        f"{CONFIG.DATASET} {args.mode}: embeddings of all frames, joint t-SNE",
    )
    print(f"{stem}.jpg")


def choose_sources(args: argparse.Namespace) -> list[Path]:
    """Return the clips and video files of --videos, or at most NUM_VIDEOS random ones of the mode.

    Raises:
        UserError: there are fewer than 2 clips, or a name is empty or given twice.
    """
    where = (args.data_dir, CONFIG.DATASET, args.mode)
    if not args.videos:
        present = list_sources(*where)
        generator = np.random.default_rng(CONFIG.SEED)
        count = min(CONFIG.NUM_VIDEOS, len(present))
        chosen = generator.choice(len(present), count, replace=False)
        return at_least_two([present[index] for index in sorted(chosen)], str(present[0].parent))
    given = [name.strip() for name in args.videos.split(",")]
    if not all(given):
        raise UserError(f"--videos {args.videos}: there is an empty name; remove one comma")
    sources = [find_source(name, *where) for name in given]
    names = [source.stem if source.is_file() else source.resolve().name for source in sources]
    if len(set(names)) < len(names):
        raise UserError(f"--videos {args.videos}: a name is given twice; give each clip once")
    return at_least_two(sources, "--videos")


def at_least_two(sources: list[Path], place: str) -> list[Path]:
    """Return the sources if there are at least 2.

    Raises:
        UserError: there are fewer than 2.
    """
    if len(sources) < 2:
        raise UserError(f"{place} holds {len(sources)} clip; at least 2 are needed: add one")
    return sources


def align_all(
    encoder: Encoder, clips: Sequence[Clip], settings: Config, attempt: int = 1
) -> list[Aligned]:
    """Align every clip to the first one; mirror it if its skater turns in the other direction.

    If a direction is not clear, the clip and its mirror image are both aligned, and the one with
    the lower cost is kept.

    Args:
        encoder: trained.
        clips: the first is the reference.
        settings: as returned by `load_encoder`.
        attempt: number of the place in each clip, 1 for the best.

    Raises:
        UserError: a clip has fewer places.
    """
    turns = [clip_turn(clip, settings) for clip in clips]
    features = [
        [embed(encoder, make_features(clip, settings, mirrored)) for mirrored in (False, True)]
        for clip in clips
    ]
    num_cells = 2 * len(features[0][0]) * sum(len(variants[0]) for variants in features)
    if num_cells <= MAX_INTERPRETED_CELLS:
        # Compiling tslearn takes 5 to 8 s in every process. Without the compiler, 1,000,000 cells
        # take 0.7 s. The setting is read when `align` imports tslearn.
        numba.config.DISABLE_JIT = True  # type: ignore[attr-defined]
    frames = np.arange(clips[0].num_frames)
    own = per_frame(features[0][0], clips[0], settings)
    aligned = [Aligned(clips[0], own, np.stack([frames, frames], axis=1), 0.0, 1.0, False)]
    for clip, turn, variants in zip(clips[1:], turns[1:], features[1:], strict=True):
        opposite = opposed(turns[0], turn)
        airborne = (in_air(clips[0], settings), in_air(clip, settings))
        choices = []
        for mirrored in (False, True) if opposite is None else (opposite,):
            found = locate(
                [features[0][0]], variants[mirrored], top_k=CONFIG.TOP_K, airborne=airborne
            )
            places, confidences = places_of(found, clips[0], clip, settings)
            [chosen, *others] = choose_attempt(attempt, clip, places)
            match = match_frames(align(found.cost, found.matches[chosen]), clips[0], clip, settings)
            choices.append(
                Aligned(
                    clip,
                    per_frame(variants[mirrored], clip, settings),
                    match.path,
                    match.cost,
                    confidences[chosen],
                    mirrored,
                    [
                        (float(clip.times_s[places[at].start_frame]), confidences[at], at + 1)
                        for at in others
                    ],
                )
            )
        aligned.append(min(choices, key=lambda choice: choice.cost))
    return aligned


def align(cost: NDArray[np.floating[Any]], place: Match) -> Match:
    """Align the parts of two clips that a match found, by DTW (Sakoe and Chiba 1978).

    Args:
        cost: (N, M), see `cost_matrix`.
        place: in rows and columns of `cost`.

    Returns:
        The match, whose cost is the mean of `cost` over the warping path.
    """
    from tslearn.metrics import dtw_path_from_metric

    first, last = place.path[[0, -1]]
    part = cost[first[0] : last[0] + 1, first[1] : last[1] + 1]
    pairs, total = dtw_path_from_metric(part, metric="precomputed")
    path = np.array(pairs) + first
    return Match(int(first[1]), int(last[1]) + 1, float(total / len(path)), path)


def project(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the t-SNE (P, 2) of embeddings (P, D): van der Maaten and Hinton 2008.

    If all embeddings are equal, all points are at the origin. scikit-learn would crash: it divides
    the initial layout by its standard deviation, which is 0 (scikit-learn issue 28368).
    """
    rows = embeddings.astype(np.float64)
    if np.ptp(rows, axis=0).max() <= ROUNDING * max(1.0, np.abs(rows).max()):
        log.warning(
            "all frames of all clips have the same embedding, so the t-SNE picture shows one "
            "point; check that the skater moves in these clips"
        )
        return np.zeros((len(rows), 2), np.float32)
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tsne = TSNE(perplexity=min(30.0, (len(rows) - 1) / 3), random_state=CONFIG.SEED)
    # One thread, because on a busy computer two threads wait for each other: 4 times as long.
    with threadpool_limits(1, "openmp"):
        points: NDArray[np.float32] = tsne.fit_transform(rows)
    return points


def describe(aligned: Sequence[Aligned], mode: str) -> dict[str, object]:
    """Return the content of the JSON file."""
    reference = aligned[0].clip

    def frames(item: Aligned) -> list[int | None]:
        mapped = map_frames(item.path, reference.num_frames) + item.clip.first_frame
        return [round(frame) if np.isfinite(frame) else None for frame in mapped]

    return {
        "motion": CONFIG.DATASET,
        "mode": mode,
        "reference": reference.name,
        "maps": {item.clip.name: frames(item) for item in aligned},
        "costs": {item.clip.name: item.cost for item in aligned},
        "confidences": {item.clip.name: item.confidence for item in aligned},
        "states": {item.clip.name: certainty(item.confidence) for item in aligned},
        "mirrored": {item.clip.name: item.mirrored for item in aligned},
    }


def draw_grid(path: Path, aligned: Sequence[Aligned], slow: float, threshold: float) -> None:
    """Write a video of the reference beside the frames of the other clips that match.

    It shows what any clip matches of the reference.
    """
    from tcc.video import write_video  # PyAV, which is not needed without video

    reference, *others = aligned
    found = [item for item in others if item.confidence >= ALIKE] or others
    first = min(int(item.path[0, 0]) for item in found)
    last = max(int(item.path[-1, 0]) for item in found)
    shown = [show(reference.clip, replace(reference, path=reference.path[first : last + 1]))]
    shown += [show(reference.clip, item) for item in others]
    window_s = side_by_side.window(
        reference.clip, first, last, [(item.clip, item.pairs_s) for item in shown[1:]]
    )
    fps = side_by_side.video_fps(reference.clip)
    times_s, speeds = side_by_side.schedule(window_s, fps, slow)
    columns = len(aligned) if len(aligned) <= 3 else math.ceil(math.sqrt(len(aligned)))
    text = CONFIG.DATASET
    for state in ("unsure", "not found"):
        if names := [item.clip.name for item in others if certainty(item.confidence) == state]:
            text += f", {state}: {', '.join(names)}"
    frames = side_by_side.draw(
        shown, times_s, speeds, text, text != CONFIG.DATASET, threshold, PANEL_SIZE, columns
    )
    bar = progress(frames, "drawing", "frame", len(times_s))
    write_video(path, bar, fps, hold_repeated=True)


def show(reference: Clip, item: Aligned) -> Shown:
    """Return how a clip is shown beside the reference."""
    is_reference = item.clip is reference
    is_found = certainty(item.confidence) != "not found"
    notes = ["" if is_reference else describe_confidence(item.confidence)]
    notes += ["mirrored"] * item.mirrored
    return Shown(
        item.clip,
        f"{'reference: ' * is_reference}{item.clip.name}",
        "   ".join(notes),
        item.mirrored,
        side_by_side.pair_times(item.path, reference, item.clip),
        (int(item.path[0, 1]), int(item.path[-1, 1]) + 1) if is_found else None,
        ("before", "", "after") if is_found else ("", "", ""),
    )


if __name__ == "__main__":
    cli.run(main)
