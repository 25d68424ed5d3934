"""At most three instructions for the learner, and what can't be said.

A rule of rules.toml compares one measure of the learner with its centre over good executions: the
clips at hand, or the standard alone. It has something to say if the difference is large for good
executions and for the error of the measure. See docs/instructions.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tcc.clips import MIN_CONFIDENCE
from tcc.confidence import CONFIDENT, certainty
from tcc.features import ANKLES, HIPS, fill_joints, flip, torso_length
from tcc.report.accuracy import Key, error_of, near_frames, number_of, weight_of
from tcc.report.events import PHASES, TEMPO, event_word
from tcc.report.measures import AT_S, MEASURES
from tcc.report.performance import QUANTITIES, WRISTS, Performance
from tcc.report.rules import Rule

MOST = 3  # instructions
MIN_CLIPS = 8  # the standard deviation of 8 values is known to 27 %: 1 / sqrt(2 (8 - 1))
# With many clips, so many of their deviations count as one tolerance. Chosen on synthetic skaters:
# 1, 2 and 2.5 were tried, and 0, 0.3 and 0.5 as the least share of the tolerance.
OUTSIDE = 2.5
NOTICED = 1.2  # smallest score of an instruction; see docs/instructions.md
CERTAIN = 1.5  # an instruction with this many times NOTICED is called certain
# Nothing is said about take-off, landing and flight if their standard deviation is larger. Entry
# and exit may be uncertain: the knee is bent for long there, so the value hardly changes.
MAX_EVENT_S = 0.15
TO_DEVIATION = 1.4826  # standard deviation of a normal distribution, over its median distance


EDGE_ON = 45.0  # degrees around the front and the back
# Of each quantity: the joints that show it, and the events that it needs.
SHOWN: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "push": (tuple(HIPS), ("entry", "takeoff")),
    "flight": (tuple(HIPS), ("takeoff", "landing")),
    "height": (tuple(HIPS), ("takeoff", "landing")),
    "rise": (tuple(HIPS), ("takeoff", "landing")),
    "arms_closing": (tuple(WRISTS), ("takeoff", "landing")),
    "fastest_turn": (tuple(HIPS), ("takeoff", "landing")),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Of good executions: {what is compared: (centre, standard deviation, number of clips)}.

    The number is 1 where only the standard is used. The deviation is then the usual difference
    between two skaters.
    """

    of: dict[Key, tuple[float, float, int]]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One thing to change.

    Attributes:
        rule: name of the rule.
        title: what is wrong.
        when: event or phase, frame of the learner's folder, and time.
        part: of the body. Left and right are the learner's own.
        frame: of the learner's F frames.
        joints: indices of the joints to show.
        learner: value and unit.
        standard: value and unit.
        usual: the values of two in three good executions; None if only the standard is known.
        cause: the likely cause.
        advice: what to try.
        sure: how sure this is.
        score: how far the value is outside; the larger, the more important.
        measure: name in MEASURES or QUANTITIES.
    """

    rule: str
    title: str
    when: str
    part: str
    frame: int
    joints: tuple[int, ...]
    learner: str
    standard: str
    usual: str | None
    cause: str
    advice: str
    sure: str
    score: float
    measure: str


@dataclass(frozen=True, slots=True)
class Advice:
    """At most MOST `instructions`, the most important first, and the reasons for `silence`."""

    instructions: list[Instruction]
    silence: list[str]


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a rule finds: the text, and the numbers behind it."""

    rule: Rule
    key: Key
    side: str
    difference: float
    error: float
    deviation: float
    score: float


def spread(performances: Sequence[Performance], standard: Performance) -> Spread:
    """Return what is usual in good executions.

    With at least MIN_CLIPS values, the centre is their median, and the deviation is 1.4826 times
    their median distance from it, which is the standard deviation of a normal distribution. Else
    the centre is the standard, and the deviation is the usual difference between two skaters.

    Args:
        performances: good executions, mirrored to the learner's direction of turn.
        standard: mirrored in the same way.
    """
    tolerances = {
        (name, place): sides.tolerance
        for name, measure in MEASURES.items()
        for place, sides in measure.places.items()
    } | {(name, ""): kind.tolerance for name, kind in QUANTITIES.items()}
    of = {}
    for key, tolerance in tolerances.items():
        found = np.array([number_of(performance, key) for performance in performances])
        found = found[np.isfinite(found)]
        if len(found) >= MIN_CLIPS:
            centre = float(np.median(found))
            apart = float(np.median(np.abs(found - centre)))
            of[key] = (centre, TO_DEVIATION * apart, len(found))
        elif np.isfinite(value := number_of(standard, key)):
            of[key] = (value, tolerance, 1)
    return Spread(of)


def advise(
    learner: Performance,
    standard: Performance,
    spread: Spread,
    rules: Sequence[Rule],
    confidence: float,
) -> Advice:
    """Return the instructions for a learner, and why nothing is said about the rest.

    The score of a rule is w |x - c| / sqrt(d^2 + e^2). x is the learner's value; c is the centre of
    good executions; d is OUTSIDE times their deviation, at least half of the tolerance, or the
    tolerance if only the standard is known; e is the error, see `error_of`; w is the weight, the
    share of valid frames, see `weight_of`, times the confidence of the match over CONFIDENT, at
    most 1. If c is that of many clips, the difference from the standard counts where it is smaller:
    who does as the standard does is told nothing. A rule speaks if its score is at least NOTICED.
    Of one topic, the rule with the largest score speaks, if no other rule of the topic says the
    opposite.

    Args:
        learner: left and right in the texts are those of this skater.
        standard: mirrored if it turns in the other direction.
        spread: from `spread`.
        rules: from `read_rules`.
        confidence: of the match, see `tcc.dtw.confidence`.
    """
    if certainty(confidence) == "not found":
        clips = f"{learner.clip.name} is like {standard.clip.name}"
        return Advice([], [f"Nothing is said: nothing in {clips} (confidence {confidence:.2f})."])
    topics: dict[str, list[_Finding]] = defaultdict(list)
    silent: dict[str, list[str]] = defaultdict(list)
    is_compared = False
    for rule in rules:
        keys = rule.keys()
        if rule.leg == "carrying" and rule.at in learner.events and rule.at in standard.events:
            side = rule.sides[_carrying(rule.at, learner, standard)]
            keys = {side: keys[side]}
        for side, key in keys.items():
            if reason := _reason(rule, key, learner, standard, spread):
                silent[reason].append(f"{rule.part.format(side=side)} {rule.when}")
            else:
                is_compared = True
                finding = _compare(rule, key, side, learner, standard, spread, confidence)
                if finding.score >= NOTICED:
                    topics[rule.topic].append(finding)
    chosen = []
    for found in topics.values():
        best = max(found, key=lambda finding: finding.score)
        if any(_opposite(best, other) for other in found):
            silent["its measures contradict each other"].append(
                f"{best.rule.part} {best.rule.when}"
            )
        else:
            chosen.append(best)
    chosen.sort(key=lambda finding: -finding.score)
    silence = [f"Nothing is said about the {_listed(parts)}: {reason}."
               for reason, parts in silent.items()]  # fmt: skip
    if not chosen:
        silence.insert(
            0,
            "Nothing that can be measured is clearly different from what is usual."
            if is_compared
            else "Nothing could be compared.",
        )
    instructions = [_word(finding, learner, standard, spread) for finding in chosen[:MOST]]
    return Advice(instructions, silence)


def _carrying(at: str, learner: Performance, standard: Performance) -> int:
    """Return 0 if the left leg carries the weight at an event, 1 for the right leg.

    It is the leg with the lower ankle in the picture, averaged over both clips.
    """
    lower = 0.0
    for performance in (learner, standard):
        clip = performance.clip
        keypoints = flip(clip.keypoints) if performance.mirrored else clip.keypoints
        points = fill_joints(keypoints, MIN_CONFIDENCE)
        below = (points[:, ANKLES[0], 1] - points[:, ANKLES[1], 1]) / torso_length(points, clip.fps)
        lower += float(np.median(below[near_frames(performance, at, AT_S)]))
    return int(lower < 0)


def _compare(
    rule: Rule,
    key: Key,
    side: str,
    learner: Performance,
    standard: Performance,
    spread: Spread,
    confidence: float,
) -> _Finding:
    """Return how far the learner is outside of what is usual; see `advise`."""
    centre, deviation, count = spread.of[key]
    usual = rule.tolerance if count == 1 else max(OUTSIDE * deviation, rule.tolerance / 2)
    compared = [learner, standard] if count == 1 else [learner]
    value, shown = number_of(learner, key), number_of(standard, key)
    low, high = sorted((centre, shown)) if np.isfinite(shown) else (centre, centre)
    difference = value - float(np.clip(value, low, high))
    error = error_of(key, compared)
    weight = min(1.0, confidence / CONFIDENT)
    weight *= min(weight_of(key, performance) for performance in compared)
    score = weight * abs(difference) / max(float(np.hypot(usual, error)), 1e-9)
    return _Finding(rule, key, side, difference, error, usual, score)


def _opposite(first: _Finding, second: _Finding) -> bool:
    """Return whether two rules of a topic contradict each other about the same part and moment."""
    same = first.rule.part == second.rule.part and first.rule.when == second.rule.when
    return same and first.side == second.side and first.difference * second.difference < 0


def _reason(
    rule: Rule, key: Key, learner: Performance, standard: Performance, spread: Spread
) -> str:
    """Return why a rule can't say anything, empty if it can."""
    name, at = key
    compared = [learner, standard] if spread.of.get(key, (0, 0, 1))[2] == 1 else [learner]
    for performance in compared:
        clip = performance.clip.name
        needed = SHOWN[name][1] if name in QUANTITIES else PHASES.get(at, (at,))
        for event in map(str, needed):
            word = event_word(event)
            if event not in performance.events:
                return f"the {word} is not known in {clip}"
            sure_s = performance.events[event].uncertainty_s
            if event in TEMPO["flight"] and sure_s > MAX_EVENT_S:
                return f"the {word} is only known to {sure_s:.2f} s in {clip}"
        if not np.isfinite(number_of(performance, key)):
            return (
                f"it can't be measured in {clip}"
                if name in QUANTITIES
                else _unseen(name, at, performance)
            )
    return ""


def _unseen(name: str, at: str, performance: Performance) -> str:
    """Return why a measure has no valid frame at an event or in a phase."""
    sides, clip = MEASURES[name].places[at], performance.clip
    azimuth = performance.curves[name].azimuth
    angle = float(np.median(azimuth[near_frames(performance, at, AT_S)]))
    if sides.low <= angle <= sides.high:
        return f"the detector is not sure of the joints in {clip.name}"
    if angle < EDGE_ON:
        return f"{clip.name} shows the skater from the front"
    if angle > 180 - EDGE_ON:
        return f"{clip.name} shows the skater from behind"
    return f"{clip.name} does not show the skater from the side"


def _listed(parts: Sequence[str]) -> str:
    """Return parts as a list in words, each once."""
    *first, last = dict.fromkeys(parts)
    return f"{', '.join(first)} and {last}" if first else last


def _word(
    finding: _Finding, learner: Performance, standard: Performance, spread: Spread
) -> Instruction:
    """Return a finding in words."""
    rule, key, side = finding.rule, finding.key, finding.side
    centre, deviation, count = spread.of[key]
    text = rule.high if finding.difference > 0 else rule.low
    frame, shown = _frame(key, learner), number_of(standard, key)
    clip = learner.clip
    at_s = clip.times_s[frame]
    usual = (
        f"{_told(key, centre - deviation, False)} to {_told(key, centre + deviation)} in two of "
        f"three of {count} clips"
        if count > 1
        else None
    )
    certain = "certain" if finding.score >= CERTAIN * NOTICED else "likely"
    sure = (
        f"{certain}: the difference is {_told(key, abs(finding.difference))}, "
        f"{_told(key, finding.deviation, False)} would be usual, and the measurement is uncertain "
        f"by {_told(key, finding.error)}"
    )
    joints = SHOWN[key[0]][0] if key[0] in QUANTITIES else MEASURES[key[0]].joints
    return Instruction(
        rule.name,
        text.title.format(side=side),
        f"{rule.when}, frame {clip.first_frame + frame}, {at_s:.2f} s",
        rule.part.format(side=side),
        frame,
        joints,
        _told(key, number_of(learner, key)),
        _told(key, shown) if np.isfinite(shown) else "not seen",
        usual,
        text.cause.format(side=side),
        text.advice.format(side=side),
        sure,
        finding.score,
        key[0],
    )


def _told(key: Key, value: float, unit: bool = True) -> str:
    """Return a value and its unit as people write them; metres as cm."""
    name = key[0]
    kind = QUANTITIES[name].unit if name in QUANTITIES else MEASURES[name].unit
    if kind == "m":
        value, kind = 100 * value, "cm"
    digits = {"degrees": 0, "cm": 0}.get(kind, 2)
    text = f"{round(value, digits) + 0.0:.{digits}f}"
    kind = "degree" if (text, kind) == ("1", "degrees") else kind
    return f"{text} {kind}" if unit and kind else text


def _frame(key: Key, performance: Performance) -> int:
    """Return the frame that shows a value best.

    It is the event of a measure, the valid frame of a phase whose value is nearest to the median,
    the end of the closing of the arms, or the peak of the flight.
    """
    name, at = key
    times_s, events = performance.clip.times_s, performance.events
    if name == "arms_closing":
        at_s = times_s[events["takeoff"].frame] + performance.quantities[name].value
        return int(np.abs(times_s - at_s).argmin())
    if name in QUANTITIES:
        return events["peak" if "peak" in events else "takeoff"].frame
    if at not in PHASES:
        return events[at].frame
    curve, (start, end) = performance.curves[name], performance.phases[at]
    apart = np.abs(curve.filtered[start:end] - performance.values[key].value)
    return start + int(np.where(curve.valid[start:end], apart, np.inf).argmin())
