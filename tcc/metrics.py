"""How well embeddings align clips in time, and how sure a figure is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import kendalltau

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

WITHIN_FRAMES = (1, 3, 5, 10)
NUM_RESAMPLES = 1000


def kendalls_tau(query: Array, reference: Array, distance: str = "sqeuclidean") -> float:
    """Kendall's tau-b of the nearest neighbours of one clip in another.

    Args:
        query: (N, D). reference: (M, D).
        distance: a metric of scipy.spatial.distance.cdist.

    Returns:
        1 where all neighbours follow in order, -1 where in reverse; NaN where they are all one
        frame, or where a clip has fewer than two. Dwibedi et al., arXiv 1904.07846, section 5.2;
        tau-b, as frames may share a neighbour: Kendall, "The treatment of ties", 1945.
    """
    if min(len(query), len(reference)) < 2:
        return float("nan")
    return order_tau(cdist(query, reference, distance).argmin(axis=1))


def order_tau(frames: NDArray[Any]) -> float:
    """Kendall's tau-b of matched frames (N,) with their order; NaN where they are all one frame."""
    if len(frames) < 2 or (frames == frames[0]).all():
        return float("nan")
    return float(kendalltau(np.arange(len(frames)), frames).statistic)


def tau_matrix(
    queries: Sequence[Array],
    references: Sequence[Array],
    stride: int = 1,
    distance: str = "sqeuclidean",
) -> Array:
    """Tau of every ordered pair of different clips, on every `stride`-th frame.

    Args:
        queries: V arrays (F, D).
        references: V arrays (F, D) of the same clips in the same order.

    Returns:
        (V, V), row the query, column the reference; NaN on the diagonal and where undefined.
    """
    matrix = np.full((len(queries), len(references)), np.nan)
    for row, query in enumerate(queries):
        for column, reference in enumerate(references):
            if row != column:
                matrix[row, column] = kendalls_tau(query[::stride], reference[::stride], distance)
    return matrix


def event_errors(
    embeddings: Sequence[Array], events: Sequence[int | None], distance: str = "sqeuclidean"
) -> Array:
    """Distance in frames between one event and the nearest neighbour of another clip's.

    Args:
        embeddings: V arrays (F, D).
        events: V frames of the event; None where it isn't marked.
        distance: a metric of scipy.spatial.distance.cdist.

    Returns:
        (P,) absolute errors of all ordered pairs of different clips that are both marked.
    """
    marked = [
        (clip, event) for clip, event in zip(embeddings, events, strict=True) if event is not None
    ]
    errors = [
        abs(int(cdist(query[event, None], reference, distance).argmin()) - other)
        for row, (query, event) in enumerate(marked)
        for column, (reference, other) in enumerate(marked)
        if row != column
    ]
    return np.array(errors, np.float64)


def enclosed_area_error(
    mapped: Array, standard_events: Array, learner_events: Array, num_learner: int
) -> float:
    """Enclosed Area Error: the area between the found and the true warping path.

    The true path is straight between marked events and known from the first to the last alone. The
    area is divided by that of the rectangle of the standard's known frames and the learner's clip.
    A frame without a match counts as wrong by the whole clip. Fakhfour et al., arXiv 2304.06841.

    Args:
        mapped: (N,) learner's frame of each standard's frame, NaN for none.
        standard_events: (E,) marked frames. learner_events: (E,); NaN where not marked.
        num_learner: M.

    Returns:
        0 for the true path, at most 1; NaN where fewer than two different events are shared.
    """
    shared = np.isfinite(standard_events + learner_events)
    known, index = np.unique(standard_events[shared], return_index=True)
    if len(known) < 2:
        return float("nan")
    frames = np.arange(int(known[0]), int(known[-1]) + 1)
    off = np.abs(mapped[frames] - np.interp(frames, known, learner_events[shared][index]))
    return float(np.where(np.isnan(off), num_learner, off).mean() / num_learner)


def phase_labels(events: Array, num_frames: int) -> Indices:
    """Return (F,) how many of the events (E,) each frame has behind it."""
    return np.searchsorted(np.sort(events), np.arange(num_frames), side="right")


def phase_accuracy(
    train: Sequence[tuple[Array, Indices]],
    test: Sequence[tuple[Array, Indices]],
    share: float,
    generator: np.random.Generator,
) -> float:
    """Share of frames whose phase logistic regression reads from their embedding alone.

    Args:
        train: clips to learn from, embeddings (F, D) and phases (F,).
        test: clips to score.
        share: of the training clips that have labels, drawn at random, at least one.

    Returns:
        Accuracy; NaN where the drawn clips show one phase alone. Dwibedi et al., arXiv 1904.07846,
        section 5.1, there with a support vector machine.
    """
    from sklearn.linear_model import LogisticRegression  # a second that training need not wait
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    count = max(1, round(share * len(train)))
    chosen = [train[index] for index in generator.permutation(len(train))[:count]]
    phases = np.concatenate([labels for _, labels in chosen])
    if (phases == phases[0]).all():
        return float("nan")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    model.fit(np.concatenate([clip for clip, _ in chosen]), phases)
    clips, labels = zip(*test, strict=True)
    return float(model.score(np.concatenate(clips), np.concatenate(labels)))


def phase_progression(
    train: Sequence[tuple[Array, Array]], test: Sequence[tuple[Array, Array]]
) -> float:
    """R squared of linear regression from an embedding to the time to every event.

    The time is a share of the clip, so clips that are not cut alike score low.

    Args:
        train: clips to learn from, embeddings (F, D) and marked frames (E,).
        test: clips to score.

    Returns:
        At most 1, the mean over events. Dwibedi et al., arXiv 1904.07846, section 5.1.
    """
    from sklearn.linear_model import LinearRegression

    def stack(clips: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
        times = [(events - np.arange(len(clip))[:, None]) / len(clip) for clip, events in clips]
        return np.concatenate([clip for clip, _ in clips]), np.concatenate(times)

    return float(LinearRegression().fit(*stack(train)).score(*stack(test)))


def retrieval_precision(
    query: Array, labels: Indices, support: Array, found: Indices, k: int
) -> float:
    """AP@K: mean share of the K nearest frames of other clips that show the query frame's phase.

    Args:
        query: (N, D) of phases `labels` (N,).
        support: (S, D) of phases `found` (S,).

    Returns:
        Share; NaN where there are fewer than K frames. Haresh et al., arXiv 2103.17260, section 4.
    """
    if len(support) < k:
        return float("nan")
    nearest = np.argpartition(cdist(query, support, "sqeuclidean"), k - 1, axis=1)[:, :k]
    return float((found[nearest] == labels[:, None]).mean())


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
        errors: (P,) frames, NaN for no pair, infinite for a miss.
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
    """Share of errors (P,) of at most some frames, misses counted."""
    marked = errors[~np.isnan(errors)]
    return float((np.abs(marked) <= frames).mean()) if len(marked) else float("nan")


def calibrate(errors: Array, sure: NDArray[np.bool_]) -> dict[str, float]:
    """Return how many matches are called sure, and how many of these and of the rest are right.

    Args:
        errors: (P,). sure: (P,).
    """
    marked = ~np.isnan(errors)
    return {
        "sure": finite_mean(sure[marked].astype(np.float64)),
        "sure_within_5": share_within(errors[sure], 5),
        "unsure_within_5": share_within(errors[~sure], 5),
    }


def finite_mean(values: Sequence[float] | Array) -> float:
    """Mean of the finite values, NaN of none."""
    array = np.asarray(values, np.float64)
    return _mean(array[np.isfinite(array)])


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def lower_median(values: Array) -> float:
    """Median; of two middle values the lower, as one may be infinite. NaN of none."""
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
