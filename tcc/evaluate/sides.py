"""Clips that an evaluation compares, and changes that unmask an encoder that counts frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.clock import Times, nearest, rate, resample

Array = NDArray[np.floating[Any]]
Views = tuple[Array, Array]

SHORTEST_CROP = 0.6
MOMENT_S = 1e-6  # a tick on a frame is in that frame's crop


@dataclass(frozen=True, slots=True)
class Side:
    """The V clips of one role, from MOTION/MODE.

    `views` are features or embeddings (G, C) of each clip and of its mirror image, `ticks_s` (G,)
    their times; `times_s` (F,) of each clip's frames; `events` (V, E) marked frames, NaN for none;
    clips with one of the `recordings` in common show it frame by frame from several cameras, each
    from its frame `starts` (V,) on. `turns` (V,) say which way each skater turns.
    """

    folder: str
    names: list[str]
    views: list[Views]
    ticks_s: list[Times]
    times_s: list[Times]
    events: Array
    recordings: list[str]
    starts: NDArray[np.int64]
    turns: Array

    @property
    def lengths(self) -> NDArray[np.int64]:
        """F of each clip (V,)."""
        return np.array([len(times_s) for times_s in self.times_s], np.int64)

    @property
    def fps(self) -> Array:
        """Frames per second of each clip (V,)."""
        return np.array([rate(times_s) for times_s in self.times_s])

    def frames_of(self, clip: int) -> NDArray[np.int64]:
        """Return the frame nearest to each tick (G,) of a clip."""
        return nearest(self.times_s[clip], self.ticks_s[clip])

    def per_frame(self, clip: int) -> Array:
        """Return the view of a clip, not mirrored, at its frames (F, C)."""
        return resample(self.views[clip][0], self.ticks_s[clip], self.times_s[clip])


def represent(side: Side, change: Callable[[Array], Array]) -> Side:
    """Replace the view (G, C) of every clip and that of its mirror image."""
    return replace(side, views=[(change(view), change(flip)) for view, flip in side.views])


def hold_pose(side: Side) -> Side:
    """Repeat the middle frame of every clip: what still counts frames sees a clock."""
    return represent(side, lambda view: np.repeat(view[len(view) // 2, None], len(view), axis=0))


def reverse(side: Side) -> Side:
    """Run every clip backwards, its events too."""
    backwards = represent(side, lambda view: np.ascontiguousarray(view[::-1]))
    ticks, times = [], []
    for ticks_s, times_s in zip(side.ticks_s, side.times_s, strict=True):
        end_s = times_s[0] + times_s[-1]
        ticks.append(end_s - ticks_s[::-1])
        times.append(end_s - times_s[::-1])
    events = side.lengths[:, None] - 1 - side.events
    return replace(backwards, ticks_s=ticks, times_s=times, events=events, turns=-side.turns)


def crop(side: Side, generator: np.random.Generator) -> Side:
    """Cut every clip at random, to SHORTEST_CROP of it or more; marked events stay in."""
    views, ticks, times, starts = [], [], [], []
    for view, ticks_s, times_s, events in zip(
        side.views, side.ticks_s, side.times_s, side.events, strict=True
    ):
        num_frames = len(times_s)
        marked = events[np.isfinite(events)]
        first, last = (int(marked.min()), int(marked.max())) if len(marked) else (num_frames, 0)
        length = round(num_frames * generator.uniform(SHORTEST_CROP, 1))
        length = max(2, length, last - first + 1)
        low, high = max(0, last - length + 1), min(first, num_frames - length)
        start = int(generator.integers(low, high + 1))
        times.append(times_s[start : start + length])
        part = slice(*np.searchsorted(ticks_s, times[-1][[0, -1]] + [-MOMENT_S, MOMENT_S]))
        views.append((view[0][part], view[1][part]))
        ticks.append(ticks_s[part])
        starts.append(start)
    cut = np.array(starts, np.int64)
    return replace(
        side,
        views=views,
        ticks_s=ticks,
        times_s=times,
        events=side.events - cut[:, None],
        starts=side.starts + cut,
    )
