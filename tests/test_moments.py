"""Take-off and landing of labelled clips, by the path and by planted flights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.evaluate.errors import Comparison, list_pairs
from tcc.evaluate.labels import LabelledClip
from tcc.flight import (
    CHECKED_S,
    MATCH_S,
    SURE_S,
    VOTE_S,
    Flight,
    as_marked,
    convention,
    refine,
    settle,
)
from tcc.moments import convention_of, refine_events, settle_events

Array = NDArray[Any]
NAMES = ["start", "takeoff", "landing"]
SURE = np.array(SURE_S)
NONE = np.zeros(2)
PLANTED, FINE = (32, 47), 240  # frames, frames per second: rounding hides little


def make_clip(
    name: str, flight_frames: tuple[float, float] | None, *events: float, fps: float = 30
) -> LabelledClip:
    """Return a clip of 60 frames whose embedding is the number of the frame."""
    times_s = 2 + np.arange(60) / fps
    features = np.arange(60.0)[:, None]
    flights = (Flight(2 + np.array(flight_frames) / fps, SURE, 30.0),) if flight_frames else ()
    return LabelledClip(
        "wave/train",
        name,
        (features,),
        times_s,
        times_s,
        np.array(events, float),
        name,
        flights=flights,
    )


def test_marks_are_settled_in_frames_and_other_events_stay() -> None:
    clip = make_clip("a", (21.5, 32.0), 5, 20, 33)
    settled = settle_events(clip, clip.events, NAMES, NONE)
    assert settled[0] == 5
    expected_s, _ = settle(2 + np.array([20, 33]) / 30, clip.flights[0])
    np.testing.assert_allclose(settled[1:], (expected_s - 2) * 30)
    order = [2, 0, 1]
    swapped = settle_events(clip, clip.events[order], [NAMES[k] for k in order], NONE)
    np.testing.assert_allclose(swapped, settled[order])
    later = settle_events(clip, clip.events, NAMES, np.array([0.03, 0.0]))
    assert later[1] > settled[1]
    assert later[2] == settled[2]
    same = settle_events(replace(clip, flights=()), clip.events, NAMES, NONE)
    np.testing.assert_array_equal(same, clip.events)


@pytest.mark.parametrize("sure_s", [(0.067, 0.067), (0.05, 0.02)])
def test_found_events_are_refined_in_frames(sure_s: tuple[float, float]) -> None:
    clip = make_clip("a", (21.5, 32.0), fps=60)
    convention_s = np.array([0.01, -0.02])
    refined = refine_events(clip, np.array([5.2, 20, 33]), NAMES, sure_s, convention_s)
    found_s = 2 + np.array([20, 33]) / 60
    flight = as_marked(clip.flights[0], convention_s)
    expected_s, _ = refine(found_s, np.array(sure_s), flight)
    np.testing.assert_allclose(refined, [5.2, *(expected_s - 2) * 60])


def test_events_that_are_not_marked_or_not_found_stay_so() -> None:
    clip = make_clip("a", (21.5, 32.0))
    for frames in ([1, np.nan, np.inf], [np.inf, np.inf, np.nan]):
        found = refine_events(clip, np.array(frames), NAMES, CHECKED_S, NONE)
        np.testing.assert_array_equal(found, frames)
        np.testing.assert_array_equal(settle_events(clip, found, NAMES, NONE), frames)
    one = refine_events(clip, np.array([1, 20, np.inf]), NAMES, CHECKED_S, NONE)
    assert 20 < one[1] < 21.5
    assert one[2] == np.inf
    other = refine_events(clip, np.array([7.0, 8.0]), ["start", "address"], CHECKED_S, NONE)
    np.testing.assert_array_equal(other, [7, 8])


def test_the_convention_is_that_of_the_clips_with_a_flight_near_their_marks() -> None:
    clips = [make_clip(f"c{k}", (20, 30), 5, 20 + k, 29) for k in range(3)]
    clips.append(make_clip("none", None, 5, 20, 30))
    clips.append(make_clip("far", (40, 50), 5, 20, 30))
    events = np.array([clip.events for clip in clips])
    expected_s = convention(
        np.array([[20 + k, 29] for k in range(3)]) / 30 + 2, [clip.flights[0] for clip in clips[:3]]
    )
    np.testing.assert_allclose(convention_of(clips, events, NAMES), expected_s)
    assert expected_s[0] > 0 > expected_s[1]
    np.testing.assert_array_equal(convention_of([], np.empty((0, 3)), NAMES), NONE)
    np.testing.assert_array_equal(convention_of(clips, events, ["a", "b", "c"]), NONE)


def compare(flights: bool = True) -> Comparison:
    """Clips of one motion, marked at frames 20 and 35, one at 22; their flights are PLANTED."""
    clips = [
        make_clip(f"c{k}", PLANTED if flights else None, 20 + 2 * (k == 4), 35, fps=FINE)
        for k in range(5)
    ]
    pairs = list_pairs(clips, clips)
    return Comparison.by_length(clips, clips, ["takeoff", "landing"], pairs)


def moved(frames: Array, sure_s: tuple[float, float], by_s: Array) -> Array:
    flight = as_marked(Flight(2 + np.array(PLANTED) / FINE, SURE, 30.0), by_s)
    settled_s, _ = settle(2 + frames / FINE, flight)
    return (refine(settled_s, np.array(sure_s), flight)[0] - 2) * FINE


def test_one_standard_is_refined_with_its_own_convention() -> None:
    comparison = compare()
    own_s = comparison.conventions()
    by_hand = [
        convention(2 + standard.events[None] / FINE, standard.flights)
        for standard, _ in comparison.clips()
    ]
    np.testing.assert_allclose(own_s, by_hand)
    found = comparison.find_events(0, own_s)
    expected = [
        np.rint(moved(standard.events, (MATCH_S, MATCH_S), convention_s))
        for (standard, _), convention_s in zip(comparison.clips(), own_s, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)
    assert (found != comparison.find_events()).any()
    plain = compare(flights=False)
    np.testing.assert_array_equal(plain.conventions(), 0)
    np.testing.assert_array_equal(plain.find_events(0, plain.conventions()), plain.find_events())


def test_checked_standards_share_a_convention_without_the_learner() -> None:
    comparison = compare()
    offsets = np.full((len(comparison.pairs), 2), 0.25)
    shared_s = comparison.conventions(offsets)
    for learner in range(5):
        mine = comparison.pairs[:, 1] == learner
        standards = [comparison.standards[k] for k in comparison.pairs[mine, 0]]
        marks = np.array([clip.events for clip in standards]) - 0.25
        expected_s = convention(2 + marks / FINE, [clip.flights[0] for clip in standards])
        np.testing.assert_allclose(shared_s[mine], np.tile(expected_s, (4, 1)))
    changed = replace(comparison, learners=[
        replace(clip, events=clip.events + 5) for clip in comparison.learners
    ])  # fmt: skip
    np.testing.assert_array_equal(changed.conventions(offsets), shared_s)
    found = comparison.find_events(offsets, shared_s)
    expected = [
        np.rint(moved(standard.events - 0.25, CHECKED_S, convention_s))
        for (standard, _), convention_s in zip(comparison.clips(), shared_s, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)


def test_a_vote_is_refined_once() -> None:
    comparison = compare()
    offsets = np.zeros((len(comparison.pairs), 2))
    shared_s = comparison.conventions(offsets)
    votes, learners = comparison.vote(offsets, shared_s)
    flight = comparison.learners[0].flights[0]
    for learner, voted in zip(learners[:, 0], votes, strict=True):
        row = np.flatnonzero(comparison.pairs[:, 1] == learner)[0]
        by_s = shared_s[row]
        # The first two of four equal standards vote; the last clip alone is marked otherwise.
        settled_s, _ = settle(2 + np.array([20.0, 35]) / FINE, as_marked(flight, by_s))
        frames = (refine(settled_s, np.array(VOTE_S), as_marked(flight, by_s))[0] - 2) * FINE
        np.testing.assert_array_equal(voted, np.rint(frames))
    assert (votes != comparison.vote(offsets)[0]).any()
