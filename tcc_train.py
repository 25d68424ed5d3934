"""Train the embedding space of one motion.

    python3 tcc_train.py --dataset axel --mode train

Starts from the generic encoder. The loss of the first batches is temporal cycle-consistency. Then
the clips are aligned with each other, and the loss of the last batches is contrastive: frames that
show the same moment by the consensus of these alignments get similar embeddings.
Reads data/<motion>/train/*/*.json. If there are clips in data/<motion>/val/, their Kendall's tau is
reported; it does not influence the training. Writes the last weights to log/<motion>_checkpoint.pt
and TensorBoard scalars to log/tensorboard/<motion>/<start of the training>/. The checkpoint of the
training before is kept as log/<motion>_checkpoint.previous.pt.
"""

from __future__ import annotations

from tcc import cli  # isort: split

import argparse
import logging
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.tensorboard import SummaryWriter

from tcc import checkpoint
from tcc.clip_folders import clip_folders, find_videos, list_clips
from tcc.clips import Clip
from tcc.consensus import common_clock
from tcc.evaluate.intervals import finite_mean
from tcc.evaluate.metrics import tau_matrix
from tcc.features import extract, flip
from tcc.files import UserError, alone
from tcc.losses import LossOptions, Part, both_halves, correspondence_loss, training_loss
from tcc.processes import ALONE, Processes, connect
from tcc.progress import progress
from tcc_config import CONFIG, TRAINING
from tcc_data import (
    Batch,
    KeypointSequences,
    clip_turn,
    feature_times,
    load_clips,
    make_features,
    pick_num_steps,
)
from tcc_model import Encoder, EncoderOptions, embed, generic_weights, require_finite

log = logging.getLogger("tcc")
MAX_VAL_CLIPS = 16
MAX_GRADIENT_NORM = 1.0
SIGMA = 1.0  # sigma of correspondence_loss, in frames of the common clock


def main() -> None:
    """Read the clips, train, save."""
    parser = cli.parser(__doc__, TRAINING, mode="train")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    args = cli.parse(parser, CONFIG, None)
    with connect(cli.pick_device(args.device)) as (processes, device):
        run(args, processes, device)


def run(args: argparse.Namespace, processes: Processes, device: torch.device) -> None:
    """Train in this process, which is the only one or one of several; process 0 writes."""
    path = args.log_dir / f"{CONFIG.DATASET}_checkpoint.pt"
    saved = checkpoint.load(path, CONFIG.DATASET) if args.resume else None
    if saved:
        check_resumable(saved)
        if saved["step"] >= CONFIG.MAX_NUM_TRAINING_STEPS:
            print(
                f"{path}: this training is finished, all {saved['step']} steps; to train longer, "
                "train again without --resume and with a larger MAX_NUM_TRAINING_STEPS"
            )
            return

    folders = clip_folders(args.data_dir, CONFIG.DATASET, args.mode)
    clips = load_clips(folders, CONFIG, workers=processes)
    num_steps = pick_num_steps(clips, CONFIG)
    shortest = min(len(feature_times(clip, CONFIG)) for clip in clips)
    print(
        f"{len(clips)} clips, min(seq_lens) {shortest}, NUM_STEPS {num_steps}, "
        f"{CONFIG.FEATURE_FPS:g} frames a second"
    )
    val_clips = [] if processes.rank else load_val_clips(args.data_dir, args.mode)

    trainer = Trainer(clips, val_clips, num_steps, device, processes)
    del clips, val_clips  # of a large library, they need more memory than their features
    if saved:
        trainer.restore(saved)
    began_s = time.monotonic()
    trainer.train(path, args.log_dir / "tensorboard" / CONFIG.DATASET)
    spent_s = time.monotonic() - began_s
    tau = trainer.validate() if trainer.val_features else None
    val_tau = "" if tau is None else f", val tau {'undefined' if np.isnan(tau) else f'{tau:.3f}'}"
    print(f"{path}: step {trainer.step} in {spent_s:.0f} s{val_tau}")


def load_val_clips(data_dir: Path, mode: str) -> list[Clip]:
    """Read up to MAX_VAL_CLIPS clips of val/; none if the folder doesn't exist."""
    root = data_dir / CONFIG.DATASET / "val"
    if mode == "val" or not (list_clips(root) or find_videos(root)):
        return []
    folders = clip_folders(data_dir, CONFIG.DATASET, "val")
    if len(folders) < 2:
        log.warning("%s holds one clip; a validation score needs 2 or more", folders[0].parent)
        return []
    chosen = np.linspace(0, len(folders) - 1, min(len(folders), MAX_VAL_CLIPS)).round().astype(int)
    return load_clips([folders[index] for index in chosen], CONFIG)


def check_resumable(content: dict[str, Any]) -> None:
    """Check that a checkpoint can be resumed with the current settings.

    Raises:
        UserError: a setting differs, or the checkpoint holds only an encoder.
    """
    if "clips" not in content:
        raise UserError(
            "--resume: the checkpoint holds only an encoder; train again without --resume"
        )
    for name, current in asdict(CONFIG).items():
        saved = content["config"].get(name)
        if name in TRAINING and name != "DATASET" and saved != current:
            raise UserError(
                f"--resume: {name} was {saved} and is now {current}; set it back or train again "
                "without --resume"
            )


def name_run(tensorboard_dir: Path) -> str:
    """Return the current time as the name of a run; wait if there is a run of this second."""
    while (tensorboard_dir / (name := time.strftime("%Y-%m-%d_%H-%M-%S"))).exists():
        time.sleep(0.1)
    return name


def open_curves(folder: Path, step: int) -> SummaryWriter:
    """Open an event file that replaces the curves in `folder` from `step` on.

    TensorBoard reads event files in the order of their names, and a name contains the time of its
    creation in seconds. If a file of this second exists, wait for the next second.
    """
    if any(folder.glob(f"events.out.tfevents.{int(time.time())}.*")):
        time.sleep(1)
    return SummaryWriter(folder, purge_step=step)


class BothViews(Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]):
    """Embeddings (F, D) of clips and of their mirror images, made when they are read."""

    def __init__(self, encoder: Encoder, sequences: KeypointSequences, clips: list[int]) -> None:
        self.encoder = encoder
        self.sequences = sequences
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # type: ignore[override]
        clip = self.clips[index]
        points, fps = self.sequences.points[clip], self.sequences.fps[clip]
        plain, mirrored = (extract(view, fps) for view in (points, flip(points)))
        return embed(self.encoder, plain), embed(self.encoder, mirrored)


class Trainer:
    """Encoder, optimiser and learning-rate schedule of one run; their state is a checkpoint."""

    def __init__(
        self,
        clips: list[Clip],
        val_clips: list[Clip],
        num_steps: int,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        torch.manual_seed(CONFIG.SEED)
        self.device = device
        self.processes = processes
        self.sequences = KeypointSequences(clips, CONFIG, num_steps)
        self.names = [clip.name for clip in clips]
        self.turns = [clip_turn(clip, CONFIG) for clip in clips]
        self.loss_options = CONFIG.fill(LossOptions)
        total = len(self.sequences)
        self.consensus_step = total - round(CONFIG.CONSENSUS_SHARE * total)
        self.val_features = [make_features(clip, CONFIG) for clip in val_clips]
        self.feature_size = self.sequences[0].features.shape[-1]
        self.encoder = Encoder(self.feature_size, CONFIG.fill(EncoderOptions)).to(device)
        self.generic: Encoder | None = None
        if CONFIG.START_FROM_GENERIC and (weights := generic_weights(self.feature_size, CONFIG)):
            self.encoder.load_state_dict(weights)
            self.generic = deepcopy(self.encoder).eval().requires_grad_(False)
        self.shared_encoder = processes.average_gradients(self.encoder)
        self.optimizer = torch.optim.AdamW(
            self.encoder.parameters(), CONFIG.LEARNING_RATE, weight_decay=CONFIG.WEIGHT_DECAY
        )
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, CONFIG.LEARNING_RATE, CONFIG.MAX_NUM_TRAINING_STEPS
        )
        self.step = 0
        self.run = ""

    def train(self, path: Path, tensorboard_dir: Path) -> None:
        """Train until MAX_NUM_TRAINING_STEPS; save every SAVE_CKPT_STEPS steps and on Ctrl-C.

        Args:
            path: of the checkpoint. The first save of a new run keeps the one of an earlier run.
            tensorboard_dir: each run has its folder there, also if it is resumed.

        Raises:
            UserError: another training writes to the same files.
        """
        is_first = self.processes.rank == 0
        lock = alone(tensorboard_dir, f"training of {CONFIG.DATASET}")
        with lock if is_first else nullcontext():
            self._train(path, tensorboard_dir, is_first)

    def _train(self, path: Path, tensorboard_dir: Path, is_first: bool) -> None:
        is_new = not self.step
        stopping: list[int] = []

        def stop(number: int, frame: FrameType | None) -> None:
            if stopping:
                raise KeyboardInterrupt
            stopping.append(number)

        previous = signal.signal(signal.SIGINT, stop)
        total = len(self.sequences)
        todo, shown = range(self.step, total), dict[str, str]()
        try:
            with ExitStack() as stack:
                if is_first:
                    self.run = self.run or name_run(tensorboard_dir)
                    curves = open_curves(tensorboard_dir / self.run, self.step + 1)
                    writer = stack.enter_context(curves)
                for step in progress(
                    todo, "training", "step", total, initial=self.step, postfix=shown
                ):
                    if step == self.consensus_step:
                        self.sequences.phases = self.align_clips()
                    loss = self.train_step(self.sequences[step])
                    shown["loss"] = f"{loss:.4f}"
                    last = self.step == total
                    due = last or self.step % CONFIG.SAVE_CKPT_STEPS == 0
                    stopped = bool(self.processes.total(torch.tensor(len(stopping))))
                    if is_first:
                        self.draw_curves(writer, loss, with_tau=due)
                    if is_first and (due or stopped):
                        writer.flush()  # a killed run must have all curves up to its checkpoint
                        if is_new:
                            checkpoint.keep_previous(path)
                            is_new = False
                        checkpoint.save(path, self.state())
                    if stopped and not last:
                        log.warning(
                            "stopped at step %d, saved in %s; continue with --resume",
                            self.step,
                            path,
                        )
                        raise KeyboardInterrupt
        finally:
            signal.signal(signal.SIGINT, previous)

    def draw_curves(self, writer: SummaryWriter, loss: float, with_tau: bool) -> None:
        """Add the loss, the learning rate and perhaps tau of val/ after a step to TensorBoard."""
        name = "loss" if self.step <= self.consensus_step else "consensus_loss"
        writer.add_scalar(f"train/{name}", loss, self.step)
        writer.add_scalar("train/learning_rate", self.scheduler.get_last_lr()[0], self.step)
        if with_tau and self.val_features:
            writer.add_scalar("val/kendalls_tau", self.validate(), self.step)

    def train_step(self, batch: Batch) -> float:
        """Train on one batch and return its loss.

        Raises:
            UserError: the loss or its gradient is not finite; the weights are not changed.
        """
        features, lengths, steps, mask, phase = (
            tensor.to(self.device)
            for tensor in (batch.features, batch.lengths, batch.steps, batch.mask, batch.phase)
        )
        self.encoder.train()
        part = Part(self.processes.share(len(features)), self.processes.total)
        own, own_mask = part.rows(features), part.rows(mask)
        embeddings = self.shared_encoder(own)  # (B, F, D), of the clips of this process
        index = part.rows(steps)[..., None].expand(-1, -1, embeddings.shape[-1])
        own_chosen = embeddings.gather(1, index)  # (B, T, D), of the clips of this process
        chosen = self.processes.gather(own_chosen, len(features))  # (B, T, D), of all clips
        if self.step < self.consensus_step:
            seed = CONFIG.SEED * 1_000_003 + self.step
            loss = training_loss(chosen, steps, lengths, mask, self.loss_options, seed, part)
        else:
            loss = self.consensus_loss(chosen, phase, mask, part)
        if self.generic is not None and CONFIG.GENERIC_WEIGHT:
            drift = (own_chosen - self.generic(own).gather(1, index))[own_mask]
            loss = loss + CONFIG.GENERIC_WEIGHT * part.weigh(drift.square().mean(), len(drift))
        self.optimizer.zero_grad()
        # The gradients are averaged over the processes, and those of a loss are sums of its parts.
        (self.processes.count * loss).backward()  # type: ignore[no-untyped-call]
        loss = self.processes.total(loss)
        gradient_norm = clip_grad_norm_(self.encoder.parameters(), MAX_GRADIENT_NORM)
        require_finite(loss, gradient_norm, self.step, CONFIG)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        return loss.item()

    def consensus_loss(self, embeddings: Tensor, phase: Tensor, mask: Tensor, part: Part) -> Tensor:
        """Return the sum of both halves' correspondence losses.

        Args:
            embeddings: (B, T, D), the fine half first.
            phase: (B, T) position on the common clock, in frames; NaN where it is unknown.
            mask: (B, T) bool, False where a step is padding.
            part: of the loss that this process computes.
        """
        valid, phase = mask & phase.isfinite(), phase.nan_to_num()
        contrast = partial(
            correspondence_loss,
            phase=phase,
            mask=valid,
            temperature=CONFIG.TEMPERATURE,
            sigma=SIGMA,
            part=part,
        )
        return both_halves(contrast, embeddings)

    def align_clips(self) -> list[NDArray[np.float64]]:
        """Align the clips of the remaining batches with the current encoder.

        Return the `common_clock` of these clips, NaN for the others.
        """
        self.encoder.eval()
        drawn = self.sequences.drawn(self.step)
        clocks = common_clock(
            BothViews(self.encoder, self.sequences, drawn),
            [self.turns[clip] for clip in drawn],
            np.random.default_rng(CONFIG.SEED),
            self.processes,
        )
        phases = list(self.sequences.phases)
        for clip, clock in zip(drawn, clocks, strict=True):
            phases[clip] = clock
        return phases

    def validate(self) -> float:
        """Return Kendall's tau of the val clips, the mean over the pairs where it is defined."""
        self.encoder.eval()
        embeddings = [embed(self.encoder, clip) for clip in self.val_features]
        return finite_mean(tau_matrix(embeddings, embeddings))

    def state(self) -> dict[str, Any]:
        """Return the checkpoint: `encoder` is for the other commands, the rest is for --resume."""
        return {
            "encoder": self.encoder.state_dict(),
            "feature_size": self.feature_size,
            "class_names": self.class_names(),
            "config": asdict(CONFIG),
            "motion": CONFIG.DATASET,
            "clips": self.names,
            "step": self.step,
            "run": self.run,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "phases": [torch.from_numpy(phase) for phase in self.sequences.phases],
            # For random layers such as dropout. Batches and cycles depend only on seed and step.
            "random_state": torch.get_rng_state(),
        }

    def class_names(self) -> dict[str, str]:
        """Return the names of the classes whose state a checkpoint holds."""
        return {
            name: type(getattr(self, name)).__name__
            for name in ("encoder", "optimizer", "scheduler")
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Continue from a checkpoint that `check_resumable` accepts.

        Raises:
            UserError: a clip or a class differs, or the checkpoint lacks something.
        """
        try:
            self._restore(content)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
            raise UserError(
                "--resume: the checkpoint is not that of a training; train again without --resume"
            ) from None

    def _restore(self, content: dict[str, Any]) -> None:
        if content["clips"] != self.names:
            changed = sorted(set(content["clips"]) ^ set(self.names))
            raise UserError(
                f"--resume: the clips are not those of the checkpoint ({', '.join(changed)}); "
                "train again without --resume"
            )
        if content["class_names"] != self.class_names():
            saved, current = content["class_names"], self.class_names()
            raise UserError(
                f"--resume: the checkpoint was made with {', '.join(saved.values())}, but the "
                f"program now uses {', '.join(current.values())}; train again without --resume"
            )
        checkpoint.load_weights(self.encoder, content["encoder"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scheduler.load_state_dict(content["scheduler"])
        torch.set_rng_state(content["random_state"])
        self.step = content["step"]
        if self.scheduler.last_epoch != self.step:
            raise ValueError
        self.run = Path(content.get("run", "")).name  # an earlier version has not written it
        self.sequences.phases = [phase.numpy() for phase in content["phases"]]


if __name__ == "__main__":
    cli.run(main)
