"""Tables, subtitles and OpenPose's keypoints that the report writes."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from tcc.alphapose import read_detections
from tcc.features import fill_joints
from tcc.report import events
from tcc.report.comparison import Comparison, compare
from tcc.report.export import (
    to_body_25,
    write_alignment,
    write_angles,
    write_openpose,
    write_phases,
)
from tcc.report.measures import MEASURES
from tcc.report.performance import Performance, perform
from tests.conftest import make_clip
from tests.jumpers import axel, keypoints_of, seen_from


def jump(
    fps: float = 30,
    first_frame: int = 0,
    mirrored: bool = False,
    marked: bool = True,
    num_frames: int | None = None,
) -> Performance:
    """Return the performance of a synthetic Axel whose clip begins at a frame of a longer video."""
    motion = axel(3, clockwise=False, fps=fps)
    keypoints = keypoints_of(seen_from(motion.joints_m, 80))[:num_frames]
    times_s = (first_frame + np.arange(len(keypoints))) / fps
    clip = make_clip(keypoints, times_s=times_s, first_frame=first_frame)
    points = fill_joints(keypoints, 0.2)
    found = events.complete(events.mark(motion.events, times_s), points, times_s) if marked else {}
    return perform(clip, found, 0.2, mirrored)


def comparison(learner: Performance, standard: Performance) -> Comparison:
    """Compare two performances, all frames matched at a constant tempo except 5 at each end."""
    length = learner.clip.num_frames - 10
    frames = np.linspace(5, standard.clip.num_frames - 6, length).round().astype(int)
    return compare(learner, standard, np.stack([frames, np.arange(length) + 5], axis=1), 0.9)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_alignment_names_frames_and_times_of_the_whole_videos(tmp_path: Path) -> None:
    found = comparison(jump(first_frame=100), jump(fps=60, first_frame=7))
    write_alignment(tmp_path / "alignment.csv", found)
    rows = read_csv(tmp_path / "alignment.csv")
    assert len(rows) == len(found.rows)
    for row, (first, second), matched in zip(rows, found.rows, found.matched, strict=True):
        assert int(row["learner_frame"]) == 100 + first
        assert float(row["learner_s"]) == pytest.approx((100 + first) / 30, abs=1e-4)
        assert int(row["standard_frame"]) == 7 + second
        assert float(row["standard_s"]) == pytest.approx((7 + second) / 60, abs=1e-4)
        assert row["matched"] == str(int(matched))
    assert {row["matched"] for row in rows} == {"0", "1"}
    takeoff, landing = (found.learner.events[name].frame for name in ("takeoff", "landing"))
    flight = [int(row["learner_frame"]) - 100 for row in rows if row["phase"] == "flight"]
    assert flight == list(range(takeoff, landing))


@pytest.mark.parametrize("mirrored", [False, True])
def test_angles_are_those_of_the_performances(tmp_path: Path, mirrored: bool) -> None:
    found = comparison(jump(first_frame=100), jump(fps=60, first_frame=7, mirrored=mirrored))
    write_angles(tmp_path / "angles.csv", found)
    rows = read_csv(tmp_path / "angles.csv")
    for role, performance, shown in zip(
        ("learner", "standard"), (found.learner, found.standard), found.rows.T, strict=True
    ):
        own = [row for row in rows if row["clip"] == role]
        frames = np.array([int(row["frame"]) for row in own]) - performance.clip.first_frame
        np.testing.assert_array_equal(frames, np.arange(shown.min(), shown.max() + 1))
        times_s = [float(row["time_s"]) for row in own]
        np.testing.assert_allclose(times_s, performance.clip.times_s[frames], atol=1e-4)
        assert {row["mirrored"] for row in own} == {str(int(performance.mirrored))}
        for name, measure in MEASURES.items():
            curve = performance.curves[name]
            atol = 0.005 if measure.unit == "degrees" else 5e-5
            for kind, values in (("raw", curve.raw), ("filtered", curve.filtered)):
                written = [float(row[f"{name}_{kind}"]) for row in own]
                np.testing.assert_allclose(written, values[frames], atol=atol * 1.01)
            valid = [int(row[f"{name}_valid"]) for row in own]
            np.testing.assert_array_equal(valid, curve.valid[frames])
    assert len(rows) == sum(np.ptp(found.rows, axis=0) + 1)


@pytest.mark.parametrize("first_frame", [0, 110_000])  # more than an hour
def test_subtitles_follow_each_other_and_begin_with_the_first_frame_of_a_phase(
    tmp_path: Path, first_frame: int
) -> None:
    learner = jump(first_frame=first_frame)
    write_phases(tmp_path / "phases.srt", learner)
    content = (tmp_path / "phases.srt").read_bytes().decode("ascii")
    assert content.endswith("\r\n\r\n")
    assert "\n" not in content.replace("\r\n", "")
    blocks = content.removesuffix("\r\n\r\n").split("\r\n\r\n")
    assert len(blocks) == len(learner.phases) == 5
    end = 0.0
    times_s, pattern = learner.clip.times_s, r"(\d\d):(\d\d):(\d\d),(\d\d\d)"
    for number, (block, (phase, span)) in enumerate(
        zip(blocks, learner.phases.items(), strict=True), 1
    ):
        index, line, text = block.split("\r\n")
        assert index == str(number)
        found = re.fullmatch(f"{pattern} --> {pattern}", line)
        assert found
        values = np.array(found.groups(), float).reshape(2, 4) @ [3600, 60, 1, 0.001]
        assert end <= values[0] < values[1]
        end = values[1]
        assert times_s[span[0]] - 0.0011 < values[0] <= times_s[span[0]] + 1e-6
        seconds = np.append(times_s, times_s[-1] + 1 / 30)[list(span)]
        assert f"{np.diff(seconds)[0]:.2f} s" in text
        assert text.startswith(f"{phase}: ")
    flight = learner.quantities["flight"]
    assert f"{flight.value:.2f} s +/- {flight.uncertainty:.2f} s in the air" in content


def test_the_last_subtitle_ends_with_the_last_frame_of_the_clip(tmp_path: Path) -> None:
    exit_frame = jump().events["exit"].frame
    learner = jump(num_frames=exit_frame + 7)
    write_phases(tmp_path / "phases.srt", learner)
    last = (tmp_path / "phases.srt").read_text().split("\n\n")[-2].splitlines()
    assert last[2] == "glide: first 0.23 s"  # 7 frames
    end_s = float(last[1].split(":")[-1].replace(",", "."))
    assert end_s == pytest.approx((exit_frame + 7) / 30, abs=0.0011)


def test_without_phases_there_are_no_subtitles(tmp_path: Path) -> None:
    write_phases(tmp_path / "phases.srt", jump(marked=False))
    assert not (tmp_path / "phases.srt").read_bytes()


@pytest.mark.parametrize("mirrored", [False, True])
def test_openpose_files_hold_the_skater_in_the_picture(tmp_path: Path, mirrored: bool) -> None:
    performance = jump(first_frame=12, mirrored=mirrored)
    clip, folder = performance.clip, tmp_path / "openpose"
    clip.keypoints[3, 5, 2] = 0  # a joint that is missing
    clip.track.observed[4] = False
    write_openpose(folder, performance)
    assert len(list(folder.iterdir())) == clip.num_frames
    found = read_detections(folder)
    assert found.image_names[0] == "pose_000000000012"
    np.testing.assert_array_equal(found.frame, np.delete(np.arange(clip.num_frames), 4))
    expected = np.delete(clip.keypoints, 4, axis=0)
    expected[3, 5] = 0
    np.testing.assert_allclose(found.keypoints, expected, atol=6e-4)


def test_kinovea_finds_the_number_of_the_frame_and_the_layout(tmp_path: Path) -> None:
    """As in Kinovea's MetadataImporterOpenPose.cs."""
    performance = jump(first_frame=12)
    write_openpose(tmp_path, performance)
    for place, path in enumerate(sorted(tmp_path.iterdir())):
        prefix, number, suffix = path.name.split("_")
        assert (prefix, int(number), suffix) == ("pose", 12 + place, "keypoints.json")
        assert len(number) == 12
        content = json.loads(path.read_text())
        assert content["version"] == 1.3
        (person,) = content["people"]
        assert len(person["pose_keypoints_2d"]) == 75


def test_neck_and_middle_of_the_hips_are_means_and_feet_are_missing() -> None:
    keypoints = np.random.default_rng(0).uniform(1, 9, (4, 17, 3)).astype(np.float32)
    keypoints[1, 5, 2] = 0
    keypoints[2, 12, 0] = np.nan
    body = to_body_25(keypoints)
    for joint, pair, missing in ((1, [5, 6], 1), (8, [11, 12], 2)):
        known = np.delete(np.arange(4), missing)
        mean = keypoints[known][:, pair].mean(axis=1)[:, :2]
        np.testing.assert_allclose(body[known, joint, :2], mean, rtol=1e-6)
        lower = keypoints[known][:, pair, 2].min(axis=1)
        np.testing.assert_allclose(body[known, joint, 2], lower, rtol=1e-6)
        assert not body[missing, joint].any()
    assert not body[:, 19:].any()
    np.testing.assert_allclose(body[:, 4], keypoints[:, 10], rtol=1e-6)  # right wrist


def test_ten_minutes_of_openpose_files_are_written_in_seconds(tmp_path: Path) -> None:
    performance = jump()
    keypoints = np.resize(performance.clip.keypoints, (18_000, 17, 3))
    start_s = perf_counter()
    write_openpose(tmp_path, replace(performance, clip=make_clip(keypoints)))
    assert perf_counter() - start_s < 20
    assert sum(1 for _ in tmp_path.iterdir()) == 18_000
