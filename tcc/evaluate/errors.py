"""Errors of found events against marked ones, over pairs of a standard and a learner.

P pairs, E events. An error is found minus marked, in the learner's frames: NaN where the event is
not marked in both clips (no pair), infinite where it was not found (a miss).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.dtw import map_frames
from tcc.evaluate.intervals import (
    finite_mean,
    lower_median,
    resample,
    share_within,
    summarize,
)
from tcc.evaluate.labels import LabelledClip, carry_events
from tcc.evaluate.metrics import (
    enclosed_area_error,
    kendalls_tau,
    order_tau,
    phase_accuracy,
    phase_labels,
    phase_progression,
    retrieval_precision,
)
from tcc.files import UserError
from tcc.flight import CHECKED_S, FLIGHT, MATCH_S, VOTE_S
from tcc.jobs import ROWS_IN_TURN, Arrays, Rows
from tcc.moments import convention_of, refine_events, settle_events
from tcc.voting import MarkCheck, place, rank, vote

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

LABEL_SHARES = (0.1, 0.5, 1.0)
RETRIEVED = (5, 10, 15)


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of one event.

    `frames` (P,) are the errors, `clips` (P, 2) numbers of the standard and the learner, or (P, 1)
    of the learner, and `fps` (P,) the frames per second of the learner.
    """

    frames: Array
    clips: Indices
    fps: Array


def list_pairs(standards: Sequence[LabelledClip], learners: Sequence[LabelledClip]) -> Indices:
    """Return (P, 2) standard and learner of all pairs that share an event or a recording.

    No clip is a pair with itself.

    Raises:
        UserError: there is no such pair.
    """
    pairs = [
        (row, column)
        for row, standard in enumerate(standards)
        for column, learner in enumerate(learners)
        if standard.key != learner.key
        and (
            standard.recording == learner.recording
            or np.isfinite(standard.events + learner.events).any()
        )
    ]
    if not pairs:
        raise UserError(
            f"no two clips of {standards[0].folder} and {learners[0].folder} have an event in "
            "common; mark the same event in at least two"
        )
    return np.array(pairs, np.int64)


def _search_learner(
    data: tuple[Sequence[LabelledClip], Sequence[LabelledClip], list[Indices]], row: int
) -> Arrays:
    """Search for the standards of the pairs of one learner; return the matches, maps in a row."""
    standards, learners, groups = data
    maps, placements = [], []
    for standard, learner in groups[row]:
        placement = place(standards[standard], learners[learner])
        placements.append(placement)
        maps.append(map_frames(placement.matches[0].path, standards[standard].num_frames))
    return {
        "maps": np.concatenate(maps),
        "costs": np.array([placement.matches[0].cost for placement in placements]),
        "confidences": np.array([placement.confidence for placement in placements]),
        "mirrored": np.array([placement.mirrored for placement in placements]),
    }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Pairs of a standard and a learner, with the matches of their frames.

    Attributes:
        standards, learners: the clips of each role.
        event_names: of the E events, in the order of time.
        pairs: (P, 2) index of the standard and of the learner.
        maps: P arrays (N,), learner's frame of each standard's frame, NaN if there is none.
        costs: (P,) of the matches, NaN if the matches come from the lengths alone.
        confidences: (P,) of the matches, in [0, 1], NaN like the costs.
        mirrored: (P,) whether the standard's mirror image was matched.
    """

    standards: Sequence[LabelledClip]
    learners: Sequence[LabelledClip]
    event_names: Sequence[str]
    pairs: Indices
    maps: list[Array]
    costs: Array
    confidences: Array
    mirrored: NDArray[np.bool_]

    @classmethod
    def by_length(
        cls,
        standards: Sequence[LabelledClip],
        learners: Sequence[LabelledClip],
        event_names: Sequence[str],
        pairs: Indices,
    ) -> Comparison:
        """Match by the lengths alone: first frame to first, last to last, evenly between them."""
        maps = [
            np.linspace(0, learners[column].num_frames - 1, standards[row].num_frames)
            for row, column in pairs
        ]
        unknown = np.full(len(pairs), np.nan)
        none = np.zeros(len(pairs), np.bool_)
        return cls(standards, learners, event_names, pairs, maps, unknown, unknown, none)

    def represent(self, function: Callable[[Any], Array]) -> Comparison:
        """Return the comparison with `function` applied to the features of every clip."""
        return replace(
            self,
            standards=[clip.represent(function) for clip in self.standards],
            learners=[clip.represent(function) for clip in self.learners],
        )

    def search(self, rows: Rows = ROWS_IN_TURN, title: str | None = None) -> Comparison:
        """Search for the standard of every pair in its learner; return the comparison with matches.

        The features are compared at ticks, as in tcc_get_start.py; the maps are of frames.

        Args:
            rows, title: search each learner; see `Rows.map`.
        """
        learners = np.unique(self.pairs[:, 1])
        groups = [np.flatnonzero(self.pairs[:, 1] == learner) for learner in learners]
        data = (self.standards, self.learners, [self.pairs[group] for group in groups])
        maps: list[Array] = [np.empty(0)] * len(self.pairs)
        costs, confidences = np.empty((2, len(self.pairs)))
        mirrored = np.zeros(len(self.pairs), np.bool_)
        for group, found in zip(
            groups, rows.map(_search_learner, data, len(groups), title), strict=True
        ):
            ends = np.cumsum([self.standards[row].num_frames for row in self.pairs[group, 0]])
            for pair, mapped in zip(group, np.split(found["maps"], ends[:-1]), strict=True):
                maps[pair] = mapped
            costs[group], confidences[group] = found["costs"], found["confidences"]
            mirrored[group] = found["mirrored"]
        return replace(self, maps=maps, costs=costs, confidences=confidences, mirrored=mirrored)

    def select(self, chosen: NDArray[np.bool_]) -> Comparison:
        """Return the comparison of the pairs for which `chosen` (P,) is True."""
        return replace(
            self,
            pairs=self.pairs[chosen],
            maps=[self.maps[row] for row in np.flatnonzero(chosen)],
            costs=self.costs[chosen],
            confidences=self.confidences[chosen],
            mirrored=self.mirrored[chosen],
        )

    def clips(self) -> list[tuple[LabelledClip, LabelledClip]]:
        """Return the standard and the learner of each pair."""
        return [(self.standards[row], self.learners[column]) for row, column in self.pairs]

    def one_recording(self) -> NDArray[np.bool_]:
        """Return (P,) whether both clips of a pair show one recording."""
        return np.array([a.recording == b.recording for a, b in self.clips()], np.bool_)

    def find_events(self, offsets: Array | float = 0, conventions_s: Array | None = None) -> Array:
        """Return the learners' frames (P, E) of the standards' events.

        Args:
            offsets: (P, E) frames to take off the standards' marks, see `mark_offsets`.
            conventions_s: see `conventions`; None: by the path alone, without flights.
        """
        found = self._carry_events(offsets, conventions_s)
        if conventions_s is not None:
            sure_s = CHECKED_S if np.ndim(offsets) else (MATCH_S, MATCH_S)
            for pair, (_, learner) in enumerate(self.clips()):
                found[pair] = refine_events(
                    learner, found[pair], self.event_names, sure_s, conventions_s[pair]
                )
        return np.rint(found)

    def _carry_events(self, offsets: Array | float, conventions_s: Array | None) -> Array:
        """Return (P, E) frames by the path, if there are conventions from settled marks."""
        shape = len(self.pairs), len(self.event_names)
        found = np.empty(shape)
        for pair, (offset, (standard, _)) in enumerate(
            zip(np.broadcast_to(offsets, shape), self.clips(), strict=True)
        ):
            events = standard.correct(offset)
            if conventions_s is not None:
                events = settle_events(standard, events, self.event_names, conventions_s[pair])
            found[pair] = carry_events(self.maps[pair], events)
        return found

    def conventions(self, offsets: Array | float | None = None) -> Array:
        """Return (P, 2) s by how much marks are later than flights: see `tcc.flight.convention`.

        Args:
            offsets: as for `find_events`; the convention is then that of all standards of a
                learner. None: that of each standard alone, as it is marked.
        """
        shape = len(self.pairs), len(self.event_names)
        marks = np.array([standard.events for standard, _ in self.clips()]).reshape(shape)
        standards = [standard for standard, _ in self.clips()]
        sets = self.pairs[:, 1] if offsets is not None else np.arange(len(self.pairs))
        marks = marks - (0 if offsets is None else offsets)
        result = np.zeros((len(self.pairs), len(FLIGHT)))
        for number in np.unique(sets):
            group = np.flatnonzero(sets == number)
            clips = [standards[pair] for pair in group]
            result[group] = convention_of(clips, marks[group], self.event_names)
        return result

    def mark_offsets(self) -> Array:
        """Return (P, E) by how much the marks of each standard are off; 0 if that is unknown.

        The marks of the standards are checked against each other. Those of the learner and of other
        clips of its recording are left out, so that the result does not depend on them.
        """
        check = MarkCheck(self.standards)
        recordings = {clip.recording for clip in self.standards}
        known: dict[tuple[int, str], Array] = {}
        offsets = np.zeros((len(self.pairs), len(self.event_names)))
        for pair, (_, learner) in enumerate(self.clips()):
            row = int(self.pairs[pair, 0])
            key = row, learner.recording if learner.recording in recordings else ""
            if key not in known:
                known[key] = np.nan_to_num(check.offset(row, key[1:]).frames)
            offsets[pair] = known[key]
        return offsets

    def vote(
        self, offsets: Array | float = 0, conventions_s: Array | None = None
    ) -> tuple[Array, Indices]:
        """Let the standards of each learner vote: see `tcc.voting.vote`.

        Args:
            offsets, conventions_s: as for `find_events`.

        Returns:
            (L, E) frames and (L, 1) index of each learner.
        """
        found = self._carry_events(offsets, conventions_s)
        learners = np.unique(self.pairs[:, 1])
        votes = np.empty((len(learners), len(self.event_names)))
        for row, learner in enumerate(learners):
            pairs = np.flatnonzero(self.pairs[:, 1] == learner)
            standards = [self.standards[index] for index in self.pairs[pairs, 0]]
            costs = rank(standards, self.learners[learner])
            frames = vote(found[pairs], costs).frames
            if conventions_s is not None:
                frames = refine_events(
                    self.learners[learner], frames, self.event_names, VOTE_S,
                    conventions_s[pairs[0]],
                )  # fmt: skip
            votes[row] = np.rint(frames)
        return votes, learners[:, None]

    def prior_events(self) -> tuple[Array, Indices]:
        """Place each event at its median share of the standards' lengths, as a baseline.

        Returns:
            (L, E) frames and (L, 1) index of each learner.
        """
        shares = np.array([clip.events / clip.num_frames for clip in self.standards])
        chosen = np.unique(self.pairs[:, 1])
        found = np.full((len(chosen), len(self.event_names)), np.nan)
        for row, learner in enumerate(chosen):
            candidates = shares[self.pairs[self.pairs[:, 1] == learner, 0]]
            for event in np.flatnonzero(np.isfinite(candidates).any(axis=0)):
                share = np.nanmedian(candidates[:, event])
                found[row, event] = np.rint(share * self.learners[learner].num_frames)
        return found, chosen[:, None]

    def frame_errors(self) -> Array:
        """Return (P,) the median error of the frames that both clips of one recording show.

        NaN if the clips show different recordings, infinite if most frames are missed.
        """
        errors = np.full(len(self.pairs), np.nan)
        for row, (standard, learner) in enumerate(self.clips()):
            if standard.recording == learner.recording:
                mapped = np.rint(self.maps[row])
                true = np.arange(len(mapped)) + standard.start_frame - learner.start_frame
                shared = (true >= 0) & (true < learner.num_frames)
                distances = np.abs(mapped - true)[shared]
                errors[row] = lower_median(np.where(np.isnan(distances), np.inf, distances))
        return errors

    def intervals(self) -> list[tuple[int, int]]:
        """Return the pairs of events between which the time is measured, the earlier one first.

        Each event is paired with the next one and with the one before it, among the events that
        some pair of clips marks together with it. So the time from take-off to landing is measured
        even if other clips mark a third event between them.
        """
        marked = np.isfinite([a.events + b.events for a, b in self.clips()])
        marked = marked.reshape(len(self.pairs), len(self.event_names)).astype(np.int64)
        together = np.argwhere(np.triu(marked.T @ marked, 1))  # sorted
        following = {first: (first, second) for first, second in together[::-1].tolist()}
        preceding = {second: (first, second) for first, second in together.tolist()}
        return sorted({*following.values(), *preceding.values()})

    def tabulate(self, found: Array, rows: Indices) -> dict[str, Errors]:
        """Return the errors of every event and of the time between two of them: see `intervals`.

        Args:
            found: (R, E) learners' frames.
            rows: (R, 2) standard and learner, or (R, 1) the learner if all standards voted.
        """
        marked = np.array([clip.events for clip in self.learners])[rows[:, -1]]
        errors = found - marked
        columns = dict(zip(self.event_names, errors.T, strict=True))
        for first, second in self.intervals():
            name = f"{self.event_names[first]} to {self.event_names[second]}"
            columns[name] = relative_interval(
                errors[:, [first, second]], marked[:, [first, second]]
            )
        return {name: self.errors_of(column, rows) for name, column in columns.items()}

    def errors_of(self, frames: Array, rows: Indices) -> Errors:
        """Return errors (R,) with numbers of their clips; a clip has one number in both roles.

        Args:
            frames: (R,).
            rows: (R, 2) or (R, 1), as in `tabulate`.
        """
        keys = dict.fromkeys(clip.key for clip in (*self.standards, *self.learners))
        numbers = {key: number for number, key in enumerate(keys)}
        roles = (self.standards, self.learners)[-rows.shape[1] :]
        clips = [
            [numbers[role[index].key] for role, index in zip(roles, row, strict=True)]
            for row in rows
        ]
        fps = np.array([self.learners[index].fps for index in rows[:, -1]])
        return Errors(frames, np.array(clips, np.int64).reshape(rows.shape), fps)

    def list_matches(self) -> list[dict[str, Any]]:
        """Return every pair's match as plain values.

        `found` holds the events that are marked in the standard, each with the learner's frame, or
        None if the search missed it. `marked` holds the events that are marked in the learner.
        """
        found = self.find_events(conventions_s=self.conventions())
        return [
            {
                "standard": standard.name,
                "learner": learner.name,
                "mirrored": bool(self.mirrored[row]),
                "confidence": self.confidences[row],
                "cost": self.costs[row],
                "found": self._name_events(found[row] + learner.start_frame),
                "marked": self._name_events(learner.events + learner.start_frame),
            }
            for row, (standard, learner) in enumerate(self.clips())
        ]

    def _name_events(self, frames: Array) -> dict[str, int | None]:
        """Return {event: frame} of (E,) frames; NaN is left out, infinite becomes None."""
        return {
            name: int(frame) if np.isfinite(frame) else None
            for name, frame in zip(self.event_names, frames, strict=True)
            if not np.isnan(frame)
        }

    def mean_tau(self) -> dict[str, float]:
        """Return tau of the nearest neighbours and of the matched frames, both means over pairs."""
        neighbours = [
            kendalls_tau(standard.features[int(mirrored)], learner.features[0])
            for (standard, learner), mirrored in zip(self.clips(), self.mirrored, strict=True)
        ]
        matched = [order_tau(np.rint(mapped[np.isfinite(mapped)])) for mapped in self.maps]
        return {
            "tau": finite_mean(neighbours),
            "tau_undefined": float(np.isnan(neighbours).mean()),
            "tau_dtw": finite_mean(matched),
        }

    def mean_enclosed_area(self) -> float:
        """Return the Enclosed Area Error, mean over the pairs that share two events."""
        return finite_mean(
            [
                enclosed_area_error(mapped, standard.events, learner.events, learner.num_frames)
                for mapped, (standard, learner) in zip(self.maps, self.clips(), strict=True)
            ]
        )

    def score_embeddings(self, generator: np.random.Generator) -> dict[str, float]:
        """Return tau, phase classification and progression, and retrieval.

        The phases are learned from the standards and predicted for the learners. If both roles hold
        the clips of one folder, they are learned from a random half of the clips and predicted for
        the other half. Retrieval leaves out clips of the query's recording.
        """
        scores = self.mean_tau()
        train, test = (
            [clip for clip in clips if np.isfinite(clip.events).all()]
            for clips in (self.standards, self.learners)
        )
        for k in RETRIEVED:
            scores[f"ap_{k}"] = finite_mean([_retrieve(clip, train, k) for clip in test])
        if self.standards[0].folder == self.learners[0].folder:
            order = generator.permutation(len(train))
            half = len(train) // 2
            train, test = [train[i] for i in order[:half]], [train[i] for i in order[half:]]
        phases = [[(clip.per_frame(), _phases(clip)) for clip in clips] for clips in (train, test)]
        events = [[(clip.per_frame(), clip.events) for clip in clips] for clips in (train, test)]
        has_both = bool(train and test)
        for share in LABEL_SHARES:
            accuracy = (
                phase_accuracy(phases[0], phases[1], share, generator) if has_both else float("nan")
            )
            scores[f"phase_{share:.0%}"] = accuracy
        scores["progression"] = (
            phase_progression(events[0], events[1]) if has_both else float("nan")
        )
        return scores


def relative_interval(errors: Array, marked: Array) -> Array:
    """Return (R,) errors of the time between two events, as shares of the true time.

    NaN if an event is not marked or the second is not after the first, infinite for a miss.

    Args:
        errors: (R, 2) as in the module's docstring.
        marked: (R, 2) true frames of the learner.
    """
    true = np.diff(marked)[:, 0]
    unknown = np.isnan(errors).any(axis=1) | ~(true > 0)
    missed = np.isinf(errors).any(axis=1)
    with np.errstate(invalid="ignore"):
        shares = np.diff(errors)[:, 0] / np.where(unknown, np.nan, true)
    result: Array = np.where(unknown, np.nan, np.where(missed, np.inf, shares))
    return result


def pool(
    runs: Sequence[Mapping[str, Mapping[str, Errors]]], seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Summarise the errors of several encoders together, so that intervals cover all of them.

    Args:
        runs: errors[method][event] of each encoder, on the same pairs.
        seed: of the random resamples.

    Returns:
        summaries[event][method] of `summarize`, and `within_3_spread`, the standard deviation of
        `within_3` over the encoders.
    """
    summaries: dict[str, dict[str, dict[str, Any]]] = {}
    for method, tables in runs[0].items():
        for event in tables:
            tables_of_runs = [errors[method][event] for errors in runs]
            frames, clips, fps = (
                np.concatenate([getattr(errors, name) for errors in tables_of_runs])
                for name in ("frames", "clips", "fps")
            )
            weights = resample(list(clips.T), np.random.default_rng(seed))
            spread = np.std([share_within(errors.frames, 3) for errors in tables_of_runs])
            summary = {**summarize(frames, fps, weights), "within_3_spread": float(spread)}
            summaries.setdefault(event, {})[method] = summary
    return summaries


def _phases(clip: LabelledClip) -> Indices:
    return phase_labels(clip.events, clip.num_frames)


def _retrieve(query: LabelledClip, clips: Sequence[LabelledClip], k: int) -> float:
    others = [clip for clip in clips if clip.recording != query.recording]
    if not others:
        return float("nan")
    support = np.concatenate([clip.per_frame() for clip in others])
    phases = np.concatenate([_phases(clip) for clip in others])
    return retrieval_precision(query.per_frame(), _phases(query), support, phases, k)
