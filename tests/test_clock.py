"""Seconds are right at whatever frame rate, a phone's variable one too."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

import tcc_pair
from tcc import checkpoint, side_by_side
from tcc.clips import Clip
from tcc.clock import clock, nearest, rate, resample
from tcc.draw import BANNER_PX, BAR_PX, HEADER_PX
from tcc.files import UserError
from tcc.side_by_side import HELD_S
from tcc.tracking import Track
from tcc_config import Config
from tcc_data import feature_times, make_features, per_frame
from tcc_model import Encoder, EncoderOptions, load_encoder

LENGTH_S, START_S, END_S = 6.0, 2.5, 4.5
RATES = ["15", "23.976", "30", "59.94", "120", "variable"]


def times(name: str, first_s: float = 0, end_s: float = LENGTH_S) -> NDArray[np.float64]:
    """Times of frames at a rate, or as a phone in dim light spaces them."""
    if name != "variable":
        return first_s + np.arange(round((end_s - first_s) * float(name))) / float(name)
    steps = np.random.default_rng(3).uniform(0.015, 0.055, 500)
    result = first_s + np.cumsum(steps) - steps[0]
    return np.asarray(result[result < end_s])


def performed(times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Keypoints (F, 17, 3) of a motion that never repeats, at any time."""
    knots = np.arange(-1, LENGTH_S + 1, 0.2)
    ways = np.random.default_rng(0).normal(0, 12, (len(knots), 17, 2))
    body = np.stack([np.linspace(70, 90, 17), np.linspace(40, 120, 17)], axis=1)
    points = body + CubicSpline(knots, ways)(times_s)
    return np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1).astype(np.float32)


def make_clip(name: str, times_s: NDArray[np.float64], keypoints: NDArray[np.float32]) -> Clip:
    count = len(times_s)
    ones = np.ones(count, np.int32)
    return Clip(
        name, Path(name), Track(keypoints, ones > 0, ones, 1.0, ones, ones < 0), times_s, []
    )


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """Random weights tell moments of a noiseless motion apart."""
    monkeypatch.setattr(tcc_pair, "CONFIG", Config())
    torch.manual_seed(0)
    sizes = Config(EMBEDDING_SIZE=64, HIDDEN_SIZE=64, FINE_LAYERS=2, COARSE_LAYERS=1)
    return Encoder(43, replace(sizes, COARSE_DILATION=4).fill(EncoderOptions)).eval()


def test_a_clip_of_the_rate_is_left_alone() -> None:
    rounded = np.round(np.arange(300) / 30, 3)  # .mkv counts milliseconds
    for times_s in (np.arange(300) / 30, np.arange(300) / 29.97, rounded):
        assert clock(times_s, 30) is times_s
        values = np.random.default_rng(0).normal(size=(300, 4))
        assert resample(values, times_s, clock(times_s, 30)) is values
    assert clock(np.array([0.5]), 30).tolist() == [0.5]


def test_times_in_another_unit_than_seconds_are_refused() -> None:
    assert rate(np.linspace(0, 9e-5, 10)) == pytest.approx(100_000)
    with pytest.raises(
        UserError, match=r"frames are 1e-09 s apart, 1000000000 per second: timestamps_s"
    ):
        rate(np.linspace(0, 9e-9, 10))


@pytest.mark.parametrize("name", ["15", "25", "60", "variable"])
def test_other_clips_are_put_on_the_clock(name: str) -> None:
    times_s = times(name, 0.3)
    ticks_s = clock(times_s, 30)
    np.testing.assert_allclose(np.diff(ticks_s), 1 / 30)
    assert ticks_s[0] == times_s[0]
    assert 0 <= times_s[-1] - ticks_s[-1] < 1 / 30


def test_a_clip_that_is_just_off_the_rate_is_resampled() -> None:
    assert len(clock(np.arange(300) / 29.5, 30)) == 305
    dropped = np.delete(np.arange(300) / 30, 100)
    assert len(clock(dropped, 30)) == 300


@given(st.lists(st.floats(0.001, 0.2), min_size=1, max_size=30), st.floats(5, 240))
def test_straight_motion_is_resampled_exactly_and_comes_back(
    steps: list[float], fps: float
) -> None:
    times_s = np.cumsum([0.0, *steps])
    line = np.stack([3 * times_s, 1 - times_s], axis=1)[:, None]
    ticks_s = clock(times_s, fps)
    np.testing.assert_allclose(
        resample(line, times_s, ticks_s)[:, 0, 0], 3 * ticks_s, rtol=1e-9, atol=1e-9
    )
    inside = times_s <= ticks_s[-1]
    back = resample(resample(line, times_s, ticks_s), ticks_s, times_s)
    np.testing.assert_allclose(back[inside], line[inside], rtol=1e-9, atol=1e-9)


@given(
    st.lists(st.floats(0.01, 0.2), min_size=1, max_size=20), st.lists(st.floats(-1, 5), min_size=1)
)
def test_nearest_is_nearest(steps: list[float], at: list[float]) -> None:
    times_s, at_s = np.cumsum([0.0, *steps]), np.array(at)
    apart = np.abs(times_s[nearest(times_s, at_s)] - at_s)
    np.testing.assert_allclose(apart, np.abs(times_s[:, None] - at_s).min(axis=0), atol=1e-6)


def test_features_are_of_one_rate() -> None:
    clips = [
        make_clip(name, times(name), performed(times(name))) for name in ("30", "15", "30", "120")
    ]
    config = Config()
    for clip in clips[1:]:
        assert (
            len(make_features(clip, config))
            == len(feature_times(clip, config))
            == pytest.approx(180, abs=2)
        )
        assert rate(feature_times(clip, config)) == pytest.approx(30)
        assert per_frame(
            np.zeros((len(feature_times(clip, config)), 2), np.float32), clip, config
        ).shape == (clip.num_frames, 2)


def test_the_rate_comes_with_the_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config(
        EMBEDDING_SIZE=4,
        HIDDEN_SIZE=8,
        FINE_LAYERS=1,
        FINE_DILATION=1,
        COARSE_LAYERS=1,
        COARSE_DILATION=1,
    )
    weights = Encoder(43, config.fill(EncoderOptions)).state_dict()
    for settings, asked, expected, warnings in (
        ({"FEATURE_FPS": 50.0}, 50.0, 50, 0),
        ({"FEATURE_FPS": 50.0}, 30.0, 50, 1),
    ):
        stored = {key: value for key, value in asdict(config).items() if key != "FEATURE_FPS"}
        content = {
            "encoder": weights, "feature_size": 43, "config": stored | settings,
            "motion": "axel", "step": 1, "class_names": [],
        }  # fmt: skip
        checkpoint.save(tmp_path / "axel_checkpoint.pt", content)
        now = replace(config, FEATURE_FPS=asked)
        caplog.clear()
        taken = load_encoder(None, tmp_path, now, torch.device("cpu"))[1].FEATURE_FPS
        assert (taken, len(caplog.messages)) == (expected, warnings)


@pytest.mark.parametrize("learner_rate", RATES)
@pytest.mark.parametrize("standard_rate", RATES)
def test_the_motion_is_found_at_its_second(
    encoder: Encoder, learner_rate: str, standard_rate: str
) -> None:
    learner_s, standard_s = times(learner_rate), times(standard_rate, START_S, END_S)
    learner = make_clip("learner", learner_s, performed(learner_s))
    standard = make_clip("standard", standard_s - START_S, performed(standard_s))
    result = tcc_pair.find_start(encoder, learner, standard, "dtw", Config())
    best = result.matches[0]
    coarser = max(float(np.diff(some).max()) for some in (learner_s, standard_s))
    assert not result.mirrored
    assert not result.warnings
    assert learner_s[best.start_frame] == pytest.approx(START_S, abs=0.51 * coarser + 1 / 30)
    assert learner_s[best.end_frame - 1] == pytest.approx(standard_s[-1], abs=coarser + 1 / 30)
    assert result.cost.shape == (standard.num_frames, learner.num_frames)
    assert result.curve.shape == (learner.num_frames,)
    assert (np.diff(best.path, axis=0) >= 0).all()
    middle = best.path[len(best.path) // 10 : -len(best.path) // 10]
    apart = learner_s[middle[:, 1]] - standard_s[middle[:, 0]]
    assert np.abs(apart).max() < coarser + 1 / 30


@pytest.mark.parametrize(
    ("learner_rate", "standard_rate"), [("30", "60"), ("60", "30"), ("variable", "60")]
)
def test_the_video_shows_the_same_moment_on_both_sides(
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    learner_rate: str,
    standard_rate: str,
) -> None:
    """Pictures are as bright as it is late."""
    middle = np.array([120, 120, 0], np.float32)
    clips = []
    for name, first_s, end_s in (
        (learner_rate, 0.0, LENGTH_S),
        (standard_rate, START_S, END_S),
    ):
        times_s = times(name, first_s, end_s)
        clip = make_clip(name, times_s - first_s, performed(times_s) + middle)
        for frame, time_s in enumerate(times_s):
            path = tmp_path / f"{name}_{first_s}_{frame}.png"
            cv2.imwrite(str(path), np.full((400, 400, 3), round(30 * time_s), np.uint8))
            clip.images.append(path)
        clips.append(clip)
    result = tcc_pair.find_start(encoder, clips[0], clips[1], "dtw", Config())
    start_s, end_s = (
        clips[0].times_s[frame]
        for frame in (result.matches[0].start_frame, result.matches[0].end_frame - 1)
    )
    panels: list[NDArray[Any]] = []
    monkeypatch.setattr(
        "tcc.video.write_video", lambda _, frames, *__, **___: panels.extend(frames)
    )
    windows: list[tuple[float, float]] = []
    schedule = side_by_side.schedule

    def keep(window_s: tuple[float, float], fps: float, slow: float) -> Any:
        windows.append(window_s)
        return schedule(window_s, fps, slow)

    monkeypatch.setattr(side_by_side, "schedule", keep)
    tcc_pair.draw_video(tmp_path / "x.mp4", result, clips[0], clips[1], 0.5, 0.2)
    shown_s = np.array(
        [
            [
                np.median(half) / 30
                for half in np.split(panel[BANNER_PX + HEADER_PX : -BAR_PX], 2, axis=1)
            ]
            for panel in panels
        ]
    )
    fps = min(clips[0].fps, 60)
    first_s, last_s = windows[0]
    assert windows[0] == pytest.approx((start_s - HELD_S, end_s + HELD_S), abs=0.05)
    own_s = np.arange(first_s, last_s + 1e-6, 1 / fps)
    slow_s = np.arange(first_s, last_s + 1e-6, 0.5 / fps)
    played_s = np.concatenate([own_s, slow_s])
    np.testing.assert_allclose(shown_s[:, 0], played_s, atol=0.05)
    moving = (played_s >= start_s) & (played_s <= end_s)
    assert moving[: len(own_s)].sum() > 1.8 * fps
    np.testing.assert_allclose(shown_s[moving, 0], shown_s[moving, 1], atol=0.08)
    before = played_s < start_s - 0.06  # the standard has no frames there: they are dimmed
    assert shown_s[before, 1].max() < 0.5 * shown_s[moving, 1].min()
