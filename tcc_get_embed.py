"""Write the embedding of every frame of all clips of one mode.

    python3 tcc_get_embed.py --dataset axel --mode val

Reads log/<motion>_checkpoint.pt and data/<motion>/<mode>/*/*.json. Writes
log/<motion>_embeddings.npy, a structured array with the fields video, frame and embedding, which
numpy.load reads without pickle; and log/<motion>_embeddings.json, which says how it was made.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import json
from pathlib import Path

import numpy as np

from tcc.clip_folders import clip_folders
from tcc.files import sha256, whole, write_json
from tcc_config import CONFIG
from tcc_data import load_clips, make_features, per_frame
from tcc_model import embed, load_encoder


def main() -> None:
    """Load the encoder, embed all clips, save the embeddings."""
    parser = cli.parser(__doc__, settings=["FPS"])
    cli.add_checkpoint(parser)
    args = cli.parse(parser, CONFIG, None)
    encoder, settings, path = load_encoder(
        args.checkpoint, args.log_dir, CONFIG, cli.pick_device(args.device)
    )

    clips = load_clips(clip_folders(args.data_dir, CONFIG.DATASET, args.mode), settings)
    embeddings = [
        per_frame(embed(encoder, make_features(clip, settings)), clip, settings) for clip in clips
    ]

    width = max(len(clip.name) for clip in clips)
    size = embeddings[0].shape[1]
    fields = [("video", f"U{width}"), ("frame", "i4"), ("embedding", "f4", (size,))]
    rows = np.empty(sum(map(len, embeddings)), fields)
    rows["video"] = np.repeat([clip.name for clip in clips], list(map(len, embeddings)))
    rows["frame"] = np.concatenate(
        [clip.first_frame + np.arange(clip.num_frames) for clip in clips]
    )
    rows["embedding"] = np.concatenate(embeddings)
    output = args.log_dir / f"{CONFIG.DATASET}_embeddings.npy"
    old_mode = read_mode(output.with_suffix(".json"))
    with whole(output) as temporary:
        np.save(temporary, rows, allow_pickle=False)
    write_json(
        output.with_suffix(".json"),
        {
            "motion": CONFIG.DATASET,
            "mode": args.mode,
            "videos": {clip.name: clip.num_frames for clip in clips},
            "embedding_size": size,
            "checkpoint": str(path),
            "checkpoint_sha256": sha256(path),
            "feature_fps": settings.FEATURE_FPS,
            "skeleton_conf_threshold": settings.SKELETON_CONF_THRESHOLD,
        },
    )
    replaced = f"; replaced those of {old_mode}" if old_mode not in (None, args.mode) else ""
    print(
        f"{output}: {len(clips)} clips of {args.mode}, {len(rows)} frames, {size} numbers each"
        f"{replaced}"
    )


def read_mode(path: Path) -> str | None:
    """Return the mode of embeddings that were written before; None if there are none."""
    try:
        mode: str = json.loads(path.read_text(encoding="utf-8"))["mode"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return mode


if __name__ == "__main__":
    cli.run(main)
