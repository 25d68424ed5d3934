"""Find the events of a clip by all that is known: marks, the warping path and the motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tcc.clips import Clip
from tcc.dtw import WarpingPath
from tcc.features import fill_joints
from tcc.report.events import Event, carry_over, combine, complete, find_flight

NEAR_S = 0.5  # a flight is searched for in the matched part, and this long before and after it


def learner_events(
    learner: Clip, standard: Clip, events: Mapping[str, Event], path: WarpingPath, threshold: float
) -> dict[str, Event]:
    """Return the events of a clip: those of the standard by the path, and those of its own motion.

    Args:
        learner: the clip.
        standard: the clip with events.
        events: of the standard. Those that are not marked are found again in the learner's motion,
            except take-off and landing.
        path: pairs of a standard's and a learner's frame.
        threshold: joints of a lower confidence are interpolated.
    """
    used = {
        name: event
        for name, event in events.items()
        if name in ("takeoff", "landing") or event.source == "marked"
    }
    carried = carry_over(used, path, standard.times_s, learner.times_s)
    near_s = learner.times_s[path[[0, -1], 1]] + (-NEAR_S, NEAR_S)
    near = np.searchsorted(learner.times_s, near_s)
    return find_events(learner, carried, (int(near[0]), int(near[1])), threshold)


def find_events(
    clip: Clip, known: Mapping[str, Event], part: tuple[int, int], threshold: float
) -> dict[str, Event]:
    """Add the events that are found in the motion of a clip to those that are known.

    Args:
        clip: F frames.
        known: marked, or carried over.
        part: first frame and end (exclusive) of the part of the clip that is searched for a flight.
        threshold: joints of a lower confidence are interpolated.
    """
    points = fill_joints(clip.keypoints, threshold)
    start, end = part
    flight = {
        name: replace(event, frame=start + event.frame)
        for name, event in find_flight(points[start:end], clip.times_s[start:end]).items()
    }
    if any(event.source == "marked" for event in known.values()):
        flight = {} if {"takeoff", "landing"} & known.keys() else flight
        return complete({**flight, **known}, points, clip.times_s)
    return complete(combine(known, flight, clip.times_s), points, clip.times_s)
