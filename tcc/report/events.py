"""Events and phases of a jump, air time and height, each with its uncertainty.

An event is the frame in which a phase begins. All uncertainties are standard deviations.

    entry     the deepest knee bend before the take-off
    takeoff   the first frame in the air
    peak      the hips are highest
    landing   the first frame on the ice again
    exit      the deepest knee bend after the landing

Events come from three sources. "marked": a person marked the frame. "matched": the event of the
standard, carried over to the learner by the warping path. "motion": found in the motion itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from tcc.clock import clock, nearest, rate, resample
from tcc.dtw import WarpingPath
from tcc.features import ANKLES, HIPS, torso_length
from tcc.files import UserError
from tcc.flight import FLIGHT, GRAVITY, MATCH_S, TORSO_M, Flight, carry, refine, settle

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]
Source = Literal["marked", "matched", "motion"]

EVENTS = ("entry", "takeoff", "peak", "landing", "exit")
# The events at which each phase begins and ends. The approach and the glide after the jump last at
# most GLIDE_S. In the phase "push" the legs straighten, in "absorb" they bend again.
PHASES = {
    "approach": (None, "entry"), "push": ("entry", "takeoff"), "flight": FLIGHT,
    "absorb": ("landing", "exit"), "glide": ("exit", None),
}  # fmt: skip
# The phases whose duration differs more between skaters than it is off; see docs/measures.md.
TEMPO = {"push": ("entry", "takeoff"), "flight": FLIGHT}
GLIDE_S = 1.0
BEND_S = (0.1, 0.5)  # shortest and longest time from entry to take-off, and from landing to exit
TORSO_SPREAD = 0.1  # standard deviation of the torso's length between people, as a share of it
SMOOTH_S = 1 / 30  # standard deviation of the Gaussian that smooths heights
FIT_FRAMES = 5  # fewest frames of a flight through which a parabola is fitted
RISE_M = 0.04  # what else the rise of the hips is off, measured on FS-Jump3D
LEVEL = 0.05  # heights that differ by less, in torso lengths, are called equal
WINDOW_S = 0.2  # the slope of the path is that of the pairs at most this long from the event


@dataclass(frozen=True, slots=True)
class Event:
    """A moment of a clip: `frame`, `uncertainty_s` and `source`, see the top of this file.

    `time_s` is the time to a fraction of a frame, if it is known: that of the frame on average.
    """

    frame: int
    uncertainty_s: float
    source: Source
    time_s: float | None = None

    def at_s(self, times_s: Times) -> float:
        """Return the time in s, in a clip whose frames have the times (F,) s."""
        return float(times_s[self.frame]) if self.time_s is None else self.time_s


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its standard deviation in the same unit."""

    value: float
    uncertainty: float


def event_word(name: str) -> str:
    """Return the name of an event as people write it."""
    return "take-off" if name == "takeoff" else name.replace("_", " ")


def mark(frames: Mapping[str, int], times_s: Times) -> dict[str, Event]:
    """Return the events that a person marked, see `marked_event`.

    Args:
        frames: {event: frame} of the clip; names other than EVENTS are left out.
        times_s: (F,) s.

    Raises:
        UserError: a frame is outside of the clip, or the events are not in the order of EVENTS.
    """
    known = {name: frames[name] for name in EVENTS if name in frames}
    for name, frame in known.items():
        if not 0 <= frame < len(times_s):
            raise UserError(
                f"{name}={frame}: the clip has frames 0 to {len(times_s) - 1}; mark another frame"
            )
    order = list(known.values())
    if any(first >= second for first, second in zip(order[:-1], order[1:], strict=True)):
        told = ", ".join(f"{name}={frame}" for name, frame in known.items())
        raise UserError(f"{told}: the frames must rise in this order of the events")
    return {name: marked_event(frame, times_s) for name, frame in known.items()}


def marked_event(frame: int, times_s: Times) -> Event:
    """Return an event that a person marked in a clip whose frames have the times (F,) s.

    The moment is between the frame and the one before it, so the standard deviation is that of a
    uniform distribution over this interval: its length / sqrt(12).
    """
    return Event(frame, _interval_s(times_s, frame), "marked")


def carry_over(
    events: Mapping[str, Event], path: WarpingPath, standard_s: Times, learner_s: Times
) -> dict[str, Event]:
    """Return the events of the standard in the learner's clip.

    The variance of an event is the sum of: that of the learner's frame; that of the standard's
    event times the squared slope of the path, because where the learner is slower, the same error
    lasts longer; the squared distance of the path from a straight line, because there the match
    stretches one clip or the other; MATCH_S squared. Slope and distance are those within WINDOW_S.

    Args:
        events: of the standard.
        path: (K, 2) pairs of a standard's and a learner's frame, as in `tcc.dtw.Match`.
        standard_s: (N,) s, times of the standard's frames.
        learner_s: (M,) s, times of the learner's frames.

    Returns:
        The events that are on the path.
    """
    carried = {}
    for name, event in events.items():
        at_s = event.at_s(standard_s)
        time_s = float(carry(path, standard_s, learner_s, at_s))
        if np.isnan(time_s):
            continue
        frame = int(nearest(learner_s, np.array([time_s]))[0])
        pairs_s = np.stack([standard_s[path[:, 0]], learner_s[path[:, 1]]], axis=1)
        pairs_s = pairs_s[np.abs(pairs_s[:, 0] - at_s) <= WINDOW_S]
        slope, bent_s = _line(pairs_s) if len(np.unique(pairs_s[:, 0])) > 2 else (1.0, 0.0)
        parts_s = (_interval_s(learner_s, frame), slope * event.uncertainty_s, bent_s, MATCH_S)
        carried[name] = Event(frame, float(np.linalg.norm(parts_s)), "matched", time_s)
    return carried


def times_of(events: Mapping[str, Event], times_s: Times) -> Times:
    """Return the times of take-off and landing (2,), NaN for one that is not known."""
    return np.array([events[name].at_s(times_s) if name in events else np.nan for name in FLIGHT])


def settle_marks(
    events: Mapping[str, Event], flight: Flight | None, times_s: Times
) -> dict[str, Event]:
    """Return the events of a clip, the times of marks combined with the flight of the same clip.

    Args:
        events: of the clip.
        flight: of `tcc.flight.find_flight`; None changes nothing.
        times_s: (F,) s.
    """
    settled = dict(events)
    for name, time_s in zip(FLIGHT, settle(times_of(events, times_s), flight)[0], strict=True):
        if name in events and events[name].source == "marked":
            settled[name] = replace(events[name], time_s=float(time_s))
    return settled


def flight_events(flight: Flight | None, times_s: Times) -> dict[str, Event]:
    """Return take-off and landing of a flight, without one none.

    Args:
        flight: of `tcc.flight.find_flight`.
        times_s: (F,) s of the clip.
    """
    if flight is None:
        return {}
    found = zip(FLIGHT, flight.times_s, flight.sure_s, strict=True)
    return {name: _event(time_s, sure_s, "motion", times_s) for name, time_s, sure_s in found}


def combine(
    matched: Mapping[str, Event], flight: Flight | None, times_s: Times
) -> dict[str, Event]:
    """Combine the events that the path gives with the flight of the clip, see `tcc.flight.refine`.

    On recorded jumps, the error grows with the distance of path and flight, and hardly with
    anything that the path itself shows. An event of only one is kept.

    Args:
        matched: from `carry_over`.
        flight: of the clip.
        times_s: (F,) s of the clip.
    """
    sure_s = [matched[name].uncertainty_s if name in matched else np.nan for name in FLIGHT]
    refined = zip(
        FLIGHT, *refine(times_of(matched, times_s), np.array(sure_s), flight), strict=True
    )
    return {
        **flight_events(flight, times_s),
        **matched,
        **{
            name: _event(time_s, sure_s, "matched", times_s)
            for name, time_s, sure_s in refined
            if name in matched
        },
    }


def complete(events: Mapping[str, Event], points: Array, times_s: Times) -> dict[str, Event]:
    """Add entry, peak and exit from the motion where they are missing, in the order of EVENTS.

    Entry and exit are where the hips are lowest over the lower ankle, at a distance in BEND_S from
    take-off or landing. A moving camera does not change this height. The peak is where the hips are
    highest in the picture. The uncertainty is half of the time in which the height is within LEVEL.
    An extremum in the first or last frame of the clip is left out: the real one may be outside.

    Args:
        events: with "takeoff" and "landing"; without them nothing is added.
        points: (F, 17, 2) px, without gaps.
        times_s: (F,) s.
    """
    found = dict(events)
    if "takeoff" in events and "landing" in events:
        takeoff, landing = events["takeoff"].frame, events["landing"].frame
        hips, bend = _heights(points, times_s, takeoff)
        before, after = (
            [_first(times_s, times_s[event] + sign * span_s) for span_s in BEND_S]
            for event, sign in ((takeoff, -1), (landing, 1))
        )
        spans: list[tuple[str, Array, int, int]] = [
            ("entry", -bend, before[1], before[0]),
            ("peak", hips, takeoff, landing),
            ("exit", -bend, after[0], after[1]),
        ]
        for name, height, start, end in spans:
            if name not in events and start < min(end, len(times_s)):
                event = _highest(height[start:end], times_s, start)
                if 0 < event.frame < len(times_s) - 1:
                    found[name] = event
    return {name: found[name] for name in EVENTS if name in found}


def phases(events: Mapping[str, Event], times_s: Times) -> dict[str, tuple[int, int]]:
    """Return the first frame and the frame after the last of each phase whose events are known."""
    spans = {}
    for phase, (first, last) in PHASES.items():
        if {first, last} - {None} <= events.keys():
            at_s = [times_s[events[name].frame] if name else np.nan for name in (first, last)]
            start_s, end_s = np.where(np.isnan(at_s), np.add(at_s[::-1], (-GLIDE_S, GLIDE_S)), at_s)
            span = (_first(times_s, start_s), _first(times_s, end_s))
            if span[0] < span[1]:
                spans[phase] = span
    return spans


def tempo(events: Mapping[str, Event], times_s: Times) -> dict[str, Quantity]:
    """Return the duration in s of the phases in TEMPO; that of "flight" is the air time."""
    return {
        phase: Quantity(
            events[last].at_s(times_s) - events[first].at_s(times_s),
            float(np.hypot(events[first].uncertainty_s, events[last].uncertainty_s)),
        )
        for phase, (first, last) in TEMPO.items()
        if {first, last} <= events.keys()
    }


def height_from_air_time(air_time_s: Quantity) -> Quantity:
    """Return the height in m of a flight that lands at the height of the take-off: g T^2 / 8.

    It is too large if the legs are more bent at the landing than at the take-off.
    """
    seconds = air_time_s.value
    return Quantity(GRAVITY * seconds**2 / 8, GRAVITY * abs(seconds) / 4 * air_time_s.uncertainty)


def rise_of_hips(events: Mapping[str, Event], points: Array, times_s: Times) -> Quantity | None:
    """Return by how many metres the hips rise in the picture from the take-off.

    It is the rise of the parabola that fits the hips best during the flight. The torso stands for
    TORSO_M. A camera that is raised with the skater makes it too small.

    Args:
        events: without "takeoff" and "landing", or with fewer than FIT_FRAMES frames between them,
            the result is None.
        points: (F, 17, 2) px, without gaps.
        times_s: (F,) s.
    """
    if not {"takeoff", "landing"} <= events.keys():
        return None
    takeoff = events["takeoff"]
    flight = slice(takeoff.frame, events["landing"].frame)
    since_s = times_s[flight] - times_s[takeoff.frame]
    if len(since_s) < FIT_FRAMES:
        return None
    torso_px = torso_length(points, rate(times_s))[takeoff.frame]
    hips = -points[flight, HIPS, 1].mean(axis=1) / torso_px
    fitted = np.polyval(np.polyfit(since_s, hips, 2), since_s)
    rise = float(fitted.max() - fitted[0]) * TORSO_M
    speed = GRAVITY * since_s[fitted.argmax()]  # at the take-off, m/s
    parts = (TORSO_SPREAD * rise, speed * takeoff.uncertainty_s, RISE_M)
    return Quantity(rise, float(np.linalg.norm(parts)))


def _heights(points: Array, times_s: Times, frame: int) -> tuple[Array, Array]:
    """Return the height of the hips in the picture and over the lower ankle, (F,).

    The unit is the length of the torso in `frame`.
    """
    ticks_s = clock(times_s, rate(times_s))
    points, fps = resample(points, times_s, ticks_s), rate(ticks_s)
    hips = -points[:, HIPS, 1].mean(axis=1)
    ankle = -points[:, ANKLES, 1].max(axis=1)
    torso_px = torso_length(points, fps)[nearest(ticks_s, times_s[[frame]])]
    heights = np.stack([hips, hips - ankle], axis=1) / torso_px
    heights = gaussian_filter1d(heights, SMOOTH_S * fps, axis=0, mode="nearest")
    hips, bend = resample(heights, ticks_s, times_s).T
    return hips, bend


def _highest(height: Array, times_s: Times, start: int) -> Event:
    """Return the event at the maximum of `height` (L,), whose first frame is `start`."""
    frame = start + int(height.argmax())
    level = np.flatnonzero(height >= height.max() - LEVEL)
    span_s = times_s[start + level[-1]] - times_s[start + level[0]]
    return Event(frame, float(np.hypot(_interval_s(times_s, frame), span_s / 2)), "motion")


def _line(pairs: Array) -> tuple[float, float]:
    """Return slope and root mean square residual of a straight line through pairs (K, 2)."""
    x, y = (pairs - pairs.mean(axis=0)).T
    slope = float((x * y).sum() / (x * x).sum())
    return slope, float(np.sqrt(np.mean((y - slope * x) ** 2)))


def _event(time_s: float, sure_s: float, source: Source, times_s: Times) -> Event:
    frame = int(nearest(times_s, np.array([time_s]))[0])
    return Event(frame, float(sure_s), source, float(time_s))


def _interval_s(times_s: Times, frame: int) -> float:
    """Return the standard deviation of a moment that is known to one frame."""
    before = max(frame, 1)
    return float(times_s[before] - times_s[before - 1]) / 12**0.5 if len(times_s) > 1 else 0.0


def _first(times_s: Times, at_s: float) -> int:
    """Return the first frame at `at_s` or later, F if there is none."""
    return int(np.searchsorted(times_s, at_s - 1e-9))
