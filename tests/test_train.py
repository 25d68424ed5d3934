"""Training: resumed, interrupted, repeated and failed runs, and what they leave behind."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tcc_get_embed
import tcc_train
from tcc.features import extract, flip
from tcc.files import UserError
from tcc.losses import LOSSES, correspondence_loss, training_loss
from tcc_config import CONFIG
from tcc_data import Batch, load_clip
from tcc_model import GENERIC, Encoder, embed
from tests.conftest import ROOT, Call, hash_folder, wave, write_clip

SMALL = {
    "HIDDEN_SIZE": 8,
    "EMBEDDING_SIZE": 8,
    "FINE_LAYERS": 1,
    "COARSE_LAYERS": 1,
    "BATCH_SIZE": 4,
    "MAX_NUM_TRAINING_STEPS": 8,
    "SAVE_CKPT_STEPS": 4,
}


def options(**changes: Any) -> list[str]:
    """Return arguments for a small encoder and a short run."""
    settings = {**SMALL, **changes}
    return ["--dataset", "wave", *(f"--set={name}={value}" for name, value in settings.items())]


def load(folder: Path) -> dict[str, Any]:
    """Load the checkpoint as later commands do."""
    path = folder / "log" / "wave_checkpoint.pt"
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def state(folder: Path) -> dict[str, Any]:
    """Return the content of the checkpoint without the name of its run, which is a time."""
    return {name: value for name, value in load(folder).items() if name != "run"}


def assert_same(first: Any, second: Any) -> None:
    """Compare nested states bit by bit."""
    if isinstance(first, torch.Tensor):
        torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list | tuple):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


def runs(folder: Path) -> list[Path]:
    """Return the TensorBoard folder of each run, in the order of their starts."""
    return sorted((folder / "log" / "tensorboard" / "wave").iterdir())


def curves(run: Path) -> EventAccumulator:
    """Return the TensorBoard curves of a run."""
    events = EventAccumulator(str(run))
    events.Reload()
    return events


def scalars(folder: Path) -> dict[str, list[int]]:
    """Return the steps of every TensorBoard scalar of the last run."""
    events = curves(runs(folder)[-1])
    return {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_checkpoint_holds_everything_and_says_what_was_trained(
    motion_dir: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tcc_train.main, *options(), cwd=motion_dir)
    printed = capsys.readouterr().out
    assert "4 clips, min(seq_lens) 30, NUM_STEPS 29" in printed
    assert re.search(r"wave_checkpoint.pt: step 8 in \d+ s, val tau -?\d", printed)
    content = load(motion_dir)
    assert content["step"] == content["scheduler"]["last_epoch"] == 8
    assert content["optimizer"]["state"][0]["step"] == 8
    assert content["config"]["HIDDEN_SIZE"] == 8
    assert content["class_names"] == {
        "encoder": "Encoder",
        "optimizer": "AdamW",
        "scheduler": "OneCycleLR",
    }
    assert content["clips"] == ["train0", "train1", "train2", "train3"]
    assert content["motion"] == "wave"
    assert content["random_state"].dtype == torch.uint8
    assert scalars(motion_dir) == {
        "train/loss": list(range(1, 6)),
        "train/consensus_loss": [6, 7, 8],
        "train/learning_rate": list(range(1, 9)),
        "val/kendalls_tau": [4, 8],
    }
    assert not list((motion_dir / "log").glob(".*"))


def test_same_seed_same_weights(motion_dir: Path, call: Call) -> None:
    states: list[dict[str, Any]] = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(states))
        call(tcc_train.main, *options(), "--seed", str(seed), cwd=motion_dir)
        states.append(state(motion_dir))
    assert_same(states[0], states[1])
    first, other = (states[index]["encoder"]["inlet.weight"] for index in (0, 2))
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("share", "name"), [(0, "loss"), (1, "consensus_loss")])
def test_training_lowers_the_loss(motion_dir: Path, call: Call, share: float, name: str) -> None:
    steps = options(MAX_NUM_TRAINING_STEPS=60, SAVE_CKPT_STEPS=60, CONSENSUS_SHARE=share)
    call(tcc_train.main, *steps, cwd=motion_dir)
    (run,) = runs(motion_dir)
    events = curves(run)
    losses = [event.value for event in events.Scalars(f"train/{name}")]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_clips_on_one_clock_are_contrasted_in_the_last_batches(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    train_step = tcc_train.Trainer.train_step

    def note(trainer: tcc_train.Trainer, batch: Any) -> float:
        seen.append(bool(batch.phase.isfinite().any()))
        loss = train_step(trainer, batch)
        assert trainer.encoder.training  # also after val/ was scored and the clips were aligned
        return loss

    monkeypatch.setattr(tcc_train.Trainer, "train_step", note)
    call(tcc_train.main, *options(CONSENSUS_SHARE=0.25), cwd=motion_dir)
    assert seen == [False] * 6 + [True] * 2
    assert {len(phase) for phase in load(motion_dir)["phases"]} == {30, 32, 34, 36}


@pytest.fixture
def trainer(motion_dir: Path, monkeypatch: pytest.MonkeyPatch) -> tcc_train.Trainer:
    """A trainer of 8 batches whose encoder has left the generic one, as it does in training."""
    for field in fields(CONFIG):
        monkeypatch.setattr(CONFIG, field.name, field.default)
    for name, value in {"BATCH_SIZE": 4, "MAX_NUM_TRAINING_STEPS": 8}.items():
        monkeypatch.setattr(CONFIG, name, value)
    folders = sorted((motion_dir / "data" / "wave" / "train").iterdir())
    clips = [load_clip(folder, CONFIG) for folder in folders]
    trainer = tcc_train.Trainer(clips, [], 29, torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in trainer.encoder.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
    return trainer


def known_phases(trainer: tcc_train.Trainer) -> list[np.ndarray]:
    """Return places on a common clock, the first frames of each clip on none."""
    return [np.r_[[np.nan] * 6, np.arange(6, len(points))] for points in trainer.sequences.points]


def expected_loss(trainer: tcc_train.Trainer, batch: Batch, pull: float) -> torch.Tensor:
    """Return the loss of a step from the frames that were sampled, clip by clip."""
    embeddings, generic = trainer.encoder(batch.features), trainer.generic
    assert generic is not None
    chosen = torch.stack([clip[row] for clip, row in zip(embeddings, batch.steps, strict=True)])
    if trainer.step < trainer.consensus_step:
        options = trainer.loss_options
        loss = training_loss(chosen, batch.steps, batch.lengths, batch.mask, options, trainer.step)
    else:
        loss = torch.zeros(())
        known = batch.mask & batch.phase.isfinite()
        for half in (chosen[..., :64], chosen[..., 64:]):
            phase = batch.phase.nan_to_num()
            loss = loss + correspondence_loss(half, phase, known, temperature=0.1, sigma=1.0)
    drifts = [
        (embeddings[clip, frame] - generic(batch.features)[clip, frame]).square().mean()
        for clip in range(len(batch.steps))
        for frame in batch.steps[clip][batch.mask[clip]].tolist()
    ]
    return loss + pull * torch.stack(drifts).mean()


@pytest.mark.parametrize("pull", [0.0, 3.0])
@pytest.mark.parametrize("step", [0, 4, 5, 7])
def test_a_step_descends_the_loss_of_its_stage_and_the_pull_to_the_generic_encoder(
    trainer: tcc_train.Trainer, monkeypatch: pytest.MonkeyPatch, step: int, pull: float
) -> None:
    monkeypatch.setattr(CONFIG, "GENERIC_WEIGHT", pull)
    monkeypatch.setattr(tcc_train, "MAX_GRADIENT_NORM", np.inf)
    assert trainer.consensus_step == 5
    trainer.sequences.phases = known_phases(trainer)
    batch = trainer.sequences[step]
    assert not batch.mask.all()
    assert batch.phase[batch.mask].isnan().any()
    trainer.step = step
    weights = list(trainer.encoder.parameters())
    loss = expected_loss(trainer, batch, pull)
    gradients = torch.autograd.grad(loss, weights)
    assert pull == 0 or loss > 1.05 * expected_loss(trainer, batch, 0)
    assert trainer.train_step(batch) == pytest.approx(loss.item(), rel=1e-4)
    for weight, gradient in zip(weights, gradients, strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_gradient_longer_than_1_is_cut_to_1(
    trainer: tcc_train.Trainer, monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    def stretched(embeddings: torch.Tensor, *_: Any) -> torch.Tensor:
        return scale * embeddings.mean()

    monkeypatch.setattr(tcc_train, "training_loss", stretched)
    monkeypatch.setattr(CONFIG, "GENERIC_WEIGHT", 0.0)
    weights = list(trainer.encoder.parameters())
    batch = trainer.sequences[0]
    index = batch.steps[..., None].expand(-1, -1, CONFIG.EMBEDDING_SIZE)
    loss = scale * trainer.encoder(batch.features).gather(1, index).mean()
    whole = torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]).norm().item()
    assert not 0.1 < whole < 10
    trainer.train_step(batch)
    taken = torch.cat([w.grad.flatten() for w in weights if w.grad is not None]).norm().item()
    assert taken == pytest.approx(min(whole, 1), rel=1e-3)


def test_random_cycles_are_others_at_each_step_and_seed(
    trainer: tcc_train.Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.loss_options = replace(trainer.loss_options, stochastic_matching=True)
    batch, losses = trainer.sequences[0], set()
    for seed in (0, 1):
        monkeypatch.setattr(CONFIG, "SEED", seed)
        for step in (0, 1, 2):
            trainer.step = step
            for group in trainer.optimizer.param_groups:
                group["lr"] = 0.0  # so that only the cycles change
            losses.add(trainer.train_step(batch))
    assert len(losses) == 6


def record_steps(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """Return a list that each step of AdamW adds to: lr, weight_decay and the gradient's norm."""
    steps: list[dict[str, float]] = []
    take = torch.optim.AdamW.step

    def step(optimizer: torch.optim.AdamW, *arguments: Any) -> Any:
        (group,) = optimizer.param_groups
        gradients = [weight.grad.flatten() for weight in group["params"]]
        steps.append({"lr": group["lr"], "weight_decay": group["weight_decay"]})
        steps[-1]["norm"] = torch.cat(gradients).norm().item()
        return take(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    return steps


def assert_one_cycle(rates: list[float], peak: float) -> None:
    """Compare with the one-cycle schedule: from 1/25 up to the peak in 0.3, then down to none."""
    top = round(0.3 * len(rates)) - 1
    assert rates[0] == pytest.approx(peak / 25)
    assert rates[top] == max(rates) == pytest.approx(peak)
    assert rates[-1] < 1e-5 * peak
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_learning_rate_follows_one_cycle_and_weights_decay(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = record_steps(monkeypatch)
    changes = {"MAX_NUM_TRAINING_STEPS": 20, "LEARNING_RATE": 0.02, "WEIGHT_DECAY": 0.3}
    call(tcc_train.main, *options(**changes), cwd=motion_dir)
    assert_one_cycle([step["lr"] for step in steps], 0.02)
    assert {step["weight_decay"] for step in steps} == {0.3}


def test_consensus_begins_with_the_alignments_of_its_first_step(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clips are aligned once, after 6 of 8 batches, by the encoder that these have trained."""
    shutil.rmtree(motion_dir / "data" / "wave" / "val")  # a score would leave evaluation mode on
    trainers: list[tcc_train.Trainer] = []
    phases = [np.arange(30.0 + 2 * clip) * 10 for clip in range(4)]
    align_clips = tcc_train.Trainer.align_clips

    def common_clock(embeddings: Any, turns: Any, *_: Any) -> Any:
        (trainer,) = trainers
        assert turns == trainer.turns
        assert not trainer.encoder.training
        for (plain, mirrored), points in zip(embeddings, trainer.sequences.points, strict=True):
            np.testing.assert_array_equal(plain, embed(trainer.encoder, extract(points, 30)))
            mirror = embed(trainer.encoder, extract(flip(points), 30))
            np.testing.assert_array_equal(mirrored, mirror)
        return phases

    def note(trainer: tcc_train.Trainer) -> Any:
        trainers.append(trainer)
        assert trainer.step == trainer.scheduler.last_epoch == 6
        return align_clips(trainer)

    monkeypatch.setattr(tcc_train, "common_clock", common_clock)
    monkeypatch.setattr(tcc_train.Trainer, "align_clips", note)
    call(tcc_train.main, *options(CONSENSUS_SHARE=0.25), cwd=motion_dir)
    assert len(trainers) == 1
    assert_same(load(motion_dir)["phases"], [torch.from_numpy(phase) for phase in phases])


def test_only_clips_that_are_still_drawn_are_aligned_and_few_are_embedded_at_a_time(
    trainer: tcc_train.Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONFIG, "BATCH_SIZE", 2)
    trainer.step = 7  # the last of 8 batches
    drawn = trainer.sequences.drawn(7)
    assert len(drawn) == 2
    phases = trainer.align_clips()
    for clip, (phase, points) in enumerate(zip(phases, trainer.sequences.points, strict=True)):
        assert len(phase) == len(points)
        assert np.isfinite(phase).any() == (clip in drawn)
    trainer.sequences.phases = phases
    assert trainer.sequences[7].phase.isfinite().any(dim=1).all()
    assert set(trainer.sequences.drawn(0)) == {0, 1, 2, 3}

    embedded: list[int] = []
    monkeypatch.setattr(tcc_train, "embed", lambda _, features: embedded.append(len(features)))
    views = tcc_train.BothViews(trainer.encoder, trainer.sequences, drawn)
    assert len(views) == 2
    assert not embedded
    assert len(views[1]) == 2
    assert embedded == [len(trainer.sequences.points[drawn[1]])] * 2


def interrupt(folder: Path, arguments: list[str]) -> tuple[int, str]:
    """Train on a terminal, press Ctrl-C once the bar shows a loss, return exit code and output."""
    terminal, stderr = pty.openpty()
    termios.tcsetwinsize(stderr, (24, 100))
    process = subprocess.Popen(
        [sys.executable, ROOT / "tcc_train.py", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    os.close(stderr)
    output, sent = "", False
    while True:
        try:
            output += os.read(terminal, 4096).decode()
        except OSError:  # the other side of a terminal that has closed
            break
        if "loss=" in output and not sent:
            process.send_signal(signal.SIGINT)
            sent = True
    os.close(terminal)
    return process.wait(60), output


def test_interrupted_run_saves_and_resumes_to_the_weights_of_an_uninterrupted_one(
    motion_dir: Path, tmp_path: Path, call: Call
) -> None:
    arguments = options(MAX_NUM_TRAINING_STEPS=500, SAVE_CKPT_STEPS=150, STOCHASTIC_MATCHING=True)
    whole = tmp_path / "whole"
    shutil.copytree(motion_dir / "data", whole / "data")
    code, output = interrupt(motion_dir, arguments)
    assert code == 130
    assert "Traceback" not in output
    assert re.search(r"training: .*\d/500 \[\d\d:\d\d<\d\d:\d\d, .*loss=-?\d", output)
    stopped = re.search(r"stopped at step (\d+), saved in log/wave_checkpoint.pt; continue", output)
    assert stopped
    step = load(motion_dir)["step"]
    assert step == int(stopped[1]) < 500
    call(tcc_train.main, *arguments, "--resume", cwd=motion_dir)
    call(tcc_train.main, *arguments, cwd=whole)
    assert_same(state(motion_dir), state(whole))
    assert scalars(motion_dir) == scalars(whole)


def test_resumed_run_draws_the_chance_of_an_uninterrupted_one(
    motion_dir: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer with chance of its own, as dropout, must not part the two."""
    forward = Encoder.forward

    def noisy(encoder: Encoder, features: torch.Tensor) -> torch.Tensor:
        return forward(encoder, torch.nn.functional.dropout(features, 0.3, encoder.training))

    monkeypatch.setattr(Encoder, "forward", noisy)
    whole = tmp_path / "whole"
    shutil.copytree(motion_dir / "data", whole / "data")
    call(tcc_train.main, *options(), cwd=whole)
    train_step, steps = tcc_train.Trainer.train_step, []

    def interrupted(trainer: tcc_train.Trainer, batch: Any) -> float:
        steps.append(trainer.step)
        if len(steps) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return train_step(trainer, batch)

    monkeypatch.setattr(tcc_train.Trainer, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(tcc_train.main, *options(), cwd=motion_dir)
    torch.manual_seed(99)
    call(tcc_train.main, *options(), "--resume", cwd=motion_dir)
    assert steps == list(range(8))
    assert_same(state(motion_dir), state(whole))


def stop_at(monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """Press Ctrl-C in the training step `last`, once."""
    train_step = tcc_train.Trainer.train_step

    def interrupted(trainer: tcc_train.Trainer, batch: Any) -> float:
        if trainer.step == last - 1:
            os.kill(os.getpid(), signal.SIGINT)
            monkeypatch.setattr(tcc_train.Trainer, "train_step", train_step)
        return train_step(trainer, batch)

    monkeypatch.setattr(tcc_train.Trainer, "train_step", interrupted)


def test_each_training_has_its_curves_and_a_resumed_one_continues_them(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = list(range(1, 9))
    call(tcc_train.main, *options(SEED=1), cwd=motion_dir)
    stop_at(monkeypatch, 6)
    with pytest.raises(KeyboardInterrupt):
        call(tcc_train.main, *options(SEED=2), cwd=motion_dir)
    assert scalars(motion_dir)["train/learning_rate"] == steps[:6]
    (events,) = runs(motion_dir)[1].iterdir()
    # Its name says that it was made in this second, and is the last one in the order of names.
    events.rename(events.with_name(f"events.out.tfevents.{int(time.time())}.~last by name"))
    call(tcc_train.main, *options(SEED=2), "--resume", cwd=motion_dir)
    first, second = runs(motion_dir)
    assert load(motion_dir)["run"] == second.name
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", first.name)
    losses = []
    for run in (first, second):
        rates = curves(run).Scalars("train/learning_rate")
        assert [event.step for event in rates] == steps
        losses.append([event.value for event in curves(run).Scalars("train/loss")])
    assert losses[0] != losses[1]


def test_steps_after_the_last_save_are_not_drawn_twice(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that fails in step 7 has saved step 4, and is resumed from there."""
    train_step = tcc_train.Trainer.train_step

    def failing(trainer: tcc_train.Trainer, batch: Batch) -> float:
        assert trainer.step != 6
        return train_step(trainer, batch)

    with monkeypatch.context() as patched, pytest.raises(AssertionError):
        patched.setattr(tcc_train.Trainer, "train_step", failing)
        call(tcc_train.main, *options(), cwd=motion_dir)
    assert load(motion_dir)["step"] == 4
    assert scalars(motion_dir)["train/learning_rate"] == [1, 2, 3, 4, 5, 6]
    call(tcc_train.main, *options(), "--resume", cwd=motion_dir)
    assert len(runs(motion_dir)) == 1
    assert scalars(motion_dir)["train/learning_rate"] == list(range(1, 9))


def test_a_resumed_checkpoint_without_a_run_gets_a_new_folder(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version wrote such checkpoints, and the curves of all runs into one folder."""
    stop_at(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        call(tcc_train.main, *options(), cwd=motion_dir)
    content = load(motion_dir)
    (run,) = runs(motion_dir)
    assert content.pop("run") == run.name
    torch.save(content, motion_dir / "log" / "wave_checkpoint.pt")
    call(tcc_train.main, *options(), "--resume", cwd=motion_dir)
    assert len(runs(motion_dir)) == 2
    assert scalars(motion_dir)["train/learning_rate"] == [6, 7, 8]


def test_training_again_keeps_the_last_checkpoint(
    motion_dir: Path, call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    path = motion_dir / "log" / "wave_checkpoint.pt"
    previous = path.with_name("wave_checkpoint.previous.pt")
    note = "the last checkpoint is kept as log/wave_checkpoint.previous.pt"
    call(tcc_train.main, *options(SEED=1), cwd=motion_dir)
    assert not previous.exists()
    first = path.read_bytes()

    with monkeypatch.context() as failing:  # before the first save, nothing is moved
        failing.setattr(tcc_train.Trainer, "train_step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(tcc_train.main, *options(SEED=2), cwd=motion_dir)
    assert not previous.exists()
    assert path.read_bytes() == first
    assert note not in caplog.messages

    stop_at(monkeypatch, 6)  # after a save at step 4
    with pytest.raises(KeyboardInterrupt):
        call(tcc_train.main, *options(SEED=2), cwd=motion_dir)
    assert previous.read_bytes() == first
    assert caplog.messages.count(note) == 1
    call(tcc_train.main, *options(SEED=2), "--resume", cwd=motion_dir)
    assert previous.read_bytes() == first
    assert load(motion_dir)["step"] == 8
    assert caplog.messages.count(note) == 1

    arguments = ["--dataset=wave", "--mode=val", "--checkpoint", previous]
    call(tcc_get_embed.main, *arguments, cwd=motion_dir)
    described = json.loads((motion_dir / "log" / "wave_embeddings.json").read_text())
    assert described["checkpoint_sha256"] == hashlib.sha256(first).hexdigest()


def test_a_kill_while_the_new_checkpoint_is_written_leaves_the_old_one(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(tcc_train.main, *options(SEED=1), cwd=motion_dir)
    first = (motion_dir / "log" / "wave_checkpoint.pt").read_bytes()

    def killed(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(SystemExit):
        call(tcc_train.main, *options(SEED=2), cwd=motion_dir)
    kept = [path.read_bytes() for path in sorted((motion_dir / "log").glob("*.pt"))]
    assert kept == [first, first]


def test_a_finished_training_is_not_resumed(
    motion_dir: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tcc_train.main, *options(), cwd=motion_dir)
    before = hash_folder(motion_dir)
    capsys.readouterr()
    call(tcc_train.main, *options(), "--resume", cwd=motion_dir)
    assert capsys.readouterr().out == (
        "log/wave_checkpoint.pt: this training is finished, all 8 steps; to train longer, train "
        "again without --resume and with a larger MAX_NUM_TRAINING_STEPS\n"
    )
    assert hash_folder(motion_dir) == before
    longer = r"--resume: MAX_NUM_TRAINING_STEPS was 8 and is now 9; set it back or train again"
    with pytest.raises(UserError, match=longer):
        call(tcc_train.main, *options(MAX_NUM_TRAINING_STEPS=9), "--resume", cwd=motion_dir)


def test_validation_changes_and_chooses_no_weights(motion_dir: Path, call: Call) -> None:
    call(tcc_train.main, *options(SAVE_CKPT_STEPS=2), cwd=motion_dir)
    with_val = load(motion_dir)
    assert scalars(motion_dir)["val/kendalls_tau"] == [2, 4, 6, 8]
    for folder in ("data/wave/val", "log/tensorboard"):
        shutil.rmtree(motion_dir / folder)
    call(tcc_train.main, *options(SAVE_CKPT_STEPS=2), cwd=motion_dir)
    assert_same(load(motion_dir)["encoder"], with_val["encoder"])
    assert "val/kendalls_tau" not in scalars(motion_dir)


def test_one_clip_in_val_is_told(
    motion_dir: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    for index in (1, 2, 3):
        shutil.rmtree(motion_dir / "data" / "wave" / "val" / f"val{index}")
    call(tcc_train.main, *options(MAX_NUM_TRAINING_STEPS=1), cwd=motion_dir)
    assert "wave/val holds one clip; a validation score needs 2 or more" in caplog.text


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("similarity", ["l2", "cosine"])
def test_every_loss_trains(loss_type: str, similarity: str, motion_dir: Path, call: Call) -> None:
    changes = {"LOSS_TYPE": loss_type, "SIMILARITY_TYPE": similarity, "TCC_TCN_COMBINE": True}
    call(tcc_train.main, *options(**changes, MAX_NUM_TRAINING_STEPS=3), cwd=motion_dir)
    before = load(motion_dir)["encoder"]
    assert all(torch.isfinite(weights).all() for weights in before.values())


def test_non_finite_loss_stops_with_what_to_change(motion_dir: Path, call: Call) -> None:
    arguments = options(LEARNING_RATE=1e30, SAVE_CKPT_STEPS=1)
    message = (
        r"at step \d: lower LEARNING_RATE \(now 1e\+30\) or raise TEMPERATURE \(now 0.1\) in "
        "tcc_config.py, or set your other settings back to their defaults; saved checkpoints"
    )
    with pytest.raises(UserError, match=message):
        call(tcc_train.main, *arguments, cwd=motion_dir)
    weights = load(motion_dir)["encoder"].values()
    assert all(torch.isfinite(weight).all() for weight in weights)


def test_non_finite_gradient_never_reaches_the_weights(
    motion_dir: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def root(embeddings: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return (embeddings * 0).sum().sqrt()  # 0, with a gradient that is not a number

    monkeypatch.setattr("tcc.losses.alignment_loss", root)
    with pytest.raises(UserError, match="loss 0.0, gradient nan at step 0: lower LEARNING_RATE"):
        call(tcc_train.main, *options(SAVE_CKPT_STEPS=1), cwd=motion_dir)
    assert not (motion_dir / "log" / "wave_checkpoint.pt").exists()


def test_resume_refuses_another_run(motion_dir: Path, call: Call) -> None:
    with pytest.raises(UserError, match=r"no checkpoint log/wave_checkpoint.pt; run: python3 tcc_"):
        call(tcc_train.main, *options(), "--resume", cwd=motion_dir)
    call(tcc_train.main, *options(), cwd=motion_dir)
    with pytest.raises(UserError, match=r"--resume: BATCH_SIZE was 4 and is now 3; set it back or"):
        call(tcc_train.main, *options(BATCH_SIZE=3), "--resume", cwd=motion_dir)
    path = motion_dir / "log" / "wave_checkpoint.pt"
    content = {**load(motion_dir), "step": 4}
    changed = {"encoder": "Encoder", "optimizer": "SGD", "scheduler": "OneCycleLR"}
    torch.save({**content, "class_names": changed}, path)
    with pytest.raises(
        UserError, match=r"made with Encoder, SGD, .*, but the program now uses Encoder, AdamW"
    ):
        call(tcc_train.main, *options(), "--resume", cwd=motion_dir)
    shutil.copy(GENERIC, path)
    with pytest.raises(UserError, match=r"--resume: the checkpoint holds only an encoder; train"):
        call(tcc_train.main, *options(), "--resume", cwd=motion_dir)
    torch.save(content, path)
    write_clip(motion_dir / "data" / "wave" / "train" / "new", wave(30, 9))
    with pytest.raises(
        UserError, match=r"the clips are not those of the checkpoint \(new\); train"
    ):
        call(tcc_train.main, *options(), "--resume", cwd=motion_dir)


def test_too_few_and_too_short_clips_are_named(motion_dir: Path, call: Call) -> None:
    train = motion_dir / "data" / "wave" / "train"
    file = train / "train2" / "alphapose-results.json"
    file.write_text(json.dumps(json.loads(file.read_text())[:1]))
    with pytest.raises(UserError, match=r"clip train2 lasts 0 s: 1 frame\(s\) at FEATURE_FPS=30"):
        call(tcc_train.main, *options(), cwd=motion_dir)
    for index in (1, 2, 3):
        shutil.rmtree(train / f"train{index}")
    with pytest.raises(UserError, match=r"1 clip: training compares clips of one motion; add at"):
        call(tcc_train.main, *options(), cwd=motion_dir)
    assert not (motion_dir / "log").exists()


def test_val_that_holds_videos_alone_is_not_passed_over(motion_dir: Path, call: Call) -> None:
    val = motion_dir / "data" / "wave" / "val"
    shutil.rmtree(val)
    val.mkdir()
    (val / "jump.mp4").touch()
    with pytest.raises(UserError, match=r"val holds 1 video\(s\) without keypoints; run: python3"):
        call(tcc_train.main, "--dataset", "wave", cwd=motion_dir)
