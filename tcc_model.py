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
from tcc.files import UserError
from tcc_config import Config

log = logging.getLogger("tcc")
TRAINED_WITH = (
    "FEATURE_FPS",
    "SKELETON_CONF_THRESHOLD",
    "EMBEDDING_SIZE",
    "HIDDEN_SIZE",
    "KERNEL_SIZE",
    "FINE_LAYERS",
    "FINE_DILATION",
    "COARSE_LAYERS",
    "COARSE_DILATION",
    "NORMALIZE_EMBEDDINGS",
)
GENERIC = Path(__file__).parent / "tcc" / "generic_encoder.pt"


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

    An embedding is two halves. The fine one sees few frames and tells the moment; the coarse one,
    made from the same layers and more above them, sees more and tells moments apart that look
    alike. Each half is trained by a loss of its own, so that neither leaves its work to the other.

    Args:
        feature_size: C, numbers per frame that go in.
        embedding_size: D, numbers per frame that come out, even.
        hidden_size: channels.
        kernel_size: odd.
        fine_layers: residual blocks below the fine half; the dilations are 1, 2, 4 ... up to
            fine_dilation.
        fine_dilation: upper bound.
        coarse_layers: blocks above them; the dilations go on doubling, up to coarse_dilation.
        coarse_dilation: upper bound.
        normalize: each half on the unit sphere.
    """

    def __init__(
        self,
        feature_size: int,
        embedding_size: int,
        hidden_size: int,
        kernel_size: int,
        fine_layers: int,
        fine_dilation: int,
        coarse_layers: int,
        coarse_dilation: int,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        fine = [min(2**layer, fine_dilation) for layer in range(fine_layers)]
        coarse = [
            min(2 ** (layer + 1) * max(fine, default=1), coarse_dilation)
            for layer in range(coarse_layers)
        ]
        self.inlet = nn.Conv1d(feature_size, hidden_size, 1)
        self.fine = nn.Sequential(*(Block(hidden_size, kernel_size, gap) for gap in fine))
        self.coarse = nn.Sequential(*(Block(hidden_size, kernel_size, gap) for gap in coarse))
        self.coarse_reach = sum(coarse) * (kernel_size // 2)
        self.reach = sum(fine) * (kernel_size // 2) + self.coarse_reach
        self.outlets = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden_size), nn.Linear(hidden_size, embedding_size // 2))
            for _ in range(2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Embed every frame: (B, F, C) -> (B, F, D); one sees `reach` frames before and after."""
        num_frames = features.shape[1]
        x = self.inlet(features.transpose(1, 2))  # (B, H, F)
        x = self.fine(functional.pad(x, (self.reach, self.reach), mode="replicate"))
        levels = x[..., self.coarse_reach : self.coarse_reach + num_frames], self.coarse(x)
        halves = [
            outlet(level.transpose(1, 2))  # (B, F, D / 2)
            for outlet, level in zip(self.outlets, levels, strict=True)
        ]
        if self.normalize:
            halves = [functional.normalize(half, dim=-1) for half in halves]
        return torch.cat(halves, dim=-1)


def encoder_arguments(feature_size: int, config: Config) -> dict[str, Any]:
    """Return the arguments of the encoder of these settings."""
    return {
        "feature_size": feature_size,
        "embedding_size": config.EMBEDDING_SIZE,
        "hidden_size": config.HIDDEN_SIZE,
        "kernel_size": config.KERNEL_SIZE,
        "fine_layers": config.FINE_LAYERS,
        "fine_dilation": config.FINE_DILATION,
        "coarse_layers": config.COARSE_LAYERS,
        "coarse_dilation": config.COARSE_DILATION,
        "normalize": config.NORMALIZE_EMBEDDINGS,
    }


def generic_weights(arguments: dict[str, Any]) -> dict[str, Tensor] | None:
    """Return the weights of the generic encoder, None where it has other sizes."""
    content = checkpoint.load(GENERIC, "generic")
    return content["encoder"] if content["encoder_arguments"] == arguments else None


def load_encoder(
    path: Path | None, log_dir: Path, config: Config, device: torch.device
) -> tuple[Encoder, Path]:
    """Rebuild the encoder that tcc_train.py saved, and take over the settings it was trained with.

    Args:
        path: the checkpoint; None: that of the motion in `log_dir`, or where there is none the
            generic encoder of tcc_train_generic.py, and a line says so.
        config: its training settings become those of the checkpoint; each difference is logged.

    Returns:
        The encoder, ready to embed, and the checkpoint's path.

    Raises:
        UserError: there is no such checkpoint, or the file is not one of this encoder.
    """
    own = log_dir / f"{config.DATASET}_checkpoint.pt"
    if path is None and not own.exists():
        log.warning(
            "no checkpoint %s: using the generic encoder, trained on synthetic jumps; python3 "
            "tcc_train.py --dataset %s trains one of the motion's own",
            own, config.DATASET,
        )  # fmt: skip
        own = GENERIC
    path = path or own
    content = checkpoint.load(path, config.DATASET)
    if content["motion"] not in (config.DATASET, "generic"):
        log.warning("%s was trained on %s, not %s", path, content["motion"], config.DATASET)
    missing = [name for name in TRAINED_WITH if name not in content["config"]]
    if missing:
        raise UserError(
            f"{path} was made by an earlier version, without {', '.join(missing)}; train again"
        )
    for name in TRAINED_WITH:
        then, now = content["config"][name], getattr(config, name)
        if then != now:
            log.warning("%s: trained with %s=%s (now %s); using %s", path, name, then, now, then)
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
