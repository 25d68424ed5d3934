"""The search for what a learner's clip and a standard have in common; all ends are open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.confidence import Airborne, Evidence, gains, least_ticks, share_right, weigh
from tcc.dtw import (
    Match,
    WarpingPath,
    accumulate_common,
    backtrack,
    cost_matrix,
    find,
    start_curve,
    sum_along,
)

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

SPEEDS = ((1, 1), (2, 1), (1, 2))  # every n-th frame of the standard and of the learner is used
SPEED_COST = 0.15  # to compare matches, the cost at speed s is multiplied by s**0.15
WHOLE = 0.8  # the whole standard is matched if it gains this share of the common part


@dataclass(frozen=True, slots=True)
class Placement:
    """The result of a search: where the learner's clip shows the standard.

    `matches` are the places, the best first, and `evidence` what speaks for them. `cost` (N, M)
    is the cost matrix in which they were found. If `mirrored` is True, it is that of the standard's
    mirror image. `searched` are the rows and columns of `cost` that were searched, at the speed of
    the matches, by `method`. `is_whole` is True if all of the standard was matched.
    """

    matches: list[Match]
    evidence: list[Evidence]
    cost: Array
    mirrored: bool
    searched: tuple[Indices, Indices]
    method: str
    is_whole: bool

    @property
    def confidences(self) -> list[float]:
        """How far to trust each match."""
        return [share_right(evidence) for evidence in self.evidence]

    @property
    def confidence(self) -> float:
        """How far to trust the best match."""
        return self.confidences[0]

    def curve(self) -> Array:
        """Return (M,) the cost, as in `Match.cost`, of the cheapest match starting at each frame.

        Its minimum is the start of the best match. NaN where no match starts, and everywhere if
        the whole learner was matched to a part of the standard.
        """
        rows, columns = self.searched
        curve = np.full(self.cost.shape[1], np.nan)
        if len(rows):
            curve[columns] = start_curve(self.cost[np.ix_(rows, columns)], self.method)
        return curve


@dataclass(frozen=True, slots=True)
class _View:
    """The standard or its mirror image at one speed: `cost[rows][:, columns]` is searched."""

    cost: Array
    gain: Array
    rows: Indices
    columns: Indices
    mirrored: bool
    speed: int

    def searched(self) -> Array:
        return self.cost[np.ix_(self.rows, self.columns)]

    def to_frames(self, match: Match) -> Match:
        """Convert a match of the rows and columns of this view to frames."""
        path = np.stack([self.rows[match.path[:, 0]], self.columns[match.path[:, 1]]], axis=1)
        return Match(int(path[0, 1]), int(path[-1, 1]) + 1, match.cost, path)

    def gain_of(self, path: WarpingPath) -> float:
        """Return the gain of a path of this view's rows and columns, as if at single speed."""
        ends = path[[0, -1]]
        frames = np.stack([self.rows[ends[:, 0]], self.columns[ends[:, 1]]], axis=1)
        scale = (np.ptp(frames, axis=0).sum() + 2) / (np.ptp(ends, axis=0).sum() + 2)
        return float(sum_along(path, self.gain[np.ix_(self.rows, self.columns)]) * scale)


def locate(
    variants: Sequence[Array],
    learner: Array,
    method: str = "dtw",
    top_k: int = 3,
    opposed: bool | None = None,
    airborne: Airborne | None = None,
) -> Placement:
    """Search for what the learner's clip and the standard, or its mirror image, have in common.

    The whole standard is searched for, at single and double speed of both clips. If it is longer
    than the learner's clip, the learner's clip is also searched for in the standard. The cheapest
    match is taken. It is compared with the common part of both clips: the path of the highest gain
    that may start and end anywhere. If this path gains clearly more and is long enough, only its
    frames of the standard are searched for.

    Args:
        variants: embeddings (N, D) of the standard, and (N, D) of its mirror image if the learner
            may turn in the other direction.
        learner: embeddings (M, D).
        method: as in `tcc.dtw.search`; "sliding" tries only the whole standard at single speed.
        top_k: maximum number of matches to return.
        airborne: (N,) and (M,), where the standard and the learner are in the air; for the
            confidence.
        opposed: True if the two skaters turn in opposite directions, so that the mirror image is
            searched for; False if in the same direction; None if unknown: both are searched for.
    """
    views = list(_views(variants, learner, method, opposed))
    found = [(view, *find(view.searched(), method, top_k)) for view in views]
    view, matches, all_rows = min(
        found, key=lambda result: result[1][0].cost * result[0].speed ** SPEED_COST
    )
    is_whole = all_rows
    if method == "dtw":
        gain, path, common = max((_common_part(view) for view in views), key=lambda part: part[0])
        if _is_long(common, path) and view.gain_of(matches[0].path) < WHOLE * gain:
            rows = common.rows[path[0, 0] : path[-1, 0] + 1]
            view = replace(common, rows=rows)
            matches, all_rows = find(view.searched(), method, top_k)
            is_whole = False
    searched = (view.rows if all_rows else view.rows[:0], view.columns)
    matches = [view.to_frames(match) for match in matches]
    evidence = weigh([match.path for match in matches], view.cost, airborne)
    return Placement(matches, evidence, view.cost, view.mirrored, searched, method, is_whole)


def _views(
    variants: Sequence[Array], learner: Array, method: str, opposed: bool | None
) -> Iterator[_View]:
    """Yield what is searched: the standard or its mirror image, at every speed."""
    for index, variant in enumerate(variants):
        if opposed is not None and len(variants) > 1 and opposed != (index > 0):
            continue
        cost = cost_matrix(variant, learner)
        gain = gains(cost)
        for speeds in SPEEDS if method == "dtw" else SPEEDS[:1]:
            rows, columns = (
                np.linspace(0, count - 1, -(-count // speed)).round().astype(np.int64)
                for count, speed in zip(cost.shape, speeds, strict=True)
            )
            if max(speeds) == 1 or min(cost.shape) > 2:
                yield _View(cost, gain, rows, columns, index > 0, max(speeds))


def _common_part(view: _View) -> tuple[float, WarpingPath, _View]:
    """Return the gain and the path of the part that two clips have in common."""
    total, step = accumulate_common(view.gain[np.ix_(view.rows, view.columns)])
    row, column = np.unravel_index(total.argmax(), total.shape)
    path = backtrack(step, int(column), int(row))
    return view.gain_of(path) / view.speed**SPEED_COST, path, view


def _is_long(view: _View, path: WarpingPath) -> bool:
    """Return whether a path is long enough in both clips to be the motion."""
    shortest = least_ticks(min(view.cost.shape))
    rows, columns = view.rows[path[[0, -1], 0]], view.columns[path[[0, -1], 1]]
    return bool(min(rows[1] - rows[0], columns[1] - columns[0]) >= shortest)
