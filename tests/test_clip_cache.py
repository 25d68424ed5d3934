"""A command that is given a video makes its clip once and changes none of the user's files."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import tcc_align
import tcc_get_start
from tcc import checkpoint
from tcc.clip_cache import VideoCache
from tcc.clip_folders import find_clip, find_videos
from tcc.files import UserError, sha256
from tcc.video import read_frames
from tcc_config import Config
from tcc_model import Encoder, EncoderOptions
from tests.test_pose import FRAMES, Stub, write_clip


class Made(Stub):
    """Records the weights that it was given, and counts the videos."""

    made = 0

    def __init__(self, weights: Path | None, device: str) -> None:
        super().__init__(3)
        self.weights = weights

    def load(self) -> dict[str, Any]:
        Made.made += 1
        return {"name": "stub", "weights_sha256": sha256(self.weights) if self.weights else "first"}


@pytest.fixture(autouse=True)
def estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcc.estimator.Rtmo", Made)
    monkeypatch.setattr(Made, "made", 0)


def test_a_clip_is_made_once_of_a_files_content(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "mine" / "jump.mp4")
    cache = VideoCache(tmp_path / "result" / "keypoints", None, "cpu")
    folder = cache.find_clip(video)
    assert folder == tmp_path / "result" / "keypoints" / sha256(video)[:16] / "jump"
    assert len(list((folder / "vis").iterdir())) == FRAMES
    assert [path.name for path in video.parent.iterdir()] == ["jump.mp4"]
    (tmp_path / "copy").mkdir()
    shutil.copy(video, tmp_path / "copy")
    assert cache.find_clip(tmp_path / "copy" / "jump.mp4") == folder
    assert Made.made == 1
    write_clip(video, 7)
    other = cache.find_clip(video)
    assert other != folder
    assert json.loads((other / "video.json").read_text())["num_frames"] == 7
    assert Made.made == 2


def test_other_weights_make_it_anew_and_none_take_what_is_there(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "jump.mp4")
    (tmp_path / "second.onnx").write_text("second")
    first = VideoCache(tmp_path / "cache", None, "cpu")
    second = VideoCache(tmp_path / "cache", tmp_path / "second.onnx", "cpu")
    folder = first.find_clip(video)
    (folder / "clip.toml").write_text("person = 1")
    assert second.find_clip(video) == second.find_clip(video) == first.find_clip(video) == folder
    assert Made.made == 2
    assert (folder / "clip.toml").exists()


def test_what_get_pose_has_made_is_used(tmp_path: Path) -> None:
    root = tmp_path / "data" / "axel" / "test"
    video = write_clip(root / "jump.mp4")
    cache = VideoCache(tmp_path / "cache", None, "cpu")
    where = (tmp_path / "data", "axel", "test", cache.find_clip)
    kept = cache.find_clip(video)
    assert find_clip("jump", *where) == find_clip("jump.mp4", *where) == kept
    shutil.copytree(kept, root / "jump")
    outside = tmp_path / "jump.mp4"
    shutil.copy(video, outside)
    for name in ("jump", "jump.mp4", str(video), str(outside)):
        assert find_clip(name, *where) == root / "jump"
    write_clip(outside, 7)
    assert find_clip(str(outside), *where).parent.parent == tmp_path / "cache"
    with pytest.raises(UserError, match=r"jump.mp4 is a file, not the folder of a clip; run: pyt"):
        find_clip(str(outside), *where[:3])


def test_a_name_of_two_videos_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "axel" / "test"
    write_clip(root / "jump.mov")
    write_clip(root / "jump.mp4", 7)
    where = (tmp_path, "axel", "test", VideoCache(tmp_path / "cache", None, "cpu").find_clip)
    with pytest.raises(UserError, match=r"jump can be jump.mov or jump.mp4 in .*axel/test; give"):
        find_clip("jump", *where)
    made = find_clip("jump.mp4", *where)
    assert json.loads((made / "video.json").read_text())["num_frames"] == 7
    (root / "jump").mkdir()
    (root / "other.mp4").mkdir()  # a folder is a clip, not a video
    assert [path.name for path in find_videos(root)] == ["jump.mov", "jump.mp4"]
    assert find_clip("jump", *where) == root / "jump"


def test_a_bad_video_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    cache = VideoCache(tmp_path / "cache", None, "cpu")
    with pytest.raises(UserError, match=r"empty.mp4: empty file"):
        cache.find_clip(tmp_path / "empty.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.mp4"]


def command(module: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run a command in this process, with an encoder of random weights."""
    config = Config(EMBEDDING_SIZE=8, HIDDEN_SIZE=16, FINE_LAYERS=1, COARSE_LAYERS=1)
    torch.manual_seed(0)
    content = {
        "encoder": Encoder(43, config.fill(EncoderOptions)).state_dict(), "feature_size": 43,
        "config": asdict(config), "motion": "axel", "step": 1, "class_names": [],
    }  # fmt: skip
    checkpoint.save(Path("log/axel_checkpoint.pt"), content)
    monkeypatch.setattr(module, "CONFIG", Config())
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    module.main()


def test_start_takes_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "my.mov", 40)
    write_clip(tmp_path / "coach.mp4", 20)
    pair = ("--learner", "my.mov", "--standard", "coach.mp4")
    command(tcc_get_start, monkeypatch, *pair)
    stem = tmp_path / "result" / "start_axel_my_vs_coach"
    stored = json.loads(stem.with_suffix(".json").read_text())
    assert stored["original_seq_len"] == 40
    frames = list(read_frames(stem.with_suffix(".mp4")))
    assert len(frames) == 40
    assert Made.made == 2
    command(tcc_get_start, monkeypatch, *pair)
    assert Made.made == 2
    assert {path.name for path in tmp_path.iterdir()} == {"my.mov", "coach.mp4", "log", "result"}


def test_align_takes_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    videos = [f"{name}.mp4" for name in "abcd"]
    for number, name in enumerate(videos):
        write_clip(tmp_path / name, 20 + 3 * number)
    command(tcc_align, monkeypatch, "--videos", ",".join(videos))
    stored = json.loads((tmp_path / "result" / "output_axel_test.json").read_text())
    assert list(stored["maps"]) == ["a", "b", "c", "d"]
    assert stored["maps"]["a"] == list(range(20))
    picture = next(read_frames(tmp_path / "result" / "output_axel_test.mp4")).image
    assert picture.shape[1] == 2 * tcc_align.PANEL_SIZE[0]
    assert cv2.imread("result/output_axel_test.jpg") is not None
    assert np.ptp(picture) > 100
