"""Training that is killed, interrupted or started twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tcc.files import alone
from tests.conftest import ROOT, hash_folder, wave, write_clip
from tests.reliability.conftest import claim
from tests.reliability.server import Done, Server, told_in_one_line
from tests.test_train import assert_same, options, scalars, state

TRAINING = options(MAX_NUM_TRAINING_STEPS=18, SAVE_CKPT_STEPS=3)
RUNS = 20  # kills of one training at most


def write_clips(folder: Path) -> Path:
    """Write four clips to train on and two to score."""
    for mode, number in (("train", 4), ("val", 2)):
        for index in range(number):
            clip = wave(20 + 2 * index, index, 1 + 0.1 * index)
            write_clip(folder / "data" / "wave" / mode / f"{mode}{index}", clip)
    return folder


def train(server: Server, folder: Path, kill_s: float | None = None) -> Done:
    """Start the training, or continue it if there is a checkpoint."""
    resume = ["--resume"] * (folder / "log" / "wave_checkpoint.pt").exists()
    return server.run("tcc_train", *TRAINING, *resume, cwd=folder, kill_s=kill_s)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, server: Server) -> tuple[Path, float]:
    """The folder of a training that was left alone, and how long it took, s."""
    folder = write_clips(tmp_path_factory.mktemp("whole"))
    done = train(server, folder)
    assert done.code == 0, done.output
    return folder, done.wall_s


@claim("training that is killed at a random moment and resumed ends bitwise equal", 2, 50)
def test_killed_training_ends_bitwise_equal(
    tmp_path: Path, server: Server, whole: tuple[Path, float], count: int
) -> None:
    expected, whole_s = whole
    chance = random.Random(count)
    kills = rounds = 0
    while kills < count:
        rounds += 1
        folder = write_clips(tmp_path / str(rounds))
        for attempt in range(RUNS + 1):
            is_left = kills == count or attempt == RUNS
            done = train(server, folder, None if is_left else chance.uniform(0, whole_s))
            if not done.was_killed:
                break
            kills += 1
        assert done.code == 0, done.output
        assert_same(state(folder), state(expected))
        assert scalars(folder) == scalars(expected)
        names = {path.name for path in (folder / "log").iterdir()}
        assert names == {"wave_checkpoint.pt", "tensorboard"}


@claim("a second training into one log folder says so and changes nothing", 1, 10)
def test_second_training_says_so(tmp_path: Path, server: Server, count: int) -> None:
    folder = write_clips(tmp_path)
    for _ in range(count):
        with alone(folder / "log" / "tensorboard" / "wave", "training of wave"):
            before = hash_folder(folder)
            done = train(server, folder)
            assert told_in_one_line(done), done.output
            assert "log/tensorboard/wave: another training of wave is running" in done.output
            assert hash_folder(folder) == before
    done = train(server, folder)
    assert done.code == 0, done.output


def interrupt(folder: Path, delay_s: float) -> tuple[int, str]:
    """Press Ctrl-C some time after the program's first import, and return exit code and stderr."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "tcc_train.py", *TRAINING],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    maps = Path(f"/proc/{process.pid}/maps")
    while "msgspec" not in maps.read_text():  # the package tcc has been imported
        time.sleep(0.002)
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


@claim("Ctrl-C from the first import on is one line, code 130", 1, 40)
def test_ctrl_c_at_once(tmp_path: Path, count: int) -> None:
    folder = write_clips(tmp_path)
    for number in range(count):
        code, told = interrupt(folder, 2.0 * (number + 0.2) / count)
        assert code == 130, told
        lines = [x for x in told.splitlines() if not x.startswith(("note: ", "warning: "))]
        assert lines == ["interrupted"], told


@claim("Ctrl-C at a random moment of a run is one line, and leaves no half file", 1, 60)
def test_ctrl_c_at_random(
    tmp_path: Path, server: Server, whole: tuple[Path, float], count: int
) -> None:
    chance = random.Random(count)
    for number in range(count):
        folder = write_clips(tmp_path / str(number))
        delay_s = chance.uniform(0.02, whole[1])
        done = server.run("tcc_train", *TRAINING, cwd=folder, kill_s=delay_s, number=signal.SIGINT)
        lines = [x for x in done.output.splitlines() if not x.startswith(("note: ", "warning: "))]
        assert done.code in (0, 130), done.output
        assert lines == ["interrupted"] * (done.code == 130), done.output
        assert not list(folder.rglob(".tcc-*"))
