"""Align several clips of one motion to a reference clip, and show all of them in one video.

    python3 tcc_align.py --mode test

Reads data/<motion>/<mode>/*/ and log/<motion>_checkpoint.pt. The clips are aligned by dynamic time
warping (DTW). Writes result/output_<motion>_<mode>.mp4, a grid of the clips in which each one shows
the frame that matches the frame of the reference clip; .jpg, a t-SNE picture of the embeddings of
all frames; and .json.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tcc.clip_cache import VideoCache
from tcc.clip_folders import find_source, list_sources
from tcc.clips import Clip, require_images
from tcc.clock import clock, nearest
from tcc.contact_sheet import check_clips
from tcc.draw import ClipPanel, grid
from tcc.dtw import cost_matrix, map_frames
from tcc.features import opposed
from tcc.files import UserError, keep_earlier, result_stem, sha256, write_json
from tcc.plots import plot_tsne
from tcc.progress import progress
from tcc_config import AFTER_TRAINING, CONFIG, Config
from tcc_data import clip_turn, load_clips, make_features, per_frame
from tcc_model import Encoder, embed, load_encoder

log = logging.getLogger("tcc")
PANEL_SIZE = (420, 420)
ROUNDING = 1e-6  # smaller relative differences of float32 embeddings are rounding errors
MAX_INTERPRETED_CELLS = 5_000_000  # of all cost matrices; with more, compiling tslearn saves time


@dataclass(frozen=True, slots=True)
class Aligned:
    """A clip of F frames, aligned to the reference of R frames.

    `embeddings` (F, D) are those of the clip, or of its mirror image if `mirrored` is True.
    `frames` (R,) are the clip's frames that match the reference's. `cost`: see `align`.
    """

    clip: Clip
    embeddings: NDArray[np.float32]
    frames: NDArray[np.int64]
    cost: float
    mirrored: bool


def main() -> None:
    """Choose the clips, embed and align them, save the results."""
    parser = cli.parser(__doc__, ["FPS", "SEED", *AFTER_TRAINING["tcc_align.py"]])
    cli.add_checkpoint(parser)
    cli.add_weights(parser)
    parser.add_argument(
        "--videos",
        metavar="A,B,...",
        help="clips or videos, the first is the reference (default: NUM_VIDEOS random clips)",
    )
    parser.add_argument(
        "--no-video", action="store_true", help="draw no video; vis/ is then not needed"
    )
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
    stem = result_stem(args.result_dir, "output_{}_{}", CONFIG.DATASET, args.mode)
    if any(source.is_file() for source in sources):
        _, _, sheets = check_clips(
            [clip.folder for clip in clips], stem.with_name(f"check_{stem.name}"),
            f"{CONFIG.DATASET} {args.mode}", CONFIG.FPS, settings.SKELETON_CONF_THRESHOLD,
        )  # fmt: skip
        print(*sheets, sep="\n")
    if not args.no_video:
        for clip in clips:
            require_images(clip)

    aligned = align_all(encoder, clips, settings)
    for item in aligned[1:]:
        note = ", mirrored" if item.mirrored else ""
        print(f"{item.clip.name} to {clips[0].name}: mean distance {item.cost:.4f}{note}")

    inputs = {
        "clips": [clip.fingerprint() for clip in clips],
        "checkpoint": sha256(path),
        "seed": CONFIG.SEED,
    }
    keep_earlier(stem, inputs, (".mp4", ".jpg", ".json"))
    with ThreadPoolExecutor(1) as pool:  # t-SNE runs while the video is drawn
        points = pool.submit(project, np.concatenate([item.embeddings for item in aligned]))
        if not args.no_video:
            from tcc.video import write_video  # PyAV, which is not needed without video

            num_shown = len(clock(clips[0].times_s, clips[0].fps))
            frames = draw_grid(aligned, settings.SKELETON_CONF_THRESHOLD)
            bar = progress(frames, "drawing", "frame", num_shown)
            write_video(Path(f"{stem}.mp4"), bar, clips[0].fps)
            print(f"{stem}.mp4")
    write_json(Path(f"{stem}.json"), {"inputs": inputs, **describe(aligned, args.mode)})
    plot_tsne(
        Path(f"{stem}.jpg"),
        points.result(),
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


def align_all(encoder: Encoder, clips: Sequence[Clip], settings: Config) -> list[Aligned]:
    """Align every clip to the first one; mirror it if its skater turns in the other direction.

    If a direction is not clear, the clip and its mirror image are both aligned, and the one with
    the lower cost is kept.
    """

    def embeddings_of(clip: Clip, mirrored: bool) -> NDArray[np.float32]:
        return per_frame(embed(encoder, make_features(clip, settings, mirrored)), clip, settings)

    reference = embeddings_of(clips[0], mirrored=False)
    turns = [clip_turn(clip, settings) for clip in clips]
    num_cells = 2 * len(reference) * sum(clip.num_frames for clip in clips)
    if num_cells <= MAX_INTERPRETED_CELLS:
        # Compiling tslearn takes 5 to 8 s in every process. Without the compiler, 1,000,000 cells
        # take 0.7 s. The variable is read when `align` imports tslearn.
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    aligned = []
    for clip, turn in zip(clips, turns, strict=True):
        opposite = opposed(turns[0], turn)
        choices = []
        for mirrored in (False, True) if opposite is None else (opposite,):
            embeddings = embeddings_of(clip, mirrored)
            frames, cost = align(reference, embeddings)
            choices.append(Aligned(clip, embeddings, frames, cost, mirrored))
        aligned.append(min(choices, key=lambda choice: choice.cost))
    return aligned


def align(
    reference: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> tuple[NDArray[np.int64], float]:
    """Align a clip (F, D) to the reference (R, D) by DTW (Sakoe and Chiba 1978).

    Returns:
        (R,) the clip's frame that matches each frame of the reference; the mean of `cost_matrix`
        over the warping path.
    """
    from tslearn.metrics import dtw_path_from_metric

    path, cost = dtw_path_from_metric(cost_matrix(reference, embeddings), metric="precomputed")
    frames = map_frames(np.array(path), len(reference))
    return np.round(frames).astype(np.int64), float(cost / len(path))


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
    return {
        "motion": CONFIG.DATASET,
        "mode": mode,
        "reference": aligned[0].clip.name,
        "maps": {item.clip.name: item.frames + item.clip.first_frame for item in aligned},
        "costs": {item.clip.name: item.cost for item in aligned},
        "mirrored": {item.clip.name: item.mirrored for item in aligned},
    }


def draw_grid(aligned: Sequence[Aligned], threshold: float) -> Iterator[NDArray[np.uint8]]:
    """Yield a grid for each frame of the reference: every clip at the frame that matches it.

    If the reference has a variable frame rate, it is shown at a constant rate.
    """
    reference = aligned[0].clip
    panels = [
        ClipPanel(
            item.clip.read_image, item.clip.keypoints, item.clip.times_s, PANEL_SIZE, threshold,
            item.mirrored,
        )
        for item in aligned
    ]  # fmt: skip
    for frame in nearest(reference.times_s, clock(reference.times_s, reference.fps)):
        yield grid(
            [
                panel.draw(
                    int(item.frames[frame]),
                    item.clip.name,
                    "reference" if item is aligned[0] else "mirrored" if item.mirrored else "",
                    (int(item.frames[0]), int(item.frames[-1]) + 1),
                )
                for item, panel in zip(aligned, panels, strict=True)
            ],
            columns=len(aligned) if len(aligned) <= 3 else math.ceil(math.sqrt(len(aligned))),
        )


if __name__ == "__main__":
    cli.run(main)
