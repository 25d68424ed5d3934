"""Jobs of --jobs and --scheduler that need the settings, the loader and the encoder.

They are in a module of their own, because the processes that do them import it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from tcc import checkpoint
from tcc.cli import pick_device
from tcc.files import UserError, sha256, sha256_of
from tcc.jobs import Arrays, Kept, clip_sha256, program_sha256
from tcc_config import Config
from tcc_data import load_clips, make_features, per_frame
from tcc_model import INPUT_SETTINGS, SIZE_SETTINGS, Encoder, embed, load_encoder


@dataclass(frozen=True, slots=True)
class EmbedClip:
    """Embeds every frame of a clip, unless that is done.

    Attributes:
        kept: where the result is kept: `embeddings` (F, D) float32 and `first_frame`.
        settings: of the clips and of the encoder.
        checkpoint: of the encoder.
        checkpoint_sha256: of its content.
        device: see `pick_device`.
    """

    kept: Kept
    settings: Config
    checkpoint: Path
    checkpoint_sha256: str
    device: str

    def __call__(self, folder: Path) -> tuple[str, int]:
        """Return the key of the result of a clip's folder, and F."""
        made_from = (
            clip_sha256(folder),
            *(getattr(self.settings, name) for name in (*INPUT_SETTINGS, "FPS")),
            self.checkpoint_sha256,
            program_sha256(),
        )
        key = sha256_of(repr(made_from).encode())
        return key, len(self.kept.make(key, lambda: self.embed(folder))["embeddings"])

    def embed(self, folder: Path) -> Arrays:
        """Return the result of a clip's folder."""
        encoder = _load_encoder(self.checkpoint, self.checkpoint_sha256, self.device)
        (clip,) = load_clips([folder], self.settings)
        features = make_features(clip, self.settings)
        return {
            "embeddings": per_frame(embed(encoder, features), clip, self.settings),
            "first_frame": np.array(clip.first_frame),
        }


@lru_cache(1)
def _load_encoder(path: Path, content_sha256: str, device: str) -> Encoder:
    """Load an encoder, once in a process.

    Raises:
        UserError: the checkpoint has changed.
    """
    if sha256(path) != content_sha256:
        raise UserError(f"{path} has changed while it was used; run the command again")
    content = checkpoint.load(path, "")
    config = replace(
        Config(),
        DATASET=content["motion"],
        **{name: content["config"][name] for name in (*INPUT_SETTINGS, *SIZE_SETTINGS)},
    )
    return load_encoder(path, path.parent, config, pick_device(device))[0]
