"""At most three instructions for the learner, and what can't be said.

A rule of rules.toml compares one measure of the learner with its centre over good executions: the
clips at hand, or the standard alone. It has something to say if the difference is large for good
executions and for the error of the measure. See docs/instructions.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tcc.clips import MIN_CONFIDENCE
from tcc.dtw import CONFIDENT, certainty
from tcc.features import ANKLES, HIPS, fill_joints, flip, torso_length
from tcc.files import UserError
from tcc.report.events import PHASES, TEMPO
from tcc.report.measures import AT_S, MEASURES
from tcc.report.performance import QUANTITIES, WRISTS, Performance

RULES = Path(__file__).with_name("rules.toml")
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
NOISE_S = 0.3  # the noise of a measure is that of the frames at most this long from the event


class Error(NamedTuple):
    """Standard deviations of the error of a measure at an event or in a phase.

    `base` is that of an exact detector and a camera at the side. `noise` is multiplied by the
    median distance of the raw from the filtered curve. `view` is multiplied by the difference of
    the squared cosines of the azimuths of two cameras.
    """

    base: float
    noise: float
    view: float


# Fitted to skaters A and B of FS-Jump3D by benchmarks/instructions.py, see docs/instructions.md.
# At events, the knee is that of the leg that carries the weight.
ERRORS = {
    ("knee", "entry"): Error(18, 2.4, 63),
    ("knee", "takeoff"): Error(6.2, 1.2, 11),
    ("knee", "flight"): Error(4.7, 0.71, 21),
    ("knee", "landing"): Error(7.8, 1.5, 16),
    ("trunk_tilt", "entry"): Error(9.7, 3.3, 26),
    ("trunk_tilt", "takeoff"): Error(5.9, 1.3, 12),
    ("trunk_tilt", "landing"): Error(4.3, 1.4, 12),
    ("trunk_tilt", "exit"): Error(8.1, 2.8, 19),
    ("axis_tilt", "entry"): Error(7.3, 5.8, 53),
    ("axis_tilt", "takeoff"): Error(5.8, 0, 0),
    ("axis_tilt", "flight"): Error(4.8, 0.99, 0),
    ("axis_tilt", "landing"): Error(4.3, 1.9, 14),
    ("ankle_gap", "entry"): Error(0.24, 2.8, 1.6),
    ("ankle_gap", "flight"): Error(0.086, 0.96, 0),
    ("ankle_gap", "landing"): Error(0.11, 1.4, 0.24),
    ("free_leg_height", "entry"): Error(0.21, 1.3, 0.2),
    ("free_leg_height", "landing"): Error(0.084, 1.5, 0.17),
    ("free_leg_height", "exit"): Error(0.18, 1.8, 0.084),
}
EDGE_ON = 45.0  # degrees around the front and the back
SIDES = ("left", "right")
# Of each quantity: the joints that show it, and the events that it needs.
SHOWN: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "push": (tuple(HIPS), ("entry", "takeoff")),
    "flight": (tuple(HIPS), ("takeoff", "landing")),
    "height": (tuple(HIPS), ("takeoff", "landing")),
    "rise": (tuple(HIPS), ("takeoff", "landing")),
    "arms_closing": (tuple(WRISTS), ("takeoff", "landing")),
    "fastest_turn": (tuple(HIPS), ("takeoff", "landing")),
}
Key = tuple[str, str]  # measure and its event or phase, or quantity and ""
T = TypeVar("T")
Positive = Annotated[float, msgspec.Meta(gt=0)]
Words = Annotated[str, msgspec.Meta(min_length=1)]


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rule says about a value that is too low or too high."""

    title: Words
    cause: Words
    advice: Words


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of rules.toml.

    Attributes:
        name: of the rule.
        topic: of the rules with the same topic, only the most important one speaks.
        measure: of MEASURES, where "knee" stands for "left_knee" and "right_knee", or of
            QUANTITIES.
        at: event or phase of a measure; empty for a quantity.
        leg: "carrying": only the leg that carries the weight at the event is compared.
        part: the part of the body.
        when: the event or phase in words.
        tolerance: usual difference between two good executions, in the unit of the measure.
        source: of the tolerance.
        low: text for a value that is too low.
        high: text for a value that is too high.
        sides: the words for left and right.
    """

    name: Words
    topic: Words
    measure: Words
    at: str = ""
    leg: Literal["carrying", "both"] = "both"
    part: Words
    when: Words
    tolerance: Positive
    source: Words
    low: Text
    high: Text
    sides: tuple[str, str] = SIDES

    def keys(self) -> dict[str, Key]:
        """Return {word for the side: what is compared}; the word is empty without a side."""
        if self.measure in MEASURES or self.measure in QUANTITIES:
            return {"": (self.measure, self.at)}
        return {
            word: (f"{side}_{self.measure}", self.at)
            for side, word in zip(SIDES, self.sides, strict=True)
        }


class _Sides(msgspec.Struct, forbid_unknown_fields=True):
    left: Words
    right: Words


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


def read_rules(path: Path = RULES) -> list[Rule]:
    """Read the rules.

    Raises:
        UserError: the file can't be read, or a rule is wrong.
    """
    try:
        content = msgspec.toml.decode(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; restore the file") from None
    except ValueError as error:
        raise UserError(f"{path}: not a TOML file in UTF-8 ({error}); correct it") from None
    sides = _convert(
        content.get("sides", {"left": "left", "right": "right"}), _Sides, path, "sides"
    )
    tables = content.get("rules")
    if not isinstance(tables, list) or not tables or content.keys() - {"sides", "rules"}:
        raise UserError(f"{path}: expected [sides] and at least one [[rules]], and nothing else")
    rules: list[Rule] = []
    for number, table in enumerate(tables, 1):
        where = f"rule {number}"
        if isinstance(table, dict):
            where += f" ({table.get('name', 'no name')})"
            table = {**table, "sides": (sides.left, sides.right)}
        rule = _convert(table, Rule, path, where)
        _check(rule, f"{path}, {where}")
        if rule.name in {other.name for other in rules}:
            raise UserError(f"{path}, {where}: name: two rules have it; rename one")
        rules.append(rule)
    return rules


def _convert(table: object, kind: type[T], path: Path, where: str) -> T:
    """Return a table of the file as `kind`; a UserError names what is wrong in it."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path}, {where}: {error}; docs/instructions.md explains the keys"
        ) from None


def _check(rule: Rule, where: str) -> None:
    """Raise a UserError if the measure of a rule is not offered where the rule asks for it."""
    if rule.measure in QUANTITIES:
        if rule.at:
            raise UserError(f"{where}: at: {rule.measure} is one number of a jump; leave out at")
        return
    measure = MEASURES.get(next(iter(rule.keys().values()))[0])
    offered = dict.fromkeys(name for name, _ in ERRORS)
    if measure is None or rule.measure not in offered:
        raise UserError(
            f"{where}: measure: {rule.measure} is not offered; choose from "
            f"{', '.join([*offered, *QUANTITIES])}"
        )
    if (rule.measure, rule.at) not in ERRORS:
        raise UserError(
            f"{where}: at: {rule.measure} is not offered at {rule.at or 'no event'}; choose from "
            f"{', '.join(measure.places)}"
        )


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
        found = np.array([_number(performance, key) for performance in performances])
        found = found[np.isfinite(found)]
        if len(found) >= MIN_CLIPS:
            centre = float(np.median(found))
            apart = float(np.median(np.abs(found - centre)))
            of[key] = (centre, TO_DEVIATION * apart, len(found))
        elif np.isfinite(value := _number(standard, key)):
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
    tolerance if only the standard is known; e is the error, see `_error`; w is the weight, the
    share of valid frames, see `_weight`, times the confidence of the match over CONFIDENT, at most
    1. If c is that of many clips, the difference from the standard counts where it is smaller: who
    does as the standard does is told nothing. A rule speaks if its score is at least NOTICED. Of
    one topic, the rule with the largest score speaks, if no other rule of the topic says the
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
    for rule in rules:
        keys = rule.keys()
        if rule.leg == "carrying" and rule.at in learner.events and rule.at in standard.events:
            side = rule.sides[_carrying(rule.at, learner, standard)]
            keys = {side: keys[side]}
        for side, key in keys.items():
            if reason := _reason(rule, key, learner, standard, spread):
                silent[reason].append(f"{rule.part.format(side=side)} {rule.when}")
            else:
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
        silence.insert(0, "Nothing that can be measured is clearly different from what is usual.")
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
    value, shown = _number(learner, key), _number(standard, key)
    low, high = sorted((centre, shown)) if np.isfinite(shown) else (centre, centre)
    difference = value - float(np.clip(value, low, high))
    error = _error(key, compared)
    weight = min(1.0, confidence / CONFIDENT)
    weight *= min(_weight(key, performance) for performance in compared)
    score = weight * abs(difference) / max(float(np.hypot(usual, error)), 1e-9)
    return _Finding(rule, key, side, difference, error, usual, score)


def _error(key: Key, compared: Sequence[Performance]) -> float:
    """Return the standard deviation of the error of a learner's value, or of a difference.

    A quantity carries its own. The variance of a measure is the sum of: base^2 of each clip;
    (noise r)^2 of each, where r is the median distance of the raw from the filtered curve; the
    variance of the filtered curve within one standard deviation of the event, of each; and
    (view (p - q))^2, where p and q are the squared cosines of the azimuths of both cameras. q is 0,
    a camera at the side, if the learner is compared with many clips.

    Args:
        key: what is compared.
        compared: the learner, and the standard if there are no other good executions.
    """
    name, at = key
    if name in QUANTITIES:
        parts = [performance.quantities[name].uncertainty for performance in compared]
        return float(np.linalg.norm(parts))
    error = ERRORS[_without_side(name), at]
    parts, views = [], []
    for performance in compared:
        curve = performance.curves[name]
        noise = np.abs(curve.raw - curve.filtered)[near_frames(performance, at, NOISE_S)]
        parts += [error.base, error.noise * float(np.median(noise))]
        if at in performance.events:
            late_s = performance.events[at].uncertainty_s
            parts.append(float(curve.filtered[near_frames(performance, at, late_s)].std()))
        sides, angle = MEASURES[name].places[at], curve.azimuth[near_frames(performance, at, AT_S)]
        angle = angle[(sides.low <= angle) & (angle <= sides.high)]
        views.append(float(np.mean(np.cos(np.radians(angle)) ** 2)))
    return float(np.linalg.norm([*parts, error.view * (views[0] - sum(views[1:]))]))


def near_frames(performance: Performance, at: str, within_s: float) -> NDArray[np.bool_]:
    """Return (F,) which frames are in a phase, or at most `within_s` from an event."""
    times_s = performance.clip.times_s
    if at not in PHASES:
        near: NDArray[np.bool_] = (
            np.abs(times_s - times_s[performance.events[at].frame]) <= within_s + 1e-9
        )
        return near
    start, end = performance.phases[at]
    near = np.zeros(len(times_s), bool)
    near[start:end] = True
    return near


def _without_side(name: str) -> str:
    side, _, part = name.partition("_")
    return part if side in SIDES else name


def _weight(key: Key, performance: Performance) -> float:
    """Return in [0, 1] how much a value counts: the share of the valid frames.

    In a phase, a skater who turns is seen from the sides of the measure for a part of the frames
    only. So all of the frames from these sides are the whole.
    """
    name, at = key
    if name in QUANTITIES:
        return 1.0
    share = performance.values[key].valid_share
    if at in PHASES:
        sides = MEASURES[name].places[at]
        share = min(1.0, share / ((sides.high - sides.low) / 180))
    return share


def _number(performance: Performance, key: Key) -> float:
    """Return a value or a quantity, NaN if it is not known."""
    known = performance.values.get(key) or performance.quantities.get(key[0])
    return known.value if known else float("nan")


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
            word = "take-off" if event == "takeoff" else event
            if event not in performance.events:
                return f"the {word} is not known in {clip}"
            sure_s = performance.events[event].uncertainty_s
            if event in TEMPO["flight"] and sure_s > MAX_EVENT_S:
                return f"the {word} is only known to {sure_s:.2f} s in {clip}"
        if not np.isfinite(_number(performance, key)):
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
    frame = _frame(key, learner)
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
        _told(key, _number(learner, key)),
        _told(key, _number(standard, key)) if np.isfinite(_number(standard, key)) else "not seen",
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
