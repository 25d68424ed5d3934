"""Take-off and landing from the flight: formulas against loops, and jumps whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc import flight as fl
from tcc.evaluate.labels import read_labels
from tcc.features import fill_joints, flip, torso_length
from tcc.flight import Flight, airborne, choose_flight, find_flight, find_flights
from tcc_config import Config
from tcc_data import load_clip
from tests.jumpers import STANDING, START_S, axel, seen_from, straight_up

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]


def times_of(points: Array, times_s: Times) -> Times:
    found = find_flight(points, times_s)
    assert found
    return found.times_s


@pytest.mark.parametrize("fps", [25, 30, 60])
@pytest.mark.parametrize("flight_s", [0.31, 0.45, 0.7])
def test_times_are_right_to_a_fraction_of_a_frame(fps: float, flight_s: float) -> None:
    for later in (0.0, 0.3, 0.7):  # frames
        points, times_s, _ = straight_up(flight_s, fps)
        times_s = times_s + later / fps
        found_s = times_of(points, times_s) - (later + 0.5) / fps
        np.testing.assert_allclose(found_s, [START_S, START_S + flight_s], atol=0.012)


def naive_fit(heights: Array, takeoff: int, length: int) -> float:
    """Return `fits` of one flight: two least-squares fits for trunk and ankle, by loops."""
    fps, side, total = fl.TICKS_PER_S, round(fl.SIDE_S * fl.TICKS_PER_S), 0.0
    ticks = range(takeoff - side, takeoff + length + side + 1)
    end_s, push_s, gravity = length / fps, fl.PUSH_S, fl.GRAVITY / fl.TORSO_M

    def force(at_s: float, start_s: float, for_s: float) -> float:
        if at_s < start_s:
            return 0.0
        if at_s < start_s + for_s:
            return (at_s - start_s) ** 2 / 2
        return for_s**2 / 2 + for_s * (at_s - start_s - for_s)

    for signal, noise in enumerate(fl.NOISE):
        rows = []
        for tick in ticks:
            at_s = (tick - takeoff) / fps
            pushes = [force(at_s, -push_s, push_s), force(at_s, end_s, push_s)]
            in_air_s = min(max(at_s, 0), end_s)
            rows.append(
                [1, at_s, *pushes, -gravity * force(at_s, 0, end_s)]
                if signal == 0
                else [1, at_s, in_air_s / end_s, gravity * in_air_s * (end_s - in_air_s) / 2]
            )
        seen = heights[ticks, signal] / heights[takeoff, 2]
        squares = []
        for columns in (np.array(rows)[:, :2], np.array(rows)):
            solution = np.linalg.lstsq(columns, seen)[0]
            squares.append(np.mean((seen - columns @ solution) ** 2) + noise**2)
        independent = fl.INDEPENDENT_PER_S * len(seen) / fps
        total += independent / 2 * np.log(squares[0] / squares[1])
        total -= (np.log(max(solution[-1], 0.01) / fl.RISE) / fl.RISE_SPREAD) ** 2 / 2
    return total


def jumping_heights() -> Array:
    points, times_s, _ = straight_up(0.45, fl.TICKS_PER_S)
    noise = np.random.default_rng(0).normal(0, 2, points.shape)
    return fl._heights(points + noise + 30 * times_s[:, None, None], times_s)


def test_fit_is_that_of_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    heights = jumping_heights()
    score = fl.fits(heights)
    shortest = round(fl.FLIGHT_S[0] * fl.TICKS_PER_S)
    for takeoff, length in ((60, 27), (57, 31), (63, 24), (30, 20), (80, 45), (40, shortest)):
        assert score[takeoff, length - shortest] == pytest.approx(
            naive_fit(heights, takeoff, length), abs=1e-6
        )
    monkeypatch.setattr(fl, "BLOCK", 17)
    np.testing.assert_allclose(fl.fits(heights), score)


def test_contacts_must_be_in_the_clip() -> None:
    points, times_s, true = straight_up(0.45, 30)
    enough = round(fl.CONTACT_S * 30) + 1
    for frames, found in (
        (slice(true["takeoff"] - enough, true["landing"] + enough), True),
        (slice(true["takeoff"] - 1, None), False),
        (slice(None, true["landing"]), False),
    ):
        assert bool(find_flights(points[frames], times_s[frames])) == found


def test_times_do_not_depend_on_camera_and_clock() -> None:
    points, times_s, _ = straight_up(0.45, 30)
    points = points + np.random.default_rng(1).normal(0, 1, points.shape)
    found_s = times_of(points, times_s)
    moving = points + times_s[:, None, None] * [200, 100]
    for same in (3 * points, flip(points), points + 500, moving):
        np.testing.assert_allclose(times_of(same, times_s), found_s, atol=1e-4)
    np.testing.assert_allclose(times_of(points, times_s + 5), found_s + 5, atol=1e-4)
    kept = np.delete(np.arange(len(points)), [10, 11, 33, 40, 52])
    np.testing.assert_allclose(times_of(points[kept], times_s[kept]), found_s, atol=0.015)


def test_nothing_is_found_where_nobody_jumps() -> None:
    generator = np.random.default_rng(0)
    times_s = np.arange(120) / 30
    walk = 100 * (STANDING * [1, -1] + 0.05 * np.sin(10 * times_s)[:, None, None])
    assert find_flights(walk + generator.normal(0, 1, walk.shape), times_s) == []
    assert find_flights(walk, times_s) == []
    for few in (1, 2, 3, 10):
        assert find_flights(walk[:few], times_s[:few]) == []


def test_height_must_be_that_of_the_air_time() -> None:
    points, times_s, _ = straight_up(0.35, 60)
    assert find_flights(points, times_s)
    assert find_flights(points, 2 * times_s) == []  # in slow motion
    low = points.copy()
    low[..., 1] = points[0, :, 1] + 0.5 * (points - points[0])[..., 1]
    assert find_flights(low, times_s) == []


def test_all_jumps_are_found_the_best_first_and_one_is_chosen() -> None:
    first, first_s, _ = straight_up(0.31, 30)
    second, second_s, _ = straight_up(0.6, 30)
    later_s = first_s[-1] + 1 / 30
    points = np.concatenate([first, second])
    times_s = np.concatenate([first_s, later_s + second_s])
    flights = find_flights(points, times_s)
    assert [flight.fit for flight in flights] == sorted(
        (flight.fit for flight in flights), reverse=True
    )
    found_s = [flight.times_s[0] for flight in flights]
    np.testing.assert_allclose(found_s, [later_s + START_S, START_S], atol=0.03)
    assert choose_flight(flights) is flights[0]
    near_s = np.array([START_S, START_S + 0.31])
    for offsets_s in ((0.0, 0.0), (0.4, 0.4), (np.nan, 0.0), (0.0, np.nan)):
        some = near_s + np.array(offsets_s)
        assert choose_flight(flights, some) is flights[1]
        assert choose_flight(flights, some + 1.2) is None
    chosen = find_flight(points, times_s, near_s)
    assert chosen
    assert chosen.fit == flights[1].fit
    assert choose_flight([]) is None


def test_a_noisy_flight_is_less_sure() -> None:
    points, times_s, _ = straight_up(0.45, 30)
    noise = np.random.default_rng(0).normal(0, 1, points.shape)
    sure = []
    for size in (0, 5):
        found = find_flight(points + size * noise, times_s)
        assert found
        sure.append(found.sure_s)
        assert (found.sure_s > fl.SURE_S).all()
    assert (sure[1] > sure[0]).all()


def test_flights_of_synthetic_skaters_from_three_cameras() -> None:
    wrong = []
    for seed in range(8):
        motion = axel(seed, bool(seed % 2))
        times_s = np.arange(len(motion.joints_m)) / motion.fps
        true_s = times_s[[motion.events[name] for name in ("takeoff", "landing")]]
        for degrees in (0, 60, 120):
            found = find_flight(seen_from(motion.joints_m, degrees), times_s)
            assert found
            wrong.append((found.times_s - true_s) / found.sure_s)
    assert (np.abs(wrong) < 1).all()


def test_refined_times_are_weighted_by_their_variances() -> None:
    flight = Flight(np.array([1.0, 1.5]), np.array([0.03, 0.04]), 30)
    mapped_s, sure_s = np.array([1.1, 1.4]), np.array([0.06, 0.04])
    found_s, found_sure_s = fl.refine(mapped_s, sure_s, flight)
    np.testing.assert_allclose(found_s, [1.1 - 0.1 * 0.8, 1.45])
    single_s = 1 / np.sqrt([1 / 0.03**2 + 1 / 0.06**2, 2 / 0.04**2])
    np.testing.assert_allclose(found_sure_s, np.hypot(single_s, 0.05))


def test_times_that_do_not_agree_with_the_flight_are_kept() -> None:
    flight = Flight(np.array([1.0, 1.5]), np.array([0.03, 0.03]), 30)
    near = fl.AGREE * np.hypot(0.04, 0.03)
    for apart_s, changed in ((near - 0.001, True), (near + 0.001, False)):
        mapped_s = np.array([1.0 - apart_s, np.nan])
        found_s, sure_s = fl.refine(mapped_s, np.array([0.04, 0.04]), flight)
        assert (found_s[0] != mapped_s[0]) == changed
        assert sure_s[0] >= apart_s / 2
        assert np.isnan(found_s[1])
    same_s, same_sure_s = fl.refine(mapped_s, np.array([0.04, 0.05]), None)
    np.testing.assert_array_equal(same_s, mapped_s)
    np.testing.assert_array_equal(same_sure_s, [0.04, 0.05])


def test_a_settled_mark_keeps_part_of_its_offset() -> None:
    flight = Flight(np.array([1.0, 1.5]), np.array(fl.SURE_S), 30)
    settled_s, sure_s = fl.settle(np.array([0.93, 1.52]), flight)
    share = np.square(fl.SURE_S) / (np.square(fl.SURE_S) + np.square(fl.MARK_S))
    np.testing.assert_allclose(settled_s, [1.0, 1.5] + share * [-0.07, 0.02])
    assert sure_s[1] < fl.MARK_S[1]


def test_the_convention_is_the_share_that_other_clips_have_in_common() -> None:
    flight = Flight(np.array([1.0, 1.5]), np.ones(2), 30)
    one = np.square(fl.MARK_S) + np.square(fl.SURE_S)
    apart_s = np.array([[0.05, -0.03], [0.06, -0.05], [0.5, np.nan]])
    for count, median_s in ((1, apart_s[0]), (2, [0.055, -0.04]), (3, [0.06, -0.04])):
        found_s = fl.convention(flight.times_s + apart_s[:count], [flight] * count)
        known = np.array([count, min(count, 2)])
        share = fl.CONVENTION_S**2 / (fl.CONVENTION_S**2 + fl.RECORDING_S**2 + one / known)
        np.testing.assert_allclose(found_s, share * median_s)
    np.testing.assert_array_equal(fl.convention(apart_s, [None] * 3), 0)
    np.testing.assert_array_equal(fl.convention(np.full((1, 2), np.nan), [flight]), 0)
    alone_s = fl.convention(flight.times_s + apart_s[:2], [flight, None])
    np.testing.assert_array_equal(alone_s, fl.convention(flight.times_s + apart_s[:1], [flight]))


def test_a_flight_is_moved_to_where_it_would_be_marked() -> None:
    flight = Flight(np.array([1.0, 1.5]), np.array([0.1, 0.2]), 30)
    moved = fl.as_marked(flight, np.array([0.05, -0.02]))
    assert moved
    np.testing.assert_allclose(moved.times_s, [1.05, 1.48])
    assert (moved.sure_s is flight.sure_s, moved.fit) == (True, 30)
    assert fl.as_marked(None, np.zeros(2)) is None


def test_times_are_carried_along_the_path_between_the_frames() -> None:
    standard_s, learner_s = np.arange(20) / 10, np.arange(50) / 20
    path = np.array([[5, 10], [6, 14], [7, 15], [7, 17], [9, 20]])
    at_s = np.array([0.5, 0.55, 0.7, 0.85, 0.9, 0.95, 0.45, np.nan])
    found_s = fl.carry(path, standard_s, learner_s, at_s)
    np.testing.assert_allclose(found_s, [0.5, 0.6, 0.8, 0.95, 1.0, np.nan, np.nan, np.nan])


@pytest.mark.real
def test_flights_of_recorded_jumps(real_data: Path) -> None:
    apart = []
    for (mode, video), frames in read_labels(real_data, "skate").items():
        if mode != "train" and not video.startswith("d"):
            continue  # kept apart
        clip = load_clip(real_data / "skate" / mode / video, Config())
        points = fill_joints(clip.keypoints, Config().SKELETON_CONF_THRESHOLD)
        found = find_flight(points, clip.times_s)
        marks = np.array([frames["takeoff"], frames["landing"]])
        if found:
            apart.append((found.times_s - clip.times_s[marks]) * 30)
        for part in (slice(0, marks[0] - 3), slice(marks[1] + 3, None)):
            assert find_flights(points[part], clip.times_s[part]) == [] or video == "c05"
    assert len(apart) >= 31  # of 33; one is in slow motion
    assert ((np.abs(apart) <= 3).mean(axis=0) >= 0.9).all()
    assert (np.abs(np.median(apart, axis=0)) <= 1).all()


def test_trunk_and_lower_ankle_are_seen() -> None:
    points, times_s, _ = straight_up(0.45, 30)
    trunk, ankle, torso = fl._heights(points, times_s).T
    np.testing.assert_allclose(torso, torso_length(points, 30))
    points[:, 15, 1] -= 50
    raised = fl._heights(points, times_s)
    np.testing.assert_allclose(raised[:, :2], np.stack([trunk, ankle], axis=1))


def test_a_clip_is_in_the_air_from_take_off_until_before_landing() -> None:
    flights = [Flight(np.array(span), np.ones(2), 30) for span in ([0.2, 0.4], [0.7, 0.75])]
    times_s = np.arange(10) / 10
    assert np.flatnonzero(airborne(flights, times_s)).tolist() == [2, 3, 7]
    assert not airborne([], times_s).any()
    assert airborne([], times_s).shape == (10,)
