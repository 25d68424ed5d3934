"""The learner and the standard on one time axis, that of the learner's frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tcc.clock import nearest
from tcc.dtw import WarpingPath
from tcc.report.performance import Performance
from tcc.side_by_side import follow_times, pair_times, window


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two performances, and which frames show the same moment.

    Attributes:
        learner, standard: the two performances.
        confidence: of the match, 0 to 1; see `tcc.dtw.confidence`.
        rows: (R, 2) a frame of the learner and the frame of the standard that belongs to it. The
            learner's frames follow each other without a gap. They are those that the video shows.
        matched: (R,) whether the row is in the part that the path matches.
    """

    learner: Performance
    standard: Performance
    confidence: float
    rows: NDArray[np.int64]
    matched: NDArray[np.bool_]

    def row(self, frame: int) -> int | None:
        """Return the row of a learner's frame, None if it is not shown."""
        row = frame - int(self.rows[0, 0])
        return row if 0 <= row < len(self.rows) else None


def through_events(path: WarpingPath, learner: Performance, standard: Performance) -> WarpingPath:
    """Return a path on which take-off and landing of both skaters are at the same place.

    The events are known better than the path alone, because they also come from the learner's
    motion. At each event, the standard is shifted in time by what is missing. Between the events,
    and from them to the ends of the path, the shift changes linearly.

    Args:
        path: (K, 2) pairs of a standard's and a learner's frame.
        learner, standard: the two performances.

    Returns:
        A pair for each frame of the learner that is on the path.
    """
    pairs_s = pair_times(path[:, ::-1], learner.clip, standard.clip)
    frames = np.arange(path[0, 1], path[-1, 1] + 1)
    times_s = learner.clip.times_s[frames]
    at_s = follow_times(pairs_s, times_s)
    known = [
        (learner.clip.times_s[learner.events[name].frame],
         standard.clip.times_s[standard.events[name].frame])
        for name in ("takeoff", "landing")
        if name in learner.events and name in standard.events
    ]  # fmt: skip
    inside = [
        pair for pair in known
        if times_s[0] < pair[0] < times_s[-1] and at_s[0] < pair[1] < at_s[-1]
    ]  # fmt: skip
    if inside:
        event_s, target_s = np.array(inside).T
        shift_s = target_s - follow_times(pairs_s, event_s)
        knots_s = [times_s[0], *event_s, times_s[-1]]
        at_s = np.maximum.accumulate(at_s + np.interp(times_s, knots_s, [0, *shift_s, 0]))
    return np.stack([nearest(standard.clip.times_s, at_s), frames], axis=1)


def compare(
    learner: Performance, standard: Performance, path: WarpingPath, confidence: float
) -> Comparison:
    """Put both clips on the learner's time axis.

    Between the pairs of the path, times are interpolated. Before and after them, the standard goes
    on at their mean tempo. Where it has no frame, its first or last one stays.

    Args:
        learner, standard: the two performances.
        path: (K, 2) pairs of a standard's and a learner's frame, as in `tcc.dtw.Match`.
        confidence: of the match.
    """
    pairs_s = pair_times(path[:, ::-1], learner.clip, standard.clip)
    first, last = int(path[0, 1]), int(path[-1, 1])
    start_s, end_s = window(learner.clip, first, last, [(standard.clip, pairs_s)])
    times_s = learner.clip.times_s
    frames = np.flatnonzero((times_s >= start_s - 1e-9) & (times_s <= end_s + 1e-9))
    others = nearest(standard.clip.times_s, follow_times(pairs_s, times_s[frames]))
    matched = (frames >= first) & (frames <= last)
    return Comparison(learner, standard, confidence, np.stack([frames, others], axis=1), matched)
