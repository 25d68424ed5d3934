"""Dynamic time warping of two embedded clips: costs, paths, and the places where they match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.floating[Any]]
WarpingPath = NDArray[np.int64]
CLEARLY = 0.8  # a part must cost less than this share of the whole; 0.5 to 1 give equal accuracy


@dataclass(frozen=True, slots=True)
class Match:
    """One place where the learner's clip shows the standard.

    `start_frame` and `end_frame` (exclusive) are frames of the learner. `path` (K, 2) is the
    warping path: pairs of a standard's and a learner's frame, both increasing. `cost` is the mean
    cost per frame of the standard, or per frame of the learner if only a part of the standard is
    matched.
    """

    start_frame: int
    end_frame: int
    cost: float
    path: WarpingPath


def cost_matrix(standard: Array, learner: Array) -> Array:
    """Return (N, M) the mean squared difference over D of embeddings (N, D) and (M, D)."""
    costs: Array = cdist(standard, learner, "sqeuclidean") / standard.shape[1]
    return costs


def accumulate(cost: Array) -> tuple[Array, NDArray[np.int64], NDArray[np.int8]]:
    """Accumulate the costs of subsequence DTW with the steps (1, 1), (1, 2) and (2, 1).

    A path matches all rows, from any column to any column. Every step advances in both axes, so the
    slope is between 1/2 and 2. The step (1, 2) adds half the costs of the column that it skips and
    of its end. The step (2, 1) adds the whole costs of the row that it skips and of its end.
    So the weights of every path add up to N, and the costs of paths of any length are comparable.
    Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978,
    table I (P = 1, asymmetric); free start and end: Müller, "Information Retrieval for Music and
    Motion", 2007, chapter 4.4.

    Args:
        cost: (N, M).

    Returns:
        total (N, M), the cost of the cheapest path to each cell, infinite if there is none;
        start (N, M), the column where this path starts;
        step (N, M), its last step: 0 for none, else 1, 2, 3 in the order above.
    """
    return _accumulate(np.ascontiguousarray(cost, np.float64))


@numba.njit(cache=True)
def _accumulate(cost: Array) -> tuple[Array, NDArray[np.int64], NDArray[np.int8]]:
    num_rows, num_columns = cost.shape
    total = np.full((num_rows, num_columns), np.inf)
    start = np.zeros((num_rows, num_columns), np.int64)
    step = np.zeros((num_rows, num_columns), np.int8)
    total[0] = cost[0]
    start[0] = np.arange(num_columns)
    for row in range(1, num_rows):
        for column in range(1, num_columns):
            here = cost[row, column]
            best, kind, from_row, from_column = total[row - 1, column - 1] + here, 1, 1, 1
            if column > 1:
                other = total[row - 1, column - 2] + (cost[row, column - 1] + here) / 2
                if other < best:
                    best, kind, from_row, from_column = other, 2, 1, 2
            if row > 1:
                other = total[row - 2, column - 1] + cost[row - 1, column] + here
                if other < best:
                    best, kind, from_row, from_column = other, 3, 2, 1
            total[row, column], step[row, column] = best, kind
            start[row, column] = start[row - from_row, column - from_column]
    return total, start, step


def accumulate_common(gain: Array) -> tuple[Array, NDArray[np.int8]]:
    """Accumulate the gains of the parts that two clips have in common.

    A path starts and ends anywhere, with the steps of `accumulate`. Each cell counts once for the
    row and once for the column that it is the first to reach: a step to the next row and column
    adds twice the gain of its end, and the steps (1, 2) and (2, 1) add twice the gain of the cell
    that they pass and once that of their end (Sakoe and Chiba, as above, symmetric form). As frames
    that differ have a negative gain, the path of the highest gain is neither extended over them nor
    cut before frames that are alike (Smith and Waterman, "Identification of common molecular
    subsequences", 1981).

    Args:
        gain: (N, M), positive where two frames are alike.

    Returns:
        total (N, M), the gain of the best path to each cell;
        step (N, M), its last step as in `accumulate`, 0 where the path starts.
    """
    return _accumulate_common(np.ascontiguousarray(gain, np.float64))


@numba.njit(cache=True)
def _accumulate_common(gain: Array) -> tuple[Array, NDArray[np.int8]]:
    total, step = 2 * gain, np.zeros(gain.shape, np.int8)
    for row in range(1, gain.shape[0]):
        for column in range(1, gain.shape[1]):
            here = gain[row, column]
            best = max(0.0, total[row - 1, column - 1])
            kind = 1 if best > 0 else 0
            best += 2 * here
            if column > 1:
                other = total[row - 1, column - 2] + 2 * gain[row, column - 1] + here
                if other > best:
                    best, kind = other, 2
            if row > 1:
                other = total[row - 2, column - 1] + 2 * gain[row - 1, column] + here
                if other > best:
                    best, kind = other, 3
            total[row, column], step[row, column] = best, kind
    return total, step


def sum_along(path: WarpingPath, gain: Array) -> float:
    """Return the gain of a path (K, 2) over `gain` (N, M), counted as in `accumulate_common`."""
    rows, columns = path[1:].T
    moved = np.diff(path, axis=0)
    passed = gain[rows - (moved[:, 0] > 1), columns - (moved[:, 1] > 1)]
    ends = gain[rows, columns][moved.sum(axis=1) > 2]
    return float(2 * (gain[tuple(path[0])] + passed.sum()) + ends.sum())


def backtrack(step: NDArray[np.int8], end_column: int, end_row: int = -1) -> WarpingPath:
    """Return the path (K, 2) of cells to a cell, by default of the last row, in order."""
    cell = (end_row % len(step), end_column)
    path = [cell]
    while step[cell]:
        rows, columns = ((1, 1), (1, 2), (2, 1))[step[cell] - 1]
        cell = (cell[0] - rows, cell[1] - columns)
        path.append(cell)
    return np.array(path[::-1], np.int64)


def merge_pairs(pairs: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first and the second column of pairs (K, 2), without repetitions of the first.

    The second column is the mean where a value of the first is in several pairs.
    """
    first, index = np.unique(pairs[:, 0], return_inverse=True)
    return first.astype(np.float64), np.bincount(index, pairs[:, 1]) / np.bincount(index)


def map_frames(path: WarpingPath, num_frames: int) -> NDArray[np.float64]:
    """Return (num_frames,) the frame of the second clip for each frame of the first.

    It is interpolated between the pairs of the path (K, 2). It is the mean where a frame is in
    several pairs, and NaN before and after the path.
    """
    first, second = merge_pairs(path)
    return np.interp(np.arange(num_frames), first, second, left=np.nan, right=np.nan)


def at_frames(match: Match, standard: WarpingPath, learner: WarpingPath) -> Match:
    """Convert a match from ticks, the times at which the features are sampled, to frames.

    Where a clip has fewer frames than ticks, one frame can be in several pairs of the path.

    Args:
        match: in ticks.
        standard: (G,) the frame of the standard nearest to each of its ticks.
        learner: (H,) the frame of the learner nearest to each of its ticks.
    """
    path = np.stack([standard[match.path[:, 0]], learner[match.path[:, 1]]], axis=1)
    path = np.unique(path, axis=0)
    return Match(int(path[0, 1]), int(path[-1, 1]) + 1, match.cost, path)


def search(cost: Array, method: str = "dtw", top_k: int = 3) -> list[Match]:
    """Find the places where the learner's clip shows the standard, best first.

    Two places share at most half of the shorter one. A learner's clip that is shorter than the
    standard may show only a part of it. Then the whole clip is matched to the part of the standard
    that fits best, with the axes exchanged. This is done if the whole standard can't be matched, or
    if the part costs clearly less. Each pair of its path is still a frame of the standard and a
    frame of the learner.

    Args:
        cost: (N, M), standard by learner.
        method: "dtw", or "sliding" for a window of the standard's length at every offset.
        top_k: maximum number of matches to return.

    Returns:
        At least one match.

    Raises:
        ValueError: the method is unknown, or a clip has no frames.
    """
    return find(cost, method, top_k)[0]


def find(cost: Array, method: str, top_k: int) -> tuple[list[Match], bool]:
    """Return the matches of `search`, and whether the whole standard was matched."""
    if method not in ("dtw", "sliding"):
        raise ValueError(f"method {method!r}; expected dtw or sliding")
    if 0 in cost.shape:
        raise ValueError(f"cost matrix of shape {cost.shape}: a clip has no frames")
    num_standard, num_learner = cost.shape
    longest = 2 * num_learner - 1 if method == "dtw" else num_learner
    find_path = find_warped if method == "dtw" else find_rigid
    whole = find_path(cost, top_k) if num_standard <= longest else []
    if num_standard <= num_learner:
        return whole, True
    part = find_path(cost.T, 1)[0]
    if whole and whole[0].cost * CLEARLY <= part.cost:
        return whole, True
    return [Match(0, num_learner, part.cost, part.path[:, ::-1])], False


def start_curve(cost: Array, method: str = "dtw") -> Array:
    """Return (M,) the cost of the cheapest match that starts at each learner's frame, or NaN.

    A match is a path over all rows of `cost` (N, M) with the steps and weights of `accumulate`, or
    a diagonal for the method "sliding". `accumulate` of the reversed matrix would give other costs:
    a step adds the costs of all its cells except the first, a reversed step except the last.
    """
    num_rows, num_columns = cost.shape
    curve = np.full(num_columns, np.nan)
    if method == "sliding":
        means = rigid_means(cost)
        curve[: len(means)] = means
        return curve
    # remaining[row, column] is the cost of the cheapest path from a cell to the last row, without
    # the cost of the cell itself. The two columns added on the right can't be part of a path.
    cost = np.pad(cost, ((0, 0), (0, 2)), constant_values=np.inf)
    remaining = np.full(cost.shape, np.inf)
    remaining[-1, :num_columns] = 0
    for row in range(num_rows - 2, -1, -1):
        next_row = cost[row + 1, 1:-1]
        cheapest = np.minimum(
            next_row + remaining[row + 1, 1:-1],
            (next_row + cost[row + 1, 2:]) / 2 + remaining[row + 1, 2:],
        )
        if row + 2 < num_rows:
            two_rows = next_row + cost[row + 2, 1:-1] + remaining[row + 2, 1:-1]
            cheapest = np.minimum(cheapest, two_rows)
        remaining[row, :num_columns] = cheapest
    total = (cost[0] + remaining[0])[:num_columns] / num_rows
    reached = np.isfinite(total)
    curve[reached] = total[reached]
    return curve


def find_warped(cost: Array, top_k: int) -> list[Match]:
    """Find matches by subsequence DTW in `cost` (N, M), where M is at least (N + 1) / 2."""
    total, start, step = accumulate(cost)
    ends = np.arange(cost.shape[1])
    chosen = suppress(start[-1], ends + 1, total[-1], top_k)
    return [
        Match(
            int(start[-1, end]),
            int(end) + 1,
            float(total[-1, end]) / len(cost),
            backtrack(step, end),
        )
        for end in chosen
    ]


def find_rigid(cost: Array, top_k: int) -> list[Match]:
    """Find the cheapest diagonals of `cost` (N, M), where M is at least N."""
    length = len(cost)
    means = rigid_means(cost)
    offsets = np.arange(len(means))
    frames = np.arange(length)
    return [
        Match(
            int(start),
            int(start) + length,
            float(means[start]),
            np.stack([frames, frames + start], 1),
        )
        for start in suppress(offsets, offsets + length, means, top_k)
    ]


def rigid_means(cost: Array) -> Array:
    """Return (M - N + 1,) the mean of the diagonal of `cost` (N, M) from every offset."""
    length, num_columns = cost.shape
    return np.array(
        [np.diagonal(cost, offset)[:length].mean() for offset in range(num_columns - length + 1)]
    )


def suppress(
    starts: NDArray[np.int64], ends: NDArray[np.int64], costs: Array, top_k: int
) -> list[int]:
    """Return the indices of the cheapest intervals (non-maximum suppression).

    No two of them share more than half of the shorter one. `ends` are exclusive.
    """
    remaining, lengths = np.array(costs), ends - starts
    chosen: list[int] = []
    while len(chosen) < top_k and np.isfinite(remaining).any():
        best = int(remaining.argmin())
        chosen.append(best)
        shared = np.minimum(ends, ends[best]) - np.maximum(starts, starts[best])
        remaining[shared > 0.5 * np.minimum(lengths, lengths[best])] = np.inf
    return chosen
