"""The events of a learner, by the path and by both flights."""

from __future__ import annotations

import numpy as np
import pytest

from tcc.clips import Clip
from tcc.features import fill_joints
from tcc.flight import FLIGHT, as_marked, convention, find_flight
from tcc.report import events as jump
from tcc.report.events import Event
from tcc.report.found_events import NEAR_S, find_events, follow_path, learner_events
from tests.conftest import make_clip
from tests.jumpers import axel, keypoints_of, seen_from, straight_up

THRESHOLD = 0.2


def skater(seed: int) -> tuple[Clip, dict[str, int]]:
    motion = axel(seed, clockwise=False)
    return make_clip(keypoints_of(seen_from(motion.joints_m, 90))), motion.events


def test_marks_are_settled_carried_over_and_refined() -> None:
    (learner, true), (standard, frames) = skater(3), skater(4)
    rows = np.arange(standard.num_frames)
    from_frames, to_frames = (
        [0, *(clip_events[name] + late for name in FLIGHT), clip.num_frames - 1]
        for clip, clip_events, late in ((standard, frames, 0), (learner, true, 2))
    )
    path = np.stack(
        [rows, np.rint(np.interp(rows, from_frames, to_frames)).astype(np.int64)], axis=1
    )
    marked = {
        name: jump.marked_event(frame, standard.times_s)
        for name, frame in {**frames, "arms_in": 9}.items()
    }
    marked["takeoff"] = jump.marked_event(frames["takeoff"] - 3, standard.times_s)
    found = follow_path(learner, standard, marked, path, THRESHOLD)

    own, other = (
        find_flight(fill_joints(clip.keypoints, THRESHOLD), clip.times_s)
        for clip in (standard, learner)
    )
    convention_s = convention(jump.times_of(marked, standard.times_s)[None], [own])
    assert (convention_s != 0).all()
    own, other = (as_marked(flight, convention_s) for flight in (own, other))
    settled = jump.settle_marks(marked, own, standard.times_s)
    assert settled["takeoff"].at_s(standard.times_s) > standard.times_s[frames["takeoff"] - 3]
    carried = jump.carry_over(settled, path, standard.times_s, learner.times_s)
    assert found == jump.combine(carried, other, learner.times_s)
    assert found["arms_in"] == carried["arms_in"]
    for name in FLIGHT:
        assert found[name].time_s != carried[name].time_s
    completed = learner_events(learner, standard, marked, path, THRESHOLD)
    assert {name: completed[name] for name in FLIGHT} == {name: found[name] for name in FLIGHT}
    assert list(completed) == list(jump.EVENTS)


def test_only_a_flight_near_the_matched_part_counts() -> None:
    standard, frames = skater(4)
    points, times_s, true = straight_up(0.45, 30)
    learner = make_clip(keypoints_of(points))
    ends = (0, true["takeoff"] - 6 - round(NEAR_S * 30))
    for last, is_found in ((ends[1], False), (true["landing"], True)):
        path = np.array([[0, 0], [10, last]])
        found = follow_path(learner, standard, {}, path, THRESHOLD)
        assert set(found) == (set(FLIGHT) if is_found else set())
    assert frames["takeoff"] > 10
    np.testing.assert_allclose(found["takeoff"].at_s(times_s), times_s[true["takeoff"]], atol=0.03)


def test_a_mark_keeps_the_flight_of_the_motion_out() -> None:
    clip, frames = skater(4)
    found = find_events(clip, {}, THRESHOLD)
    assert {event.source for event in found.values()} == {"motion"}
    assert found["takeoff"].frame == pytest.approx(frames["takeoff"], abs=2)
    marked = {"takeoff": Event(frames["takeoff"], 0.01, "marked")}
    assert find_events(clip, marked, THRESHOLD) == marked


def test_votes_replace_the_path_before_the_motion_is_searched() -> None:
    (learner, true), (standard, frames) = skater(3), skater(4)
    ends = [0, frames["takeoff"], frames["landing"], standard.num_frames - 1]
    to = [0, true["takeoff"], true["landing"], learner.num_frames - 1]
    rows = np.arange(standard.num_frames)
    path = np.stack([rows, np.rint(np.interp(rows, ends, to)).astype(np.int64)], axis=1)
    marked = jump.mark({name: frames[name] for name in FLIGHT}, standard.times_s)
    before = learner_events(learner, standard, marked, path, THRESHOLD)
    vote = Event(before["entry"].frame + 1, 0.03, "matched")
    found = learner_events(learner, standard, marked, path, THRESHOLD, {"takeoff": vote})
    assert found["takeoff"] == vote
    assert found["landing"] == before["landing"]
    entry_s, takeoff_s = (found[name].at_s(learner.times_s) for name in ("entry", "takeoff"))
    assert takeoff_s - entry_s >= jump.BEND_S[0]
