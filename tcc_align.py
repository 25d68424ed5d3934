"""Align several clips of one motion by DTW and show them in a grid, frame by frame.

    python3 tcc_align.py --mode test

Reads data/<motion>/<mode>/*/ and log/<motion>_checkpoint.pt; writes
result/output_<motion>_<mode>.mp4 (every clip at the frame that matches the reference's),
.jpg (t-SNE of all embeddings together) and .json.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from tslearn.metrics import dtw_path

from tcc import cli
from tcc.clip_cache import VideoCache
from tcc.clips import Clip, clip_folders, find_clip, require_images
from tcc.clock import clock, nearest
from tcc.draw import ClipPanel, grid
from tcc.dtw import map_frames
from tcc.files import UserError, write_json
from tcc.plots import plot_tsne
from tcc.video import write_video
from tcc_config import AFTER_TRAINING, CONFIG
from tcc_data import load_clips, make_features, per_frame
from tcc_model import embed, load_encoder, tell_other_embeddings

PANEL_SIZE = (420, 420)
LEAST_VIDEOS = 4


def main() -> None:
    """Choose the clips, embed, align, save."""
    parser = cli.parser(__doc__, AFTER_TRAINING["tcc_align.py"])
    cli.add_checkpoint(parser)
    cli.add_weights(parser)
    parser.add_argument(
        "--videos",
        metavar="A,B,C,D",
        help="clips or video files, the first is the reference (default: NUM_VIDEOS by the seed)",
    )
    parser.add_argument("--no-video", action="store_true", help="skip the grid; needs no vis/")
    args = cli.parse(parser, CONFIG, None)
    encoder, settings, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )
    tell_other_embeddings(args.log_dir, CONFIG, args.mode, path)
    clips = load_clips(choose_folders(args), settings)
    if not args.no_video:
        for clip in clips:
            require_images(clip)

    embeddings = [
        per_frame(embed(encoder, make_features(clip, settings)), clip, settings) for clip in clips
    ]
    maps, costs = align(embeddings)
    reference = clips[0]
    for clip, cost in zip(clips[1:], costs[1:], strict=True):
        print(f"{clip.name} to {reference.name}: mean distance {cost:.4f}")

    stem = args.result_dir / f"output_{CONFIG.DATASET}_{args.mode}"
    if not args.no_video:
        num_shown = len(clock(reference.times_s, reference.fps))
        frames = cli.progress(
            draw_grid(clips, maps, settings.SKELETON_CONF_THRESHOLD), "drawing", "frame", num_shown
        )
        write_video(Path(f"{stem}.mp4"), frames, reference.fps)
        print(f"{stem}.mp4")
    names = [clip.name for clip in clips]
    write_json(
        Path(f"{stem}.json"),
        {
            "motion": CONFIG.DATASET,
            "mode": args.mode,
            "reference": reference.name,
            "maps": dict(zip(names, maps, strict=True)),
            "costs": dict(zip(names, costs, strict=True)),
        },
    )
    rows = np.concatenate(embeddings).astype(np.float64)
    plot_tsne(
        Path(f"{stem}.jpg"),
        TSNE(perplexity=min(30.0, (len(rows) - 1) / 3), random_state=CONFIG.SEED).fit_transform(
            rows
        ),
        [clip.name for clip in clips for _ in range(clip.num_frames)],
        np.concatenate([np.arange(len(clip)) for clip in embeddings]),
        f"{CONFIG.DATASET} {args.mode}: embeddings of all frames, joint t-SNE",
    )
    print(f"{stem}.jpg")


def choose_folders(args: argparse.Namespace) -> list[Path]:
    """Return the clips of --videos, else NUM_VIDEOS chosen with the seed.

    Raises:
        UserError: fewer than NUM_VIDEOS, or a name twice.
    """
    where = (args.data_dir, CONFIG.DATASET, args.mode)
    if args.videos:
        cache = VideoCache(args.result_dir / "keypoints", args.weights, args.device).find_clip
        given = [name.strip() for name in args.videos.split(",")]
        if not all(given):
            raise UserError(f"--videos {args.videos}: a name is empty; take a comma out")
        folders = [find_clip(name, *where, cache) for name in given]
        source, least = "--videos", LEAST_VIDEOS
        names = [folder.resolve().name for folder in folders]
        if len(set(names)) < len(names):
            raise UserError(f"--videos {args.videos}: a name comes twice; name each clip once")
    else:
        folders = clip_folders(*where)
        source, least = str(folders[0].parent), CONFIG.NUM_VIDEOS
    if len(folders) < least:
        raise UserError(
            f"{source} holds {len(folders)} clip(s) and the grid shows {least}; add clips or "
            "choose another --mode"
        )
    if args.videos:
        return folders
    chosen = np.random.default_rng(CONFIG.SEED).choice(len(folders), least, replace=False)
    return [folders[index] for index in sorted(chosen)]


def align(embeddings: list[NDArray[np.float32]]) -> tuple[list[NDArray[np.int64]], list[float]]:
    """Align every clip to the first by DTW (Sakoe and Chiba 1978).

    Args:
        embeddings: of each clip, (F, D).

    Returns:
        For each clip the frame that matches each frame of the first; the mean squared distance
        along the path, over D.
    """
    reference = embeddings[0]
    maps, costs = [], []
    for clip in embeddings:
        path, distance = dtw_path(reference, clip)
        maps.append(np.round(map_frames(np.array(path), len(reference))).astype(np.int64))
        costs.append(float(distance**2 / len(path) / reference.shape[1]))
    return maps, costs


def draw_grid(
    clips: list[Clip], maps: list[NDArray[np.int64]], threshold: float
) -> Iterator[NDArray[np.uint8]]:
    """Yield for each frame of the reference a grid of all clips at the frame that matches it.

    A reference of variable rate is shown at an even one.
    """
    reference = clips[0]
    panels = [
        ClipPanel(clip.read_image, clip.keypoints, clip.times_s, PANEL_SIZE, threshold)
        for clip in clips
    ]
    for frame in nearest(reference.times_s, clock(reference.times_s, reference.fps)):
        yield grid(
            [
                panel.draw(
                    int(frames[frame]),
                    clip.name,
                    "reference" if clip is reference else "",
                    (int(frames[0]), int(frames[-1]) + 1),
                )
                for clip, panel, frames in zip(clips, panels, maps, strict=True)
            ],
            columns=math.ceil(math.sqrt(len(clips))),
        )


if __name__ == "__main__":
    cli.run(main)
