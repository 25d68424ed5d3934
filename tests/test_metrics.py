"""Kendall's tau against counted pairs and known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kendalltau

from tcc.evaluate.intervals import calibrate, share_within
from tcc.evaluate.metrics import (
    enclosed_area_error,
    event_errors,
    kendalls_tau,
    order_tau,
    phase_accuracy,
    phase_labels,
    phase_progression,
    retrieval_precision,
    tau_matrix,
)


def naive_tau(query: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Tau-b of nearest neighbours: concordant and discordant pairs counted one by one."""
    nearest = [int(np.argmin([((row - other) ** 2).sum() for other in reference])) for row in query]
    concordant = discordant = tied = 0
    for i in range(len(nearest)):
        for j in range(i + 1, len(nearest)):
            concordant += nearest[i] < nearest[j]
            discordant += nearest[i] > nearest[j]
            tied += nearest[i] == nearest[j]
    pairs = len(nearest) * (len(nearest) - 1) / 2
    if pairs == tied:
        return float("nan")
    return float((concordant - discordant) / np.sqrt(pairs * (pairs - tied)))


@settings(deadline=None, max_examples=80)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_tau_equals_counting_pairs(num_query: int, num_reference: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    query, reference = generator.random((num_query, 3)), generator.random((num_reference, 3))
    expected = naive_tau(query, reference)
    assert kendalls_tau(query, reference) == pytest.approx(expected, nan_ok=True)


def test_tau_of_a_clip_with_itself_is_one_and_with_its_reverse_minus_one() -> None:
    clip = np.random.default_rng(0).random((20, 4))
    assert kendalls_tau(clip, clip) == pytest.approx(1)
    assert kendalls_tau(clip, clip[::-1]) == pytest.approx(-1)


def test_tau_is_undefined_without_order() -> None:
    clip = np.random.default_rng(0).random((20, 4))
    assert np.isnan(kendalls_tau(np.ones((20, 4)), clip))
    assert np.isnan(kendalls_tau(clip[:1], clip))


def test_matrix_holds_query_by_reference_with_stride_and_distance() -> None:
    clips = list(np.random.default_rng(1).random((3, 12, 4)))
    matrix = tau_matrix(clips, clips, stride=2, distance="cosine")
    assert np.isnan(np.diagonal(matrix)).all()
    assert matrix[0, 2] == kendalls_tau(clips[0][::2], clips[2][::2], "cosine")
    assert matrix[2, 0] == kendalls_tau(clips[2][::2], clips[0][::2], "cosine")


def test_event_errors_are_counted_in_frames_over_ordered_pairs_of_marked_clips() -> None:
    clip = np.arange(20.0)[:, None]
    early, unmarked, late = clip[3:], clip, clip[:15] + 0.2
    errors = event_errors([early, unmarked, late], np.array([5, np.nan, 9]))
    # frame 5 of the first is 8 and lies at frame 8 of the last; 9.2 lies at frame 6 of the first
    assert errors.tolist() == [1, 1]
    assert event_errors([early, unmarked], np.array([5, np.nan])).size == 0


def test_tau_of_matched_frames_is_that_of_their_order() -> None:
    assert order_tau(np.array([3, 5, 9])) == pytest.approx(1)
    assert order_tau(np.array([9, 5, 3])) == pytest.approx(-1)
    assert order_tau(np.array([1, 1, 2])) == pytest.approx(2 / np.sqrt(6))  # one tie of three pairs
    assert np.isnan(order_tau(np.array([4, 4, 4])))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=60), st.booleans())
def test_tau_of_an_order_is_that_of_scipy_bit_by_bit(frames: list[int], whole: bool) -> None:
    values = np.array(frames, np.int64 if whole else np.float64)
    expected = kendalltau(np.arange(len(frames)), values).statistic
    np.testing.assert_equal(order_tau(values), float(expected))


def test_enclosed_area_counted_by_hand() -> None:
    standard, learner = np.array([2.0, 6.0]), np.array([10.0, 18.0])
    true = np.arange(9) * 2 + 6.0
    assert enclosed_area_error(true, standard, learner, 20) == 0
    late = true + np.array([50, 50, 0, 1, 2, 1, 0, 50, 50])  # beyond the events nothing is known
    assert enclosed_area_error(late, standard, learner, 20) == pytest.approx(4 / (5 * 20))
    late[3] = np.nan  # no match: as wrong as can be
    assert enclosed_area_error(late, standard, learner, 20) == pytest.approx((20 + 3) / (5 * 20))
    assert np.isnan(enclosed_area_error(true, standard, np.array([10, np.nan]), 20))


def test_phases_change_at_the_events() -> None:
    np.testing.assert_array_equal(phase_labels(np.array([2, 4]), 6), [0, 0, 1, 1, 2, 2])


def labelled_clips(
    num_clips: int, seed: int
) -> list[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]]:
    """Clips whose embeddings say the time to both events exactly."""
    generator = np.random.default_rng(seed)
    clips = []
    for _ in range(num_clips):
        events = np.sort(generator.choice(np.arange(3, 37), 2, replace=False)).astype(np.float64)
        times = (events - np.arange(40)[:, None]) / 40
        clips.append((times, phase_labels(events, 40), events))
    return clips


def test_embeddings_that_tell_the_time_to_every_event_score_one_constant_ones_nothing() -> None:
    train, test = labelled_clips(20, 0), labelled_clips(10, 1)
    assert phase_progression(
        [(x, events) for x, _, events in train], [(x, events) for x, _, events in test]
    ) == pytest.approx(1)
    pairs = [[(x, phases) for x, phases, _ in clips] for clips in (train, test)]
    assert phase_accuracy(pairs[0], pairs[1], 1.0, np.random.default_rng(0)) > 0.97
    blind = [[(np.ones_like(x), phases) for x, phases in clips] for clips in pairs]
    seen = np.concatenate([phases for _, phases in pairs[0]])
    common = np.bincount(seen).argmax()
    expected = np.mean([phases == common for _, phases in pairs[1]])
    accuracy = phase_accuracy(blind[0], blind[1], 1.0, np.random.default_rng(0))
    assert accuracy == pytest.approx(expected)
    progression = phase_progression(
        [(np.ones_like(x), events) for x, _, events in train],
        [(np.ones_like(x), events) for x, _, events in test],
    )
    assert progression <= 0


def test_share_of_labels_is_of_clips_and_one_phase_alone_is_undefined() -> None:
    good, bad = np.eye(2)[[0] * 5 + [1] * 5], np.eye(2)[[1] * 5 + [0] * 5]
    phases = np.array([0] * 5 + [1] * 5)
    train = [(good, phases)] + [(bad, phases)] * 9
    generator = np.random.default_rng(0)
    few = {phase_accuracy(train, [(good, phases)], 0.1, generator) for _ in range(40)}
    assert few == {0.0, 1.0}  # one clip of ten: the good one or a bad one
    assert phase_accuracy(train, [(good, phases)], 1.0, generator) == 0
    assert np.isnan(phase_accuracy([(good, phases * 0)], train, 1.0, generator))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_retrieval_equals_sorting_every_distance(num_query: int, k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    query, support = generator.random((num_query, 3)), generator.random((9, 3))
    labels, found = generator.integers(0, 3, num_query), generator.integers(0, 3, 9)
    hits = 0
    for row, label in zip(query, labels, strict=True):
        order = sorted(range(9), key=lambda i: ((row - support[i]) ** 2).sum())
        hits += sum(found[i] == label for i in order[:k])
    precision = retrieval_precision(query, labels, support, found, k)
    assert precision == pytest.approx(hits / (num_query * k))


def test_retrieval_needs_k_frames() -> None:
    assert np.isnan(
        retrieval_precision(np.ones((2, 1)), np.zeros(2, int), np.ones((4, 1)), np.zeros(4, int), 5)
    )


def test_shares_count_misses_and_leave_unmarked_pairs_out() -> None:
    errors = np.array([0, -5, 6, np.inf, np.nan])
    assert share_within(errors, 5) == 0.5
    assert np.isnan(share_within(errors[4:], 5))
    sure = np.array([True, True, True, False, True])
    expected = {"sure": 0.75, "sure_within_5": pytest.approx(2 / 3), "unsure_within_5": 0}
    assert calibrate(errors, sure) == expected


def test_progression_of_a_single_frame_is_undefined() -> None:
    clip = np.ones((4, 2)), np.array([1.0, 3.0])
    single = np.ones((1, 2)), np.array([0.0, 0.0])
    assert np.isnan(phase_progression([clip], [single]))
