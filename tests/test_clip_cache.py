"""A command that is given a video makes its clip once and changes none of the user's files."""

from __future__ import annotations

import json
import logging
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
from tcc.clip_folders import find_source, find_videos, list_sources
from tcc.files import UserError, sha256
from tcc.video import read_frames
from tcc_config import Config
from tcc_model import Encoder, EncoderOptions
from tests.conftest import hash_folder
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
    cache = VideoCache(tmp_path / "result" / "keypoints", None, "cpu", tmp_path)
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
    first = VideoCache(tmp_path / "cache", None, "cpu", tmp_path)
    second = VideoCache(tmp_path / "cache", tmp_path / "second.onnx", "cpu", tmp_path)
    folder = first.find_clip(video)
    (folder / "clip.toml").write_text("person = 1")
    assert second.find_clip(video) == second.find_clip(video) == first.find_clip(video) == folder
    assert Made.made == 2
    assert (folder / "clip.toml").exists()


def test_what_get_pose_has_made_is_used(tmp_path: Path) -> None:
    root = tmp_path / "data" / "axel" / "test"
    video = write_clip(root / "jump.mp4")
    cache = VideoCache(tmp_path / "cache", None, "cpu", root)
    where = (tmp_path / "data", "axel", "test")
    kept = cache.find_clip(video)
    assert find_source("jump", *where) == find_source("jump.mp4", *where) == video
    assert list_sources(*where) == [video]
    shutil.copytree(kept, root / "jump")
    assert list_sources(*where) == [root / "jump"]
    outside = tmp_path / "jump.mp4"
    shutil.copy(video, outside)
    for name in ("jump", "jump.mp4", str(video), str(outside)):
        assert cache.find_clip(find_source(name, *where)) == root / "jump"
    write_clip(outside, 7)
    assert cache.find_clip(find_source(str(outside), *where)).parent.parent == tmp_path / "cache"


def test_a_name_of_two_videos_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "axel" / "test"
    write_clip(root / "jump.mov")
    write_clip(root / "jump.mp4", 7)
    where = (tmp_path, "axel", "test")
    cache = VideoCache(tmp_path / "cache", None, "cpu", root)
    with pytest.raises(UserError, match=r"jump can be jump.mov or jump.mp4 in .*axel/test; give"):
        find_source("jump", *where)
    made = cache.find_clip(find_source("jump.mp4", *where))
    assert json.loads((made / "video.json").read_text())["num_frames"] == 7
    (root / "jump").mkdir()
    (root / "other.mp4").mkdir()  # a folder is a clip, not a video
    assert [path.name for path in find_videos(root)] == ["jump.mov", "jump.mp4"]
    assert find_source("jump", *where) == root / "jump"


def test_a_bad_video_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    cache = VideoCache(tmp_path / "cache", None, "cpu", tmp_path)
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
    assert frames[-1].time_s > 4 * stored["aligned_seq_len"] / 25  # at a quarter the second time
    assert Made.made == 2
    command(tcc_get_start, monkeypatch, *pair)
    assert Made.made == 2
    assert {path.name for path in tmp_path.iterdir()} == {"my.mov", "coach.mp4", "log", "result"}


def test_videos_in_the_folder_of_the_mode_are_used_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data" / "axel" / "test"
    write_clip(root / "b_coach.mp4", 20)
    write_clip(root / "a_my.mov", 30)
    before = hash_folder(root)
    command(tcc_get_start, monkeypatch, "--no-video")
    assert "result/check_start_axel_a_my_vs_b_coach.jpg" in capsys.readouterr().out
    checked = json.loads(Path("result/check_start_axel_a_my_vs_b_coach.json").read_text())
    assert [clip["num_frames"] for clip in checked["clips"]] == [30, 20]
    assert Path("result/check_start_axel_a_my_vs_b_coach.jpg").exists()
    command(tcc_align, monkeypatch, "--no-video")
    stored = json.loads(Path("result/output_axel_test.json").read_text())
    assert list(stored["maps"]) == ["a_my", "b_coach"]
    assert Path("result/check_output_axel_test.jpg").exists()
    assert Made.made == 2
    assert hash_folder(root) == before


def test_slow_motion_and_trimming_of_video_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "my.mov", 60)
    write_clip(tmp_path / "coach.mp4", 30)
    rates = ("--capture-fps", "50", "--standard-capture-fps", "100")
    parts = ("--trim", "0.2-1", "--standard-trim", "0.05-")
    command(tcc_get_start, monkeypatch, "my.mov", "coach.mp4", *rates, *parts, "--no-video")
    stored = json.loads(Path("result/start_axel_my_vs_coach.json").read_text())
    learner, standard = (
        json.loads(next(Path("result/keypoints").glob(f"*/{name}/video.json")).read_text())
        for name in ("my", "coach")
    )
    assert (learner["capture_fps"], standard["capture_fps"]) == (50, 100)
    frames = np.array(stored["path"])
    assert frames[:, 0].min() >= 5
    assert 10 <= frames[:, 1].min() <= frames[:, 1].max() <= 50
    assert stored["start_s"] == pytest.approx(stored["start_frame"] / 50)
    # Another rate is another clip, and the first one is kept.
    command(tcc_get_start, monkeypatch, "my.mov", "coach.mp4", "--no-video")
    assert Made.made == 4
    command(tcc_get_start, monkeypatch, "my.mov", "coach.mp4", *rates, "--no-video")
    assert Made.made == 4
    with pytest.raises(UserError, match=r"--capture-fps 0.5: expected 1 to 100000, as in 240"):
        command(tcc_get_start, monkeypatch, "my.mov", "coach.mp4", "--capture-fps", "0.5")
    folder = next(Path("result/keypoints").glob("*/my"))
    with pytest.raises(UserError, match=r"my: --capture-fps 50 is for video files, and this is a"):
        command(tcc_get_start, monkeypatch, str(folder), "coach.mp4", "--capture-fps", "50")


def test_missing_files_and_other_weights_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    for name in ("my.mov", "coach.mp4"):
        write_clip(tmp_path / name, 20)
    for arguments, message in (
        (("nix.mov", "coach.mp4"), r"^nix.mov: no such file or folder; check the path$"),
        (("--learner", "nix.mov"), r"^nix.mov: no such file or folder; check the path$"),
        (("my.mov",), r"^my.mov: name the other clip too, as in: tcc_get_start.py learner.mp4 co"),
        (("my.mov", "coach.mp4", "third.mp4"), r"expected two clips, the learner's and the coach"),
        (("my.mov", "--standard", "coach.mp4"), r"expected two clips, the learner's and the coac"),
    ):
        with pytest.raises(UserError, match=message):
            command(tcc_get_start, monkeypatch, *arguments)
    command(tcc_get_start, monkeypatch, "my.mov", "coach.mp4", "--no-video")
    with pytest.raises(UserError, match=r"--weights nix.onnx: no such file; check the path"):
        command(tcc_get_start, monkeypatch, "my.mov", "coach.mp4", "--weights", "nix.onnx")
    Path("second.onnx").write_text("second")
    command(
        tcc_get_start, monkeypatch, "my.mov", "coach.mp4", "--weights", "second.onnx", "--no-video"
    )
    assert "my.mov: has keypoints of another model than --weights in result/key" in caplog.text


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
