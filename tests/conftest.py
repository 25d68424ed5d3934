"""Clips that tests write, and where the recorded data are."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.alphapose import to_detections, write_detections
from tcc.clips import Clip
from tcc.tracking import Track
from tcc_config import CONFIG

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for clips this small, threads only wait
ROOT = Path(__file__).parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]
Call = Callable[..., None]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the recorded data, else the test is skipped."""
    path = Path(os.environ.get("TCC_REAL_DATA", ROOT / "../shared/data"))
    if not path.is_dir():
        pytest.skip(f"no recorded data in {path}; set TCC_REAL_DATA")
    return path


@pytest.fixture(scope="session")
def run() -> Run:
    """Return a function that runs one of the commands as a user would, from another folder."""

    def run_command(
        command: str, *arguments: str | Path, cwd: Path, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / command, *map(str, arguments)],
            cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options,
        )  # fmt: skip

    return run_command


def wave(num_frames: int, seed: int, tempo: float = 1.0) -> NDArray[np.float32]:
    """Keypoints (F, 17, 3) px of somebody whose joints swing, sure of every one."""
    generator = np.random.default_rng(seed)
    phase = np.arange(num_frames)[:, None] * tempo / 10
    joint = np.arange(17)
    x = 320 + 20 * np.cos(phase + joint) + generator.normal(0, 0.3, (num_frames, 17))
    y = (
        100
        + 12 * joint
        + 9 * np.sin(2 * phase + joint)
        + generator.normal(0, 0.3, (num_frames, 17))
    )
    return np.stack([x, y, np.full_like(x, 0.9)], axis=-1).astype(np.float32)


def make_clip(
    keypoints: NDArray[np.float32],
    folder: Path = Path("clip"),
    images: Sequence[NDArray[np.uint8]] = (),
    *,
    times_s: NDArray[np.float64] | None = None,
    first_frame: int = 0,
    total_frames: int | None = None,
    picture_px: tuple[int, int] | None = None,
) -> Clip:
    """Return a clip of keypoints (F, 17, 3), 30 frames a second, with images if any are given."""
    count = len(keypoints)
    paths = [folder / f"{frame}.png" for frame in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image)
    track = Track(
        keypoints, np.ones(count, bool), np.zeros(count, np.int32), 1.0, np.ones(count, np.int32),
        np.zeros(count, bool),
    )  # fmt: skip
    if times_s is None:
        times_s = (first_frame + np.arange(count)) / 30
    total = first_frame + count if total_frames is None else total_frames
    return Clip(folder.name, folder, track, times_s, paths, first_frame, total, picture_px)


def write_clip(folder: Path, *people: NDArray[np.float32]) -> None:
    """Write the keypoints (F, 17, 3) of one or more people as AlphaPose does."""
    folder.mkdir(parents=True)
    names = [f"{frame}.jpg" for frame in range(len(people[0]))]
    write_detections(folder / "alphapose-results.json", to_detections(people, names))


def write_frames(folder: Path, num_frames: int, size_px: tuple[int, int] = (641, 361)) -> None:
    """Write vis/ of a clip: width x height, odd on purpose, with the frame number as grey value."""
    (folder / "vis").mkdir()
    for frame in range(num_frames):
        image = np.full((*size_px[::-1], 3), 2 * frame % 256, np.uint8)
        cv2.imwrite(str(folder / "vis" / f"{frame}.jpg"), image)


def hash_folder(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that runs a command's `main` in this process, with the default settings."""

    def call_main(main: Callable[[], None], *arguments: str | Path, cwd: Path) -> None:
        for field in fields(CONFIG):
            monkeypatch.setattr(CONFIG, field.name, field.default)
        monkeypatch.chdir(cwd)
        monkeypatch.setattr("sys.argv", ["tcc", *map(str, arguments)])
        main()

    return call_main


@pytest.fixture
def motion_dir(tmp_path: Path) -> Path:
    """A working folder with data/wave/: 4 train, 4 val and 2 test clips without frames."""
    for mode, count in (("train", 4), ("val", 4), ("test", 2)):
        for index in range(count):
            clip = wave(30 + 2 * index, 100 * count + index, 1 + 0.1 * index)
            write_clip(tmp_path / "data" / "wave" / mode / f"{mode}{index}", clip)
    return tmp_path
