"""Dynamic time warping of two embedded clips, and the search for one clip inside another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.floating[Any]]
WarpingPath = NDArray[np.int64]
CONFIDENT = 0.8
SPEED_COST = 0.15  # power of the speed by which another than the standard's own must be cheaper
CLEARLY = 0.8  # from 0.5 to 1 does as well on the recorded clips


@dataclass(frozen=True, slots=True)
class Match:
    """One place of the standard in the learner's clip.

    `path` is (K, 2) pairs of standard and learner frame, both rising; `start_frame` and
    `end_frame` (exclusive) are the learner's; `cost` is the mean over the standard's frames.
    """

    start_frame: int
    end_frame: int
    cost: float
    path: WarpingPath


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a standard lies in a learner's clip.

    `matches`, best first, are on `cost` (N, M). `curve` (M,) is the cost, like `Match.cost`, of the
    cheapest match that starts at each learner's frame; NaN where none does. All are of the mirror
    image and speed that won, so the curve's minimum is the start of the best match.
    """

    matches: list[Match]
    cost: Array
    mirrored: bool
    confidence: float
    curve: Array


def locate(
    views: Sequence[Array],
    learner: Array,
    method: str = "dtw",
    top_k: int = 3,
    opposed: bool | None = None,
) -> Placement:
    """Search a standard, its mirror image and both at double speed, and keep the cheapest.

    At double speed, every other frame of the standard is matched: so a slow motion is found.

    Args:
        views: the standard (N, D) and, where the learner may turn the other way, its mirror image.
        learner: (M, D).
        method: of `search`; "sliding" tries one speed alone.
        top_k: most places to return.
        opposed: the two are known to turn in opposite ways, or in one; None: the cost decides.
    """
    num_frames = len(views[0])
    options = []
    for index, view in enumerate(views):
        if opposed is not None and len(views) > 1 and opposed != (index > 0):
            continue
        cost = cost_matrix(view, learner)
        for speed in (1, 2) if method == "dtw" and num_frames > 2 else (1,):
            rows = np.linspace(0, num_frames - 1, -(-num_frames // speed)).round().astype(np.int64)
            matches, is_whole = _search(cost[rows], method, top_k)
            penalized = matches[0].cost * speed**SPEED_COST
            options.append((penalized, matches, is_whole, cost, rows, index > 0))
    _, matches, is_whole, cost, rows, mirrored = min(options, key=lambda option: option[0])
    curve = start_curve(cost[rows], method) if is_whole else np.full(len(learner), np.nan)
    matches = [
        replace(match, path=np.stack([rows[match.path[:, 0]], match.path[:, 1]], axis=1))
        for match in matches
    ]
    return Placement(matches, cost, mirrored, confidence(matches[0], cost), curve)


def cost_matrix(standard: Array, learner: Array) -> Array:
    """Return (N, M) squared Euclidean distances over D of embeddings (N, D) and (M, D)."""
    costs: Array = cdist(standard, learner, "sqeuclidean") / standard.shape[1]
    return costs


def accumulate(cost: Array) -> tuple[Array, NDArray[np.int64], NDArray[np.int8]]:
    """Accumulate subsequence DTW with steps (1, 1), (1, 2), (2, 1): neither side stands still.

    The first axis is matched whole, the second from any frame to any frame, and the slope stays
    between 1/2 and 2. A skipped frame of the second axis weighs half, one of the first whole, so
    that every path weighs N and paths of any length compare. Sakoe and Chiba, "Dynamic programming
    algorithm optimization for spoken word recognition", 1978, table I (P = 1, asymmetric); the
    open ends are those of Müller, "Information Retrieval for Music and Motion", 2007, chapter 4.4.

    Args:
        cost: (N, M).

    Returns:
        total (N, M), infinite where no path leads; start (N, M), second-axis frame where the best
        path to a cell begins; step (N, M), 0 at a beginning, else 1, 2, 3 in the order above.
    """
    num_rows, num_columns = cost.shape
    total = np.full((num_rows, num_columns), np.inf)
    start = np.zeros((num_rows, num_columns), np.int64)
    step = np.zeros((num_rows, num_columns), np.int8)
    total[0] = cost[0]
    start[0] = np.arange(num_columns)
    for row in range(1, num_rows):
        options = np.full((3, num_columns), np.inf)
        origins = np.zeros((3, num_columns), np.int64)
        options[0, 1:] = total[row - 1, :-1] + cost[row, 1:]
        origins[0, 1:] = start[row - 1, :-1]
        options[1, 2:] = total[row - 1, :-2] + (cost[row, 1:-1] + cost[row, 2:]) / 2
        origins[1, 2:] = start[row - 1, :-2]
        if row > 1:
            options[2, 1:] = total[row - 2, :-1] + cost[row - 1, 1:] + cost[row, 1:]
            origins[2, 1:] = start[row - 2, :-1]
        best = options.argmin(axis=0)
        columns = np.arange(num_columns)
        total[row], start[row] = options[best, columns], origins[best, columns]
        step[row] = best + 1
    return total, start, step


def trace(step: NDArray[np.int8], end_column: int) -> WarpingPath:
    """Follow the steps back from the last row; returns (K, 2) cells, rising in both axes."""
    cell = (len(step) - 1, end_column)
    path = [cell]
    while step[cell]:
        rows, columns = ((1, 1), (1, 2), (2, 1))[step[cell] - 1]
        cell = (cell[0] - rows, cell[1] - columns)
        path.append(cell)
    return np.array(path[::-1], np.int64)


def map_frames(path: WarpingPath, num_frames: int) -> NDArray[np.float64]:
    """Return for each of `num_frames` frames of the path's first side its frame on the second.

    Frames between two pairs are interpolated; those outside the path are NaN.
    """
    frames = np.arange(num_frames)
    first, index = np.unique(path[:, 0], return_inverse=True)
    second = np.bincount(index, path[:, 1]) / np.bincount(index)
    return np.interp(frames, first, second, left=np.nan, right=np.nan)


def at_frames(match: Match, standard: WarpingPath, learner: WarpingPath) -> Match:
    """Return a match of features at ticks of a clock as one of the clips' frames.

    Where a clip has fewer frames than ticks, a frame can be on the path more than once.

    Args:
        match: in ticks.
        standard, learner: (G,) the frame nearest to each tick.
    """
    path = np.stack([standard[match.path[:, 0]], learner[match.path[:, 1]]], axis=1)
    path = np.unique(path, axis=0)
    return Match(int(path[0, 1]), int(path[-1, 1]) + 1, match.cost, path)


def search(cost: Array, method: str = "dtw", top_k: int = 3) -> list[Match]:
    """Find the standard in the learner's clip, best place first; places overlap by half at most.

    A learner's clip that is shorter than the standard may show a part of it: it is matched whole,
    at tempo 1/2 to 2, to the part that fits best, where that is clearly cheaper than all of the
    standard or all of it is too long. The roles stay, and the path begins inside the standard.

    Args:
        cost: (N, M), standard by learner.
        method: "dtw", or "sliding" for a rigid window at every offset.
        top_k: most places to return.

    Returns:
        At least one match.

    Raises:
        ValueError: unknown method, or a clip without frames.
    """
    return _search(cost, method, top_k)[0]


def _search(cost: Array, method: str, top_k: int) -> tuple[list[Match], bool]:
    """Return what `search` does, and whether the standard was matched whole."""
    if method not in ("dtw", "sliding"):
        raise ValueError(f"method {method!r}; expected dtw or sliding")
    if 0 in cost.shape:
        raise ValueError(f"cost matrix of shape {cost.shape}: a clip has no frames")
    num_standard, num_learner = cost.shape
    slowest = 2 * num_learner - 1 if method == "dtw" else num_learner
    find = find_warped if method == "dtw" else find_rigid
    whole = find(cost, top_k) if num_standard <= slowest else []
    if num_standard <= num_learner:
        return whole, True
    part = find(cost.T, 1)[0]
    if whole and whole[0].cost * CLEARLY <= part.cost:
        return whole, True
    return [Match(0, num_learner, part.cost, part.path[:, ::-1])], False


def start_curve(cost: Array, method: str = "dtw") -> Array:
    """Return (M,) the cost of the cheapest match that starts at each learner's frame, else NaN.

    The match is of all rows of `cost` (N, M), with the steps and weights of `accumulate`, or rigid
    by "sliding". `accumulate` of the reversed matrix would not do: a step weighs the cells after
    its first, and reversed those before its last.
    """
    num_rows, num_columns = cost.shape
    curve = np.full(num_columns, np.nan)
    if method == "sliding":
        means = rigid_means(cost)
        curve[: len(means)] = means
        return curve
    # remaining[row, column]: cost of the cheapest way from a cell to the last row, without the
    # cell's own. Two columns are added in which no path may go.
    cost = np.pad(cost, ((0, 0), (0, 2)), constant_values=np.inf)
    remaining = np.full(cost.shape, np.inf)
    remaining[-1, :num_columns] = 0
    for row in range(num_rows - 2, -1, -1):
        entered = cost[row + 1, 1:-1]
        cheapest = np.minimum(
            entered + remaining[row + 1, 1:-1],
            (entered + cost[row + 1, 2:]) / 2 + remaining[row + 1, 2:],
        )
        if row + 2 < num_rows:
            skipping = entered + cost[row + 2, 1:-1] + remaining[row + 2, 1:-1]
            cheapest = np.minimum(cheapest, skipping)
        remaining[row, :num_columns] = cheapest
    total = (cost[0] + remaining[0])[:num_columns] / num_rows
    reached = np.isfinite(total)
    curve[reached] = total[reached]
    return curve


def confidence(match: Match, cost: Array) -> float:
    """Return in [0, 1] how much nearer the matched frames are than any two frames of the clips."""
    return float(np.clip(1 - match.cost / max(float(cost.mean()), 1e-12), 0, 1))


def find_warped(cost: Array, top_k: int) -> list[Match]:
    """Subsequence DTW with the slope constraint of `accumulate`; (N, M), M at least (N + 1) / 2."""
    total, start, step = accumulate(cost)
    ends = np.arange(cost.shape[1])
    chosen = suppress(start[-1], ends + 1, total[-1], top_k)
    return [
        Match(
            int(start[-1, end]), int(end) + 1, float(total[-1, end]) / len(cost), trace(step, end)
        )
        for end in chosen
    ]


def find_rigid(cost: Array, top_k: int) -> list[Match]:
    """Mean cost of the diagonal from every offset, the last one too; (N, M), M at least N."""
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
    """Return the mean of the diagonal of (N, M) from every offset, (M - N + 1,)."""
    length, num_columns = cost.shape
    return np.array(
        [np.diagonal(cost, offset)[:length].mean() for offset in range(num_columns - length + 1)]
    )


def suppress(
    starts: NDArray[np.int64], ends: NDArray[np.int64], costs: Array, top_k: int
) -> list[int]:
    """Return the cheapest intervals, of which no two share more than half of the shorter."""
    chosen: list[int] = []
    for index in np.argsort(costs, kind="stable"):
        if len(chosen) == top_k or not np.isfinite(costs[index]):
            break
        shared = [
            max(0, min(ends[index], ends[other]) - max(starts[index], starts[other]))
            / min(ends[index] - starts[index], ends[other] - starts[other])
            for other in chosen
        ]
        if all(share <= 0.5 for share in shared):
            chosen.append(int(index))
    return chosen
