"""All events, phases, measures and quantities of the jump in one clip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tcc.clips import Clip
from tcc.coco import JOINTS
from tcc.features import fill_joints, flip
from tcc.flight import FLIGHT, GRAVITY, MARK_S
from tcc.report.events import (
    Event,
    Quantity,
    height_from_air_time,
    phases,
    rise_of_hips,
    tempo,
)
from tcc.report.measures import (
    MEASURES,
    Curve,
    Value,
    arms_closing,
    at_places,
    curves,
    fastest_turn,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a quantity of a whole jump is.

    Attributes:
        label: its name as people write it.
        unit: of its value.
        zero: what 0 means.
        tolerance: the usual difference between two skaters, in the unit; see docs/measures.md.
    """

    label: str
    unit: str
    zero: str
    tolerance: float


# The tolerances are those of the table "Times and heights" in docs/measures.md. That of the air
# time is the one of the height at 0.6 s: 0.15 m = 9.81 m/s^2 * 0.6 s / 4 * 0.1 s.
QUANTITIES = {
    "push": Kind("time from the deepest bend to the take-off", "s", "no push", 0.1),
    "flight": Kind("time in the air", "s", "no flight", 0.1),
    "height": Kind("height, from the time in the air", "m", "no flight", 0.15),
    "rise": Kind("height, from the rise of the hips", "m", "the hips do not rise", 0.15),
    "arms_closing": Kind(
        "time from the take-off until the arms are closed", "s", "closed at the take-off", 0.1
    ),
    "fastest_turn": Kind(
        "when the turn is fastest, as a share of the flight", "", "at the take-off", 0.28
    ),
}
WRISTS = [JOINTS.index(f"{side}_wrist") for side in ("left", "right")]
CONTRADICTS = 2.5  # standard deviations by which the two heights of a jump must differ
TURN_ERROR = 0.18  # median error of "fastest_turn", a share of the flight; see docs/measures.md


@dataclass(frozen=True, slots=True)
class Performance:
    """What is known about the jump in one clip of F frames.

    Left and right are those of the learner. If the skater of this clip turns in the other
    direction, the skater was mirrored before anything was measured.

    Attributes:
        clip: the clip.
        mirrored: whether the skater was mirrored.
        events: {event: frame and uncertainty}, in the order of time.
        phases: {phase: first frame and end (exclusive)}.
        curves: {measure: its values in the F frames}.
        values: {(measure, event or phase): value}, where the measure is offered.
        quantities: {name in QUANTITIES: value and uncertainty}, those that are known.
    """

    clip: Clip
    mirrored: bool
    events: dict[str, Event]
    phases: dict[str, tuple[int, int]]
    curves: dict[str, Curve]
    values: dict[tuple[str, str], Value]
    quantities: dict[str, Quantity]

    @property
    def contradicts_gravity(self) -> bool:
        """Whether the height from the air time and the rise of the hips exclude each other.

        They differ by more than CONTRADICTS standard deviations. To the variance of a marked event,
        that of marks between people is added, MARK_S squared.
        """
        if not {"height", "rise"} <= self.quantities.keys():
            return False
        air_time, height, rise = (self.quantities[name] for name in ("flight", "height", "rise"))
        marks_s = [
            mark_s
            for name, mark_s in zip(FLIGHT, MARK_S, strict=True)
            if self.events[name].source == "marked"
        ]
        by_marks = GRAVITY * air_time.value / 4 * math.hypot(*marks_s)
        sure = math.hypot(height.uncertainty, rise.uncertainty, by_marks)
        return abs(height.value - rise.value) > CONTRADICTS * sure


def perform(
    clip: Clip, events: Mapping[str, Event], threshold: float, mirrored: bool = False
) -> Performance:
    """Measure the jump in a clip.

    While a wrist is hidden, the arms may close unseen. So half of the time in the flight in which
    one is hidden is added to the uncertainty of the time until they are closed, as a variance.

    Args:
        clip: F frames.
        events: of the clip, see `tcc.report.events`.
        threshold: joints of a lower confidence are interpolated, and not valid.
        mirrored: whether to mirror the skater first.
    """
    keypoints = flip(clip.keypoints) if mirrored else clip.keypoints
    times_s = clip.times_s
    points = fill_joints(keypoints, threshold)
    found = curves(keypoints, times_s, threshold)
    values = {
        (name, place): value
        for name, measure in MEASURES.items()
        for place, value in at_places(found[name], measure, events, times_s).items()
    }
    spans = tempo(events, times_s)
    closing = arms_closing(found, events, times_s)
    if closing:
        flight = slice(events["takeoff"].frame, events["landing"].frame)
        hidden = (keypoints[flight, WRISTS, 2] < threshold).any(axis=1).mean()
        hidden_s = float(hidden) * spans["flight"].value
        closing = Quantity(closing.value, float(np.hypot(closing.uncertainty, hidden_s / 2)))
    turn = fastest_turn(points, events, times_s)
    quantities = {
        "push": spans.get("push"),
        "flight": spans.get("flight"),
        "height": height_from_air_time(spans["flight"]) if "flight" in spans else None,
        "rise": rise_of_hips(events, points, times_s),
        "arms_closing": closing,
        "fastest_turn": None if turn is None else Quantity(turn, TURN_ERROR),
    }
    return Performance(
        clip,
        mirrored,
        dict(events),
        phases(events, times_s),
        found,
        values,
        {name: quantity for name, quantity in quantities.items() if quantity is not None},
    )
