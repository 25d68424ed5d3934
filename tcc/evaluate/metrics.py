"""How well embeddings align clips in time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from tcc.jobs import ROWS_IN_TURN, Arrays, Rows

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


def kendalls_tau(query: Array, reference: Array, distance: str = "sqeuclidean") -> float:
    """Return Kendall's tau-b of the nearest neighbours of one clip's frames in another clip.

    Args:
        query: (N, D).
        reference: (M, D).
        distance: a metric of scipy.spatial.distance.cdist.

    Returns:
        1 if the neighbours follow in order, -1 if in reverse order; NaN if all neighbours are the
        same frame, or if a clip has fewer than two frames. Dwibedi et al., arXiv 1904.07846,
        section 5.2. It is tau-b because several frames may have the same neighbour: Kendall, "The
        treatment of ties in ranking problems", 1945.
    """
    if min(len(query), len(reference)) < 2:
        return float("nan")
    return order_tau(cdist(query, reference, distance).argmin(axis=1))


def order_tau(frames: NDArray[Any]) -> float:
    """Return Kendall's tau-b of matched frames (N,) with their order; NaN if all are equal."""
    if len(frames) < 2 or (frames == frames[0]).all():
        return float("nan")
    _, ties = np.unique(frames, return_counts=True)
    pairs = len(frames) * (len(frames) - 1) // 2
    untied = pairs - int((ties * (ties - 1) // 2).sum())
    # Computed as in scipy.stats.kendalltau, so the rounding is equal. Its import would take 0.3 s.
    tau = (untied - 2 * _count_inversions(frames)) / math.sqrt(pairs) / math.sqrt(untied)
    return min(1.0, max(-1.0, tau))


def _count_inversions(values: NDArray[Any]) -> int:
    """Return for how many pairs of values (N,) the first is larger than the second."""
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
    rows: Rows = ROWS_IN_TURN,
    title: str | None = None,
) -> Array:
    """Return tau of every ordered pair of different clips, on every `stride`-th frame.

    Args:
        queries: V arrays (F, D).
        references: V arrays (F, D) of the same clips in the same order.
        stride: 1 for every frame.
        distance: a metric of scipy.spatial.distance.cdist.
        rows, title: compute the rows; see `Rows.map`.

    Returns:
        (V, V), a row for each query and a column for each reference; NaN on the diagonal and where
        tau is undefined.
    """
    data = ([query[::stride] for query in queries], [clip[::stride] for clip in references])
    made = rows.map(_tau_row, (*data, distance), len(queries), title)
    return np.array([row["tau"] for row in made]).reshape(len(queries), len(references))


def _tau_row(data: tuple[list[Array], list[Array], str], row: int) -> Arrays:
    """Return tau of a query and every reference."""
    queries, references, distance = data
    taus = [
        np.nan if column == row else kendalls_tau(queries[row], reference, distance)
        for column, reference in enumerate(references)
    ]
    return {"tau": np.array(taus)}


def event_errors(
    embeddings: Sequence[Array], events: Array, distance: str = "sqeuclidean"
) -> Array:
    """Return the distances of an event from the nearest neighbour of the event of another clip.

    Args:
        embeddings: V arrays (F, D).
        events: (V,) frame of the event in each clip; NaN if it is not marked.
        distance: a metric of scipy.spatial.distance.cdist.

    Returns:
        (P,) absolute errors in frames, of all ordered pairs of different clips that both mark it.
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
    """Return the Enclosed Area Error: the area between the found and the true warping path.

    The true path is known only between the first and the last marked event, and is taken as
    straight from one event to the next. The area is divided by the area of the rectangle that these
    frames of the standard and all frames of the learner span. A frame without a match counts as an
    error of the learner's whole length. Fakhfour et al., arXiv 2304.06841.

    Args:
        mapped: (N,) learner's frame of each standard's frame, NaN if there is none.
        standard_events: (E,) marked frames, NaN if not marked.
        learner_events: (E,) the same for the learner.
        num_learner: M, frames of the learner.

    Returns:
        0 for the true path, 1 at most; NaN if the clips share fewer than two different events.
    """
    shared = np.isfinite(standard_events + learner_events)
    marked, index = np.unique(standard_events[shared], return_index=True)
    if len(marked) < 2:
        return float("nan")
    frames = np.arange(int(marked[0]), int(marked[-1]) + 1)
    errors = np.abs(mapped[frames] - np.interp(frames, marked, learner_events[shared][index]))
    return float(np.where(np.isnan(errors), num_learner, errors).mean() / num_learner)


def phase_labels(events: Array, num_frames: int) -> Indices:
    """Return (F,) the phase of each frame: how many of the events (E,) are at or before it."""
    return np.searchsorted(np.sort(events), np.arange(num_frames), side="right")


def phase_accuracy(
    train: Sequence[tuple[Array, Indices]],
    test: Sequence[tuple[Array, Indices]],
    share: float,
    generator: np.random.Generator,
) -> float:
    """Return the accuracy of logistic regression from the embedding of a frame to its phase.

    Args:
        train: clips to learn from, embeddings (F, D) and phases (F,).
        test: clips to score.
        share: of the training clips that are used. They are drawn at random, at least one.
        generator: draws them.

    Returns:
        Share of the frames with the right phase; NaN if the drawn clips show only one phase.
        Dwibedi et al., arXiv 1904.07846, section 5.1, who use a support vector machine.
    """
    from sklearn.linear_model import LogisticRegression  # here, as it takes a second
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
    """Return R squared of linear regression from an embedding to the time to every event.

    The time is a share of the clip's length, so clips that are cut differently score low.

    Args:
        train: clips to learn from, embeddings (F, D) and marked frames (E,).
        test: clips to score.

    Returns:
        The mean over events, 1 at most. Dwibedi et al., arXiv 1904.07846, section 5.1.
    """
    from sklearn.linear_model import LinearRegression

    def stack(clips: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
        times = [(events - np.arange(len(clip))[:, None]) / len(clip) for clip, events in clips]
        return np.concatenate([clip for clip, _ in clips]), np.concatenate(times)

    embeddings, times = stack(test)
    if len(embeddings) < 2:
        return float("nan")
    return float(LinearRegression().fit(*stack(train)).score(embeddings, times))


def retrieval_precision(
    query: Array, labels: Indices, support: Array, found: Indices, k: int
) -> float:
    """Return AP@K: the share of the K nearest frames of other clips that show the query's phase.

    Args:
        query: (N, D) embeddings of the query frames.
        labels: (N,) their phases.
        support: (S, D) embeddings of the frames of other clips.
        found: (S,) their phases.
        k: K.

    Returns:
        Mean over the queries; NaN if S is below K. Haresh et al., arXiv 2103.17260, section 4.
    """
    if len(support) < k:
        return float("nan")
    nearest = np.argpartition(cdist(query, support, "sqeuclidean"), k - 1, axis=1)[:, :k]
    return float((found[nearest] == labels[:, None]).mean())
