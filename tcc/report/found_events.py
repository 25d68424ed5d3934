"""Find the events of a clip by all that is known: marks, the warping path and the motion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tcc.clips import Clip
from tcc.dtw import WarpingPath
from tcc.features import fill_joints
from tcc.flight import FLIGHT, as_marked, convention, find_flight
from tcc.report.events import (
    Event,
    carry_over,
    combine,
    complete,
    flight_events,
    settle_marks,
    times_of,
)

NEAR_S = 0.5  # a flight is searched for in the matched part, and this long before and after it


def follow_path(
    learner: Clip, standard: Clip, events: Mapping[str, Event], path: WarpingPath, threshold: float
) -> dict[str, Event]:
    """Return the events of the standard in the learner's clip, by the path and by both flights.

    Marks are settled by the standard's own flight, carried over by the path, and refined by the
    learner's flight, as it would be marked if it were the standard's.

    Args:
        learner: the clip.
        standard: the clip with events.
        events: of the standard, with any names.
        path: pairs of a standard's and a learner's frame.
        threshold: joints of a lower confidence are interpolated.

    Returns:
        The events that are on the path; take-off and landing also if only the flight shows them.
    """
    times_s, marks_s = learner.times_s, times_of(events, standard.times_s)
    flight = find_flight(fill_joints(standard.keypoints, threshold), standard.times_s, marks_s)
    convention_s = convention(marks_s[None], [flight])
    settled = settle_marks(events, as_marked(flight, convention_s), standard.times_s)
    carried = carry_over(settled, path, standard.times_s, times_s)
    near_s = times_s[path[[0, -1], 1]] + (-NEAR_S, NEAR_S)
    near = slice(*np.searchsorted(times_s, near_s))
    points = fill_joints(learner.keypoints, threshold)[near]
    flight = find_flight(points, times_s[near], times_of(carried, times_s))
    return combine(carried, as_marked(flight, convention_s), times_s)


def learner_events(
    learner: Clip,
    standard: Clip,
    events: Mapping[str, Event],
    path: WarpingPath,
    threshold: float,
    voted: Mapping[str, Event] | None = None,
) -> dict[str, Event]:
    """Return the events of a clip: those of the standard by the path, and those of its own motion.

    Args:
        learner, standard, path, threshold: see `follow_path`.
        events: of the standard. Those that are not marked are found again in the learner's motion,
            except take-off and landing.
        voted: events of the learner that take the place of those on the path.
    """
    used = {
        name: event for name, event in events.items() if name in FLIGHT or event.source == "marked"
    }
    found = follow_path(learner, standard, used, path, threshold) | dict(voted or {})
    return complete(found, fill_joints(learner.keypoints, threshold), learner.times_s)


def find_events(clip: Clip, marked: Mapping[str, Event], threshold: float) -> dict[str, Event]:
    """Add the events that are found in the motion of a clip to those that are marked.

    Args:
        clip: F frames.
        marked: if take-off or landing is, the other one is not added.
        threshold: joints of a lower confidence are interpolated.
    """
    points = fill_joints(clip.keypoints, threshold)
    found = dict(marked)
    if not set(FLIGHT) & marked.keys():
        found |= flight_events(find_flight(points, clip.times_s), clip.times_s)
    return complete(found, points, clip.times_s)
