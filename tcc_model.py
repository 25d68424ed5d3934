"""The encoder: keypoint features of a clip to one embedding per frame. No clock in it.

Every convolution is valid and the clip is padded once with its own first and last frame, so an
embedding depends on the frames within `reach` of its own and on nothing else: neither on the
position in the clip, nor on its length, nor on the padding of a batch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace
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
GENERIC = Path(__file__).parent / "tcc" / "generic_encoder.pt"


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """Sizes of the encoder; tcc_config.py holds the values.

    Attributes:
        embedding_size: D, numbers per frame that come out, even.
        hidden_size: H, channels.
        kernel_size: frames under a convolution, odd.
        fine_layers: residual blocks below the fine half; their dilations are 1, 2, 4 ... up to
            fine_dilation.
        fine_dilation: upper bound.
        coarse_layers: blocks above them; their dilations go on doubling, up to coarse_dilation.
        coarse_dilation: upper bound.
        normalize_embeddings: each half on the unit sphere.
    """

    embedding_size: int
    hidden_size: int
    kernel_size: int
    fine_layers: int
    fine_dilation: int
    coarse_layers: int
    coarse_dilation: int
    normalize_embeddings: bool


# What the input of the encoder depends on, and its sizes: settings that a checkpoint decides.
INPUT_SETTINGS = ("FEATURE_FPS", "SKELETON_CONF_THRESHOLD")
SIZE_SETTINGS = tuple(field.name.upper() for field in fields(EncoderOptions))


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
        options: see EncoderOptions.
    """

    def __init__(self, feature_size: int, options: EncoderOptions) -> None:
        super().__init__()
        size, kernel_size = options.hidden_size, options.kernel_size
        self.normalize = options.normalize_embeddings
        fine = [min(2**layer, options.fine_dilation) for layer in range(options.fine_layers)]
        coarse = [
            min(2 ** (layer + 1) * max(fine, default=1), options.coarse_dilation)
            for layer in range(options.coarse_layers)
        ]
        self.inlet = nn.Conv1d(feature_size, size, 1)
        self.fine = nn.Sequential(*(Block(size, kernel_size, dilation) for dilation in fine))
        self.coarse = nn.Sequential(*(Block(size, kernel_size, dilation) for dilation in coarse))
        self.coarse_reach = sum(coarse) * (kernel_size // 2)
        self.reach = sum(fine) * (kernel_size // 2) + self.coarse_reach
        self.outlets = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(size), nn.Linear(size, options.embedding_size // 2))
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


def generic_weights(feature_size: int, config: Config) -> dict[str, Tensor] | None:
    """Return the weights of the generic encoder; None, and a line says why, if it doesn't fit.

    It fits if it has the sizes of the settings and counts as many frames a second. Joints that are
    interpolated at another confidence only call for a warning.
    """
    content = checkpoint.load(GENERIC, "generic")
    trained = content["config"]
    names = (*INPUT_SETTINGS, *SIZE_SETTINGS)
    other = [name for name in names if trained[name] != getattr(config, name)]
    weights: dict[str, Tensor] = content["encoder"]
    if not other and content["feature_size"] == feature_size:
        return weights
    reason = ", ".join(f"{name}={trained[name]} (now {getattr(config, name)})" for name in other)
    if other == ["SKELETON_CONF_THRESHOLD"]:
        log.warning("the generic encoder, from which training starts, was trained with %s", reason)
        return weights
    log.warning(
        "training starts from random weights: the generic encoder was trained with %s",
        reason or "other features",
    )
    return None


def load_encoder(
    path: Path | None, log_dir: Path, config: Config, device: torch.device
) -> tuple[Encoder, Config, Path]:
    """Rebuild the encoder that tcc_train.py saved.

    Args:
        path: the checkpoint; None: that of the motion in `log_dir`, or if there is none the
            generic encoder of tcc_train_generic.py, and a line says so.
        config: the settings now.
        device: where the encoder goes.

    Returns:
        The encoder, ready to embed; the settings to make its input with, which are `config` with
        those of the checkpoint in place of its own, and each difference is logged; the path.

    Raises:
        UserError: there is no such checkpoint, or the file is not one of this encoder.
    """
    own = log_dir / f"{config.DATASET}_checkpoint.pt"
    if path is None and not own.exists():
        log.warning(
            "no checkpoint %s: using the generic encoder, which is trained on synthetic jumps; to "
            "train one on your clips, run: python3 tcc_train.py --dataset %s",
            own, config.DATASET,
        )  # fmt: skip
        own = GENERIC
    path = path or own
    content = checkpoint.load(path, config.DATASET)
    if content["motion"] not in (config.DATASET, "generic"):
        log.warning("%s was trained on %s, not %s", path, content["motion"], config.DATASET)
    names = (*INPUT_SETTINGS, *SIZE_SETTINGS)
    missing = [name for name in names if name not in content["config"]]
    if missing or "feature_size" not in content:
        what = ", ".join(missing) or "feature_size"
        raise UserError(f"{path} was made by an earlier version, without {what}; train again")
    trained = {name: content["config"][name] for name in names}
    different = [
        f"{name}={then} (now {getattr(config, name)})"
        for name, then in trained.items()
        if then != getattr(config, name)
    ]
    if different:
        log.warning("%s was trained with %s; these are used", path, ", ".join(different))
    settings = replace(config, **trained)
    try:
        encoder = Encoder(content["feature_size"], settings.fill(EncoderOptions))
    except TypeError as error:
        raise UserError(f"{path} was made by an earlier version ({error}); train again") from None
    checkpoint.load_weights(encoder, content["encoder"])
    return encoder.to(device).eval(), settings, path


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
