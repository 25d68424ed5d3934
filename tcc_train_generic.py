"""Train the generic encoder on synthetic jumps.

    python3 tcc_train_generic.py

tcc_train.py starts from the generic encoder, and the other commands use it for motions that have no
checkpoint. Reads no files: tcc/synthetic/ simulates the skaters of each batch. Two cameras film
each jump, so it is known which of their frames show the same moment. Writes
log/generic_encoder.pt, and keeps an earlier one as log/generic_encoder.previous.pt. The commands
read tcc/generic_encoder.pt, so copy it there to use it.
"""

from __future__ import annotations

from tcc import cli  # isort: split

from dataclasses import asdict, fields, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from tcc import checkpoint
from tcc.augment import AugmentOptions, augment, crop_and_warp, sample_steps
from tcc.clock import resample
from tcc.features import fill_joints
from tcc.files import UserError
from tcc.losses import both_halves, correspondence_loss
from tcc.progress import progress
from tcc.synthetic.camera import sample_clip
from tcc.synthetic.jumps import PHASES
from tcc_config import CONFIG
from tcc_model import GENERIC, Encoder, EncoderOptions, require_finite

VIEWS = 2  # cameras that film each jump
TRAINING_STEPS = 1500
SIGMA = 0.3  # sigma of correspondence_loss; the distance of two neighbouring PHASES is 1
MAX_LEAD_S = 1.5  # longest glide before and after a jump
MIN_CROP = 0.6  # shortest crop, as a share of the clip
SQUEEZE_PROBABILITY = 0.5
MAX_GRADIENT_NORM = 1.0
SETTINGS = (
    *(field.name.upper() for field in fields(EncoderOptions)),
    "FLIP_PROBABILITY", "MAX_ROTATION", "MAX_SCALE", "MAX_LIFT", "JITTER", "JOINT_DROPOUT",
    "MAX_TIME_WARP", "FEATURE_FPS", "SKELETON_CONF_THRESHOLD", "BATCH_SIZE", "MAX_NUM_STEPS",
    "TEMPERATURE", "LEARNING_RATE", "WEIGHT_DECAY", "SEED",
)  # fmt: skip


def main() -> None:
    """Train on synthetic batches and save the encoder."""
    parser = cli.parser(__doc__, SETTINGS, without=("dataset", "mode", "data-dir", "result-dir"))
    parser.add_argument(
        "--steps",
        type=int,
        default=TRAINING_STEPS,
        metavar="N",
        help="number of training steps (default: %(default)s)",
    )
    args = cli.parse(parser, CONFIG, None)
    device = cli.pick_device(args.device)
    if args.steps < 1:
        raise UserError(f"--steps {args.steps}: expected 1 or more")
    torch.manual_seed(CONFIG.SEED)
    feature_size = make_batch(0)[0].shape[-1]
    encoder = Encoder(feature_size, CONFIG.fill(EncoderOptions)).to(device)
    optimizer = torch.optim.AdamW(
        encoder.parameters(), CONFIG.LEARNING_RATE, weight_decay=CONFIG.WEIGHT_DECAY
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, CONFIG.LEARNING_RATE, args.steps)
    shown: dict[str, str] = {}
    for step in progress(range(args.steps), "training", "step", postfix=shown):
        features, steps, phase, mask = (tensor.to(device) for tensor in make_batch(step))
        embeddings = encoder(features)  # (B, F, D)
        chosen = embeddings.gather(1, steps[..., None].expand(-1, -1, embeddings.shape[-1]))
        contrast = partial(
            correspondence_loss, phase=phase, mask=mask, temperature=CONFIG.TEMPERATURE, sigma=SIGMA
        )
        loss = both_halves(contrast, chosen)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient_norm = clip_grad_norm_(encoder.parameters(), MAX_GRADIENT_NORM)
        require_finite(loss, gradient_norm, step, CONFIG)
        optimizer.step()
        scheduler.step()
        shown["loss"] = f"{loss.item():.4f}"
    path = args.log_dir / GENERIC.name
    checkpoint.keep_previous(path)
    checkpoint.save(
        path,
        {
            "encoder": encoder.state_dict(),
            "feature_size": feature_size,
            "class_names": {"encoder": type(encoder).__name__},
            "config": asdict(CONFIG),
            "motion": "generic",
            "step": args.steps,
        },
    )
    size_mb = path.stat().st_size / 1e6
    print(f"{path}: {args.steps} steps, {size_mb:.1f} MB; to use it, copy it to {GENERIC}")


def make_batch(step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make BATCH_SIZE clips, rounded down to a multiple of VIEWS.

    Args:
        step: number of the batch. The batch depends only on it and on the settings.

    Returns:
        features (B, F, C); steps (B, T) sampled frames; phase (B, T) of each, as in `Motion`;
        mask (B, T) bool, False where a step is padding or lies outside of PHASES.
    """
    generator = np.random.default_rng([CONFIG.SEED, step])
    clips, phases = [], []
    for _ in range(CONFIG.BATCH_SIZE // VIEWS):
        filmed = sample_clip(generator, views=VIEWS, max_lead_s=MAX_LEAD_S)
        times_s = np.arange(len(filmed.phase)) / filmed.fps
        at_s = np.arange(0, times_s[-1], 1 / CONFIG.FEATURE_FPS)
        for keypoints in filmed.keypoints:
            points = fill_joints(keypoints, CONFIG.SKELETON_CONF_THRESHOLD)
            phase_column = np.broadcast_to(filmed.phase[:, None, None], (*points.shape[:2], 1))
            clip = resample(np.concatenate([points, phase_column], axis=-1), times_s, at_s)
            clip, _ = crop_and_warp(clip, generator, CONFIG.MAX_TIME_WARP, MIN_CROP)
            clips.append(clip[..., :2])
            phases.append(clip[:, 0, 2])
    # crop_and_warp has cropped and warped the clips together with their phases.
    options = replace(
        CONFIG.fill(AugmentOptions),
        squeeze_probability=SQUEEZE_PROBABILITY,
        max_time_warp=1.0,
        min_crop=1.0,
    )
    features, lengths, _ = augment(clips, [CONFIG.FEATURE_FPS] * len(clips), generator, options)
    steps, mask = sample_steps(lengths, CONFIG.MAX_NUM_STEPS, generator)
    phase = np.stack([clip[row] for clip, row in zip(phases, steps, strict=True)])
    mask &= (phase > 0) & (phase < len(PHASES) - 1)
    return (
        torch.from_numpy(features),
        torch.from_numpy(steps),
        torch.from_numpy(phase.astype(np.float32)),
        torch.from_numpy(mask),
    )


if __name__ == "__main__":
    cli.run(main)
