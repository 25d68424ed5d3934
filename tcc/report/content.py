"""What the page shows, collected from the comparison of two clips."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.confidence import certainty
from tcc.dtw import WarpingPath, map_frames
from tcc.report.comparison import Comparison
from tcc.report.events import EVENTS, PHASES, event_word
from tcc.report.instructions import Advice, Spread
from tcc.report.measures import MEASURES, Measure
from tcc.report.performance import QUANTITIES, Performance
from tcc.report.summary import Compared, Number, compare_numbers

Array = NDArray[np.floating[Any]]

LIMITS = (
    "Edges, toe picks, the number of turns and under-rotation can't be seen in 17 joints.",
    "Angles are those in the picture. Compare them only if both cameras film from a similar side.",
)
MIN_BAND = 5  # clips that must have a value for a band to be drawn
BAND = (10, 90)  # percentiles of the good executions
WORDS = {
    "knee": "knee", "hip": "hip", "elbow": "elbow",
    "wrist": "wrist, distance from the trunk", "trunk_tilt": "tilt of the trunk",
    "axis_tilt": "tilt of the body, from ankles to shoulders",
    "ankle_gap": "distance of the ankles", "free_leg_height": "height of the free leg",
}  # fmt: skip


def word(name: str) -> str:
    """Return the name of an event, a phase or a measure as people write it."""
    side, _, part = name.partition("_")
    if side in ("left", "right"):
        return f"{side} {WORDS[part]}"
    return WORDS.get(name, event_word(name))


def page_data(
    comparison: Comparison,
    advice: Advice,
    spread: Spread,
    bands: Mapping[str, tuple[Array, Array]],
    motion: str,
    doubts: Sequence[str],
    keypoints: Mapping[str, NDArray[np.float32]],
    size_px: tuple[int, int],
    threshold: float,
) -> dict[str, Any]:
    """Return what `tcc.report.page.write_page` takes.

    Args:
        comparison: of R rows.
        advice: from `tcc.report.instructions.advise`.
        spread: of the good executions.
        bands: from `measure_bands`.
        motion: name of the motion.
        doubts: what to say at the top of the page.
        keypoints: of the pictures of "learner" and "standard", (n, 17, 3) px.
        size_px: width and height of the pictures.
        threshold: joints of a lower confidence are not drawn.
    """
    learner, standard = comparison.learner, comparison.standard
    rows = comparison.rows - comparison.rows.min(axis=0)
    return {
        "title": f"{motion}: {learner.clip.name} beside {standard.clip.name}",
        "motion": motion,
        "trust": {
            "state": certainty(comparison.confidence),
            "text": f"confidence {comparison.confidence:.2f}",
            "warnings": list(doubts),
        },
        "clips": {
            role: _describe_clip(performance, shown, keypoints[role], size_px, threshold)
            for role, performance, shown in (
                ("learner", learner, comparison.rows[:, 0]),
                ("standard", standard, comparison.rows[:, 1]),
            )
        },
        "rows": np.column_stack([rows, comparison.matched]).tolist(),
        "events": [
            {
                "name": name,
                "label": word(name),
                "row": comparison.row(event.frame) if (event := learner.events.get(name)) else None,
                "learner": _describe_event(learner, name),
                "standard": _describe_event(standard, name),
            }
            for name in EVENTS
            if name in learner.events or name in standard.events
        ],
        "phases": [
            {"name": name, "label": word(name), "rows": span}
            for name in PHASES
            if (span := _shown_rows(comparison, name))
        ],
        "curves": [
            _describe_curve(comparison, name, measure, bands.get(name))
            for name, measure in MEASURES.items()
        ],
        "numbers": [_describe_number(item) for item in compare_numbers(learner, standard, spread)],
        "instructions": [
            {
                "title": item.title, "when": item.when, "part": item.part, "learner": item.learner,
                "standard": item.standard, "usual": item.usual, "cause": item.cause,
                "advice": item.advice, "sure": item.sure, "row": comparison.row(item.frame),
                "joints": list(item.joints),
                "curve": item.measure if item.measure in MEASURES else None,
            }
            for item in advice.instructions
        ],
        "silence": advice.silence,
        "limits": LIMITS,
    }  # fmt: skip


def measure_bands(
    good: Sequence[tuple[Performance, WarpingPath]], num_frames: int
) -> dict[str, tuple[Array, Array]]:
    """Return between which values most good executions are, in each frame of the standard.

    Args:
        good: executions, each with its path: pairs of a standard's frame and one of its own.
        num_frames: N, of the standard.

    Returns:
        {measure: (N,) low, (N,) high}: the percentiles BAND, NaN where fewer than MIN_BAND
        executions have a valid value.
    """
    bands = {}
    places = [map_frames(path, num_frames) for _, path in good]
    for name in MEASURES:
        values = np.full((len(good), num_frames), np.nan)
        for row, (performance, _), place in zip(values, good, places, strict=True):
            inside = np.isfinite(place)
            frames = np.rint(place[inside]).astype(int)
            curve = performance.curves[name]
            row[inside] = np.where(curve.valid[frames], curve.filtered[frames], np.nan)
        values[:, np.isfinite(values).sum(axis=0) < MIN_BAND] = np.nan
        if np.isfinite(values).any():
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "All-NaN slice")
                low, high = np.nanpercentile(values, BAND, axis=0)
            bands[name] = (low, high)
    return bands


def _describe_clip(
    performance: Performance,
    shown: NDArray[np.int64],
    keypoints: NDArray[np.float32],
    size_px: tuple[int, int],
    threshold: float,
) -> dict[str, Any]:
    clip, first = performance.clip, int(shown.min())
    return {
        "name": clip.name,
        "first_frame": clip.first_frame + first,
        "total_frames": clip.total_frames,
        "times_s": _rounded(clip.times_s[first : int(shown.max()) + 1], 4),
        "size": size_px,
        "points": [_rounded(points, 2) for points in keypoints.reshape(len(keypoints), -1)],
        "threshold": threshold,
        "mirrored": performance.mirrored,
    }


def _describe_event(performance: Performance, name: str) -> dict[str, Any] | None:
    if name not in performance.events:
        return None
    event, clip = performance.events[name], performance.clip
    return {
        "frame": clip.first_frame + event.frame,
        "time_s": event.at_s(clip.times_s),
        "uncertainty_s": event.uncertainty_s,
    }


def _shown_rows(comparison: Comparison, phase: str) -> tuple[int, int] | None:
    """Return the first row and the end (exclusive) of a phase of the learner that is shown."""
    if phase not in comparison.learner.phases:
        return None
    first, count = int(comparison.rows[0, 0]), len(comparison.rows)
    start, end = (min(max(at - first, 0), count) for at in comparison.learner.phases[phase])
    return (start, end) if start < end else None


def _describe_curve(
    comparison: Comparison, name: str, measure: Measure, band: tuple[Array, Array] | None
) -> dict[str, Any]:
    sides = (
        (comparison.learner, comparison.rows[:, 0]), (comparison.standard, comparison.rows[:, 1])
    )  # fmt: skip
    learner, standard = (
        {
            "raw": _rounded(performance.curves[name].raw[frames], 2),
            "filtered": _rounded(performance.curves[name].filtered[frames], 2),
            "valid": performance.curves[name].valid[frames].astype(int).tolist(),
        }
        for performance, frames in sides
    )
    places = ", ".join(word(place) for place in measure.places)
    return {
        "name": name,
        "label": word(name),
        "unit": measure.unit,
        "zero": f"0: {measure.zero}",
        "note": f"exact enough to be compared at: {places}"
        if places
        else "no camera shows it exactly enough to be compared",
        "learner": learner,
        "standard": standard,
        "band": band
        and {
            side: _rounded(values[comparison.rows[:, 1]], 2)
            for side, values in zip(("low", "high"), band, strict=True)
        },
    }


def _describe_number(item: Compared) -> dict[str, Any]:
    label = (
        QUANTITIES[item.measure].label
        if item.at is None
        else f"{word(item.measure)}, {word(item.at)}"
    )
    usual = item.usual
    note = ""
    if usual and usual.clips > 1:
        low, high = usual.centre - usual.deviation, usual.centre + usual.deviation
        note = f"{low:.3g} to {high:.3g} in {usual.clips} clips"
    return {
        "label": label,
        "unit": item.unit,
        "learner": _describe_value(item.learner),
        "standard": _describe_value(item.standard),
        "note": note,
    }


def _describe_value(number: Number | None) -> dict[str, Any] | None:
    return None if number is None else {"value": number.value, "uncertainty": number.uncertainty}


def _rounded(values: Array, digits: int) -> list[float | None]:
    """Return numbers (n,) as a list; null for NaN."""
    rounded = np.round(values.astype(np.float64), digits).tolist()
    return [None if np.isnan(value) else value for value in rounded]
