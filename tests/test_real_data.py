from pathlib import Path

import numpy as np
import pytest

from benchmarks import real_data as benchmark
from tcc.clip_folders import clip_folders
from tcc.coco import JOINTS
from tcc.evaluate.labels import read_labels, read_recordings
from tcc_config import Config
from tcc_data import load_clip


def test_penn_to_coco_keeps_what_is_known_apart_from_what_is_guessed() -> None:
    joints = np.full((1, 13, 3), 50.0)
    joints[..., 2] = 1
    joints[0, 1] = [1, 1, 0]  # no position
    joints[0, 2, 2] = 0  # hidden, placed by guess
    keypoints = benchmark.penn_to_coco(joints)
    assert keypoints.shape == (1, 17, 3)
    confidence = dict(zip(JOINTS, keypoints[0, :, 2], strict=True))
    assert confidence["left_shoulder"] == 0
    assert confidence["right_shoulder"] == benchmark.GUESSED
    assert confidence["nose"] == confidence["right_ankle"] == 1


def test_joints_3d_starts_behind_the_last_gap() -> None:
    names = [*benchmark.FS_MARKERS, "pelvis"]
    markers = np.ones((10, len(names), 3)) * np.arange(10)[:, None, None]
    markers[3, names.index("left_knee")] = np.nan
    joints, first = benchmark.joints_3d(markers, names)
    assert first == 4
    assert joints.shape == (6, 17, 3)
    assert np.isfinite(joints).all()


@pytest.mark.real
def test_written_clips_load_with_their_labels(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCC_REAL_DATA", str(real_data))
    motions = {"penn_jumping_jacks": (56, 56), "fs_loop": (20, 10)}
    options = ["--out", str(tmp_path), "--motions", *motions, "--cameras", "1"]
    monkeypatch.setattr("sys.argv", ["real_data.py", *options])
    benchmark.main()
    for motion, counts in motions.items():
        labels = read_labels(tmp_path, motion)
        for mode, count in zip(("train", "val"), counts, strict=True):
            folders = clip_folders(tmp_path, motion, mode)
            assert len(folders) == count
            clip = load_clip(folders[0], Config())
            assert max(labels[mode, folders[0].name].values()) < clip.num_frames
    assert clip.fps == pytest.approx(60)
    for motion in benchmark.LINKED:
        assert read_labels(tmp_path, motion) == read_labels(real_data, motion)
    benchmark.main()  # once more into the same folder


@pytest.mark.real
def test_cameras_of_one_repetition_share_recording_frames_and_events(
    real_data: Path, tmp_path: Path
) -> None:
    recordings = list(benchmark.read_fs(real_data, ["axel"], cameras=2, seed=0))
    assert benchmark.write_motion(tmp_path / "fs_axel", iter(recordings)) == 60
    labels, shown = read_labels(tmp_path, "fs_axel"), read_recordings(tmp_path, "fs_axel")
    for first, second in zip(recordings[::2], recordings[1::2], strict=True):
        assert first.mode == second.mode == ("val" if first.video.startswith("C") else "train")
        assert len(first.keypoints) == len(second.keypoints)
        names = [(clip.mode, clip.video) for clip in (first, second)]
        assert names[0] != names[1]
        assert shown[names[0]] == shown[names[1]] == first.video.removesuffix("_cam0")
        assert labels[names[0]] == labels[names[1]]
        assert not np.allclose(first.keypoints, second.keypoints)
    assert len(set(shown.values())) == 30
