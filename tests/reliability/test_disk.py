"""Disks that are full or read-only, and files that vanish or are half written: one line, code 2."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import hash_folder, wave, write_clip, write_frames
from tests.reliability.conftest import SOAK, claim
from tests.reliability.server import Done, Server, told_in_one_line
from tests.reliability.test_training import TRAINING, train
from tests.reliability.test_training import write_clips as write_train_clips
from tests.test_pose import write_clip as write_pose_video

F = 24
NOBODY = 65534  # a user who may write nowhere
COMMANDS = {
    "train": ["tcc_train", *TRAINING],
    "embed": ["tcc_get_embed", "--dataset", "wave"],
    "start": ["tcc_get_start", "--dataset", "wave"],
    "report": ["tcc_report", "--dataset", "wave", "--no-video"],
    "check": ["tcc_check", "--dataset", "wave"],
    "pose": ["tests.reliability.writers:write_clip_folder", "1"],
}
KINDS = list(COMMANDS) if SOAK else ["train", "start", "pose"]


def write_work(folder: Path) -> Path:
    """Write clips to train on and to compare, and a video."""
    write_train_clips(folder)
    for index, name in enumerate("ab"):
        write_clip(folder / "data" / "wave" / "test" / name, wave(F + index, index))
        write_frames(folder / "data" / "wave" / "test" / name, F + index, (64, 48))
    write_pose_video(folder / "1.mp4", 6)
    return folder


def is_clean(folder: Path) -> bool:
    """Return whether no temporary file or folder is left."""
    return not [path for path in folder.rglob(".*") if path.name.startswith((".tcc-", ".clip"))]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_work(tmp_path_factory.mktemp("work"))


@claim("a disk that is full at any byte is told in one line, and no half file is left", 1, 20)
@pytest.mark.parametrize("kind", KINDS)
def test_full_disk(work: Path, tmp_path: Path, server: Server, kind: str, count: int) -> None:
    """No file may be larger than some bytes, which gives the same errors as a full disk."""
    chance = random.Random(kind)
    shutil.copytree(work, tmp_path, dirs_exist_ok=True)
    for _ in range(count):
        size = round(10 ** chance.uniform(3.3, 5))  # larger than what is printed
        before = hash_folder(tmp_path)
        done = server.run(*COMMANDS[kind], cwd=tmp_path, file_bytes=size)
        if done.code == 0:
            continue  # all files are smaller
        assert told_in_one_line(done), f"{size} {done.output}"
        assert is_clean(tmp_path)
        # An earlier result may get another name, but is still there.
        assert set(before.values()) <= set(hash_folder(tmp_path).values())


@pytest.fixture
def small_disk(work: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder with the clips, on a disk of 128 kB that a file fills but for 8 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk can't be mounted here")
    (disk / "data").symlink_to(work / "data")
    (disk / "1.mp4").symlink_to(work / "1.mp4")
    (disk / "full").write_bytes(bytes(112_000))
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@claim("a disk without space is told in one line, and no half file is left", 1, 1)
@pytest.mark.parametrize("kind", KINDS)
def test_small_disk(small_disk: Path, server: Server, kind: str, count: int) -> None:
    done = server.run(*COMMANDS[kind], cwd=small_disk)
    assert told_in_one_line(done), done.output
    assert "No space left on device" in done.output or "disk full" in done.output
    assert is_clean(small_disk)


@claim("a folder that may not be written is told in one line", 1, 1)
@pytest.mark.parametrize("kind", KINDS)
def test_read_only_folder(work: Path, server: Server, kind: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(work, folder, dirs_exist_ok=True)
        folder.chmod(0o555)
        limits = {"user": NOBODY} if os.geteuid() == 0 else {}  # root may write everywhere
        done = server.run(*COMMANDS[kind], cwd=folder, **limits)  # type: ignore[arg-type]
        folder.chmod(0o755)
        assert told_in_one_line(done), done.output
        assert "Permission denied" in done.output
        assert hash_folder(folder) == hash_folder(work)


def run_and_delete(server: Server, kind: str, folder: Path, gone: Path, delay_s: float) -> Done:
    """Run a command and delete a file or folder while it is running."""

    def delete() -> None:
        if gone.is_dir():
            shutil.rmtree(gone, ignore_errors=True)
        else:
            gone.unlink(missing_ok=True)

    timer = threading.Timer(delay_s, delete)
    timer.start()
    done = server.run(*COMMANDS[kind], cwd=folder)
    timer.cancel()
    timer.join()
    return done


@claim("files that vanish while a command runs are told in one line", 1, 20)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pose"])
def test_vanishing_files(work: Path, tmp_path: Path, server: Server, kind: str, count: int) -> None:
    chance = random.Random(kind)
    for number in range(count):
        folder = tmp_path / str(number)
        shutil.copytree(work, folder)
        gone = chance.choice(
            ("data", "data/wave/test/b", "data/wave/test/b/vis", "data/wave/train", "log", "result")
        )
        done = run_and_delete(server, kind, folder, folder / gone, chance.uniform(0, 0.6))
        is_check = kind == "check" and done.code == 2  # names each clip that can't be read
        assert done.code == 0 or is_check or told_in_one_line(done), f"{gone} {done.output}"
        assert "Traceback" not in done.output


@claim("a file that another program has half written is told in one line", 1, 40)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("start", "data/wave/test/a/alphapose-results.json"),
        ("start", "data/wave/test/a/vis/0.jpg"),
        ("embed", "log/wave_checkpoint.pt"),
        ("pose", "1.mp4"),
    ],
)
def test_half_written_files(
    work: Path, tmp_path: Path, server: Server, kind: str, name: str, count: int
) -> None:
    shutil.copytree(work, tmp_path, dirs_exist_ok=True)
    if name.endswith(".pt"):
        assert train(server, tmp_path).code == 0
    path = tmp_path / name
    content = path.read_bytes()
    chance = random.Random(name)
    for _ in range(count):
        path.write_bytes(content[: chance.randrange(len(content) - 1)])
        done = server.run(*COMMANDS[kind], cwd=tmp_path)
        assert told_in_one_line(done), done.output
        assert path.name in done.output
