"""Measures of bodies whose joints are known, and where they are offered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.measures import facing, measure_markers
from tcc.coco import JOINTS
from tcc.features import flip
from tcc.report import measures
from tcc.report.events import Event, mark
from tcc.report.measures import MEASURES, Curve, Measure, at_places, curves
from tests.jumpers import STANDING, axel, keypoints_of, seen_from

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]
AXES = {2: [[1, 0], [0, 1]], 3: [[0.6, 0.8, 0], [0, 0, 1]]}  # of the picture, in 2D and in space


def pose(**places: tuple[float, float]) -> Array:
    """Return a standing body (17, 2), y up, with these joints at other places."""
    body = STANDING.copy()
    for name, place in places.items():
        body[JOINTS.index(name)] = place
    return body


def times(num_frames: int, fps: float = 30.0) -> Times:
    return np.arange(num_frames) / fps


def turning(degrees: Array) -> Array:
    """Return (F, 17, 2) px of a standing body that has turned by these angles (F,)."""
    points = np.repeat(STANDING[None], len(degrees), axis=0)
    points[..., 0] *= np.cos(np.radians(degrees))[:, None]
    return 100 * points * [1, -1]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    ("name", "changed", "value"),
    [
        ("left_knee", {}, 180),
        ("left_knee", {"left_ankle": (1, -0.8)}, 90),
        ("right_knee", {"right_ankle": (-0.81, -0.2)}, 45),
        ("left_hip", {"left_shoulder": (0.21, 1), "left_knee": (1, 0)}, 90),
        ("right_elbow", {"right_elbow": (-0.3, 0.5), "right_shoulder": (-0.3, 1),
                         "right_wrist": (0.2, 0.5)}, 90),
        ("trunk_tilt", {}, 0),
        ("trunk_tilt", {"left_shoulder": (1.31, 1), "right_shoulder": (0.69, 1)}, 45),
        ("trunk_tilt", {"left_shoulder": (-0.69, 1), "right_shoulder": (-1.31, 1)}, 45),
        ("trunk_tilt", {"left_shoulder": (1.31, -1), "right_shoulder": (0.69, -1)}, 135),
        ("axis_tilt", {"left_ankle": (-2.4, -1.6), "right_ankle": (-2.8, -1.6)}, 45),
        ("ankle_gap", {"left_ankle": (0.1, -1), "right_ankle": (-0.2, -1.4)}, 0.5),
        ("free_leg_height", {"left_ankle": (0.1, -1), "right_ankle": (-0.2, -1.4)}, 0.4),
        ("left_wrist", {"left_wrist": (0.6, 0.3)}, 0.6),
        ("left_wrist", {"left_wrist": (-0.3, 1.4)}, 0.5),
        ("right_wrist", {"right_wrist": (0.4, -0.3)}, 0.5),
    ],
)  # fmt: skip
def test_known_answers(
    name: str, changed: dict[str, tuple[float, float]], value: float, dimensions: int
) -> None:
    points = pose(**changed)[None] @ np.array(AXES[dimensions])
    assert MEASURES[name].function(points) == pytest.approx([value], abs=1e-6)
    assert MEASURES[name].function(points + 3) == pytest.approx([value], abs=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_says_what_it_is_and_which_joints_it_reads(name: str) -> None:
    measure = MEASURES[name]
    assert measure.zero
    assert measure.unit in ("degrees", "torso lengths")
    points = np.random.default_rng(0).normal(size=(5, 17, 2))
    before = measure.function(points)
    for joint in range(17):
        moved = points.copy()
        moved[:, joint] += 1
        reads = not np.allclose(measure.function(moved), before)
        assert reads <= (joint in (*measure.joints, 5, 6, 11, 12)), JOINTS[joint]
        assert reads >= (joint in measure.joints), JOINTS[joint]
    for place in measure.places.values():
        assert 0 <= place.low < 90 < place.high <= 180
        assert place.tolerance > 0


def test_curves_do_not_depend_on_size_place_or_start() -> None:
    motion = axel(1, False)
    points = seen_from(motion.joints_m, 80)
    times_s = times(len(points))
    found = curves(keypoints_of(points), times_s, 0.2)
    other = curves(keypoints_of(1.7 * points - 200), times_s + 5, 0.2)
    late = curves(keypoints_of(points[20:]), times_s[20:], 0.2)
    for name, curve in found.items():
        size = 1 if MEASURES[name].unit == "degrees" else 0.01
        np.testing.assert_allclose(other[name].filtered, curve.filtered, atol=0.01 * size)
        np.testing.assert_allclose(late[name].filtered[10:], curve.filtered[30:], atol=size)
        assert (late[name].valid[20:-20] == curve.valid[40:-20]).mean() > 0.95


def test_mirrored_skater_has_left_and_right_exchanged() -> None:
    motion = axel(2, False)
    keypoints = keypoints_of(seen_from(motion.joints_m, 100))
    keypoints[30:40, JOINTS.index("left_knee"), 2] = 0.1
    found = curves(keypoints, times(len(keypoints)), 0.2)
    mirrored = curves(flip(keypoints), times(len(keypoints)), 0.2)
    assert {measures.mirror_name(name) for name in found} == set(found)
    assert measures.mirror_name("left_knee") == "right_knee"
    assert measures.mirror_name("trunk_tilt") == "trunk_tilt"
    for name, curve in found.items():
        same = mirrored[measures.mirror_name(name)]
        np.testing.assert_allclose(same.raw, curve.raw, atol=1e-2)
        np.testing.assert_allclose(same.filtered, curve.filtered, atol=1e-2)
        np.testing.assert_array_equal(same.valid, curve.valid)


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_filter_keeps_slow_motion_without_delay_and_removes_noise(fps: float) -> None:
    times_s = times(round(4 * fps), fps)
    middle = slice(len(times_s) // 4, -len(times_s) // 4)
    slow, fast = (np.sin(2 * np.pi * hz * times_s) for hz in (2, 12))
    np.testing.assert_allclose(measures.low_pass(slow, times_s)[middle], slow[middle], atol=0.03)
    assert np.abs(measures.low_pass(fast, times_s)[middle]).max() < 0.1
    half = np.sin(2 * np.pi * measures.CUTOFF_HZ * times_s)
    gain = np.std(measures.low_pass(half, times_s)[middle]) / np.std(half[middle])
    assert gain == pytest.approx(0.5, abs=0.05)  # 3 dB, forwards and backwards


def test_filter_of_short_and_slow_clips() -> None:
    for num_frames in (1, 2, 3, 10):
        values = np.ones((num_frames, 17, 2))
        np.testing.assert_allclose(measures.low_pass(values, times(num_frames)), values)
    slow = np.random.default_rng(0).normal(size=20)
    np.testing.assert_array_equal(measures.low_pass(slow, times(20, 10)), slow)


def test_filtered_curves_are_nearer_to_the_truth_than_raw_ones() -> None:
    motion = axel(4, False, fps=60)
    points = seen_from(motion.joints_m, 90)
    generator = np.random.default_rng(0)
    noisy = points + generator.normal(0, 2, points.shape)
    clean = curves(keypoints_of(points), times(len(points), 60), 0.2)
    found = curves(keypoints_of(noisy), times(len(points), 60), 0.2)
    ice = slice(20, motion.events["takeoff"] - 20)
    for name in ("left_knee", "right_hip", "trunk_tilt", "ankle_gap"):
        raw, filtered = (
            np.abs(curve[ice] - clean[name].raw[ice]).mean()
            for curve in (found[name].raw, found[name].filtered)
        )
        assert filtered < 0.6 * raw
        np.testing.assert_allclose(
            found[name].raw, MEASURES[name].function(_scaled(noisy)), atol=0.5
        )


def _scaled(points: Array) -> Array:
    hips = points[:, [11, 12]].mean(axis=1, keepdims=True)
    return np.asarray((points - hips) / 50 * [1, -1])


def test_azimuth_of_a_turning_body() -> None:
    degrees = np.linspace(0, 720, 145)
    found = measures.azimuth(turning(degrees), 30)
    true = np.degrees(np.arccos(np.cos(np.radians(degrees))))
    np.testing.assert_allclose(found, true, atol=1)
    np.testing.assert_allclose(measures.azimuth(flip(turning(degrees)), 30), found)


def test_valid_needs_sure_joints_and_the_right_side() -> None:
    degrees = np.concatenate([np.zeros(30), np.full(30, 45), np.full(30, 90), np.full(30, 180)])
    keypoints = keypoints_of(turning(degrees))
    knee, wrist = JOINTS.index("left_knee"), JOINTS.index("left_wrist")
    keypoints[70, knee, 2] = 0.1
    keypoints[80, 11, 2] = 0.1
    keypoints[85, wrist, 2] = 0.1
    found = curves(keypoints, times(len(keypoints)), 0.2)
    expected = (degrees > 30) & (degrees < 150)
    expected[[70, 80]] = False
    np.testing.assert_array_equal(found["left_knee"].valid, expected)
    assert found["right_knee"].valid[70]
    assert found["left_knee"].valid[85]
    free_leg = np.ones(120, bool)
    free_leg[80] = False
    np.testing.assert_array_equal(found["free_leg_height"].valid, free_leg)
    assert not found["left_wrist"].valid.any()
    assert not found["left_elbow"].valid.any()


def test_value_at_a_place_is_the_median_of_its_valid_frames() -> None:
    measure = Measure(
        "degrees", "nothing", (), np.zeros_like,
        {"takeoff": measures.Place(60, 120, 1), "flight": measures.Place(0, 180, 1),
         "exit": measures.Place(0, 180, 1)},
    )  # fmt: skip
    values = np.arange(40.0) ** 2
    azimuth = np.full(40, 90.0)
    azimuth[11] = 40
    valid = np.ones(40, bool)
    valid[15] = False
    curve = Curve(-values, values, valid, azimuth)
    events = mark({"takeoff": 10, "landing": 19}, times(40))
    found = at_places(curve, measure, events, times(40))
    assert list(found) == ["takeoff", "flight"]
    assert found["takeoff"].value == np.median(values[[9, 10]])
    assert found["takeoff"].valid_share == pytest.approx(2 / 3)
    assert found["flight"].value == np.median(values[[10, 11, 12, 13, 14, 16, 17, 18]])
    assert found["flight"].valid_share == pytest.approx(8 / 9)
    nothing = at_places(Curve(values, values, ~valid & False, azimuth), measure, events, times(40))
    assert np.isnan(nothing["takeoff"].value)
    assert nothing["takeoff"].valid_share == 0


@pytest.mark.parametrize("clockwise", [False, True])
@pytest.mark.parametrize("degrees", [75, 90, 105])
def test_synthetic_skaters_from_three_cameras(degrees: float, clockwise: bool) -> None:
    errors: dict[str, list[float]] = {}
    for seed in range(10):
        motion = axel(seed, clockwise)
        times_s = times(len(motion.joints_m))
        marks = {name: motion.events[name] for name in ("takeoff", "landing")}
        truth = measure_markers(motion.joints_m, marks)
        ahead = facing(motion.joints_m)
        for place in ("entry", "takeoff", "landing"):
            frame = truth.events[place].frame
            direction = np.degrees(np.arctan2(ahead[frame, 1], ahead[frame, 0]))
            lower = int(motion.joints_m[frame, [15, 16], 2].argmin())
            side = ("left", "right")[lower]  # the leg that carries the skater
            points = seen_from(motion.joints_m, direction + degrees)
            found = curves(keypoints_of(points), times_s, 0.2)
            for name in (f"{side}_knee", f"{side}_hip", "trunk_tilt", "axis_tilt"):
                value, true = (
                    at_places(each[name], MEASURES[name], truth.events, times_s).get(place)
                    for each in (found, truth.curves)
                )
                if value and true:
                    assert value.valid_share > 0
                    key = name.removeprefix(f"{side}_")
                    errors.setdefault(key, []).append(abs(value.value - true.value))
    assert set(errors) == {"knee", "hip", "trunk_tilt", "axis_tilt"}
    for name, wrong in errors.items():
        assert np.median(wrong) <= (4 if name == "hip" else 3), name
        if "tilt" in name:
            assert np.percentile(wrong, 90) <= 3, name


def test_arms_closing() -> None:
    events = mark({"takeoff": 40, "landing": 60}, times(100))
    wrists = np.select([np.arange(100) < 43, np.arange(100) < 46], [1.2, 0.6], 0.4)

    def closing(left: Array, right: Array, events: dict[str, Event]) -> float | None:
        found = {
            f"{side}_wrist": Curve(-values, values, np.ones(100, bool), np.full(100, 90.0))
            for side, values in (("left", left), ("right", right))
        }
        time_s = measures.arms_closing(found, events, times(100))
        return time_s.value if time_s else None

    assert closing(wrists, wrists, events) == pytest.approx(6 / 30)
    early = np.roll(wrists, -8)
    assert closing(early, early, events) == 0
    assert closing(early, wrists, events) == pytest.approx(6 / 30)
    assert closing(0 * wrists + 1, wrists, events) == pytest.approx(20 / 30)
    assert closing(wrists, wrists, {}) is None
    past = wrists.copy()
    past[41:43] = 0.2  # the arms are near the trunk for less than 0.1 s
    assert closing(past, past, events) == pytest.approx(6 / 30)
    past[40:43] = 0.2
    assert closing(past, past, events) == 0
    nearly = wrists.copy()
    nearly[47:60] = 0.55
    assert closing(nearly, nearly, events) == pytest.approx(6 / 30)
    nearly[47:60] = 0.65
    assert closing(nearly, nearly, events) == pytest.approx(20 / 30)
    quantity = measures.arms_closing(
        {name: Curve(wrists, wrists, wrists > 0, wrists) for name in ("left_wrist", "right_wrist")},
        events,
        times(100),
    )
    assert quantity is not None
    assert quantity.uncertainty == pytest.approx(np.hypot(1 / 30 / 12**0.5, 0.08))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_fastest_turn_is_found_in_the_flight(share: float) -> None:
    times_s = times(180, 60)
    events = mark({"takeoff": 90, "landing": 126}, times_s)
    speed = 200 + 1200 * np.exp(-(((times_s - 1.5 - 0.6 * share) / 0.12) ** 2))
    speed += 1800 * np.exp(-(((times_s - 2.5) / 0.12) ** 2))  # a spin after the landing
    for start in range(0, 360, 45):
        points = turning(start + np.cumsum(speed) / 60)
        found = measures.fastest_turn(points, events, times_s)
        assert found == pytest.approx(share, abs=0.06)
        assert measures.fastest_turn(flip(points), events, times_s) == found
        assert measures.fastest_turn(points, {}, times_s) is None
