"""The encoder, which turns the keypoint features of a clip into one embedding per frame.

The convolutions add no padding. The clip is padded once, with copies of its first and last frame.
So an embedding depends only on the frames that are at most `reach` frames away. It does not depend
on its position in the clip, the length of the clip or the padding of a batch. The encoder can't
count frames.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tcc import checkpoint, cli
from tcc.files import UserError
from tcc_config import Config

log = logging.getLogger("tcc")
GENERIC = Path(__file__).parent / "tcc" / "generic_encoder.pt"


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """Sizes of the encoder; tcc_config.py holds the values.

    Attributes:
        embedding_size: D, numbers per frame of the output, even.
        hidden_size: H, channels of a convolution.
        kernel_size: frames that a convolution combines, odd.
        fine_layers: residual blocks that both halves share. Their dilations are 1, 2, 4 ...
        fine_dilation: upper bound of these dilations.
        coarse_layers: further blocks of the coarse half. Their dilations continue to double.
        coarse_dilation: upper bound of these dilations.
        normalize_embeddings: scale each half of an embedding to length 1.
    """

    embedding_size: int
    hidden_size: int
    kernel_size: int
    fine_layers: int
    fine_dilation: int
    coarse_layers: int
    coarse_dilation: int
    normalize_embeddings: bool


# Settings that are taken from a checkpoint: those of the encoder's input, and its sizes.
INPUT_SETTINGS = ("FEATURE_FPS", "SKELETON_CONF_THRESHOLD")
SIZE_SETTINGS = tuple(field.name.upper() for field in fields(EncoderOptions))


class Block(nn.Module):
    """Residual dilated convolution with normalisation over the channels of each frame."""

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

    An embedding has two halves. The fine half sees few frames and locates a moment exactly. The
    coarse half has additional layers on top of the fine layers. It sees more frames and
    distinguishes moments that look alike. Each half has its own loss, so each learns to align clips
    without the other.

    Args:
        feature_size: C, numbers per frame of the input.
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
        """Return embeddings (B, F, D) of features (B, F, C); each sees `reach` frames per side."""
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
    """Return the weights of the generic encoder, or None if it doesn't fit the settings.

    It fits if the sizes and FEATURE_FPS are those of the settings. If only SKELETON_CONF_THRESHOLD
    differs, it is still used. A warning names each difference.

    Args:
        feature_size: C, numbers per frame of the input.
        config: the current settings.

    Raises:
        UserError: the file of the generic encoder is missing or broken.
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
        log.warning("training starts from the generic encoder, which was trained with %s", reason)
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
        path: the checkpoint. None: the checkpoint of the motion in `log_dir`; if there is none, the
            generic encoder of tcc_train_generic.py, with a warning.
        log_dir: folder of the checkpoints.
        config: the current settings.
        device: the device to load the encoder on.

    Returns:
        The encoder in evaluation mode; `config` with INPUT_SETTINGS and SIZE_SETTINGS from the
        checkpoint (a warning names those that differ); the path of the checkpoint that was read.

    Raises:
        UserError: the file is missing or is not a checkpoint of this encoder.
    """
    default = log_dir / f"{config.DATASET}_checkpoint.pt"
    if path is None and not default.exists():
        log.warning(
            "no checkpoint %s: using the generic encoder, which was trained on synthetic jumps; to "
            "train one on your clips, run: python3 tcc_train.py --dataset %s",
            default, config.DATASET,
        )  # fmt: skip
        default = GENERIC
    path = path or default
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
        f"{name}={value} (now {getattr(config, name)})"
        for name, value in trained.items()
        if value != getattr(config, name)
    ]
    if different:
        log.warning(
            "%s was trained with %s; the values of the training are used",
            path, ", ".join(different),
        )  # fmt: skip
    settings = replace(config, **trained)
    try:
        cli.check(settings)
        with torch.device("meta"):  # no memory is used for sizes that are not those of the weights
            encoder = Encoder(content["feature_size"], settings.fill(EncoderOptions))
    except (TypeError, ValueError, RuntimeError, UserError) as error:
        raise UserError(
            f"{path} was made by an earlier version or is damaged ({error}); train again"
        ) from None
    checkpoint.load_weights(encoder, content["encoder"], assign=True)
    return encoder.to(device).eval(), settings, path


@torch.no_grad()
def embed(encoder: Encoder, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the embeddings (F, D) of one clip's features (F, C)."""
    device = next(encoder.parameters()).device
    embeddings: Tensor = encoder(torch.from_numpy(features)[None].to(device))[0]
    return embeddings.cpu().numpy()


def require_finite(loss: Tensor, gradient_norm: Tensor, step: int, config: Config) -> None:
    """Check the loss and the gradient of a training step before it changes the weights.

    Raises:
        UserError: one of them is not finite.
    """
    if not torch.isfinite(loss + gradient_norm):
        raise UserError(
            f"loss {loss.item()}, gradient {gradient_norm.item()} at step {step}: lower "
            f"LEARNING_RATE (now {config.LEARNING_RATE}) or raise TEMPERATURE (now "
            f"{config.TEMPERATURE}) in tcc_config.py, or set your other settings back to their "
            "defaults; saved checkpoints are kept"
        )
