"""Events, air time and height of jumps whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.features import flip
from tcc.files import UserError
from tcc.flight import GRAVITY, MARK_S, MATCH_S, SURE_S, TORSO_M, Flight, find_flight, refine
from tcc.report import events as jump
from tcc.report.events import Event, Quantity
from tests.jumpers import STANDING, START_S, axel, seen_from, straight_up

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]


def flight_in(points: Array, times_s: Times) -> dict[str, Event]:
    return jump.flight_events(find_flight(points, times_s), times_s)


@pytest.mark.parametrize("fps", [25, 30, 60])
@pytest.mark.parametrize("flight_s", [0.31, 0.45, 0.7])
def test_flight_under_gravity_is_found_within_a_frame(fps: float, flight_s: float) -> None:
    points, times_s, true = straight_up(flight_s, fps)
    found = flight_in(points, times_s)
    assert {event.source for event in found.values()} == {"motion"}
    for name, frame in true.items():
        assert abs(found[name].frame - frame) <= 1
    air_time_s = jump.tempo(found, times_s)["flight"]
    assert air_time_s.value == pytest.approx(flight_s, abs=0.02)
    assert air_time_s.uncertainty == pytest.approx(np.hypot(*SURE_S), rel=0.1)


@pytest.mark.parametrize("flight_s", [0.31, 0.45, 0.7])
def test_height_from_air_time_and_from_the_hips(flight_s: float) -> None:
    points, times_s, true = straight_up(flight_s, 60)
    true_m = GRAVITY * (flight_s / 2) ** 2 / 2
    events = jump.complete(jump.mark(true, times_s), points, times_s)
    assert times_s[events["peak"].frame] == pytest.approx(START_S + flight_s / 2, abs=1 / 60)
    by_time = jump.height_from_air_time(Quantity(flight_s, 0.01))
    assert by_time.value == pytest.approx(true_m)
    later = jump.height_from_air_time(Quantity(flight_s + 0.01, 0))
    assert by_time.uncertainty == pytest.approx(later.value - by_time.value, rel=0.05)
    rise = jump.rise_of_hips(events, points, times_s)
    assert rise
    assert rise.value == pytest.approx(true_m, rel=0.03)
    larger = jump.rise_of_hips(events, points * 3, times_s)
    assert larger
    assert larger.value == pytest.approx(rise.value)
    earlier = {**events, "takeoff": Event(events["takeoff"].frame, 0.02, "marked")}
    doubtful = jump.rise_of_hips(earlier, points, times_s)
    assert doubtful
    assert doubtful.uncertainty > rise.uncertainty > jump.TORSO_SPREAD * rise.value


def test_hips_that_end_below_the_takeoff_have_risen_from_the_takeoff() -> None:
    times_s = np.arange(40) / 60
    height_m = 2.0 * times_s - GRAVITY * times_s**2 / 2
    points = 100 * (STANDING * TORSO_M + height_m[:, None, None] * [0, 1]) * [1, -1]
    rise = jump.rise_of_hips(jump.mark({"takeoff": 0, "landing": 36}, times_s), points, times_s)
    assert rise
    assert rise.value == pytest.approx(2.0**2 / 2 / GRAVITY, rel=0.01)
    few = jump.mark({"takeoff": 0, "landing": jump.FIT_FRAMES - 1}, times_s)
    assert jump.rise_of_hips(few, points, times_s) is None


def test_legs_that_are_pulled_up_hardly_change_the_flight() -> None:
    points, times_s, true = straight_up(0.45, 30)
    pulled = points.copy()
    pulled[:, 13:, 1] -= 20 * np.exp(-(((times_s - START_S - 0.22) / 0.1) ** 2))[:, None]
    found = flight_in(pulled, times_s)
    for name, frame in true.items():
        assert abs(found[name].frame - frame) <= 1


def test_no_flight_is_found_where_nobody_jumps() -> None:
    generator = np.random.default_rng(0)
    times_s = np.arange(120) / 30
    walk = STANDING * [1, -1] + 0.05 * np.sin(10 * times_s)[:, None, None]
    assert flight_in(100 * walk + generator.normal(0, 1, walk.shape), times_s) == {}
    assert flight_in(100 * walk[:3], times_s[:3]) == {}
    assert flight_in(100 * walk[:1], times_s[:1]) == {}
    assert jump.complete({}, 100 * walk, times_s) == {}
    assert jump.tempo({}, times_s) == {}
    assert jump.rise_of_hips({}, walk, times_s) is None


@pytest.mark.parametrize("clockwise", [False, True])
def test_flight_of_synthetic_skaters_from_three_cameras(clockwise: bool) -> None:
    errors = []
    for seed in range(8):
        motion = axel(seed, clockwise)
        times_s = np.arange(len(motion.joints_m)) / motion.fps
        for degrees in (0, 60, 120):
            found = flight_in(seen_from(motion.joints_m, degrees), times_s)
            errors += [(event.frame - motion.events[name], event.uncertainty_s * motion.fps)
                       for name, event in found.items()]  # fmt: skip
    wrong, sure = np.transpose(errors)
    assert len(wrong) == 48
    assert (np.abs(wrong) <= 2.5 * sure).mean() > 0.9
    assert np.median(np.abs(wrong)) <= 2


@pytest.mark.parametrize("clockwise", [False, True])
def test_events_carried_over_by_the_true_path_are_within_a_frame(clockwise: bool) -> None:
    for seed in range(6):
        standard, learner = axel(seed, False), axel(seed + 100, clockwise, fps=60)
        standard_s, learner_s = (
            np.arange(len(motion.phase)) / motion.fps for motion in (standard, learner)
        )
        frames = np.arange(standard.events["start"], standard.events["end"])
        mates = np.interp(standard.phase[frames], learner.phase, np.arange(len(learner.phase)))
        path = np.stack([frames, np.rint(mates).astype(int)], axis=1)
        marked = jump.mark(standard.events, standard_s)
        carried = jump.carry_over(marked, path, standard_s, learner_s)
        for name in ("takeoff", "landing"):
            off_s = (carried[name].frame - learner.events[name]) / 60
            assert abs(off_s) <= 1 / 30 + 1 / 60
            assert carried[name].source == "matched"


def test_uncertainty_of_a_carried_event_has_four_parts() -> None:
    times_s = np.arange(200) / 30
    marked = {"takeoff": Event(50, 0.1, "marked")}

    def carry(slope: float, bent: float = 0.0, fps: float = 30.0) -> float:
        frames = np.arange(30, 71)
        other = slope * (frames - 30) * fps / 30 + bent * (-1.0) ** frames
        path = np.stack([frames, np.rint(other).astype(int) + 5], axis=1)
        return jump.carry_over(marked, path, times_s, np.arange(400) / fps)["takeoff"].uncertainty_s

    frame_s = 1 / 30 / np.sqrt(12)
    assert carry(1) == pytest.approx(np.linalg.norm([frame_s, 0.1, MATCH_S]))
    assert carry(2) == pytest.approx(np.linalg.norm([frame_s, 0.2, MATCH_S]))
    assert carry(1, fps=10) > carry(1)
    assert carry(1, bent=3) == pytest.approx(
        np.linalg.norm([frame_s, 0.1, MATCH_S, 3 / 30]), rel=0.06
    )


def test_slope_of_the_path_is_that_near_the_event() -> None:
    times_s = np.arange(300) / 30
    frames = np.arange(100)
    path = np.stack([frames, np.where(np.abs(frames - 50) <= 10, frames, 50 + 2 * (frames - 50))])
    path = path.T[np.r_[0:50:2, 40:61, 62:100:2]]
    path = np.unique(np.maximum.accumulate(path, axis=0), axis=0)
    marked = {"takeoff": Event(50, 0.1, "marked")}
    found = jump.carry_over(marked, path, times_s, times_s + 2)["takeoff"]
    frame_s = 1 / 30 / np.sqrt(12)
    assert found.uncertainty_s == pytest.approx(np.linalg.norm([frame_s, 0.1, MATCH_S]))


def test_carry_over_leaves_out_what_is_not_on_the_path() -> None:
    times_s = np.arange(20) / 30
    marked = jump.mark({"takeoff": 3, "landing": 12}, times_s)
    path = np.array([[10, 4], [12, 6]])
    carried = jump.carry_over(marked, path, times_s, times_s)
    assert list(carried) == ["landing"]
    assert carried["landing"].frame == 6


def test_matched_events_are_refined_by_the_flight() -> None:
    times_s = np.arange(100) / 100
    flight = Flight(np.array([0.204, 0.5]), np.array([0.01, 0.02]), 30)
    matched = {"takeoff": Event(18, 0.02, "matched", 0.184), "entry": Event(2, 0.02, "matched")}
    found = jump.combine(matched, flight, times_s)
    assert found["entry"] == matched["entry"]
    assert found["landing"] == Event(50, 0.02, "motion", 0.5)
    refined_s, sure_s = refine(np.array([0.184, np.nan]), np.array([0.02, np.nan]), flight)
    assert found["takeoff"] == Event(20, sure_s[0], "matched", refined_s[0])
    assert refined_s[0] == pytest.approx(0.2)
    assert jump.combine(matched, None, times_s) == matched


def test_marks_are_settled_by_the_flight_of_their_clip() -> None:
    times_s = np.arange(100) / 100
    flight = Flight(np.array([0.20, 0.5]), np.array([0.035, 0.05]), 30)
    events = {
        **jump.mark({"takeoff": 18, "peak": 30}, times_s),
        "landing": Event(52, 0.1, "motion"),
    }
    settled = jump.settle_marks(events, flight, times_s)
    assert settled["takeoff"].time_s == pytest.approx((0.18 + 0.20) / 2)
    assert replace(settled["takeoff"], time_s=None) == events["takeoff"]
    assert {**settled, "takeoff": events["takeoff"]} == events
    assert MARK_S[0] == 0.035
    same = jump.settle_marks(events, None, times_s)
    assert {name: event.at_s(times_s) for name, event in same.items()} == {
        name: event.at_s(times_s) for name, event in events.items()
    }


def test_fractions_of_a_frame_are_carried_over_and_counted() -> None:
    times_s = np.arange(100) / 10
    path = np.stack([np.arange(60), np.arange(60) + 5], axis=1)
    events = {
        "takeoff": Event(20, 0.01, "marked", 2.04),
        "landing": Event(30, 0.01, "marked", 2.96),
    }
    carried = jump.carry_over(events, path, times_s, times_s)
    assert (carried["takeoff"].frame, carried["landing"].frame) == (25, 35)
    assert carried["takeoff"].time_s == pytest.approx(2.54)
    assert jump.tempo(carried, times_s)["flight"].value == pytest.approx(0.92)


def test_marks_are_checked() -> None:
    times_s = np.arange(10) / 30
    marked = jump.mark({"landing": 8, "takeoff": 5, "start": 1}, times_s)
    assert list(marked) == ["takeoff", "landing"]
    assert marked["takeoff"].uncertainty_s == pytest.approx(1 / 30 / np.sqrt(12))
    with pytest.raises(UserError, match="landing=10.*frames 0 to 9"):
        jump.mark({"landing": 10}, times_s)
    with pytest.raises(UserError, match="takeoff=8, landing=5"):
        jump.mark({"takeoff": 8, "landing": 5}, times_s)


def test_phases_follow_each_other() -> None:
    times_s = np.arange(150) / 30
    marks = {"entry": 40, "takeoff": 45, "peak": 50, "landing": 56, "exit": 65}
    events = jump.mark(marks, times_s)
    assert jump.phases(events, times_s) == {
        "approach": (10, 40), "push": (40, 45), "flight": (45, 56), "absorb": (56, 65),
        "glide": (65, 95),
    }  # fmt: skip
    assert jump.phases(jump.mark({"takeoff": 4, "entry": 2}, times_s), times_s) == {
        "approach": (0, 2), "push": (2, 4),
    }  # fmt: skip
    both = jump.tempo(events, times_s)
    assert both["push"].value == pytest.approx(5 / 30)
    assert both["flight"].uncertainty == pytest.approx(1 / 30 / np.sqrt(6))


def test_entry_and_exit_are_the_deepest_bends() -> None:
    points, times_s, true = straight_up(0.5, 30)
    for frame in (true["takeoff"] - 8, true["landing"] + 7):
        lowered = 40 * np.exp(-(((np.arange(len(points)) - frame) / 3) ** 2))
        points[:, :15, 1] += lowered[:, None]
    points[..., 1] += 60 * np.sin(5 * times_s)[:, None]  # the camera moves
    events = jump.complete(jump.mark(true, times_s), points, times_s)
    assert list(events) == list(jump.EVENTS)
    assert events["entry"].frame == true["takeoff"] - 8
    assert events["exit"].frame == true["landing"] + 7
    assert events["takeoff"].source == "marked"
    assert events["entry"].source == "motion"
    assert events["entry"].uncertainty_s < 0.06


def test_bend_that_is_not_in_the_clip_is_not_found() -> None:
    points, times_s, true = straight_up(0.5, 30)
    points[:, :15, 1] -= 5 * np.arange(len(points))[:, None]  # the hips rise all the time
    points[true["landing"] :, :15, 1] += 10 * np.arange(len(points) - true["landing"])[:, None]
    first, last = true["takeoff"] - 6, true["landing"] + 8
    marks = {name: frame - first for name, frame in true.items()}
    part_s = times_s[first:last]
    found = jump.complete(jump.mark(marks, part_s), points[first:last], part_s)
    assert list(found) == ["takeoff", "peak", "landing"]


def test_events_move_with_the_clip_and_with_the_mirror_image() -> None:
    motion = axel(3, False)
    points = seen_from(motion.joints_m, 70)
    times_s = np.arange(len(points)) / motion.fps

    def find(points: Array, times_s: Times) -> dict[str, Event]:
        return jump.complete(flight_in(points, times_s), points, times_s)

    found = find(points, times_s)
    assert len(found) == 5
    frames = {name: event.frame for name, event in found.items()}
    for same in (find(points, times_s + 3), find(flip(points), times_s), find(2 * points, times_s)):
        assert {name: event.frame for name, event in same.items()} == frames
    late = np.concatenate([np.repeat(points[:1], 20, axis=0), points])
    later = find(late, np.arange(len(late)) / motion.fps)
    assert {name: event.frame - 20 for name, event in later.items()} == frames
    uneven = np.delete(np.arange(len(points)), [10, 11, 40, 41, 42])
    gaps = find(points[uneven], times_s[uneven])
    for name, event in gaps.items():
        assert abs(uneven[event.frame] - frames[name]) <= 1
