"""Take-off and landing of labelled clips to a fraction of a frame, by the path and by flights.

E events, some of which may be take-off and landing, see `tcc.flight`. Their frames may be between
two frames; a frame is NaN if the event is not marked, and infinite if it was not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.clock import Times
from tcc.evaluate.labels import LabelledClip
from tcc.flight import FLIGHT, as_marked, choose_flight, convention, refine, settle

Array = NDArray[np.floating[Any]]


def convention_of(clips: Sequence[LabelledClip], events: Array, names: Sequence[str]) -> Times:
    """Return `tcc.flight.convention` (2,) s of clips, whose events (C, E) are marked in one way.

    Args:
        clips: C of them.
        events: frames of each, which need not be those in the clip.
        names: of the E events.
    """
    marks_s = [_times(clip, frames, names) for clip, frames in zip(clips, events, strict=True)]
    flights = [
        choose_flight(list(clip.flights), at_s) for clip, at_s in zip(clips, marks_s, strict=True)
    ]
    return convention(np.array(marks_s).reshape(-1, len(FLIGHT)), flights)


def settle_events(
    clip: LabelledClip, events: Array, names: Sequence[str], convention_s: Times
) -> Array:
    """Return frames (E,) of a clip, take-off and landing settled by its own flight.

    Args:
        clip: F frames.
        events: (E,) marked frames, which need not be those in the clip.
        names: of the E events.
        convention_s: (2,) s, from `convention_of`.
    """
    marks_s = _times(clip, events, names)
    flight = choose_flight(list(clip.flights), marks_s)
    settled_s, _ = settle(marks_s, as_marked(flight, convention_s))
    return _replace(clip, events, settled_s, names)


def refine_events(
    clip: LabelledClip,
    events: Array,
    names: Sequence[str],
    sure_s: Sequence[float],
    convention_s: Times,
) -> Array:
    """Return frames (E,) of a clip, take-off and landing refined by its own flight.

    Args:
        clip: F frames.
        events: (E,) frames by the path; those that were not found are not added.
        names: of the E events.
        sure_s: (2,) standard deviations of take-off and landing.
        convention_s: as in `settle_events`.
    """
    found_s = _times(clip, events, names)
    flight = choose_flight(list(clip.flights), found_s)
    refined_s, _ = refine(found_s, np.array(sure_s), as_marked(flight, convention_s))
    return _replace(clip, events, refined_s, names)


def _times(clip: LabelledClip, frames: Array, names: Sequence[str]) -> Times:
    """Return the times (2,) s of take-off and landing at frames (E,), NaN if not known."""
    known = {name: frame for name, frame in zip(names, frames, strict=True) if np.isfinite(frame)}
    at = [known.get(name, np.nan) for name in FLIGHT]
    return np.asarray(np.interp(at, np.arange(clip.num_frames), clip.times_s))


def _replace(clip: LabelledClip, frames: Array, at_s: Times, names: Sequence[str]) -> Array:
    """Return frames (E,) with take-off and landing at the times (2,) s; NaN changes nothing."""
    replaced = np.array(frames, np.float64)
    for name, time_s in zip(FLIGHT, at_s, strict=True):
        if name in names and np.isfinite(time_s):
            frame = np.interp(time_s, clip.times_s, np.arange(clip.num_frames))
            replaced[list(names).index(name)] = frame
    return replaced
