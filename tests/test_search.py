"""The search with open ends, on planted clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tcc.confidence import share_right, weigh
from tcc.dtw import map_frames
from tcc.search import _is_long, _views, locate
from tests.test_dtw import walk

Array = NDArray[np.float64]


def test_a_standard_in_slow_motion_is_found_and_its_path_is_in_its_own_frames() -> None:
    learner = walk(10, 120)
    rows = np.arange(120)
    standard = np.stack([np.interp(np.arange(40, 70, 0.4), rows, c) for c in learner.T], axis=1)
    match = locate([standard], learner).matches[0]
    assert abs(match.start_frame - 40) <= 1
    assert abs(match.end_frame - 70) <= 1
    mapped = map_frames(match.path, len(standard))
    assert np.nanmax(np.abs(mapped - np.arange(40, 70, 0.4))) <= 1.5
    assert (match.path[0, 0], match.path[-1, 0]) == (0, len(standard) - 1)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["dtw", "sliding"]),
    st.integers(1, 25),
    st.integers(1, 60),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_minimum_of_the_curve_is_the_start_that_is_found(
    method: str, num_standard: int, num_learner: int, slow: bool, mirrored: bool, seed: int
) -> None:
    """Also at double speed, of the mirror image, and where several starts cost the same."""
    generator = np.random.default_rng(seed)
    standard, mirror = generator.random((2, num_standard, 3))
    learner = generator.random((num_learner, 3))
    if slow and num_standard // 2 < num_learner:
        first = generator.integers(num_learner - num_standard // 2)
        shown = (mirror if mirrored else standard)[: 2 * (num_standard // 2) : 2]
        learner[first : first + len(shown)] = shown
    placement = locate([standard, mirror], learner, method)
    matches, curve = placement.matches, placement.curve()
    assert curve.shape == (num_learner,)
    if np.isnan(curve).all():
        assert len(matches) == 1  # the whole learner
        return
    assert np.nanargmin(curve) == matches[0].start_frame
    assert np.nanmin(curve) == pytest.approx(matches[0].cost, abs=1e-12)
    for match in matches:  # no place is cheaper than the curve says
        assert curve[match.start_frame] <= match.cost + 1e-12


def test_a_learner_who_shows_a_part_has_no_curve_and_one_who_shows_all_has() -> None:
    standard = walk(8, 60)
    assert np.isnan(locate([standard], standard[10:45]).curve()).all()
    assert np.isnan(locate([standard], standard[10:45], "sliding").curve()).all()
    quick = np.stack([np.interp(np.linspace(0, 59, 40), np.arange(60), x) for x in standard.T], 1)
    quick += np.random.default_rng(0).normal(0, 1, quick.shape)
    assert np.nanargmin(locate([standard], quick).curve()) == 0


@pytest.mark.parametrize(("ratio", "doubled"), [(0.925, False), (0.86, True)])
def test_double_speed_must_be_a_tenth_cheaper(ratio: float, doubled: bool) -> None:
    """At double speed the match is exact, but for an offset; at single speed 10 rows of 21 differ.

    Double speed costs `ratio` of single speed, and counts 2 ** 0.15 = 1.11 times.
    """
    extra = 10 / 21
    offset = np.sqrt(extra * ratio / (1 - ratio))
    standard = np.stack([np.arange(21.0), np.zeros(21)], axis=1)
    shown = np.stack([np.arange(0.0, 21, 2), np.full(11, offset)], axis=1)
    filler = np.full((10, 2), 1000.0)
    match = locate([standard], np.concatenate([filler, shown, filler])).matches[0]
    assert (match.start_frame, match.end_frame) == (10, 21)
    assert match.cost * 2 == pytest.approx(offset**2 + (0 if doubled else extra))  # mean over 2


def test_known_turns_decide_the_mirroring_and_the_cost_only_where_they_do_not() -> None:
    learner, mirror = walk(11, 60), walk(12, 30)
    views = [learner[20:50], mirror]
    for opposed, mirrored in ((None, False), (False, False), (True, True)):
        assert locate(views, learner, opposed=opposed).mirrored is mirrored


def plant(before: int, after: int, seed: int, motion: Array) -> Array:
    """A clip that shows a motion between other things."""
    away = np.random.default_rng(seed).normal(0, 10, (2, 6))
    lead_in, lead_out = walk(seed, before) + away[0], walk(seed + 1, after) + away[1]
    return np.concatenate([lead_in, motion, lead_out])


@pytest.mark.parametrize("lengths", [(90, 20, 15, 100), (15, 100, 90, 20), (60, 60, 20, 20)])
def test_the_motion_is_found_whatever_lies_around_it(lengths: tuple[int, ...]) -> None:
    before, after, learner_before, learner_after = lengths
    motion = walk(20, 60)
    standard = plant(before, after, 31, motion)
    placement = locate([standard], plant(learner_before, learner_after, 33, motion))
    assert not placement.is_whole
    path = placement.matches[0].path
    mapped = map_frames(path, len(standard))
    inside = np.arange(before + 5, before + 55)
    np.testing.assert_allclose(mapped[inside] - inside, learner_before - before, atol=1)
    assert abs(path[0, 0] - before) <= 6
    assert abs(path[-1, 0] - before - 60) <= 6


@pytest.mark.parametrize(("num_frames", "is_whole"), [(18, True), (60, False)])
def test_a_common_part_must_be_long_enough(num_frames: int, is_whole: bool) -> None:
    motion = walk(20, num_frames)
    placement = locate([plant(40, 40, 21, motion)], plant(90, 90, 23, motion))
    assert placement.is_whole is is_whole


def test_the_length_of_a_part_is_counted_in_both_clips_and_short_clips_need_less() -> None:
    view = next(_views([walk(1, 100)], walk(2, 100), "dtw", None))
    short = next(_views([walk(1, 100)], walk(2, 20), "dtw", None))
    for parts, expected in (
        ((0, 30, 0, 30), True),
        ((0, 29, 0, 40), False),
        ((0, 40, 0, 29), False),
    ):
        first, last, start, end = parts
        assert _is_long(view, np.array([[first, start], [last, end]])) is expected
    assert _is_long(short, np.array([[0, 0], [14, 14]]))
    assert not _is_long(short, np.array([[0, 0], [13, 13]]))


def test_the_confidence_weighs_the_path_and_the_flights() -> None:
    motion = walk(20, 60)
    airborne = np.zeros((2, 60), np.bool_)
    airborne[:, 20:30] = True
    air = (airborne[0], airborne[1, 10:40])
    placement = locate([motion], motion[10:40], airborne=air)
    [evidence] = weigh([placement.matches[0].path], placement.cost, air)
    assert placement.evidence == [evidence]
    assert evidence.flight == 1
    assert placement.confidence == placement.confidences[0] == share_right(evidence)


def test_the_whole_standard_is_matched_if_it_gains_nearly_as_much() -> None:
    motion = walk(20, 60)
    learner = plant(60, 60, 23, motion)
    for other, is_whole in ((6, True), (50, False)):
        assert locate([plant(other, other, 21, motion)], learner).is_whole is is_whole


def test_the_part_is_searched_for_in_other_places_too() -> None:
    motion = walk(20, 60)
    standard = plant(50, 50, 21, motion)
    again = motion + np.random.default_rng(9).normal(0, 0.3, motion.shape)
    learner = np.concatenate([plant(30, 40, 23, again), plant(40, 30, 25, motion)])
    placement = locate([standard], learner)
    first, second = placement.matches[:2]
    assert abs(first.start_frame - 170) <= 3
    assert abs(second.start_frame - 30) <= 3
    assert min(placement.confidences[:2]) > 0.5
    assert np.nanargmin(placement.curve()) == first.start_frame


@pytest.mark.parametrize("tempo", [0.3, 3.0])
def test_slow_motion_of_either_clip_is_found(tempo: float) -> None:
    motion = walk(10, 120)
    times = np.arange(30, 90, min(tempo, 1))
    slow = np.stack([np.interp(times, np.arange(120), x) for x in motion.T], axis=1)
    pair = (slow, motion) if tempo < 1 else (motion[30:90], slow_learner(motion, tempo))
    mapped = map_frames(locate([pair[0]], pair[1]).matches[0].path, len(pair[0]))
    expected = times if tempo < 1 else np.arange(30, 90) * tempo
    inside = slice(5, -5)
    assert np.nanmax(np.abs(mapped[inside] - expected[inside])) <= 2 * max(tempo, 1)


def slow_learner(motion: Array, tempo: float) -> Array:
    """The motion with `tempo` times as many frames."""
    times = np.arange(0, len(motion) - 1, 1 / tempo)
    return np.stack([np.interp(times, np.arange(len(motion)), x) for x in motion.T], axis=1)
