"""Training in several processes, started by torchrun, against training in one."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from tcc.files import UserError
from tcc.losses import LOSSES, Part, correspondence_loss, training_loss
from tcc.processes import Processes
from tests.conftest import ROOT
from tests.test_losses import OPTIONS

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SMALL = {"HIDDEN_SIZE": 8, "EMBEDDING_SIZE": 8, "FINE_LAYERS": 1, "COARSE_LAYERS": 1}
UNEVEN = {"BATCH_SIZE": 5, "MAX_NUM_TRAINING_STEPS": 12}


def command(log_dir: str, processes: int = 1, **settings: Any) -> list[str]:
    """Return the command that trains on the waves in one or two processes."""
    program = [str(ROOT / "tcc_train.py"), "--dataset", "wave", "--device", "cpu"]
    program += ["--log-dir", log_dir, *(f"--set={name}={v}" for name, v in settings.items())]
    return [*(TORCHRUN if processes == 2 else [sys.executable]), *program]


def train(folder: Path, log_dir: str, processes: int = 1, **settings: Any) -> str:
    """Train in a folder and return what was printed."""
    done = subprocess.run(
        command(log_dir, processes, **settings),
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("4 clips; results are better with 50 or more") == 1
    return done.stdout


def losses(log_dir: Path) -> list[float]:
    """Return the loss of every step of the last run."""
    run = sorted((log_dir / "tensorboard" / "wave").iterdir())[-1]
    events = EventAccumulator(str(run))
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.endswith("loss")]
    return [event.value for tag in sorted(tags, reverse=True) for event in events.Scalars(tag)]


def load(log_dir: Path) -> dict[str, Any]:
    """Load the checkpoint."""
    content: dict[str, Any] = torch.load(log_dir / "wave_checkpoint.pt", weights_only=True)
    return content


def assert_near(log_dir: Path, other: Path) -> None:
    """Check that two trainings had the same losses and have the same weights and clock."""
    ours, theirs = load(log_dir), load(other)
    assert ours.keys() == theirs.keys()
    for name, weights in ours["encoder"].items():
        torch.testing.assert_close(weights, theirs["encoder"][name], rtol=1e-4, atol=1e-4)
    for phase, expected in zip(ours["phases"], theirs["phases"], strict=True):
        torch.testing.assert_close(phase, expected, rtol=0, atol=1e-3, equal_nan=True)
    np.testing.assert_allclose(losses(log_dir), losses(other), rtol=0, atol=1e-5)


class Totals:
    """Stands for the sum over processes: adds what each part asked for in the same order."""

    def __init__(self) -> None:
        self.asked: list[list[Tensor]] = []

    def first_pass(self, number: Tensor) -> Tensor:
        """Note a number of the last part."""
        self.asked[-1].append(number)
        return number

    def second_pass(self) -> Any:
        """Return a function that answers with the sums, in the order of the questions."""
        sums = iter([sum(numbers) for numbers in zip(*self.asked, strict=True)])
        return lambda _: next(sums)


@pytest.mark.parametrize("kind", ["l2", "cosine"])
@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize(("stochastic", "num_cycles"), [(False, 1), (True, 24), (True, 1)])
def test_the_parts_of_a_loss_and_their_gradients_add_up(
    loss_type: str, stochastic: bool, num_cycles: int, kind: str
) -> None:
    generator = torch.Generator().manual_seed(4)
    embeddings = torch.randn(5, 7, 6, generator=generator, dtype=torch.float64)
    steps = torch.rand(5, 20, generator=generator).argsort(1)[:, :7].sort(1).values
    mask = torch.arange(7) < torch.tensor([7, 4, 7, 5, 6])[:, None]
    phase = steps + torch.rand(5, 1, generator=generator)
    options = replace(
        OPTIONS,
        loss_type=loss_type,
        stochastic_matching=stochastic,
        num_cycles=num_cycles,
        similarity_type=kind,
        tcc_tcn_combine=True,
    )

    def loss(part: Part) -> tuple[Tensor, Tensor]:
        x = embeddings.clone().requires_grad_()
        value = training_loss(x, steps, torch.full((5,), 20), mask, options, 3, part)
        value = value + correspondence_loss(x, phase, mask, temperature=0.1, sigma=1, part=part)
        value.backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None
        return value.detach(), x.grad

    totals, values = Totals(), []
    parts = [slice(0, 2), slice(2, 3), slice(3, 5)]
    for clips in parts:
        totals.asked.append([])
        loss(Part(clips, totals.first_pass))
    for clips in parts:
        values.append(loss(Part(clips, totals.second_pass())))
    for whole, added in zip(loss(Part()), map(sum, zip(*values, strict=True)), strict=True):
        torch.testing.assert_close(added, whole, rtol=1e-9, atol=1e-12)


def test_shares_differ_by_at_most_one_clip_and_none_is_empty() -> None:
    for num_clips, count in itertools.product(range(1, 20), range(1, 20)):
        if num_clips < count:
            with pytest.raises(UserError, match=f"BATCH_SIZE {num_clips}: {count} processes need"):
                Processes(0, count).share(num_clips)
            continue
        shares = [range(num_clips)[Processes(r, count).share(num_clips)] for r in range(count)]
        assert [clip for share in shares for clip in share] == list(range(num_clips))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    "changes",
    [
        {"CONSENSUS_SHARE": 0.5},
        {"STOCHASTIC_MATCHING": True, "TCC_TCN_COMBINE": True, "CONSENSUS_SHARE": 0, **SMALL},
    ],
)
def test_two_processes_train_as_one(motion_dir: Path, changes: dict[str, Any]) -> None:
    """Uneven shares of the batch, the generic encoder, both stages and every kind of loss."""
    one = train(motion_dir, "one", **UNEVEN, **changes)
    two = train(motion_dir, "two", processes=2, **UNEVEN, **changes)
    assert_near(motion_dir / "two", motion_dir / "one")
    printed = [line.split(" in ")[0].replace("two/", "one/") for line in two.splitlines()]
    assert printed == [line.split(" in ")[0] for line in one.splitlines()]
    assert len(list((motion_dir / "two" / "tensorboard" / "wave").rglob("events*"))) == 1


def test_an_interrupted_training_of_two_processes_is_resumed_by_one(motion_dir: Path) -> None:
    settings = {**SMALL, "BATCH_SIZE": 4, "MAX_NUM_TRAINING_STEPS": 120, "SAVE_CKPT_STEPS": 5}
    shutil.rmtree(motion_dir / "data" / "wave" / "val")
    process = subprocess.Popen(
        command("two", 2, **settings), cwd=motion_dir, stderr=subprocess.PIPE, text=True
    )
    deadline_s = time.monotonic() + 120
    while not (motion_dir / "two" / "wave_checkpoint.pt").exists():
        assert time.monotonic() < deadline_s
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    step = load(motion_dir / "two")["step"]
    assert 5 <= step < 120
    assert told.count(f"stopped at step {step}, saved in two/wave_checkpoint.pt") == 1
    subprocess.run([*command("two", **settings), "--resume"], cwd=motion_dir, check=True)
    train(motion_dir, "one", **settings)
    assert load(motion_dir / "two")["step"] == 120
    np.testing.assert_allclose(
        losses(motion_dir / "two"), losses(motion_dir / "one"), rtol=0, atol=1e-2
    )
