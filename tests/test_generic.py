"""The generic encoder: its batches say which frames correspond, and what is shipped works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tcc_train_generic
from tcc.clock import resample
from tcc.dtw import map_frames
from tcc.features import extract, fill_joints
from tcc.files import UserError
from tcc.losses import correspondence_loss
from tcc.search import locate
from tcc.synthetic.camera import sample_clip
from tcc_config import CONFIG, Config
from tcc_model import GENERIC, Encoder, EncoderOptions, embed, load_encoder
from tests.conftest import Call
from tests.test_train import assert_one_cycle, record_steps


def test_batches_are_seeded_and_two_views_show_one_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONFIG, "BATCH_SIZE", 4)
    features, steps, phase, mask = tcc_train_generic.make_batch(3)
    assert features.shape[0] == steps.shape[0] == 4
    assert features.shape[2] == 43
    again, other = (tcc_train_generic.make_batch(step)[0] for step in (3, 4))
    assert torch.equal(features, again)
    assert features.shape != other.shape or not torch.equal(features, other)
    assert (phase.diff(dim=1)[mask[:, 1:] & mask[:, :-1]] >= 0).all()
    assert ((phase[mask] > 0) & (phase[mask] < 10)).all()
    assert mask.any(dim=1).all()


def test_batches_are_made_at_the_rate_that_the_checkpoint_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MAX_TIME_WARP", "MIN_CROP"):
        monkeypatch.setattr(CONFIG, name, 1.0)
    monkeypatch.setattr(tcc_train_generic, "MIN_CROP", 1.0)
    frames = []
    for fps in (30.0, 60.0):
        monkeypatch.setattr(CONFIG, "FEATURE_FPS", fps)
        frames.append(tcc_train_generic.make_batch(0)[0].shape[1])
    assert frames[1] == pytest.approx(2 * frames[0], abs=2)


def test_training_writes_an_encoder_and_not_over_the_shipped_one(
    tmp_path: Path, call: Call
) -> None:
    before = GENERIC.read_bytes()
    small = [
        "--log-dir=mine",
        "--set=HIDDEN_SIZE=8",
        "--set=EMBEDDING_SIZE=4",
        "--set=BATCH_SIZE=4",
        "--steps=2",
    ]
    call(tcc_train_generic.main, *small, cwd=tmp_path)
    content = torch.load(tmp_path / "mine" / "generic_encoder.pt", weights_only=True)
    assert content["config"]["HIDDEN_SIZE"] == 8
    assert content["step"] == 2
    assert GENERIC.read_bytes() == before
    path = tmp_path / "mine" / "generic_encoder.pt"
    first = path.read_bytes()
    call(tcc_train_generic.main, *small, "--seed=1", cwd=tmp_path)
    assert path.with_name("generic_encoder.previous.pt").read_bytes() == first != path.read_bytes()


def test_training_of_no_steps_is_refused(tmp_path: Path, call: Call) -> None:
    with pytest.raises(UserError, match="--steps 0: expected 1 or more"):
        call(tcc_train_generic.main, "--steps=0", cwd=tmp_path)


def train(call: Call, folder: Path, steps: int, **settings: float) -> None:
    """Train a small generic encoder for some steps."""
    small = {
        "HIDDEN_SIZE": 8,
        "EMBEDDING_SIZE": 4,
        "BATCH_SIZE": 4,
        "WEIGHT_DECAY": 0.3,
        **settings,
    }
    options = [f"--set={name}={value}" for name, value in small.items()]
    call(tcc_train_generic.main, *options, f"--steps={steps}", cwd=folder)


def test_learning_rate_follows_one_cycle_and_weights_decay(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = tcc_train_generic.make_batch(0)
    monkeypatch.setattr(tcc_train_generic, "make_batch", lambda step: batch)
    steps = record_steps(monkeypatch)
    train(call, tmp_path, 20, LEARNING_RATE=0.02)
    assert_one_cycle([step["lr"] for step in steps], 0.02)
    assert {step["weight_decay"] for step in steps} == {0.3}


@pytest.mark.parametrize("temperature", [30.0, 0.1])
def test_a_step_descends_the_contrast_of_both_halves_and_at_most_by_1(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    """A gradient shorter than 1 is left alone, a longer one is cut to 1."""
    steps = record_steps(monkeypatch)
    train(call, tmp_path, 1, TEMPERATURE=temperature)
    torch.manual_seed(CONFIG.SEED)
    features, frames, phase, mask = tcc_train_generic.make_batch(0)
    encoder = Encoder(43, CONFIG.fill(EncoderOptions))
    embeddings = torch.stack(
        [clip[row] for clip, row in zip(encoder(features), frames, strict=True)]
    )
    loss = torch.zeros(())
    for half in (embeddings[..., :2], embeddings[..., 2:]):
        loss = loss + correspondence_loss(half, phase, mask, temperature=temperature, sigma=0.3)
    gradients = torch.autograd.grad(loss, list(encoder.parameters()))
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    assert norm < 0.8 if temperature == 30 else norm > 2
    assert steps[0]["norm"] == pytest.approx(min(norm, 1), rel=1e-3)


def test_shipped_encoder_finds_take_off_and_landing_of_jumps_it_was_not_trained_on() -> None:
    encoder, settings, _ = load_encoder(GENERIC, Path(), Config(), torch.device("cpu"))
    errors_s = []
    for seed in range(10):
        generator = np.random.default_rng([10**6, seed])
        embeddings, events = [], []
        for _ in range(2):
            clip = sample_clip(generator, jump="axel", max_lead_s=1.0)
            times_s = np.arange(len(clip.phase)) / clip.fps
            at_s = np.arange(0, times_s[-1], 1 / settings.FEATURE_FPS)
            points = resample(fill_joints(clip.keypoints[0], 0.2), times_s, at_s)
            embeddings.append(embed(encoder, extract(points, settings.FEATURE_FPS)))
            events.append(times_s[[clip.events["takeoff"], clip.events["landing"]]])
        standard, learner = embeddings
        found = map_frames(locate([standard], learner).matches[0].path, len(standard))
        at = np.interp(events[0] * settings.FEATURE_FPS, np.arange(len(found)), found)
        errors_s += list(np.abs(at / settings.FEATURE_FPS - events[1]))
    assert np.nanmedian(errors_s) <= 0.1


def test_a_loss_that_is_not_finite_writes_no_encoder(tmp_path: Path, call: Call) -> None:
    wild = ["--steps=6", "--set=LEARNING_RATE=1e20", "--set=BATCH_SIZE=2", "--set=HIDDEN_SIZE=8"]
    with pytest.raises(UserError, match=r"at step \d: lower LEARNING_RATE \(now 1e\+20\)"):
        call(tcc_train_generic.main, *wild, cwd=tmp_path)
    assert not list(tmp_path.rglob("*.pt"))


def test_every_frame_of_the_jump_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONFIG, "BATCH_SIZE", 8)
    _, _, phase, mask = tcc_train_generic.make_batch(0)
    seen = phase[mask]
    assert all(((seen > low) & (seen <= low + 1)).any() for low in range(10))
    assert ((phase <= 0) | (phase >= 10))[~mask].float().mean() > 0.9  # the others are padding
