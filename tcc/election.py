"""All standards vote on the events of a learner's clip: what tcc_get_start.py shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tcc.clock import Times, nearest
from tcc.dtw import Match, map_frames
from tcc.evaluate.labels import LabelledClip, carry_events
from tcc.flight import MATCH_S, VOTE_S
from tcc.moments import convention_of, refine_events, settle_events
from tcc.report.events import Event
from tcc.voting import Array, MarkCheck, better_half, place, vote

# The least uncertainty of a vote in s. With it, 61 % to 97 % of the errors are smaller than the
# uncertainty, 75 % on average, on the clips that variants are chosen on.
AGREED_S = 0.035
FEW = 3  # voters; among fewer, one that is off decides


@dataclass(frozen=True, slots=True)
class Election:
    """The result of a vote on E events.

    Attributes:
        times_s: (E,) of the learner, NaN for an event that is not found.
        uncertainty_s: (E,) the scatter of the votes together with AGREED_S, or MATCH_S if fewer
            than FEW standards found the event.
        num_voters: (E,) standards that found the event.
    """

    times_s: Times
    uncertainty_s: Times
    num_voters: list[int]

    def events(self, names: Sequence[str], times_s: Times) -> dict[str, Event]:
        """Return the events that were found, in a clip whose frames have the times (F,) s."""
        frames = nearest(times_s, self.times_s)
        found = zip(names, frames, self.uncertainty_s, self.times_s, strict=True)
        return {
            name: Event(int(frame), float(uncertainty_s), "matched", float(at_s))
            for name, frame, uncertainty_s, at_s in found
            if np.isfinite(at_s)
        }


def elect(
    standards: Sequence[LabelledClip],
    learner: LabelledClip,
    names: Sequence[str],
    costs: Array,
    part: tuple[int, int] | None = None,
    top_k: int = 1,
) -> Election:
    """Let the better half of the standards vote, with their marks checked: see `tcc.voting`.

    Only those that vote, at most MAX_VOTERS for each event, are searched for in the learner's clip.

    Args:
        standards: S clips with embeddings.
        learner: a clip with embeddings; its events are not used.
        names: of the E events.
        costs: (S,), from `rank`.
        part: first frame and end (exclusive) of the attempt; a standard that is found only
            elsewhere finds no event. None: the best match of each standard.
        top_k: number of matches of each standard that may show the attempt.
    """
    found = np.array([standard.events for standard in standards])
    marked = ~np.isnan(found)
    voters = sorted({int(row) for column in marked.T for row in better_half(costs, column)})
    check = MarkCheck(standards)
    marks = [
        standards[row].correct(np.nan_to_num(check.offset(row, {learner.recording}).frames))
        for row in voters
    ]
    convention_s = convention_of([standards[row] for row in voters], np.array(marks), names)
    for row, events in zip(voters, marks, strict=True):
        standard = standards[row]
        match = _inside(place(standard, learner, top_k).matches, part)
        if match is None:
            found[row] = np.where(marked[row], np.inf, np.nan)
            continue
        mapped = map_frames(match.path, standard.num_frames)
        found[row] = carry_events(mapped, settle_events(standard, events, names, convention_s))
    votes = vote(found, costs)
    few = np.array([len(voters) < FEW for voters in votes.voters])
    frames = refine_events(learner, votes.frames, names, VOTE_S, convention_s)
    frames = np.where(np.isfinite(frames), frames, np.nan)
    return Election(
        np.interp(frames, np.arange(learner.num_frames), learner.times_s),
        np.hypot(np.where(few, MATCH_S, AGREED_S), votes.scatter / learner.fps),
        [len(row) for row in votes.voters],
    )


def _inside(matches: Sequence[Match], part: tuple[int, int] | None) -> Match | None:
    """Return the match that has most frames of a part, None if none has any."""
    if part is None:
        return matches[0]
    shared = [min(match.end_frame, part[1]) - max(match.start_frame, part[0]) for match in matches]
    return matches[int(np.argmax(shared))] if max(shared) > 0 else None
