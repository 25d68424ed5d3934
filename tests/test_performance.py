"""The events, measures and quantities of one clip, put together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tcc.features import fill_joints
from tcc.flight import GRAVITY, MARK_S
from tcc.report import events, measures
from tcc.report.events import Quantity
from tcc.report.measures import MEASURES, mirror_name
from tcc.report.performance import CONTRADICTS, QUANTITIES, Performance, perform
from tests.conftest import make_clip
from tests.jumpers import axel, keypoints_of, seen_from


def performance(clockwise: bool, degrees: float, mirrored: bool = False) -> Performance:
    """Return that of a synthetic Axel with exact joints."""
    motion = axel(3, clockwise)
    clip = make_clip(keypoints_of(seen_from(motion.joints_m, degrees)))
    points = fill_joints(clip.keypoints, 0.2)
    marked = events.mark(motion.events, clip.times_s)
    return perform(clip, events.complete(marked, points, clip.times_s), 0.2, mirrored)


def test_a_performance_holds_what_the_parts_give() -> None:
    found = performance(clockwise=False, degrees=90)
    clip, times_s = found.clip, found.clip.times_s
    points = fill_joints(clip.keypoints, 0.2)
    assert list(found.events) == list(events.EVENTS)
    assert found.phases == events.phases(found.events, times_s)
    assert set(found.curves) == set(MEASURES)
    assert set(found.quantities) == set(QUANTITIES)
    spans = events.tempo(found.events, times_s)
    assert found.quantities["flight"] == spans["flight"]
    assert found.quantities["push"] == spans["push"]
    assert found.quantities["height"] == events.height_from_air_time(spans["flight"])
    assert found.quantities["rise"] == events.rise_of_hips(found.events, points, times_s)
    closing = measures.arms_closing(found.curves, found.events, times_s)
    assert found.quantities["arms_closing"] == closing
    turn = measures.fastest_turn(points, found.events, times_s)
    assert found.quantities["fastest_turn"].value == turn
    for (name, place), value in found.values.items():
        own = measures.at_places(found.curves[name], MEASURES[name], found.events, times_s)
        np.testing.assert_equal(value.value, own[place].value)
    assert {place for _, place in found.values} == {"entry", "takeoff", "flight", "landing", "exit"}


def test_a_mirrored_skater_has_the_other_sides() -> None:
    plain = performance(clockwise=False, degrees=80)
    mirrored = performance(clockwise=False, degrees=80, mirrored=True)
    assert mirrored.mirrored
    for name in ("left_knee", "right_hip", "trunk_tilt"):
        np.testing.assert_allclose(
            mirrored.curves[mirror_name(name)].raw, plain.curves[name].raw, atol=1e-3
        )
    assert mirrored.quantities["flight"] == plain.quantities["flight"]
    assert mirrored.quantities["rise"].value == pytest.approx(plain.quantities["rise"].value, 1e-4)


def test_without_a_flight_only_the_curves_are_known() -> None:
    motion = axel(3, clockwise=False)
    clip = make_clip(keypoints_of(seen_from(motion.joints_m, 90)))
    found = perform(clip, {}, 0.2)
    assert not found.values
    assert not found.quantities
    assert not found.phases
    assert len(found.curves["left_knee"].raw) == clip.num_frames


def test_a_hidden_wrist_makes_the_closing_of_the_arms_uncertain() -> None:
    motion = axel(3, False)
    keypoints = keypoints_of(seen_from(motion.joints_m, 90))
    plain = make_clip(keypoints.copy())
    start, end = motion.events["takeoff"], motion.events["landing"]
    half = (end - start) // 2
    keypoints[start : start + half, 9, 2] = 0.1
    marks = events.mark({"takeoff": start, "landing": end}, plain.times_s)
    sure = perform(plain, marks, 0.2).quantities["arms_closing"]
    hidden = perform(make_clip(keypoints), marks, 0.2).quantities["arms_closing"]
    assert hidden.uncertainty == pytest.approx(np.hypot(sure.uncertainty, half / 30 / 2))


def test_air_time_and_height_must_agree() -> None:
    found = performance(clockwise=False, degrees=90)
    assert not found.contradicts_gravity
    slow = replace(found.clip, times_s=found.clip.times_s * 2)
    assert perform(slow, found.events, 0.2).contradicts_gravity
    assert not perform(found.clip, {}, 0.2).contradicts_gravity
    air_s, sure_m = 0.5, 0.03
    by_marks = GRAVITY * air_s / 4 * math.hypot(*MARK_S)
    in_motion = {name: replace(event, source="motion") for name, event in found.events.items()}
    for source, total in (
        (in_motion, math.hypot(sure_m, sure_m)),
        (found.events, math.hypot(sure_m, sure_m, by_marks)),
    ):
        for times, is_told in ((0.99, False), (1.01, True), (-0.99, False), (-1.01, True)):
            quantities = {
                "flight": Quantity(air_s, 0.01),
                "height": Quantity(0.3 + times * CONTRADICTS * total, sure_m),
                "rise": Quantity(0.3, sure_m),
            }
            changed = replace(found, events=source, quantities=quantities)
            assert changed.contradicts_gravity == is_told
