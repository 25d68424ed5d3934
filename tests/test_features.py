"""Features: what must drop out, and what augmentation may and may not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.augment import AugmentOptions, augment, choose_clips, crop_and_warp, hide_joints
from tcc.coco import FLIP, JOINTS
from tcc.features import (
    extract,
    fill_joints,
    flip,
    normalize,
    opposed,
    torso_length,
    turn,
    vertical_motion,
)
from tcc.synthetic.camera import film
from tcc.synthetic.skater import sample_motion
from tcc_config import Config
from tcc_data import clip_turn, load_clip
from tests.conftest import wave

NOTHING = AugmentOptions(
    flip_probability=0.0,
    max_rotation=0.0,
    max_scale=0.0,
    squeeze_probability=0.0,
    max_lift=0.0,
    jitter=0.0,
    joint_dropout=0.0,
    max_time_warp=1.0,
    min_crop=1.0,
)


def points(num_frames: int = 40, seed: int = 0) -> NDArray[np.float32]:
    return wave(num_frames, seed)[..., :2]


def test_unsure_joints_are_interpolated_and_sure_ones_kept() -> None:
    keypoints = wave(10, 0)
    keypoints[3:5, 9, 2] = 0.1
    filled = fill_joints(keypoints, 0.2)
    step = (keypoints[5, 9, :2] - keypoints[2, 9, :2]) / 3
    np.testing.assert_allclose(filled[3, 9], keypoints[2, 9, :2] + step, rtol=1e-5)
    np.testing.assert_allclose(filled[4, 9], keypoints[2, 9, :2] + 2 * step, rtol=1e-5)
    untouched = np.arange(17) != 9
    np.testing.assert_array_equal(filled[:, untouched], keypoints[:, untouched, :2])


def test_a_joint_that_is_never_seen_lies_amid_the_others() -> None:
    keypoints = wave(6, 0)
    keypoints[:, 0, 2] = 0
    np.testing.assert_allclose(
        fill_joints(keypoints, 0.2)[:, 0], keypoints[:, 1:, :2].mean(axis=1), rtol=1e-5
    )
    keypoints[..., 2] = 0
    assert np.isfinite(fill_joints(keypoints, 0.2)).all()


def test_features_ignore_place_and_size_of_the_skater() -> None:
    clip = points()
    np.testing.assert_allclose(extract(3 * clip + 500, 30), extract(clip, 30), atol=2e-4)


def test_torso_is_one_and_hips_are_the_origin() -> None:
    clip = np.zeros((5, len(JOINTS), 2), np.float32)
    clip[:, [5, 6]] = [10, -40]
    pose = normalize(clip + 100, 30)
    np.testing.assert_allclose(pose[:, 11], 0)
    np.testing.assert_allclose(np.linalg.norm(pose[:, 5], axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("fps", [30, 60])
def test_a_thrown_body_rises_and_falls_at_the_speed_of_gravity(fps: int) -> None:
    """Torso 50 px long: 3 torso lengths a second up at first, 20 a second squared down."""
    times_s = np.arange(3 * fps) / fps
    rise = 3 * times_s - 10 * times_s**2
    body = np.zeros((len(times_s), len(JOINTS), 2))
    body[:, [5, 6], 1] = -50
    body[:, 15, 1] = -20  # the other ankle is lower
    motion = vertical_motion(body - 50 * rise[:, None, None] * [0, 1], fps)
    inner = slice(fps, -fps)
    for smoothing in (0, 1):
        for part in range(3):
            speed = 6 * motion[inner, 3 * smoothing + part]  # in units of 6 torso lengths/s
            np.testing.assert_allclose(speed, (3 - 20 * times_s)[inner], rtol=1e-3)
    risen = 10 * (1 / 25 - 1 / 900)  # of a parabola: half its curvature x the variances' difference
    np.testing.assert_allclose(motion[inner, 6:], risen, rtol=0.01)


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize(
    ("other_px", "lasts_s", "followed"),
    [(10, 0.7, False), (10, 0.8, True), (90, 0.2, False), (90, 0.3, True)],
)
def test_a_torso_is_as_long_as_in_the_upper_quarter_of_a_second(
    fps: int, other_px: float, lasts_s: float, followed: bool
) -> None:
    """50 px long, unless it is seen shorter for most of a second or longer for a quarter of it."""
    clip = np.zeros((3 * fps, len(JOINTS), 2))
    clip[:, [5, 6], 1] = -50
    clip[fps : fps + round(lasts_s * fps), [5, 6], 1] = -other_px
    lengths = torso_length(clip, fps)
    assert lengths[0] == lengths[-1] == 50
    assert (other_px in lengths) == followed
    assert (np.ptp(lengths) > 0) == followed


def swinging(fps: int, hertz: float) -> NDArray[np.float64]:
    """A body, torso 1 px long, that swings up and down by 1 px in 3 s."""
    clip = np.zeros((3 * fps, len(JOINTS), 2))
    clip[..., 1] = -np.sin(2 * np.pi * hertz * np.arange(3 * fps) / fps)[:, None]
    clip[:, [5, 6], 1] -= 1
    return clip


@pytest.mark.parametrize("fps", [60, 120])
def test_speeds_and_heights_are_smoothed_over_their_own_spans(fps: int) -> None:
    """A Gaussian of s seconds leaves exp(-(w s)^2 / 2) of a swing at w radians a second."""
    radians = 2 * np.pi * 2
    motion = vertical_motion(swinging(fps, 2), fps)[fps:-fps]

    def left(sigma_s: float) -> float:
        return float(np.exp(-((radians * sigma_s) ** 2) / 2))

    amplitude = np.abs(motion).max(axis=0)
    np.testing.assert_allclose(amplitude[:3], radians * left(1 / 30) / 6, rtol=0.01)
    np.testing.assert_allclose(amplitude[3:6], radians * left(1 / 10) / 6, rtol=0.01)
    np.testing.assert_allclose(amplitude[6:], left(1 / 30) - left(1 / 5), rtol=0.01)


@pytest.mark.parametrize("free_ankle", [15, 16])
def test_the_lower_ankle_counts_and_the_free_leg_does_not(free_ankle: int) -> None:
    clip = swinging(30, 1)
    kicking = clip.copy()
    kicking[:, free_ankle, 1] -= 1 + np.sin(np.arange(90) / 5)
    np.testing.assert_allclose(vertical_motion(kicking, 30), vertical_motion(clip, 30), atol=1e-6)
    both = clip.copy()
    both[:, [15, 16], 1] -= 1 + np.sin(np.arange(90) / 5)[:, None]
    moved = (vertical_motion(both, 30) != vertical_motion(clip, 30)).any(axis=0)
    assert moved.tolist() == [False, False, True] * 3


def test_vertical_motion_does_not_see_the_width() -> None:
    clip = points()
    clip[:, [5, 6, 11, 12], 0] = 320
    squeezed = (clip - [320, 0]) * [0.3, 1] + [100, 0]
    np.testing.assert_allclose(vertical_motion(squeezed, 30), vertical_motion(clip, 30), atol=1e-5)


def test_squeezed_clips_keep_their_heights() -> None:
    clips = [points(30, seed) for seed in range(40)]
    options = replace(NOTHING, squeeze_probability=1.0)
    features, *_ = augment(clips, [30] * 40, np.random.default_rng(0), options)
    plain = np.stack([extract(clip, 30) for clip in clips])
    np.testing.assert_allclose(features[..., 1::2], plain[..., 1::2], atol=1e-5)
    width = features[:, 0, 20] / plain[:, 0, 20]
    np.testing.assert_allclose(
        features[..., 0:34:2], plain[..., 0:34:2] * width[:, None, None], atol=1e-4
    )
    assert -1 < width.min() < -0.7
    assert 0.7 < width.max() < 1


def facing(angles: NDArray[np.float64]) -> NDArray[np.float32]:
    """A skater seen level who faces the camera at 0 and turns to the left with the angle."""
    clip = np.zeros((len(angles), len(JOINTS), 2), np.float32)
    clip[:, [5, 6], 1] = -50
    for joint, side in ((5, 20), (6, -20), (11, 12), (12, -12)):
        clip[:, joint, 0] = side * np.cos(angles)
    clip[:, :3] = np.stack([10 * np.sin(angles), np.full(len(angles), -65)], -1)[:, None]
    return clip


@pytest.mark.parametrize("turns", [0.5, 1, 2])
def test_turn_tells_left_from_right_and_mirrored_skaters_apart(turns: float) -> None:
    left = facing(np.linspace(0, 2 * np.pi * turns, 40))
    sure = np.ones(left.shape[:2])
    width, ahead = (2 * 20 + 1.5 * 2 * 12) / 2 / 50, 2 * 10 / 50  # half axes of the ellipse
    assert turn(left, sure, 30) == pytest.approx(2 * np.pi * turns * width * ahead, rel=0.15)
    for other in (left[::-1], flip(left)):
        assert turn(other, sure, 30) == pytest.approx(-turn(left, sure, 30))
    assert turn(left[:1].repeat(40, 0), sure, 30) == pytest.approx(0)


def test_turns_are_opposed_only_where_both_are_clear() -> None:
    assert opposed(2.0, -1.0) is True
    assert opposed(-2.0, -1.0) is False
    assert opposed(2.0, -0.1) is None


@pytest.mark.parametrize("clockwise", [False, True])
def test_synthetic_jumps_turn_as_they_are_skated(clockwise: bool) -> None:
    right = 0
    for seed in range(30):
        generator = np.random.default_rng([5, seed])
        keypoints = film(generator, sample_motion(generator, jump="axel", clockwise=clockwise))
        way = turn(fill_joints(keypoints, 0.2), keypoints[..., 2], 30)
        right += (way < 0) == clockwise
    assert right >= 25


@pytest.mark.real
def test_recorded_amateurs_turn_to_the_left(real_data: Path) -> None:
    """Most skaters jump counterclockwise; here all do, as their frames show."""
    config = Config()
    ways = [
        clip_turn(load_clip(folder, config), config)
        for folder in sorted((real_data / "skate" / "val").iterdir())
    ]
    assert np.mean(np.array(ways) > 0) > 0.9


def test_flip_twice_is_nothing_and_swaps_every_left_with_its_right() -> None:
    clip = points()
    np.testing.assert_array_equal(flip(flip(clip)), clip)
    for joint, other in enumerate(FLIP):
        expected = JOINTS[joint].translate(str.maketrans({}))
        swapped = expected.replace("left", "x").replace("right", "left").replace("x", "right")
        assert JOINTS[other] == swapped


def test_augment_with_everything_off_is_extract() -> None:
    clips = [points(30, 1), points(40, 2)]
    features, lengths, _ = augment(clips, [30, 30], np.random.default_rng(0), NOTHING)
    assert lengths.tolist() == [30, 40]
    np.testing.assert_allclose(features[0, :30], extract(clips[0], 30), atol=1e-5)
    np.testing.assert_allclose(features[0, 30:], np.repeat(features[0, 29:30], 10, 0))
    np.testing.assert_allclose(features[1], extract(clips[1], 30), atol=1e-5)


def test_padding_repeats_the_last_frame_with_its_jitter() -> None:
    options = replace(NOTHING, jitter=0.1)
    features, lengths, _ = augment(
        [points(10), points(30)], [30] * 2, np.random.default_rng(0), options
    )
    assert lengths[0] == 10
    np.testing.assert_array_equal(features[0, 10:], np.repeat(features[0, 9:10], 20, axis=0))
    assert not np.allclose(features[0, 9], extract(points(10), 30)[9], atol=1e-3)


def test_augment_flips_the_whole_batch() -> None:
    clips = [points(30, 1), points(30, 2)]
    options = replace(NOTHING, flip_probability=1.0)
    features, *_ = augment(clips, [30, 30], np.random.default_rng(0), options)
    for feature, clip in zip(features, clips, strict=True):
        np.testing.assert_allclose(feature, extract(flip(clip), 30), atol=1e-4)


def test_augment_is_seeded() -> None:
    options = Config().fill(AugmentOptions)
    first, again, other = (
        augment([points(30, 1)], [30], np.random.default_rng(seed), options)[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.allclose(first, other)


def vary(
    count: int, num_frames: int = 30, **options: float
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.int64], NDArray[np.floating]]:
    """Augment `count` copies of a clip whose torso stands still, with some options on.

    Returns pose (B, F, J, 2), vertical motion (B, F, 9), lengths (B,) and places (B, F).
    """
    features, lengths, places = augment(
        [still_torso(num_frames)] * count, [30] * count, np.random.default_rng(0),
        replace(NOTHING, **options),
    )  # fmt: skip
    pose = features[..., :34].reshape(count, -1, len(JOINTS), 2)
    return pose, features[..., 34:], lengths, places


def still_torso(num_frames: int = 30) -> NDArray[np.float32]:
    clip = points(num_frames)
    clip[:, [5, 6, 11, 12]] = clip[:1, [5, 6, 11, 12]]
    return clip


def fit_planes(pose: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (B, 2, 2) by which the image plane of each clip of `vary` was multiplied."""
    plain = normalize(still_torso(), 30).reshape(-1, 2)
    planes = np.stack([np.linalg.lstsq(plain, clip.reshape(-1, 2))[0] for clip in pose])
    np.testing.assert_allclose(plain @ planes, pose.reshape(len(pose), -1, 2), atol=1e-4)
    return planes


def test_rotation_turns_the_pose_both_ways_and_stretches_nothing() -> None:
    pose, motion, *_ = vary(200, max_rotation=30.0)
    planes = fit_planes(pose)
    np.testing.assert_allclose(planes @ planes.swapaxes(1, 2), [np.eye(2)] * 200, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(planes), 1, atol=1e-5)
    degrees = np.degrees(np.arctan2(planes[:, 0, 1], planes[:, 0, 0]))
    assert -30 <= degrees.min() < -28
    assert 28 < degrees.max() <= 30
    np.testing.assert_array_equal(motion, vary(200)[1])


def test_scale_changes_width_and_height_each_by_itself() -> None:
    pose, motion, *_ = vary(200, max_scale=0.4)
    planes = fit_planes(pose)
    np.testing.assert_allclose(planes[:, [0, 1], [1, 0]], 0, atol=1e-5)
    scales = planes[:, [0, 1], [0, 1]]
    assert ((scales.min(axis=0) >= 0.6) & (scales.min(axis=0) < 0.62)).all()
    assert ((scales.max(axis=0) <= 1.4) & (scales.max(axis=0) > 1.38)).all()
    assert abs(np.asarray(np.corrcoef(scales.T))[0, 1]) < 0.2
    np.testing.assert_array_equal(motion, vary(200)[1])


def test_a_squeeze_meets_its_share_of_the_clips_and_their_width_alone() -> None:
    pose, motion, *_ = vary(200, squeeze_probability=0.6)
    planes = fit_planes(pose)
    widths = planes[:, 0, 0]
    squeezed = np.abs(widths - 1) > 1e-4
    assert squeezed.mean() == pytest.approx(0.6, abs=0.1)
    assert -1 <= widths.min() < -0.9
    assert 0.9 < widths[squeezed].max() <= 1
    np.testing.assert_allclose(planes[:, 1], [[0, 1]] * 200, atol=1e-5)
    np.testing.assert_array_equal(motion, vary(200)[1])


def test_lift_changes_how_far_a_skater_rises_and_not_the_pose() -> None:
    pose, motion, *_ = vary(200, max_lift=0.4)
    plain_pose, plain_motion, *_ = vary(200)
    lifts = (motion * plain_motion).sum(axis=(1, 2)) / np.square(plain_motion).sum(axis=(1, 2))
    np.testing.assert_allclose(motion, lifts[:, None, None] * plain_motion, rtol=1e-4, atol=1e-6)
    assert 0.6 <= lifts.min() < 0.62
    assert 1.38 < lifts.max() <= 1.4
    np.testing.assert_array_equal(pose, plain_pose)


def test_jitter_moves_every_joint_of_the_pose_by_its_deviation() -> None:
    pose, motion, *_ = vary(50, jitter=0.1)
    moved = pose - vary(50)[0]
    np.testing.assert_allclose(moved.std(axis=(0, 1)), 0.1, rtol=0.1)
    assert abs(moved.mean()) < 0.001
    np.testing.assert_array_equal(motion, vary(50)[1])


def test_crops_are_parts_of_the_clip_of_any_length_from_anywhere() -> None:
    pose, _, lengths, places = vary(200, 60, min_crop=0.5)
    assert (lengths.min(), lengths.max()) == (30, 60)
    last = places[np.arange(200), lengths - 1]
    np.testing.assert_array_equal(last - places[:, 0] + 1, lengths)
    assert places[:, 0].min() == 0
    assert places[:, 0].max() > 25
    assert last.max() == 59
    plain = normalize(still_torso(60), 30)
    for clip, length, place in zip(pose, lengths, places, strict=True):
        np.testing.assert_allclose(clip[:length], plain[place[:length].astype(int)], atol=1e-5)


def test_tempo_is_slower_and_faster_up_to_its_bound_and_drifts() -> None:
    _, _, lengths, places = vary(200, 60, max_time_warp=2.0)
    tempos = [np.diff(place[:length]) for place, length in zip(places, lengths, strict=True)]
    slowest, fastest = min(t.min() for t in tempos), max(t.max() for t in tempos)
    assert 0.499 < slowest < 0.52
    assert 1.92 < fastest < 2.001
    assert np.mean([t.mean() < 1 for t in tempos]) == pytest.approx(0.5, abs=0.15)
    assert np.mean([t[-1] / t[0] for t in tempos]) == pytest.approx(1, abs=0.1)
    assert np.mean([abs(np.log(t[-1] / t[0])) for t in tempos]) > 0.07


def test_dropout_hides_its_share_of_the_joints_for_up_to_a_third_of_the_clip() -> None:
    moved = np.abs(vary(100, joint_dropout=0.4)[0] - vary(100)[0]).max(axis=-1)
    limbs = moved[..., [7, 8, 9, 10, 13, 14, 15, 16]] > 1e-5  # (B, F, 8)
    assert limbs.any(axis=1).mean() == pytest.approx(0.4, abs=0.06)
    frames = limbs.sum(axis=1)
    assert frames.max() == 30 // 3 - 1
    assert frames[frames > 0].mean() == pytest.approx(5, abs=0.4)
    for row in limbs.swapaxes(1, 2).reshape(-1, 30):
        assert np.abs(np.diff(row.astype(int))).sum() <= 2  # frames in a row


def test_a_batch_smaller_than_the_motion_draws_any_of_its_clips() -> None:
    drawn = [choose_clips(9, 3, np.random.default_rng(seed)) for seed in range(200)]
    np.testing.assert_allclose(np.bincount(np.concatenate(drawn)), 200 * 3 / 9, rtol=0.4)


def test_the_flip_meets_its_share_of_the_batches() -> None:
    clip, options = still_torso(), replace(NOTHING, flip_probability=0.5)
    mirrored = []
    for seed in range(200):
        features, *_ = augment([clip] * 2, [30] * 2, np.random.default_rng(seed), options)
        np.testing.assert_array_equal(features[0], features[1])
        mirrored.append(not np.allclose(features[0], extract(clip, 30), atol=1e-4))
    assert np.mean(mirrored) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_warped_clip_moves_forward_within_the_clip_and_within_the_tempo(seed: int) -> None:
    times = np.arange(50, dtype=np.float32)[:, None, None] * np.ones((1, 17, 2), np.float32)
    clip, warped = crop_and_warp(times, np.random.default_rng(seed), 1.6, 0.6)
    np.testing.assert_allclose(clip[:, 0, 0], warped, atol=1e-4)
    steps = np.diff(warped)
    assert len(warped) >= 0.6 * 49 / 1.6
    assert 0 <= warped[0] <= warped[-1] <= 49
    assert steps.min() >= 1 / 1.61
    assert steps.max() <= 1.61


def test_hidden_joints_are_bridged_straight_and_the_rest_stays() -> None:
    line = np.arange(30, dtype=np.float32)[:, None, None] * np.ones((1, 17, 2), np.float32)
    hidden = hide_joints(line, np.random.default_rng(3), 1.0)
    inner = hidden[1:-1] - line[1:-1]
    assert np.abs(inner).max() < 1.01  # a straight line over a line changes nothing inside
    np.testing.assert_array_equal(hide_joints(line, np.random.default_rng(3), 0.0), line)
