"""Summaries of errors, with confidence intervals from resampled clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

WITHIN_FRAMES = (1, 2, 3, 5, 10)
NUM_RESAMPLES = 1000


def resample(clips: Sequence[Indices], generator: np.random.Generator) -> Array:
    """Draw clips with replacement and return how often each pair is in each sample.

    Pairs that share a clip are not independent, so clips are drawn instead of pairs: standards and
    learners separately. Owen, "The pigeonhole bootstrap", 2007.

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
        `pairs` and `missed` are numbers of pairs. `median` is of the absolute error, and `within_K`
        is the share of errors of at most K frames; both include misses (the median is infinite if
        most pairs are missed). `mean` is of the absolute error, and `signed` is the mean with sign;
        both leave out misses. `*_ms` is in milliseconds, `*_interval` is the 95 % interval. NaN if
        there is no pair.
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
    """Return the share of errors (P,) of at most `frames`; misses are included, NaN is left out."""
    marked = errors[~np.isnan(errors)]
    return float((np.abs(marked) <= frames).mean()) if len(marked) else float("nan")


def calibrate(errors: Array, confident: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of sure matches, and the shares of these and the others within 5 frames.

    Args:
        errors: (P,) frames.
        confident: (P,) whether the match is sure: its confidence is at least `tcc.dtw.CONFIDENT`.
    """
    marked = ~np.isnan(errors)
    return {
        "sure": finite_mean(confident[marked].astype(np.float64)),
        "sure_within_5": share_within(errors[confident], 5),
        "unsure_within_5": share_within(errors[~confident], 5),
    }


def fold(values: Sequence[Any], function: Callable[[Any], Any]) -> Any:
    """Apply a function to the numbers at the same place of nested dictionaries with equal keys."""
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
    """Return the median, or the lower middle value, as the other may be infinite; NaN if empty."""
    return float(np.sort(values)[(len(values) - 1) // 2]) if values.size else float("nan")


def _weighted_means(values: Array, weights: Array) -> Array:
    """Return the mean of each sample; samples without a pair are left out."""
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
