"""Summaries of errors, with confidence intervals from resampled clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

WITHIN_FRAMES = (1, 3, 5, 10)
NUM_RESAMPLES = 1000


def resample(clips: Sequence[Indices], generator: np.random.Generator) -> Array:
    """Draw clips with replacement and return how often each pair is in each sample.

    Pairs that share a clip are not independent, so clips are drawn instead of pairs: the standards
    and the learners, each on their own. Owen, "The pigeonhole bootstrap", 2007.

    Args:
        clips: for each role (standard, learner) the number (P,) of each pair's clip. If one number
            occurs in both roles, the clips of both are drawn together, once.
        generator: draws them.

    Returns:
        (NUM_RESAMPLES, P) weights: how often one clip of the pair was drawn, times how often the
        other was.
    """
    weights = np.ones((NUM_RESAMPLES, len(clips[0])))
    if not weights.size:
        return weights
    shared = len(clips) > 1 and bool(np.isin(clips[0], clips[1]).any())
    for group in [np.stack(list(clips))] if shared else [role[None] for role in clips]:
        numbers, index = np.unique(group, return_inverse=True)
        chances = np.full(len(numbers), 1 / len(numbers))
        drawn = generator.multinomial(len(numbers), chances, NUM_RESAMPLES)
        for role in index.reshape(group.shape):
            weights *= drawn[:, role]
    return weights


def summarize(errors: Array, fps: Array, weights: Array) -> dict[str, Any]:
    """Summarise the errors of one event.

    Args:
        errors: (P,) frames, NaN if the pair has no such event, infinite for a miss.
        fps: (P,) the learner's frames per second.
        weights: (R, P) from `resample`.

    Returns:
        `pairs` and `missed` are counts. `median` of the absolute error and `within_K`, the share of
        at most K frames, count misses (the median is infinite if most pairs are missed). `mean` of
        the absolute error and `signed`, the mean with its sign, are of the found pairs. `*_ms` is
        the same in milliseconds and `*_interval` its 95 % interval. NaN if there is no pair.
    """
    marked = ~np.isnan(errors)
    errors, fps, weights = errors[marked], fps[marked], weights[:, marked]
    found = np.isfinite(errors)
    size = np.abs(errors)
    seconds = size / fps
    summary: dict[str, Any] = {
        "pairs": len(errors),
        "missed": int((~found).sum()),
        "median": lower_median(size),
        "median_ms": lower_median(1000 * seconds),
        "mean": _mean(size[found]),
        "mean_ms": _mean(1000 * seconds[found]),
        "signed": _mean(errors[found]),
        "signed_ms": _mean(1000 * errors[found] / fps[found]),
    }
    for frames in WITHIN_FRAMES:
        summary[f"within_{frames}"] = _mean((size <= frames).astype(np.float64))
    summary["median_interval"] = _interval(_weighted_medians(size, weights))
    summary["mean_interval"] = _interval(_weighted_means(size[found], weights[:, found]))
    for frames in WITHIN_FRAMES:
        hits = (size <= frames).astype(np.float64)
        summary[f"within_{frames}_interval"] = _interval(_weighted_means(hits, weights))
    return summary


def share_within(errors: Array, frames: int) -> float:
    """Return the share of errors (P,) of at most `frames`; a miss is an error, NaN is no pair."""
    marked = errors[~np.isnan(errors)]
    return float((np.abs(marked) <= frames).mean()) if len(marked) else float("nan")


def calibrate(errors: Array, sure: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of sure matches, and which share of these and of the others is right.

    Args:
        errors: (P,) frames.
        sure: (P,) whether the match is called sure.
    """
    marked = ~np.isnan(errors)
    return {
        "sure": finite_mean(sure[marked].astype(np.float64)),
        "sure_within_5": share_within(errors[sure], 5),
        "unsure_within_5": share_within(errors[~sure], 5),
    }


def fold(values: Sequence[Any], function: Callable[[Any], Any]) -> Any:
    """Apply a function to the numbers at the same place of equal nested dictionaries."""
    if isinstance(values[0], dict):
        return {key: fold([value[key] for value in values], function) for key in values[0]}
    return float(function(values))


def finite_mean(values: Sequence[float] | Array) -> float:
    """Return the mean of the finite values, NaN if there is none."""
    array = np.asarray(values, np.float64)
    return _mean(array[np.isfinite(array)])


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def lower_median(values: Array) -> float:
    """Return the median, the lower of two middle values as one may be infinite; NaN of nothing."""
    return float(np.sort(values)[(len(values) - 1) // 2]) if values.size else float("nan")


def _weighted_means(values: Array, weights: Array) -> Array:
    """Mean of each sample; samples without a pair are left out."""
    total = weights.sum(axis=1)
    means: Array = (weights @ values)[total > 0] / total[total > 0]
    return means


def _weighted_medians(values: Array, weights: Array) -> Array:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[:, order], axis=1)
    cumulated = cumulated[cumulated[:, -1] > 0] if values.size else cumulated[:0]
    if not len(cumulated):
        return np.empty(0)
    medians: Array = values[order][(cumulated >= cumulated[:, -1:] / 2).argmax(axis=1)]
    return medians


def _interval(values: Array) -> list[float]:
    if not len(values):
        return [float("nan")] * 2
    return [float(bound) for bound in np.quantile(values, [0.025, 0.975], method="nearest")]
