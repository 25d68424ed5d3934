"""The encoder: keypoint features of a clip to one embedding per frame. No clock in it.

Every convolution is valid and the clip is padded once with its own first and last frame, so an
embedding depends on the frames within `reach` of its own and on nothing else: neither on the
position in the clip, nor on its length, nor on the padding of a batch.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tcc import checkpoint
from tcc.cli import UserError
from tcc_config import Config

log = logging.getLogger("tcc")
TRAINED_WITH = (
    "FEATURE_FPS",
    "SKELETON_CONF_THRESHOLD",
    "EMBEDDING_SIZE",
    "HIDDEN_SIZE",
    "NUM_LAYERS",
    "KERNEL_SIZE",
    "MAX_DILATION",
    "NORMALIZE_EMBEDDINGS",
)


class Block(nn.Module):
    """Residual dilated convolution; normalised over the channels of a frame, never over time."""

    def __init__(self, size: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.reach = dilation * (kernel_size // 2)
        self.norm = nn.LayerNorm(size)
        self.conv = nn.Conv1d(size, size, kernel_size, dilation=dilation)
        self.mix = nn.Conv1d(size, size, 1)

    def forward(self, x: Tensor) -> Tensor:
        normalized = self.norm(x.transpose(1, 2)).transpose(1, 2)
        update: Tensor = self.mix(functional.gelu(self.conv(normalized)))
        return x[..., self.reach : x.shape[-1] - self.reach] + update


class Encoder(nn.Module):
    """Temporal convolutional network (Bai et al., arXiv 1803.01271, without its causality).

    Args:
        feature_size: C, numbers per frame that go in.
        embedding_size: D, numbers per frame that come out.
        hidden_size: channels.
        num_layers: residual blocks; the dilations are 1, 2, 4 ... up to max_dilation.
        kernel_size: odd.
        max_dilation: upper bound of the dilation.
        normalize: embeddings on the unit sphere.
    """

    def __init__(
        self,
        feature_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        kernel_size: int,
        max_dilation: int,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.inlet = nn.Conv1d(feature_size, hidden_size, 1)
        self.blocks = nn.Sequential(
            *(
                Block(hidden_size, kernel_size, min(2**layer, max_dilation))
                for layer in range(num_layers)
            )
        )
        self.outlet = nn.Linear(hidden_size, embedding_size)
        self.norm = nn.LayerNorm(hidden_size)

    @property
    def reach(self) -> int:
        """Frames before and after its own that an embedding sees."""
        return sum(block.reach for block in self.blocks)  # type: ignore[misc]

    def forward(self, features: Tensor) -> Tensor:
        """Embed every frame: (B, F, C) -> (B, F, D)."""
        x = self.inlet(features.transpose(1, 2))  # (B, H, F)
        x = functional.pad(x, (self.reach, self.reach), mode="replicate")
        x = self.blocks(x).transpose(1, 2)  # (B, F, H)
        embeddings: Tensor = self.outlet(self.norm(x))  # (B, F, D)
        return functional.normalize(embeddings, dim=-1) if self.normalize else embeddings


def load_encoder(
    path: Path | None, log_dir: Path, config: Config, device: torch.device
) -> tuple[Encoder, Path]:
    """Rebuild the encoder that tcc_train.py saved, and take over the settings it was trained with.

    Args:
        path: the checkpoint; None: that of the motion in `log_dir`.
        config: its training settings become those of the checkpoint; each difference is logged.

    Returns:
        The encoder, ready to embed, and the checkpoint's path.

    Raises:
        UserError: there is no such checkpoint, or the file is not one of this encoder.
    """
    path = path or log_dir / f"{config.DATASET}_checkpoint.pt"
    content = checkpoint.load(path, config.DATASET)
    missing = [name for name in TRAINED_WITH if name not in content["config"]]
    if missing:
        raise UserError(
            f"{path} was made by an earlier version, without {', '.join(missing)}; train again"
        )
    for name in TRAINED_WITH:
        then, now = content["config"][name], getattr(config, name)
        if then != now:
            if now is not None:  # None: as in training
                log.warning(
                    "%s: trained with %s=%s (now %s); using %s", path, name, then, now, then
                )
            setattr(config, name, then)
    try:
        encoder = Encoder(**content["encoder_arguments"])
    except TypeError as error:
        raise UserError(f"{path} was made by an earlier version ({error}); train again") from None
    checkpoint.load_weights(encoder, content["encoder"])
    return encoder.to(device).eval(), path


def tell_other_embeddings(log_dir: Path, config: Config, mode: str, checkpoint_path: Path) -> None:
    """Warn where the embeddings file of tcc_get_embed.py is of another mode than is asked for."""
    path = log_dir / f"{config.DATASET}_embeddings.json"
    if not path.exists():
        return
    try:
        held = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]).get("mode")
    except ValueError:
        held = "nothing that can be read"
    if held != mode:
        log.warning(
            "%s holds %s, not %s; %s is embedded anew with %s",
            path.with_suffix(".npy"), held, mode, mode, checkpoint_path,
        )  # fmt: skip


@torch.no_grad()
def embed(encoder: Encoder, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed one clip: features (F, C) -> embeddings (F, D)."""
    device = next(encoder.parameters()).device
    embeddings: Tensor = encoder(torch.from_numpy(features)[None].to(device))[0]
    return embeddings.cpu().numpy()
