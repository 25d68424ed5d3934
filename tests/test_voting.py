"""Votes of all standards and the check of their marks, against brute force and planted clips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc import voting
from tcc.dtw import accumulate, cost_matrix
from tcc.evaluate.errors import Comparison, list_pairs
from tcc.evaluate.labels import LabelledClip
from tcc.voting import (
    MAX_VOTERS,
    MarkCheck,
    better_half,
    doubtful_marks,
    match_costs,
    place,
    rank,
    vote,
)
from tests.test_dtw import walk

Array = NDArray[np.float64]
NAN, INF = np.nan, np.inf
MARKS = (20.0, 30.0)


def make_clip(name: str, features: NDArray[Any], *events: float, fps: float = 30) -> LabelledClip:
    times_s = np.arange(len(features)) / fps
    return LabelledClip(
        "wave/train", name, (features,), times_s, times_s, np.array(events), f"wave/train/{name}"
    )


def make_clips(count: int, seed: int = 0) -> list[LabelledClip]:
    """Clips of one motion that differ a little; the events are at MARKS in all."""
    generator = np.random.default_rng(seed)
    motion = walk(3, 50)
    noises = generator.normal(
        0, np.linspace(0.05, 0.3, count)[:, None, None], (count, *motion.shape)
    )
    return [make_clip(f"c{k}", motion + noise, *MARKS) for k, noise in enumerate(noises)]


@pytest.mark.parametrize("chunk", [1, 5000, 500_000])
@pytest.mark.parametrize("like", ["random", "motion"])
def test_costs_of_all_clips_at_once_are_those_of_brute_force(
    like: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voting, "CHUNK_CELLS", chunk)
    generator = np.random.default_rng(1)
    learner = walk(0, 40)
    clips = [
        generator.normal(size=(length, 6)) if like == "random" else walk(seed + 1, length)
        for seed, length in enumerate([*generator.integers(1, 80, 60).tolist(), 1, 39, 40, 41])
    ]
    expected = []
    for clip in clips:
        cost = cost_matrix(clip, learner)
        cost = cost if len(clip) <= len(learner) else cost.T
        expected.append(accumulate(cost)[0][-1].min() / len(cost))
    costs = match_costs(clips, learner)
    np.testing.assert_allclose(costs, expected, rtol=1e-9, atol=1e-12)
    assert (np.argsort(costs)[:MAX_VOTERS] == np.argsort(expected)[:MAX_VOTERS]).all()


def test_the_mirror_image_is_compared_where_the_skaters_turn_in_opposite_directions() -> None:
    shown, other = walk(1, 30), walk(2, 30)
    learner = replace(make_clip("learner", shown), turn=5.0)
    pair = replace(make_clip("a", shown), features=(other, shown))
    turns = {5.0: False, -5.0: True, 0.0: True}
    for turn, alike in turns.items():
        assert (rank([replace(pair, turn=turn)], learner)[0] < 1e-9) == alike
    swapped = replace(pair, features=(shown, other))
    costs = rank([swapped, replace(swapped, turn=5.0), replace(swapped, turn=-5.0)], learner)
    assert (costs < 1e-9).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("frames", "costs", "expected"),
    [
        ([100, 7, 8, 90, 30], [0.9, 0.1, 0.3, 0.8, 0.2], 8),  # of 7, 30, 8; their mean is 15
        ([90, 10, 60, 20], [0.4, 0.1, 0.3, 0.2], 15),  # of 10 and 20
        ([50, 9], [0.5, 0.4], 9),
        ([50], [0.5], 50),
        ([NAN, 9, 7, NAN], [0.1, 0.4, 0.5, 0.2], 9),  # half of those that mark the event
        ([INF, 9, 7, 5], [0.1, 0.4, 0.5, 0.6], 9),  # one of two misses it
        ([INF, INF, 9, 7, 7], [0.1, 0.2, 0.3, 0.4, 0.5], INF),  # two of three miss it
        ([NAN, NAN], [0.1, 0.2], NAN),
    ],
)
def test_the_better_half_of_the_standards_votes(
    frames: list[float], costs: list[float], expected: float
) -> None:
    votes = vote(np.array(frames, np.float64)[:, None], np.array(costs))
    np.testing.assert_array_equal(votes.frames, [expected])


def test_scatter_is_the_standard_deviation_of_normal_votes_whatever_one_voter_says() -> None:
    generator = np.random.default_rng(0)
    scatters = []
    for _ in range(2000):
        found = generator.normal(50, 3, (24, 1))
        found[0] = 1000
        scatters.append(vote(found, np.arange(24.0)).scatter[0])
    assert np.mean(scatters) == pytest.approx(3, rel=0.1)


def test_at_most_max_voters_vote_and_the_nearest_is_first() -> None:
    costs = np.random.default_rng(0).random(100)
    chosen = better_half(costs, costs > 0.01)
    assert chosen.tolist() == [k for k in np.argsort(costs) if costs[k] > 0.01][:MAX_VOTERS]
    votes = vote(np.arange(100.0)[:, None], costs)
    assert votes.voters[0].tolist() == np.argsort(costs)[:MAX_VOTERS].tolist()
    assert votes.frames[0] == np.median(np.argsort(costs)[:MAX_VOTERS])


def test_a_mark_that_is_off_is_told_and_taken_off() -> None:
    clips = make_clips(9)
    clips[4] = replace(clips[4], events=np.array([MARKS[0] - 3, MARKS[1]]))
    check = MarkCheck(clips)
    offsets = [check.offset(index) for index in range(len(clips))]
    for index, offset in enumerate(offsets):
        np.testing.assert_allclose(offset.frames, [-3 * (index == 4), 0], atol=0.5)
        assert offset.counts.tolist() == [index == 4, False]
        assert (offset.num_checkers == 4).all()  # the better half of eight
    np.testing.assert_allclose(check.corrected(4).events, MARKS, atol=0.5)


@pytest.mark.parametrize(("fps", "told"), [(30, True), (60, False)])
def test_an_offset_is_told_from_two_frames_at_30_a_second_on(fps: float, told: bool) -> None:
    clips = [make_clip(clip.name, clip.features[0], *MARKS, fps=fps) for clip in make_clips(9)]
    clips[2] = replace(clips[2], events=np.add(MARKS, [2, -1]))
    assert MarkCheck(clips).offset(2).counts.tolist() == [told, False]


def test_an_offset_within_the_scatter_of_the_others_is_not_told() -> None:
    clips = make_clips(9)
    for index, moved in enumerate((3, -3, 4, -4, 3, -4, 4, -3)):
        clips[index] = replace(clips[index], events=np.array(MARKS) + moved)
    clips[8] = replace(clips[8], events=np.array(MARKS) + 2.5)
    offset = MarkCheck(clips).offset(8)
    assert not offset.counts.any()
    assert (offset.scatter > 2.5).all()


def test_doubtful_marks_are_told_with_both_frames_of_the_recording() -> None:
    clips = make_clips(8)
    assert doubtful_marks(clips, ["takeoff", "landing"]) == []
    clips[2] = replace(clips[2], events=np.array([MARKS[0] - 4, MARKS[1]]), start_frame=100)
    told = doubtful_marks(clips, ["takeoff", "landing"])
    assert told[0] == "c2: takeoff is marked at frame 116; 4 other clips put it at frame 120"
    assert told[1:] == ["look at both frames, and correct labels.csv where a mark is wrong"]


def test_marks_are_compared_from_four_clips_on_and_without_the_own_recording() -> None:
    clips = make_clips(4)
    clips[0] = replace(clips[0], events=np.array([MARKS[0] + 4, NAN]))
    assert MarkCheck(clips).offset(0).frames[0] == pytest.approx(4, abs=0.5)
    assert np.isnan(MarkCheck(clips).offset(0).frames[1])
    assert np.isnan(MarkCheck(clips[:3]).offset(0).frames).all()
    assert np.isnan(MarkCheck(clips).offset(1).frames[1])  # only three clips mark the landing
    assert np.isnan(MarkCheck(clips).offset(0, [clips[1].recording]).frames).all()
    same = [replace(clip, recording="one") for clip in clips]
    assert np.isnan(MarkCheck(same).offset(0).frames).all()
    assert MarkCheck(clips[:3]).corrected(0).events[0] == MARKS[0] + 4


def test_a_large_folder_is_checked_with_few_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    def counted(standard: LabelledClip, learner: LabelledClip) -> object:
        searched.append((standard.name, learner.name))
        return place(standard, learner)

    monkeypatch.setattr(voting, "place", counted)
    check = MarkCheck(make_clips(60))
    check.offset(7)
    assert len(searched) == len(set(searched)) <= MAX_VOTERS
    check.offset(7)
    assert len(searched) <= MAX_VOTERS  # the second time nothing is searched for


def compare(clips: list[LabelledClip]) -> Comparison:
    pairs = list_pairs(clips, clips)
    return Comparison.by_length(clips, clips, ["takeoff", "landing"], pairs).search()


def test_offsets_and_votes_do_not_depend_on_the_learner_s_marks() -> None:
    clips = make_clips(7)
    clips[3] = replace(clips[3], events=np.array([MARKS[0] - 3, MARKS[1]]))
    changed = [replace(clips[0], events=np.array([MARKS[0] + 9, MARKS[1] - 9])), *clips[1:]]
    first, second = compare(clips), compare(changed)
    mine = first.pairs[:, 1] == 0
    offsets = first.mark_offsets(), second.mark_offsets()
    np.testing.assert_array_equal(offsets[0][mine], offsets[1][mine])
    assert (offsets[0][~mine] != offsets[1][~mine]).any()
    np.testing.assert_allclose(offsets[0][first.pairs[:, 0] == 3, 0], -3, atol=0.5)
    voted, learners = first.vote(offsets[0])
    np.testing.assert_array_equal(voted[0], second.vote(offsets[1])[0][0])
    assert learners.tolist() == [[k] for k in range(7)]
    # The standard that is off is right with its offset taken off.
    found = first.find_events(offsets[0])[first.pairs[:, 0] == 3]
    np.testing.assert_allclose(found, [MARKS] * 6, atol=1)
    assert (first.find_events()[first.pairs[:, 0] == 3, 0] <= MARKS[0] - 2).all()


def test_the_vote_is_rounded_once() -> None:
    """A median of 10.4 and 10.4 is 10; of corrected marks that are rounded first, it may not be."""
    clips = make_clips(5)
    comparison = compare(clips)
    offsets = np.full((len(comparison.pairs), 2), 0.4)
    votes, _ = comparison.vote(offsets)
    np.testing.assert_array_equal(votes, np.rint(np.array([MARKS] * 5) - 0.4))
