"""Write the embedding of every frame of all clips of one mode.

    python3 tcc_get_embed.py --dataset axel --mode val

Reads log/<motion>_checkpoint.pt and data/<motion>/<mode>/*/*.json. Writes
log/<motion>_embeddings.npy, a structured array with the fields video, frame and embedding, which
numpy.load reads without pickle; and log/<motion>_embeddings.json, which says how it was made.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tcc import jobs
from tcc.clip_folders import clip_folders
from tcc.files import sha256, whole, write_json
from tcc_config import CONFIG, Config
from tcc_data import load_clips, make_features, per_frame
from tcc_jobs import EmbedClip
from tcc_model import Encoder, embed, load_encoder

# Number of frames of each clip, and for each clip its first frame and its embeddings (F, D).
Embedded = tuple[list[int], Iterator[tuple[int, NDArray[np.float32]]]]


def main() -> None:
    """Load the encoder, embed all clips, save the embeddings."""
    parser = cli.parser(__doc__, settings=["FPS"])
    cli.add_checkpoint(parser)
    jobs.add_jobs(parser)
    args = cli.parse(parser, CONFIG, None)
    encoder, settings, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )
    workers = jobs.pick_jobs(args)
    folders = clip_folders(args.data_dir, CONFIG.DATASET, args.mode)
    if workers is None:
        lengths, embedded = embed_clips(encoder, folders, settings)
    else:
        lengths, embedded = embed_in_jobs(workers, folders, settings, path, args)

    names = [folder.resolve().name for folder in folders]
    size = settings.EMBEDDING_SIZE
    fields = [("video", f"U{max(map(len, names))}"), ("frame", "i4"), ("embedding", "f4", (size,))]
    output = args.log_dir / f"{CONFIG.DATASET}_embeddings.npy"
    old_mode = read_mode(output.with_suffix(".json"))
    with whole(output) as temporary:
        rows = np.lib.format.open_memmap(temporary, "w+", np.dtype(fields), (sum(lengths),))
        ends = np.cumsum(lengths)
        for name, end, (first_frame, embeddings) in zip(names, ends, embedded, strict=True):
            part = rows[end - len(embeddings) : end]
            part["video"], part["embedding"] = name, embeddings
            part["frame"] = first_frame + np.arange(len(embeddings))
        rows.flush()
    write_json(
        output.with_suffix(".json"),
        {
            "motion": CONFIG.DATASET,
            "mode": args.mode,
            "videos": dict(zip(names, lengths, strict=True)),
            "embedding_size": size,
            "checkpoint": str(path),
            "checkpoint_sha256": sha256(path),
            "feature_fps": settings.FEATURE_FPS,
            "skeleton_conf_threshold": settings.SKELETON_CONF_THRESHOLD,
        },
    )
    replaced = f"; replaced those of {old_mode}" if old_mode not in (None, args.mode) else ""
    print(
        f"{output}: {len(names)} clips of {args.mode}, {len(rows)} frames, {size} numbers each"
        f"{replaced}"
    )


def embed_clips(encoder: Encoder, folders: list[Path], settings: Config) -> Embedded:
    """Embed the clips in this process."""
    clips = load_clips(folders, settings)
    embedded = (
        (clip.first_frame, per_frame(embed(encoder, make_features(clip, settings)), clip, settings))
        for clip in clips
    )
    return [clip.num_frames for clip in clips], embedded


def embed_in_jobs(
    workers: jobs.Jobs, folders: list[Path], settings: Config, path: Path, args: argparse.Namespace
) -> Embedded:
    """Embed the clips in jobs; the result of each is kept in log/jobs/."""
    name = f"embed_{CONFIG.DATASET}_{args.mode}"
    kept = jobs.Kept(args.log_dir / "jobs" / name)
    job = EmbedClip(kept, settings, path, sha256(path), args.device)
    done = list(workers.map(job, folders, "embedding", "clip"))
    keys = [key for key, _ in done]
    kept.keep_only(keys)
    results = (
        kept.make(key, partial(job.embed, folder))
        for key, folder in zip(keys, folders, strict=True)
    )
    embedded = ((int(result["first_frame"]), result["embeddings"]) for result in results)
    return [length for _, length in done], embedded


def read_mode(path: Path) -> str | None:
    """Return the mode of embeddings that were written before; None if there are none."""
    try:
        mode: str = json.loads(path.read_text(encoding="utf-8"))["mode"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return mode


if __name__ == "__main__":
    cli.run(main)
