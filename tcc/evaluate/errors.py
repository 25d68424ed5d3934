"""Event errors of many (standard, learner) pairs: found against marked, with intervals over clips.

V clips of one role, P pairs, E events. An error is found minus marked, in the learner's frames: NaN
where the event is not marked in both clips (no pair), infinite where it was not found (a miss).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.dtw import at_frames, locate, map_frames
from tcc.evaluate.intervals import finite_mean, lower_median
from tcc.evaluate.metrics import (
    enclosed_area_error,
    kendalls_tau,
    order_tau,
    phase_accuracy,
    phase_labels,
    phase_progression,
    retrieval_precision,
)
from tcc.evaluate.sides import Side
from tcc.features import opposed

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

LABEL_SHARES = (0.1, 0.5, 1.0)
RETRIEVED = (5, 10, 15)


@dataclass(frozen=True, slots=True)
class Matches:
    """P matches: `maps` (N,) each, learner's frame of a standard's, NaN outside; the rest (P,)."""

    maps: list[Array]
    costs: Array
    confidences: Array
    mirrored: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors (P,) of one event, numbers (P, roles) of their clips, the learners' fps (P,)."""

    frames: Array
    clips: Indices
    fps: Array


def match_pairs(standards: Side, learners: Side, pairs: Iterable[Indices]) -> Matches:
    """Search each standard of `pairs` (P, 2) in its learner; the views are embeddings.

    The search is at ticks, as in tcc_get_start.py; the maps are of frames.
    """
    maps: list[Array] = []
    costs, confidences, mirrored = [], [], []
    for standard, learner in pairs:
        views = standards.views[standard]
        ways = opposed(standards.turns[standard], learners.turns[learner])
        placement = locate(views, learners.views[learner][0], opposed=ways)
        best = at_frames(
            placement.matches[0], standards.frames_of(standard), learners.frames_of(learner)
        )
        maps.append(map_frames(best.path, standards.lengths[standard]))
        costs.append(best.cost)
        confidences.append(placement.confidence)
        mirrored.append(placement.mirrored)
    return Matches(maps, np.array(costs), np.array(confidences), np.array(mirrored, np.bool_))


def scale_time(standards: Side, learners: Side, pairs: Indices) -> Matches:
    """Match by the clips' lengths alone: first frame to first, last to last."""
    lengths = standards.lengths, learners.lengths
    maps = [np.linspace(0, lengths[1][b] - 1, lengths[0][a]) for a, b in pairs]
    nothing = np.full(len(pairs), np.nan)
    return Matches(maps, nothing, nothing, np.zeros(len(pairs), np.bool_))


def carry_events(mapped: Array, events: Array) -> Array:
    """Return the learner's whole frames (E,) of a standard's events; infinite where unmatched.

    Args:
        mapped: (N,) learner's frame of each standard's frame, NaN for none.
        events: (E,) frames of the standard, NaN where it has none.
    """
    marked = np.isfinite(events)
    found = np.full(len(events), np.nan)
    found[marked] = np.rint(mapped[events[marked].astype(int)])
    return np.where(marked & np.isnan(found), np.inf, found)


def frame_errors(standards: Side, learners: Side, pairs: Indices, matches: Matches) -> Array:
    """Return (P,) the median error of the frames that both clips of one recording show.

    NaN where the clips show different recordings, infinite where most frames are missed.
    """
    errors = np.full(len(pairs), np.nan)
    for row, (standard, learner) in enumerate(pairs):
        if standards.recordings[standard] == learners.recordings[learner]:
            mapped = np.rint(matches.maps[row])
            shift = standards.starts[standard] - learners.starts[learner]
            true = np.arange(len(mapped)) + shift
            shared = (true >= 0) & (true < learners.lengths[learner])
            off = np.abs(mapped - true)[shared]
            errors[row] = lower_median(np.where(np.isnan(off), np.inf, off))
    return errors


def prior_events(standards: Side, learners: Side, pairs: Indices) -> tuple[Array, Indices]:
    """Put every event at the median share of the standards' length; (L, E) and (L,) learners."""
    shares = standards.events / standards.lengths[:, None]
    chosen = np.unique(pairs[:, 1])
    found = np.full((len(chosen), shares.shape[1]), np.nan)
    for row, learner in enumerate(chosen):
        mine = shares[pairs[pairs[:, 1] == learner, 0]]
        for event in np.flatnonzero(np.isfinite(mine).any(axis=0)):
            share = np.nanmedian(mine[:, event])
            found[row, event] = np.rint(share * learners.lengths[learner])
    return found, chosen


def find_events(standards: Side, pairs: Indices, matches: Matches) -> Array:
    """Return the learners' frames (P, E) of the standards' events."""
    events = standards.events[pairs[:, 0]]
    return np.array([carry_events(*pair) for pair in zip(matches.maps, events, strict=True)])


def tabulate(
    found: Array, rows: Indices, standards: Side, learners: Side, names: Sequence[str]
) -> dict[str, Errors]:
    """Return the errors of every event and of the time between consecutive ones.

    Args:
        found: (P, E) frames.
        rows: (P, 2) standard and learner, or (P, 1) the learner where all standards voted.
        standards, learners: whose events are marked.
        names: of the E events.
    """
    marked = learners.events[rows[:, -1]]
    errors = found.reshape(marked.shape) - marked
    between = relative_intervals(errors, marked)
    columns = dict(zip(names, errors.T, strict=True))
    pairs = zip(names[:-1], names[1:], strict=True)
    columns |= dict(zip(map(" to ".join, pairs), between.T, strict=True))
    return {name: errors_of(column, rows, standards, learners) for name, column in columns.items()}


def errors_of(frames: Array, rows: Indices, standards: Side, learners: Side) -> Errors:
    """Attach to errors (P,) their clips, numbered so that a clip in both roles has one number."""
    offset = 0 if standards.folder == learners.folder else len(standards.names)
    clips = np.column_stack([rows[:, :-1], rows[:, -1] + offset])
    return Errors(frames, clips, learners.fps[rows[:, -1]])


def list_matches(
    standards: Side, learners: Side, pairs: Indices, matches: Matches, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return every pair's match as plain values."""
    found = find_events(standards, pairs, matches)
    return [
        {
            "standard": standards.names[standard],
            "learner": learners.names[learner],
            "mirrored": bool(matches.mirrored[row]),
            "confidence": matches.confidences[row],
            "cost": matches.costs[row],
            "found": dict(zip(names, found[row], strict=True)),
            "marked": dict(zip(names, learners.events[learner], strict=True)),
        }
        for row, (standard, learner) in enumerate(pairs)
    ]


def relative_intervals(errors: Array, marked: Array) -> Array:
    """Return (P, E - 1) errors of the times between consecutive events, as shares of the true time.

    Args:
        errors: (P, E) as in the module's docstring.
        marked: (P, E) true frames of the learner.
    """
    true = np.diff(marked, axis=1)
    missed = np.isinf(errors[:, 1:]) | np.isinf(errors[:, :-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.diff(errors, axis=1) / np.where(true > 0, true, np.nan)
    none = np.isnan(errors[:, 1:]) | np.isnan(errors[:, :-1]) | ~(true > 0)
    result: Array = np.where(none, np.nan, np.where(missed, np.inf, shares))
    return result


def vote(found: Array, costs: Array, learners: Indices) -> tuple[Array, Indices]:
    """Let all standards of a learner vote: the median of the better half by the match's cost.

    Args:
        found: (P, E) frames; NaN where a standard has no such event, infinite for a miss.
        costs: (P,) of the matches, comparable between the standards of one learner.
        learners: (P,) index of the learner's clip.

    Returns:
        (L, E) frames and (L,) index of each learner, once.
    """
    chosen = np.unique(learners)
    votes = np.full((len(chosen), found.shape[1]), np.nan)
    for row, learner in enumerate(chosen):
        mine = np.flatnonzero(learners == learner)
        for event in range(found.shape[1]):
            able = mine[np.isfinite(found[mine, event])]
            if len(able):
                best = able[np.argsort(costs[able], kind="stable")[: (len(able) + 1) // 2]]
                votes[row, event] = np.rint(np.median(found[best, event]))
            elif np.isinf(found[mine, event]).any():
                votes[row, event] = np.inf
    return votes, chosen


def mean_tau(standards: Side, learners: Side, pairs: Indices, matches: Matches) -> dict[str, float]:
    """Return tau of the nearest neighbours and of the matched frames, both means over pairs."""
    nearest = [
        kendalls_tau(standards.views[a][int(flipped)], learners.views[b][0])
        for (a, b), flipped in zip(pairs, matches.mirrored, strict=True)
    ]
    matched = [order_tau(np.rint(mapped[np.isfinite(mapped)])) for mapped in matches.maps]
    return {
        "tau": finite_mean(nearest),
        "tau_undefined": float(np.isnan(nearest).mean()),
        "tau_dtw": finite_mean(matched),
    }


def mean_enclosed_area(standards: Side, learners: Side, pairs: Indices, matches: Matches) -> float:
    """Return the Enclosed Area Error, mean over the pairs with two events."""
    areas = []
    for (standard, learner), mapped in zip(pairs, matches.maps, strict=True):
        events = standards.events[standard], learners.events[learner]
        areas.append(enclosed_area_error(mapped, *events, learners.lengths[learner]))
    return finite_mean(areas)


def score_embeddings(
    standards: Side,
    learners: Side,
    pairs: Indices,
    matches: Matches,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Return tau, phase classification and progression, and retrieval.

    The phases are learned from the standards' clips and read from the learners'; where these are
    the same, from a random half and the other. Retrieval sees no clip of the query's recording.
    """
    scores = mean_tau(standards, learners, pairs, matches)
    train, test = (_fully_marked(side) for side in (standards, learners))
    for k in RETRIEVED:
        scores[f"ap_{k}"] = finite_mean([_retrieve(clip, train, k) for clip in test])
    if standards.folder == learners.folder:
        order = generator.permutation(len(train))
        half = len(train) // 2
        train, test = [train[i] for i in order[:half]], [train[i] for i in order[half:]]
    phases, events = (
        [[(clip.frames, getattr(clip, name)) for clip in clips] for clips in (train, test)]
        for name in ("phases", "events")
    )
    able = bool(train and test)
    for share in LABEL_SHARES:
        accuracy = phase_accuracy(phases[0], phases[1], share, generator) if able else float("nan")
        scores[f"phase_{share:.0%}"] = accuracy
    scores["progression"] = phase_progression(events[0], events[1]) if able else float("nan")
    return scores


@dataclass(frozen=True, slots=True)
class _Marked:
    """A clip whose every event is marked: embeddings (F, D), phases (F,), events (E,)."""

    frames: Array
    phases: Indices
    events: Array
    recording: str


def _fully_marked(side: Side) -> list[_Marked]:
    return [
        _Marked(side.per_frame(clip), phase_labels(events, side.lengths[clip]), events, recording)
        for clip, (events, recording) in enumerate(zip(side.events, side.recordings, strict=True))
        if np.isfinite(events).all()
    ]


def _retrieve(query: _Marked, clips: Sequence[_Marked], k: int) -> float:
    others = [clip for clip in clips if clip.recording != query.recording]
    if not others:
        return float("nan")
    support = np.concatenate([clip.frames for clip in others])
    phases = np.concatenate([clip.phases for clip in others])
    return retrieval_precision(query.frames, query.phases, support, phases, k)
