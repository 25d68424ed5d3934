"""Inputs as users reported them, in folders of clips; each gives the result of the plain clip."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tcc.alphapose import to_detections, write_detections
from tcc.clip_folders import clip_folders, find_videos, list_clips
from tcc.clips import load_clip
from tcc.files import UserError
from tests.conftest import Run, wave, write_clip

F = 24
SKATER, OTHER = wave(F, 0), wave(F, 1) * np.array([0.4, 0.4, 1], np.float32)
Record = dict[str, Any]


def records(name: Callable[[int], Any]) -> list[Record]:
    """Return both people in all frames as AlphaPose writes them, with other image names."""
    return [
        {"image_id": name(frame), "category_id": 1, "score": 2.0 - person,
         "keypoints": people[frame].astype(float).round(3).ravel().tolist()}
        for frame in range(F)
        for person, people in enumerate((SKATER, OTHER))
    ]  # fmt: skip


def write(folder: Path, content: object, images: list[str] | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "alphapose-results.json").write_text(json.dumps(content))
    for name in images or []:
        (folder / "vis").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "vis" / name), np.zeros((8, 8, 3), np.uint8))
    return folder


def check_is_plain(folder: Path) -> None:
    clip = load_clip(folder, 30.0, 0.2)
    assert clip.num_frames == F
    np.testing.assert_allclose(clip.keypoints, SKATER, atol=0.001)
    assert clip.track.num_people.tolist() == [2] * F
    assert clip.track.observed.all()


NUMBERED = [f"{number:06d}.jpg" for number in range(F)]
CASES: dict[str, tuple[Callable[[int], Any], list[str] | None]] = {
    "milliseconds": (lambda i: f"{(i + 1) * 33.333:.3f}.jpg", None),
    "seconds": (lambda i: f"t{i / 30:.3f}.jpg", None),
    "seconds_with_unit": (lambda i: f"frame_{i / 30:.2f}s.png", None),
    "times_of_any_length": (
        lambda i: f"{round(i / 30, 3)}.jpg", [f"{round(i / 30, 3)}.jpg" for i in range(F)]
    ),
    "dotted_clock": (lambda i: f"2024-11-25 10.30.15 {i:04d}.png", None),
    "drive": (lambda i: f"C:\\skate\\{i:06d}.jpg", NUMBERED),
    "other_suffix": (lambda i: f"vis\\{i:06d}.PNG", NUMBERED),
    "address": (lambda i: f"file:///C:/my%20skate/{i:06d}.jpg", NUMBERED),
    "number": (lambda i: i, NUMBERED),
    "number_from_1": (lambda i: i + 1, [f"f_{i + 1}.jpg" for i in range(F)]),
    "float_without_vis": (lambda i: float(i), None),
    "number_as_text": (lambda i: f"{i}", [f"cam1_{i:03d}.png" for i in range(F)]),
}  # fmt: skip

# Cases whose first image is not number 0, or has no number.
TOLD = {"milliseconds", "seconds", "seconds_with_unit", "number_from_1"}


@pytest.mark.parametrize("name", CASES)
def test_image_names_of_users(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.set_level(logging.INFO, "tcc")
    image, files = CASES[name]
    check_is_plain(write(tmp_path / "clip", records(image), files))
    assert len(caplog.messages) == (name in TOLD)


@pytest.mark.parametrize("inner", [".", "json", "output_jsons"])
def test_a_folder_of_openpose_files_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, inner: str
) -> None:
    caplog.set_level(logging.INFO, "tcc")
    folder = tmp_path / "clip" / inner
    folder.mkdir(parents=True)
    (tmp_path / "clip" / "__MACOSX").mkdir()
    (tmp_path / "clip" / "__MACOSX" / "x.json").write_text("[]")
    for frame in range(F):
        people = [{"pose_keypoints_2d": pose[frame].ravel().tolist()} for pose in (SKATER, OTHER)]
        file = folder / f"cam1_{frame:012d}_keypoints.json"
        file.write_text(json.dumps({"version": 1.3, "people": people}))
        (folder / f"._{file.name}").write_bytes(b"\0")
    check_is_plain(tmp_path / "clip")
    (tmp_path / "clip" / "vis").mkdir()
    for frame in range(F):
        name = f"cam1_{frame:012d}.png"
        cv2.imwrite(str(tmp_path / "clip" / "vis" / name), np.zeros((8, 8, 3), np.uint8))
    check_is_plain(tmp_path / "clip")
    assert caplog.messages == []


@pytest.mark.parametrize("inner", [".", "sep-json"])
def test_one_keypoint_file_is_used_beside_files_of_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, inner: str
) -> None:
    caplog.set_level(logging.INFO, "tcc")
    folder = write(tmp_path / "clip", records(lambda i: f"{i}.jpg"))
    (folder / inner).mkdir(exist_ok=True)
    for frame in range(F):
        (folder / inner / f"f_{frame}.json").write_text('{"people": []}')
    check_is_plain(folder)
    nine = ", ".join(f"f_{number}.json" for number in (0, 1, *range(10, 17)))
    unused = f"{nine} and 15 more" if inner == "." else "sep-json/"
    assert caplog.messages == [f"{folder}/alphapose-results.json is used; not used: {unused}"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a.json", "b.json"], "a.json, b.json"),
        ([f"{name}.json" for name in "abcdefghijkl"], "a.json, .*, i.json and 3 more"),
        (["x/0.json", "y/0.json"], "x/, y/"),
    ],
)
def test_keypoint_files_that_are_not_clear_are_named(
    tmp_path: Path, names: list[str], found: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("[]")
    with pytest.raises(
        UserError, match=rf"one keypoint file \(\*.json\), found {found}; keep only"
    ):
        load_clip(tmp_path, 30.0, 0.2)


def twins(noise_px: float, exact: bool = False) -> list[Record]:
    """Return everybody twice; the second time with a lower score, or the same if `exact`."""
    generator = np.random.default_rng(0)
    result = []
    for record in records(lambda i: f"{i}.jpg"):
        second = np.array(record["keypoints"]).reshape(17, 3)
        second[:, :2] += generator.normal(0, noise_px, (17, 2))
        share = 1.0 if exact else 0.8
        worse = record | {"keypoints": second.ravel().tolist(), "score": share * record["score"]}
        result += [record, worse] if generator.random() < 0.5 or exact else [worse, record]
    return result


def half_twins() -> list[Record]:
    """Return everybody again with the legs unseen and far away, as detected in half a body."""
    result = []
    for record in records(lambda i: f"{i}.jpg"):
        half = np.array(record["keypoints"]).reshape(17, 3)
        half[11:] = [5.0, 5.0, 0.05]
        result += [record | {"keypoints": half.ravel().tolist(), "score": 0.6}, record]
    return result


@pytest.mark.parametrize("content", [twins(0, exact=True), twins(3), half_twins()])
def test_people_who_are_detected_twice_count_once(tmp_path: Path, content: list[Record]) -> None:
    folder = write(tmp_path / "clip", content)
    plain = load_clip(write(tmp_path / "plain", records(lambda i: f"{i}.jpg")), 30.0, 0.2)
    check_is_plain(folder)
    assert load_clip(folder, 30.0, 0.2).track.margin == pytest.approx(plain.track.margin)


def test_folders_of_the_system_are_left_out_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tcc")
    root = tmp_path / "axel" / "test"
    write_clip(root / "learner", SKATER)
    write_clip(root / "__jump", SKATER)
    others = ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "__pycache__", ".Trashes", ".git"]
    for name in others:
        (root / name).mkdir()
    for name in ("desktop.ini", "Thumbs.db", "._learner", ".DS_Store"):
        (root / name).write_bytes(b"\0")
    assert [path.name for path in clip_folders(tmp_path, "axel", "test")] == ["__jump", "learner"]
    assert caplog.messages == [
        f"{root}: left out, no clip: $RECYCLE.BIN, @eaDir, __MACOSX, __pycache__"
    ]
    (tmp_path / "__MACOSX").mkdir()
    assert [path.name for path in list_clips(tmp_path)] == ["axel"]


def test_files_of_sound_and_pictures_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "axel" / "test"
    write_clip(root / "learner", SKATER)
    for name in ("b.MTS", "a.m4v", "c.wmv", "d.3gp", "e.mpg", "f.ts", "music.mp3", "photo.JPG"):
        (root / name).touch()
    (root / "learner.mp4").mkdir()
    (root / "notes.txt").touch()
    clip_folders(tmp_path, "axel", "test")
    assert [path.name for path in find_videos(root)] == [
        "a.m4v", "b.MTS", "c.wmv", "d.3gp", "e.mpg", "f.ts"
    ]  # fmt: skip
    assert f"{root}: not used, no video: music.mp3, photo.JPG; export it as .mp4" in caplog.text
    assert "not used: a.m4v, b.MTS, c.wmv, d.3gp, e.mpg, f.ts; run: python3 tcc_get" in caplog.text


@pytest.mark.parametrize("step", [33, 33_333, 2])
def test_times_in_another_unit_are_refused(tmp_path: Path, step: int) -> None:
    folder = write(tmp_path / "clip", records(lambda i: f"{i}.jpg"))
    times = {"timestamps_s": [step * frame for frame in range(F)]}
    (folder / "video.json").write_text(json.dumps(times))
    with pytest.raises(
        UserError,
        match=rf"video.json: the times go from 0.* s, {step} s from frame to frame; timestamps_s "
        "must be in seconds: divide milliseconds by 1000",
    ):
        load_clip(folder, 30.0, 0.2)


def test_a_slow_camera_and_a_long_pause_are_no_other_unit(tmp_path: Path) -> None:
    folder = write(tmp_path / "clip", records(lambda i: f"{i}.jpg"))
    times = np.arange(F) * 0.9
    times[-1] = 60
    (folder / "video.json").write_text(json.dumps({"timestamps_s": times.tolist()}))
    assert load_clip(folder, 30.0, 0.2).times_s.tolist() == times.tolist()


def test_long_names_of_images_and_folders_are_no_problem(tmp_path: Path) -> None:
    title = "跳" * 80
    folder = write(
        tmp_path / title,
        records(lambda i: f"{title}{i}.jpg"),
        [f"{title}{i}.jpg" for i in range(F)],
    )
    check_is_plain(folder)


def test_a_command_gives_the_same_result_for_every_kind(tmp_path: Path, run: Run) -> None:
    """The learner's clip in four formats: the start that is found is the same."""
    test = tmp_path / "data" / "wave" / "test"
    write(test / "a_plain", records(lambda i: f"{i}.jpg"))
    write(test / "b_times", records(lambda i: f"{33.333 * i:.3f}.jpg"))
    write(test / "c_numbers", records(lambda i: i))
    write(test / "d_twins", twins(3))
    write_detections(
        write(test / "z", []) / "alphapose-results.json", to_detections([SKATER[6:20]])
    )
    starts = []
    for name in ("a_plain", "b_times", "c_numbers", "d_twins"):
        done: subprocess.CompletedProcess[str] = run(
            "tcc_get_start.py", "--dataset", "wave", "--learner", name, "--standard", "z",
            "--no-video", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        [result] = tmp_path.glob(f"result/start_wave_{name}_*.json")
        starts.append(json.loads(result.read_text())["start_frame"])
    assert len(set(starts)) == 1
