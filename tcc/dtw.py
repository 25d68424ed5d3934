"""Dynamic time warping of two embedded clips, and the search for one clip inside another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.floating[Any]]
WarpingPath = NDArray[np.int64]
CONFIDENT = 0.8  # smallest confidence of a match that is called sure
# Below this confidence, nothing is alike. Few right pairs may be below it. Measured with encoders
# trained on the motion: 0 of 1190 pairs of jumps (lowest 0.67; generic encoder 0.50) are below it,
# and 44 of 2760 pairs of five other actions, 29 of these with one and the same clip. Of wrong
# pairs, it is 32 % (a jump and a clip in which the jump is cut out), 8 and 23 % (two actions). See
# docs/accuracy.md.
ALIKE = 0.15
SPEED_COST = 0.15  # to compare matches, the cost at speed s is multiplied by s**0.15
CLEARLY = 0.8  # a part must cost less than this share of the whole; 0.5 to 1 give equal accuracy


State = Literal["sure", "unsure", "not found"]


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


@dataclass(frozen=True, slots=True)
class Placement:
    """The result of a search: where the learner's clip shows the standard.

    `matches` are the places, the best first. `cost` (N, M) is the cost matrix in which they were
    found. If `mirrored` is True, it is that of the standard's mirror image. `confidence` is that of
    the best match. `searched` (K, M) are the rows of `cost` at the speed of the matches; they were
    searched by `method`. `is_whole` is True if all of the standard was matched.
    """

    matches: list[Match]
    cost: Array
    mirrored: bool
    confidence: float
    searched: Array
    method: str
    is_whole: bool

    def curve(self) -> Array:
        """Return (M,) the cost, as in `Match.cost`, of the cheapest match starting at each frame.

        Its minimum is the start of the best match. NaN where no match starts, and everywhere if
        only a part of the standard was matched.
        """
        if self.is_whole:
            return start_curve(self.searched, self.method)
        return np.full(self.cost.shape[1], np.nan)


def locate(
    variants: Sequence[Array],
    learner: Array,
    method: str = "dtw",
    top_k: int = 3,
    opposed: bool | None = None,
) -> Placement:
    """Search for the standard or its mirror image, at single and double speed; take the cheapest.

    Double speed matches every second frame of the standard. This finds a standard in slow motion.

    Args:
        variants: embeddings (N, D) of the standard, and (N, D) of its mirror image if the learner
            may turn in the other direction.
        learner: embeddings (M, D).
        method: as in `search`; "sliding" tries single speed only.
        top_k: maximum number of matches to return.
        opposed: True if the two skaters turn in opposite directions, so that the mirror image is
            searched for; False if in the same direction; None if unknown: both are searched for.
    """
    num_frames = len(variants[0])
    searches = []
    for index, variant in enumerate(variants):
        if opposed is not None and len(variants) > 1 and opposed != (index > 0):
            continue
        cost = cost_matrix(variant, learner)
        for speed in (1, 2) if method == "dtw" and num_frames > 2 else (1,):
            rows = np.linspace(0, num_frames - 1, -(-num_frames // speed)).round().astype(np.int64)
            matches, is_whole = _search(cost[rows], method, top_k)
            penalized = matches[0].cost * speed**SPEED_COST
            searches.append((penalized, matches, is_whole, cost, rows, index > 0))
    _, matches, is_whole, cost, rows, mirrored = min(searches, key=lambda result: result[0])
    matches = [
        replace(match, path=np.stack([rows[match.path[:, 0]], match.path[:, 1]], axis=1))
        for match in matches
    ]
    best_confidence = confidence(matches[0], cost)
    return Placement(matches, cost, mirrored, best_confidence, cost[rows], method, is_whole)


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
    num_rows, num_columns = cost.shape
    total = np.full((num_rows, num_columns), np.inf)
    start = np.zeros((num_rows, num_columns), np.int64)
    step = np.zeros((num_rows, num_columns), np.int8)
    total[0] = cost[0]
    start[0] = np.arange(num_columns)
    for row in range(1, num_rows):
        totals = np.full((3, num_columns), np.inf)
        starts = np.zeros((3, num_columns), np.int64)
        totals[0, 1:] = total[row - 1, :-1] + cost[row, 1:]
        starts[0, 1:] = start[row - 1, :-1]
        totals[1, 2:] = total[row - 1, :-2] + (cost[row, 1:-1] + cost[row, 2:]) / 2
        starts[1, 2:] = start[row - 1, :-2]
        if row > 1:
            totals[2, 1:] = total[row - 2, :-1] + cost[row - 1, 1:] + cost[row, 1:]
            starts[2, 1:] = start[row - 2, :-1]
        best = totals.argmin(axis=0)
        columns = np.arange(num_columns)
        total[row], start[row] = totals[best, columns], starts[best, columns]
        step[row] = best + 1
    return total, start, step


def backtrack(step: NDArray[np.int8], end_column: int) -> WarpingPath:
    """Return the path (K, 2) of cells to `end_column` of the last row, in increasing order."""
    cell = (len(step) - 1, end_column)
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
    return _search(cost, method, top_k)[0]


def _search(cost: Array, method: str, top_k: int) -> tuple[list[Match], bool]:
    """Return the matches of `search`, and whether the whole standard was matched."""
    if method not in ("dtw", "sliding"):
        raise ValueError(f"method {method!r}; expected dtw or sliding")
    if 0 in cost.shape:
        raise ValueError(f"cost matrix of shape {cost.shape}: a clip has no frames")
    num_standard, num_learner = cost.shape
    longest = 2 * num_learner - 1 if method == "dtw" else num_learner
    find = find_warped if method == "dtw" else find_rigid
    whole = find(cost, top_k) if num_standard <= longest else []
    if num_standard <= num_learner:
        return whole, True
    part = find(cost.T, 1)[0]
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


def confidence(match: Match, cost: Array) -> float:
    """Return in [0, 1] how much less a match costs than an average pair of frames.

    1 means that the matched frames are equal, 0 that they are as different as any two frames. If
    all frames of both clips are equal, it is 0, because nothing tells one place from another.
    """
    if float(cost.max()) <= 1e-9:
        return 0.0
    return float(np.clip(1 - match.cost / max(float(cost.mean()), 1e-12), 0, 1))


def certainty(confidence: float) -> State:
    """Return in words how far to trust a match of this confidence."""
    return "sure" if confidence >= CONFIDENT else "unsure" if confidence >= ALIKE else "not found"


def describe_confidence(confidence: float) -> str:
    """Return a confidence as text; it says so if the match is unsure or not found."""
    state = certainty(confidence)
    return f"{'' if state == 'sure' else f'{state}, '}confidence {confidence:.2f}"


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
