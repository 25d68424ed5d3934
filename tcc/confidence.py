"""How far to trust a match: the share of such matches that are right within 0.1 s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tcc.dtw import WarpingPath, accumulate_common, sum_along

Array = NDArray[np.floating[Any]]
State = Literal["sure", "unsure", "not found"]

CONFIDENT = 0.7  # smallest confidence of a match that is called sure
ALIKE = 0.15  # below this confidence, nothing is alike
EXPECTED = 0.6  # frames that are alike cost less than this share of what their row and column cost
FORCED = 3  # so many equal steps in a row show that the slope is limited there
# Logistic regression; printed by benchmarks/confidence.py, see docs/accuracy.md.
INTERCEPT = -2.43
WEIGHTS = {"alike": 5.01, "chance": -0.41, "forced": -0.45}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a match.

    Attributes:
        alike: 1 if the matched frames are equal, 0 if they are as different as any two frames.
            Frames that are unlike most others count more.
        chance: gain of the best match if the learner's clip ran backwards, over that of the path.
        forced: share of the path in which the slope is at its limit.
    """

    alike: float
    chance: float
    forced: float


def expected_cost(cost: Array) -> Array:
    """Return (N, M) the mean of a cell's mean row and mean column in `cost` (N, M).

    Frames of glides and of standing resemble many frames and cost little with all of them. Frames
    of a jump resemble few.
    """
    means: Array = (cost.mean(axis=1, keepdims=True) + cost.mean(axis=0, keepdims=True)) / 2
    return means


def gains(cost: Array) -> Array:
    """Return (N, M) by how much less two frames cost than EXPECTED of `expected_cost`.

    The unit is the mean cost, so equal frames of the usual kind gain EXPECTED. Equal frames that
    are unlike most others gain more, and those that resemble many others gain less.
    """
    gain: Array = (EXPECTED * expected_cost(cost) - cost) / max(float(cost.mean()), 1e-12)
    return gain


def weigh(paths: Sequence[WarpingPath], cost: Array) -> list[Evidence]:
    """Return what speaks for each of several matches.

    Args:
        paths: (K, 2) each.
        cost: (N, M), of the standard or its mirror image by the learner.
    """
    gain, usual = gains(cost), expected_cost(cost)
    backwards = max(float(accumulate_common(gain[:, ::-1])[0].max()) / 2, 0.0)
    return [_weigh(path, cost, gain, usual, backwards) for path in paths]


def _weigh(
    path: WarpingPath, cost: Array, gain: Array, expected: Array, backwards: float
) -> Evidence:
    spent, usual = cost[tuple(path.T)], expected[tuple(path.T)]
    own = max(sum_along(path, gain) / 2, 1e-2)
    return Evidence(
        alike=1 - float((spent * usual).sum() / max(float((usual**2).sum()), 1e-12)),
        chance=min(backwards / own, 3.0),
        forced=forced_share(path),
    )


def forced_share(path: WarpingPath) -> float:
    """Return the share of a path's steps that are among FORCED or more equal sloped steps."""
    steps = np.diff(path, axis=0)
    slope = steps[:, 1] - steps[:, 0]
    if len(slope) < FORCED:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(slope, FORCED)
    starts = np.flatnonzero((windows == windows[:, :1]).all(axis=1) & (windows[:, 0] != 0))
    forced = np.zeros(len(slope), np.bool_)
    forced[(starts[:, None] + np.arange(FORCED)).ravel()] = True
    return float(forced.mean())


def confidences(paths: Sequence[WarpingPath], cost: Array) -> list[float]:
    """Return for each match the share of such matches that are right within 0.1 s, in [0, 1].

    If all frames of both clips are equal, it is 0, because nothing tells one place from another.

    Args:
        paths: (K, 2) each.
        cost: (N, M), see `weigh`.
    """
    if float(cost.max()) <= 1e-9:
        return [0.0] * len(paths)
    return [share_right(evidence) for evidence in weigh(paths, cost)]


def share_right(evidence: Evidence) -> float:
    """Return the share of matches with this evidence that are right, by logistic regression."""
    terms = (weight * getattr(evidence, name) for name, weight in WEIGHTS.items())
    return float(expit(INTERCEPT + sum(terms)))


def certainty(confidence: float) -> State:
    """Return in words how far to trust a match of this confidence."""
    return "sure" if confidence >= CONFIDENT else "unsure" if confidence >= ALIKE else "not found"


def describe_confidence(confidence: float) -> str:
    """Return a confidence as text; it says so if the match is unsure or not found."""
    state = certainty(confidence)
    return f"{'' if state == 'sure' else f'{state}, '}confidence {confidence:.2f}"
