"""How well embeddings align clips in time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


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
    _, ties = np.unique(frames, return_counts=True)
    pairs = len(frames) * (len(frames) - 1) // 2
    untied = pairs - int((ties * (ties - 1) // 2).sum())
    # In the order of scipy.stats.kendalltau, for the same rounding; that takes 0.3 s to import.
    tau = (untied - 2 * _count_inversions(frames)) / math.sqrt(pairs) / math.sqrt(untied)
    return min(1.0, max(-1.0, tau))


def _count_inversions(values: NDArray[Any]) -> int:
    """Return how many pairs of values (N,) are in falling order, in about N log N steps."""
    before: list[float] = []
    count = 0
    for value in values.tolist():
        place = bisect_right(before, value)
        count += len(before) - place
        before.insert(place, value)
    return count


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
    embeddings: Sequence[Array], events: Array, distance: str = "sqeuclidean"
) -> Array:
    """Distance in frames between one event and the nearest neighbour of another clip's.

    Args:
        embeddings: V arrays (F, D).
        events: (V,) frames of the event; NaN where it isn't marked.
        distance: a metric of scipy.spatial.distance.cdist.

    Returns:
        (P,) absolute errors of all ordered pairs of different clips that are both marked.
    """
    marked = [
        (clip, int(event))
        for clip, event in zip(embeddings, events, strict=True)
        if not np.isnan(event)
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
