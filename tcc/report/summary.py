"""The content of a report's summary.json. docs/summary.schema.json is its JSON schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from tcc.confidence import State, certainty
from tcc.report.comparison import Comparison
from tcc.report.events import EVENTS, PHASES, Event, Quantity, Source
from tcc.report.instructions import MOST, Advice, Instruction, Spread
from tcc.report.measures import MEASURES, Value
from tcc.report.performance import QUANTITIES, Performance

T = TypeVar("T")
Frame = Annotated[int, Meta(ge=0, description="number of a frame in the whole video, from 0")]
Seconds = Annotated[float, Meta(description="seconds")]


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event of one clip. The uncertainty is a standard deviation."""

    frame: Frame
    time_s: Seconds
    uncertainty_s: Seconds
    source: Source


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A phase of one clip; the end is exclusive."""

    start_frame: Frame
    end_frame: Frame
    duration_s: Seconds


class Both(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """An event or a phase of both clips; null where it is not known."""

    learner: T | None
    standard: T | None


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of one clip.

    `uncertainty` is the standard deviation of a quantity, and `valid_share` the share of the frames
    in which a measure is valid; the other one of the two is null.
    """

    value: float
    uncertainty: float | None
    valid_share: float | None


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The good executions: `clips` of them; 1 if it is the standard with a stated tolerance."""

    centre: float
    deviation: float
    clips: int


class Compared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measure at an event or in a phase, or a quantity of the whole jump (`at` is null)."""

    measure: str
    at: str | None
    unit: str
    zero: Annotated[str, Meta(description="what 0 means")]
    learner: Number | None
    standard: Number | None
    usual: Usual | None


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All numbers of a report. Left and right are those of the learner."""

    schema_version: int
    inputs: Annotated[
        dict[str, Any], Meta(description="what the report was made from: hashes and settings")
    ]
    video_name: Annotated[str, Meta(description="the learner's clip")]
    standard_name: str
    motion_type: str
    state: State
    confidence: Annotated[float, Meta(ge=0, le=1)]
    mirrored: Annotated[bool, Meta(description="whether the standard was mirrored")]
    warnings: list[str]
    start_frame: Frame
    end_frame: Annotated[int, Meta(description="first frame after the motion")]
    standard_start_frame: Frame
    standard_end_frame: int
    events: dict[str, Both[Moment]]
    phases: dict[str, Both[Span]]
    numbers: list[Compared]
    instructions: Annotated[
        list[Instruction], Meta(max_length=MOST, description="frames are those of the whole video")
    ]
    silence: Annotated[list[str], Meta(description="about what nothing is said, and why")]


def summarise(
    comparison: Comparison,
    advice: Advice,
    spread: Spread,
    inputs: Mapping[str, Any],
    motion: str,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the content of summary.json, without its schema version."""
    learner, standard = comparison.learner, comparison.standard
    first, last = comparison.rows[comparison.matched][[0, -1]].tolist()
    start, end = learner.clip.first_frame, standard.clip.first_frame
    return {
        "inputs": dict(inputs),
        "video_name": learner.clip.name,
        "standard_name": standard.clip.name,
        "motion_type": motion,
        "state": certainty(comparison.confidence),
        "confidence": comparison.confidence,
        "mirrored": standard.mirrored,
        "warnings": list(warnings),
        "start_frame": start + first[0],
        "end_frame": start + last[0] + 1,
        "standard_start_frame": end + first[1],
        "standard_end_frame": end + last[1] + 1,
        "events": {
            name: Both(_moment(learner, name), _moment(standard, name))
            for name in EVENTS
            if name in learner.events or name in standard.events
        },
        "phases": {
            name: Both(_span(learner, name), _span(standard, name))
            for name in PHASES
            if name in learner.phases or name in standard.phases
        },
        "numbers": compare_numbers(learner, standard, spread),
        "instructions": [
            replace(item, frame=start + item.frame)
            for item in advice.instructions
        ],
        "silence": advice.silence,
    }  # fmt: skip


def compare_numbers(learner: Performance, standard: Performance, spread: Spread) -> list[Compared]:
    """Return all quantities and measures that one of the two clips has."""
    found = []
    for name, kind in QUANTITIES.items():
        mine, other = (_number(clip.quantities.get(name)) for clip in (learner, standard))
        if mine or other:
            usual = _usual(spread, name, "")
            found.append(Compared(name, None, kind.unit, kind.zero, mine, other, usual))
    for name, measure in MEASURES.items():
        for at in measure.places:
            mine, other = (_number(clip.values.get((name, at))) for clip in (learner, standard))
            if mine or other:
                usual = _usual(spread, name, at)
                found.append(Compared(name, at, measure.unit, measure.zero, mine, other, usual))
    return found


def _moment(performance: Performance, name: str) -> Moment | None:
    event: Event | None = performance.events.get(name)
    if event is None:
        return None
    clip = performance.clip
    return Moment(
        clip.first_frame + event.frame, event.at_s(clip.times_s), event.uncertainty_s,
        event.source,
    )  # fmt: skip


def _span(performance: Performance, name: str) -> Span | None:
    if name not in performance.phases:
        return None
    clip, (start, end) = performance.clip, performance.phases[name]
    last_s = clip.times_s[min(end, clip.num_frames - 1)]
    return Span(
        clip.first_frame + start, clip.first_frame + end, float(last_s - clip.times_s[start])
    )


def _number(found: Quantity | Value | None) -> Number | None:
    if isinstance(found, Quantity):
        return Number(found.value, found.uncertainty, None)
    if found is None or math.isnan(found.value):
        return None
    return Number(found.value, None, found.valid_share)


def _usual(spread: Spread, name: str, at: str) -> Usual | None:
    return Usual(*spread.of[name, at]) if (name, at) in spread.of else None
