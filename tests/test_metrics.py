"""Kendall's tau against counted pairs and known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tcc.metrics import event_errors, kendalls_tau, tau_matrix


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
    errors = event_errors([early, unmarked, late], [5, None, 9])
    # frame 5 of the first is 8 and lies at frame 8 of the last; 9.2 lies at frame 6 of the first
    assert errors.tolist() == [1, 1]
    assert event_errors([early, unmarked], [5, None]).size == 0
