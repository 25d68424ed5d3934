"""How well embeddings align clips in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import kendalltau

Array = NDArray[np.floating[Any]]


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
    neighbours = cdist(query, reference, distance).argmin(axis=1)
    if (neighbours == neighbours[0]).all():
        return float("nan")
    return float(kendalltau(np.arange(len(query)), neighbours).statistic)


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
