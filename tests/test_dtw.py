"""Dynamic time warping and the rigid window against exhaustive oracles and planted clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tcc.dtw import (
    accumulate,
    accumulate_common,
    backtrack,
    cost_matrix,
    map_frames,
    search,
    start_curve,
    sum_along,
    suppress,
)

Array = NDArray[np.float64]


def naive_best(cost: Array) -> float:
    """Cheapest path by trying all of them, recursively from the last row."""

    def reach(row: int, column: int) -> float:
        if column < 0:
            return np.inf
        if row == 0:
            return float(cost[0, column])
        options = [reach(row - 1, column - 1) + cost[row, column]]
        if column >= 2:
            half = (cost[row, column - 1] + cost[row, column]) / 2
            options.append(reach(row - 1, column - 2) + half)
        if row >= 2 and column >= 1:
            both = cost[row - 1, column] + cost[row, column]
            options.append(reach(row - 2, column - 1) + both)
        return float(min(options))

    return min(reach(len(cost) - 1, column) for column in range(cost.shape[1]))


def naive_curve(cost: Array, method: str) -> Array:
    """Cheapest match from every start by trying all of them, NaN where there is none."""
    num_rows, num_columns = cost.shape

    def spend(row: int, column: int) -> float:
        """Cheapest way on from a cell to the last row, without the cell's own cost."""
        if row == num_rows - 1:
            return 0.0
        options = [np.inf]
        if column + 1 < num_columns:
            options.append(cost[row + 1, column + 1] + spend(row + 1, column + 1))
        if column + 2 < num_columns and method == "dtw":
            half = (cost[row + 1, column + 1] + cost[row + 1, column + 2]) / 2
            options.append(half + spend(row + 1, column + 2))
        if row + 2 < num_rows and column + 1 < num_columns and method == "dtw":
            both = cost[row + 1, column + 1] + cost[row + 2, column + 1]
            options.append(both + spend(row + 2, column + 1))
        return float(min(options))

    curve = np.array([cost[0, column] + spend(0, column) for column in range(num_columns)])
    return np.where(np.isfinite(curve), curve / num_rows, np.nan)


def walk(seed: int, num_frames: int, size: int = 6) -> Array:
    """Smooth random embeddings (F, D)."""
    steps = np.random.default_rng(seed).normal(size=(num_frames, size))
    return np.cumsum(steps, axis=0)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 7), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_accumulate_equals_trying_every_path(rows: int, extra: int, seed: int) -> None:
    cost = np.random.default_rng(seed).random((rows, rows + extra))
    total, _, _ = accumulate(cost)
    assert total[-1].min() == pytest.approx(naive_best(cost))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 12), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_path_costs_what_accumulate_says(rows: int, extra: int, seed: int) -> None:
    cost = np.random.default_rng(seed).random((rows, rows + extra))
    total, start, step = accumulate(cost)
    end = int(total[-1].argmin())
    path = backtrack(step, end)
    assert tuple(path[0]) == (0, start[-1, end])
    assert tuple(path[-1]) == (rows - 1, end)
    spent = cost[0, path[0, 1]]
    for (row, column), (next_row, next_column) in zip(path[:-1], path[1:], strict=True):
        moved = (next_row - row, next_column - column)
        assert moved in ((1, 1), (1, 2), (2, 1))
        if moved == (1, 2):
            spent += cost[next_row, next_column - 1 : next_column + 1].mean()
        else:
            spent += cost[row + 1 : next_row + 1, next_column].sum()
    assert spent == pytest.approx(total[-1, end])


@pytest.mark.parametrize("method", ["dtw", "sliding"])
@pytest.mark.parametrize("offset", [0, 17, 60])
def test_planted_clip_is_found_at_every_offset_the_last_one_too(method: str, offset: int) -> None:
    learner = walk(1, 100)
    match = search(cost_matrix(learner[offset : offset + 40], learner), method)[0]
    assert (match.start_frame, match.end_frame) == (offset, offset + 40)
    assert match.cost == pytest.approx(0)
    np.testing.assert_array_equal(match.path[:, 1] - match.path[:, 0], offset)


@pytest.mark.parametrize("method", ["dtw", "sliding"])
def test_clips_of_equal_length_match_from_the_first_frame(method: str) -> None:
    clip = walk(2, 30)
    match = search(cost_matrix(clip, clip), method)[0]
    assert (match.start_frame, match.end_frame) == (0, 30)


@pytest.mark.parametrize("tempo", [0.6, 0.8, 1.25, 1.6])
def test_another_tempo_is_followed(tempo: float) -> None:
    learner = walk(3, 160)
    times = np.arange(30, 110, tempo)
    rows = np.arange(160)
    standard = np.stack([np.interp(times, rows, column) for column in learner.T], axis=1)
    match = search(cost_matrix(standard, learner))[0]
    mapped = map_frames(match.path, len(standard))
    assert np.abs(mapped - times).max() <= 1.5


@pytest.mark.parametrize(("method", "num_learner"), [("dtw", 20), ("dtw", 45), ("sliding", 45)])
def test_learner_too_short_for_the_standard_matches_part_of_it(
    method: str, num_learner: int
) -> None:
    standard = walk(4, 60)
    matches = search(cost_matrix(standard, standard[10 : 10 + num_learner]), method)
    assert len(matches) == 1  # the learner's clip is one place, whatever part it shows
    match = matches[0]
    assert (match.start_frame, match.end_frame) == (0, num_learner)
    assert tuple(match.path[0]) == (10, 0)
    assert tuple(match.path[-1]) == (9 + num_learner, num_learner - 1)


def test_shorter_learner_who_shows_all_of_it_is_matched_whole() -> None:
    standard = walk(8, 60)
    quick = np.stack([np.interp(np.arange(0, 60, 1.5), np.arange(60), x) for x in standard.T], 1)
    match = search(cost_matrix(standard, quick))[0]
    assert tuple(match.path[0]) == (0, 0)
    assert match.path[-1, 0] >= 58
    apart = map_frames(match.path, 60) - np.arange(60) / 1.5
    assert np.nanmax(np.abs(apart)) <= 1


def test_two_repetitions_are_both_found_and_do_not_overlap() -> None:
    standard, filler = walk(5, 30), walk(6, 20) + 50
    noise = np.random.default_rng(7).normal(0, 0.1, standard.shape)
    learner = np.concatenate([filler, standard + noise, filler, standard, filler])
    first, second = search(cost_matrix(standard, learner), top_k=2)
    assert (first.start_frame, second.start_frame) == (70, 20)
    assert first.cost < second.cost


@pytest.mark.parametrize("method", ["dtw", "sliding"])
@settings(deadline=None, max_examples=60)
@given(st.integers(1, 7), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_curve_equals_trying_every_match_from_every_start(
    method: str, rows: int, extra: int, seed: int
) -> None:
    cost = np.random.default_rng(seed).random((rows, rows + extra))
    np.testing.assert_allclose(start_curve(cost, method), naive_curve(cost, method))


@pytest.mark.parametrize(("whole_cost", "is_whole"), [(1.2, True), (1.3, False)])
def test_a_part_must_be_a_fifth_cheaper_than_the_whole(whole_cost: float, is_whole: bool) -> None:
    """The part, on the diagonal, costs 1; the whole has to enter one dearer cell."""
    cost = np.full((4, 3), 4 * whole_cost - 3)
    np.fill_diagonal(cost, 1)
    match = search(cost)[0]
    assert match.cost == pytest.approx(whole_cost if is_whole else 1)
    assert match.path[-1, 0] == (3 if is_whole else 2)


def test_a_short_place_inside_a_better_one_is_no_other_place() -> None:
    starts, ends = np.array([10, 11, 40, 45]), np.array([50, 30, 60, 65])
    assert suppress(starts, ends, np.array([0.1, 0.2, 0.3, 0.4]), 3) == [0, 2]


def test_map_frames_averages_interpolates_and_leaves_the_outside_undefined() -> None:
    path = np.array([[1, 4], [1, 6], [3, 7]])
    np.testing.assert_array_equal(map_frames(path, 5), [np.nan, 5, 6, 7, np.nan])


def test_cost_matrix_is_the_mean_squared_difference() -> None:
    standard, learner = walk(8, 4), walk(9, 5)
    expected = [[((a - b) ** 2).mean() for b in learner] for a in standard]
    np.testing.assert_allclose(cost_matrix(standard, learner), expected)


def test_wrong_method_and_empty_clip_are_named() -> None:
    with pytest.raises(ValueError, match="expected dtw or sliding"):
        search(np.ones((3, 3)), "fast")
    with pytest.raises(ValueError, match="no frames"):
        search(np.ones((3, 0)))


def naive_gain(gain: Array) -> float:
    """Gain of the best path from any cell to any cell, by trying all of them."""
    num_rows, num_columns = gain.shape

    def onward(row: int, column: int) -> float:
        options = [0.0]
        if row + 1 < num_rows and column + 1 < num_columns:
            options.append(2 * gain[row + 1, column + 1] + onward(row + 1, column + 1))
        if row + 1 < num_rows and column + 2 < num_columns:
            both = 2 * gain[row + 1, column + 1] + gain[row + 1, column + 2]
            options.append(both + onward(row + 1, column + 2))
        if row + 2 < num_rows and column + 1 < num_columns:
            both = 2 * gain[row + 1, column + 1] + gain[row + 2, column + 1]
            options.append(both + onward(row + 2, column + 1))
        return float(max(options))

    return max(0.0, *(float(2 * gain[cell]) + onward(*cell) for cell in np.ndindex(*gain.shape)))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6), st.integers(1, 6), st.floats(-0.5, 1.5), st.integers(0, 2**32 - 1))
def test_common_part_equals_trying_every_path(
    rows: int, columns: int, level: float, seed: int
) -> None:
    gain = level - np.random.default_rng(seed).random((rows, columns))
    total, step = accumulate_common(gain)
    assert max(total.max(), 0) == pytest.approx(naive_gain(gain), abs=1e-12)
    if total.max() > 0:
        row, column = np.unravel_index(total.argmax(), total.shape)
        path = backtrack(step, int(column), int(row))
        assert sum_along(path, gain) == pytest.approx(total.max())
