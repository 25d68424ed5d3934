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
Mask = NDArray[np.bool_]
Airborne = tuple[Mask, Mask]
State = Literal["sure", "unsure", "not found"]

CONFIDENT = 0.7  # smallest confidence of a match that is called sure
ALIKE = 0.15  # below this confidence, nothing is alike
EXPECTED = 0.6  # frames that are alike cost less than this share of what their row and column cost
EQUAL = 1e-9  # if no pair of frames costs more, nothing is known
LEAST_TICKS = 30  # shortest part that shows a motion, one second at the usual 30 features a second
LEAST_SHARE = 0.7  # the same for a short clip, as a share of it
FORCED = 3  # so many equal steps in a row show that the slope is limited there
# Logistic regression; printed by benchmarks/confidence.py, see docs/accuracy.md.
INTERCEPT = -2.97
WEIGHTS = {"alike": 5.41, "chance": -0.41, "forced": -1.84, "flight": 1.84}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a match.

    Attributes:
        alike: 1 if the matched frames are equal, 0 if they are as different as any two frames.
            Frames that are unlike most others count more.
        chance: gain of the best match if the learner's clip ran backwards, over that of the path.
        forced: share of the path in which the slope is at its limit.
        flight: 1 if both clips are in the air at the same pairs of the path, -1 if never at the
            same, 0 if no flight is known.
        complete: the matched part of the standard over the least that shows its motion, at most 1;
            0 if all frames of both clips are equal, because nothing tells one place from another.
    """

    alike: float
    chance: float
    forced: float
    flight: float
    complete: float


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


def weigh(
    paths: Sequence[WarpingPath], cost: Array, airborne: Airborne | None = None
) -> list[Evidence]:
    """Return what speaks for each of several matches.

    Args:
        paths: (K, 2) each.
        cost: (N, M), of the standard or its mirror image by the learner.
        airborne: (N,) and (M,), where the standard and the learner are in the air.
    """
    gain, usual = gains(cost), expected_cost(cost)
    backwards = max(float(accumulate_common(gain[:, ::-1])[0].max()) / 2, 0.0)
    differs = float(cost.max()) > EQUAL
    return [
        Evidence(
            alike=_alike(cost[tuple(path.T)], usual[tuple(path.T)]),
            chance=min(backwards / max(sum_along(path, gain) / 2, 1e-2), 3.0),
            forced=forced_share(path),
            flight=flights_agree(path, *airborne) if airborne else 0.0,
            complete=min(1.0, (np.ptp(path[:, 0]) + 1) / least_ticks(len(cost))) * differs,
        )
        for path in paths
    ]


def _alike(spent: Array, usual: Array) -> float:
    return 1 - float((spent * usual).sum() / max(float((usual**2).sum()), 1e-12))


def least_ticks(num_ticks: int) -> float:
    """Return how many ticks of a clip are the least that show its motion."""
    return min(LEAST_TICKS, LEAST_SHARE * num_ticks)


def flights_agree(path: WarpingPath, standard: Mask, learner: Mask) -> float:
    """Return 1 if two clips are in the air at the same pairs of a path (K, 2), -1 if at no pair.

    It is 2 J - 1, where J is the Jaccard index of the pairs, and 0 if neither is in the air.

    Args:
        path: (K, 2).
        standard, learner: (N,) and (M,), where they are in the air.
    """
    first, second = standard[path[:, 0]], learner[path[:, 1]]
    either = np.count_nonzero(first | second)
    return 2 * np.count_nonzero(first & second) / either - 1 if either else 0.0


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


def share_right(evidence: Evidence) -> float:
    """Return the share of matches with this evidence that are right, by logistic regression.

    A match of too little of the standard is less confident, in proportion.
    """
    terms = (weight * getattr(evidence, name) for name, weight in WEIGHTS.items())
    return float(expit(INTERCEPT + sum(terms))) * evidence.complete


def certainty(confidence: float) -> State:
    """Return in words how far to trust a match of this confidence."""
    return "sure" if confidence >= CONFIDENT else "unsure" if confidence >= ALIKE else "not found"


def describe_confidence(confidence: float) -> str:
    """Return a confidence as text; it says so if the match is unsure or not found."""
    state = certainty(confidence)
    return f"{'' if state == 'sure' else f'{state}, '}confidence {confidence:.2f}"
