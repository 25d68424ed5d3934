"""Clips that an evaluation compares, and changes that unmask an encoder that counts frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Views = tuple[Array, Array]

SHORTEST_CROP = 0.6


@dataclass(frozen=True, slots=True)
class Side:
    """The V clips of one role, from MOTION/MODE.

    `views` are features or embeddings (F, C) of each clip and of its mirror image; `events` (V, E)
    marked frames, NaN for none; `fps` (V,); clips with one of the `recordings` in common show it
    frame by frame from several cameras, each from its frame `starts` (V,) on.
    """

    folder: str
    names: list[str]
    views: list[Views]
    events: Array
    fps: Array
    recordings: list[str]
    starts: NDArray[np.int64]


def represent(side: Side, change: Callable[[Array], Array]) -> Side:
    """Replace the view (F, C) of every clip and that of its mirror image."""
    return replace(side, views=[(change(view), change(flip)) for view, flip in side.views])


def hold_pose(side: Side) -> Side:
    """Repeat the middle frame of every clip: what still counts frames sees a clock."""
    return represent(side, lambda view: np.repeat(view[len(view) // 2, None], len(view), axis=0))


def reverse(side: Side) -> Side:
    """Run every clip backwards, its events too."""
    lengths = np.array([len(view) for view, _ in side.views])[:, None]
    backwards = represent(side, lambda view: np.ascontiguousarray(view[::-1]))
    return replace(backwards, events=lengths - 1 - side.events)


def crop(side: Side, generator: np.random.Generator) -> Side:
    """Cut every clip at random, to SHORTEST_CROP of it or more; marked events stay in."""
    views, starts = [], []
    for view, events in zip(side.views, side.events, strict=True):
        num_frames = len(view[0])
        marked = events[np.isfinite(events)]
        first, last = (int(marked.min()), int(marked.max())) if len(marked) else (num_frames, 0)
        length = round(num_frames * generator.uniform(SHORTEST_CROP, 1))
        length = max(2, length, last - first + 1)
        low, high = max(0, last - length + 1), min(first, num_frames - length)
        start = int(generator.integers(low, high + 1))
        part = slice(start, start + length)
        views.append((view[0][part], view[1][part]))
        starts.append(start)
    cut = np.array(starts, np.int64)
    return replace(side, views=views, events=side.events - cut[:, None], starts=side.starts + cut)
