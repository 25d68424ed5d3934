"""Event errors of many (standard, learner) pairs: found against marked, with intervals over clips.

P pairs, E events. An error is found minus marked, in the learner's frames: NaN where the event is
not marked in both clips (no pair), infinite where it is marked and was not found (a miss).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.alignment import Match, map_frames

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

WITHIN_FRAMES = (1, 3, 5, 10)
NUM_RESAMPLES = 1000


def find_events(match: Match, events: Array, num_frames: int) -> Array:
    """Return the learner's whole frames (E,) for a standard's; infinite outside the match.

    Args:
        match: the standard in the learner's clip.
        events: (E,) frames of the standard, NaN where it has none.
        num_frames: of the standard.
    """
    mapped = np.rint(map_frames(match.path, num_frames))
    marked = np.isfinite(events)
    found = np.full(len(events), np.nan)
    found[marked] = mapped[events[marked].astype(int)]
    return np.where(marked & np.isnan(found), np.inf, found)


def vote(found: Array, costs: Array, learners: Indices) -> tuple[Array, Indices]:
    """Let all standards of a learner vote: the median of the better half by the match's cost.

    Args:
        found: (P, E) frames; NaN where a standard has no such event, infinite for a miss.
        costs: (P,) of the matches, comparable between the standards of one learner.
        learners: (P,) index of the learner's clip.

    Returns:
        (L, E) frames and (L,) index of each learner, once.
    """
    chosen = np.unique(learners)
    votes = np.full((len(chosen), found.shape[1]), np.nan)
    for row, learner in enumerate(chosen):
        mine = np.flatnonzero(learners == learner)
        for event in range(found.shape[1]):
            able = mine[np.isfinite(found[mine, event])]
            if len(able):
                best = able[np.argsort(costs[able], kind="stable")[: (len(able) + 1) // 2]]
                votes[row, event] = np.rint(np.median(found[best, event]))
            elif np.isinf(found[mine, event]).any():
                votes[row, event] = np.inf
    return votes, chosen


def resample(clips: Sequence[Indices], generator: np.random.Generator) -> Array:
    """Draw clips with replacement: how often each pair is in each of NUM_RESAMPLES samples.

    Pairs share clips, so they are no independent sample; clips are.

    Args:
        clips: for each role (standard, learner) the clip (P,) of each pair; a clip has one number
            in both roles, so that it is drawn once for both.

    Returns:
        (NUM_RESAMPLES, P) weights: how often the clips of the pair were drawn, multiplied.
    """
    weights = np.ones((NUM_RESAMPLES, len(clips[0])))
    shared = len(clips) > 1 and bool(np.isin(clips[0], clips[1]).any())
    for group in [np.stack(list(clips))] if shared else [role[None] for role in clips]:
        numbers, index = np.unique(group, return_inverse=True)
        chance = np.full(len(numbers), 1 / len(numbers))
        drawn = generator.multinomial(len(numbers), chance, NUM_RESAMPLES)
        for role in index.reshape(group.shape):
            weights *= drawn[:, role]
    return weights


def summarize(errors: Array, fps: Array, weights: Array) -> dict[str, Any]:
    """Summarise the errors of one event.

    Args:
        errors: (P,) frames, as in the module's docstring.
        fps: (P,) the learner's frames per second.
        weights: (R, P) of `resample`.

    Returns:
        `pairs`, `missed`, and over all pairs `median` of the size (infinite where most are missed)
        and `within_K`; `mean` of the size, `signed` mean and `*_ms` over the pairs that were
        found; `*_interval`, 95 %. NaN where there is none.
    """
    marked = ~np.isnan(errors)
    errors, fps, weights = errors[marked], fps[marked], weights[:, marked]
    found = np.isfinite(errors)
    size = np.abs(errors)
    seconds = size / fps
    summary: dict[str, Any] = {
        "pairs": len(errors),
        "missed": int((~found).sum()),
        "median": _median(size),
        "median_ms": _median(1000 * seconds),
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


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _median(values: Array) -> float:
    """Lower median: no mean of a number and infinity."""
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
