"""All standards vote on the events of a learner's clip: what tcc_get_start.py shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tcc.clock import Times
from tcc.dtw import map_frames
from tcc.evaluate.labels import LabelledClip, carry_events
from tcc.flight import VOTE_S
from tcc.moments import convention_of, refine_events, settle_events
from tcc.voting import MarkCheck, better_half, place, rank, vote


@dataclass(frozen=True, slots=True)
class Election:
    """The result of a vote on E events.

    Attributes:
        nearest: index of the standard that is most like the learner.
        times_s: (E,) of the learner, NaN for an event that is not found.
        uncertainty_s: (E,) standard deviation of the votes, at least half a frame.
        num_voters: (E,) standards that found the event.
    """

    nearest: int
    times_s: Times
    uncertainty_s: Times
    num_voters: list[int]


def elect(
    standards: Sequence[LabelledClip], learner: LabelledClip, names: Sequence[str]
) -> Election:
    """Let the better half of the standards vote, with their marks checked: see `tcc.voting`.

    All standards are ranked by one matrix product. Only those that vote, at most MAX_VOTERS for
    each event, are searched for in the learner's clip.

    Args:
        standards: S clips with embeddings.
        learner: a clip with embeddings; its events are not used.
        names: of the E events.
    """
    costs = rank(standards, learner)
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
        mapped = map_frames(place(standard, learner).matches[0].path, standard.num_frames)
        found[row] = carry_events(mapped, settle_events(standard, events, names, convention_s))
    votes = vote(found, costs)
    frames = refine_events(learner, votes.frames, names, VOTE_S, convention_s)
    frames = np.where(np.isfinite(frames), frames, np.nan)
    return Election(
        int(costs.argmin()),
        np.interp(frames, np.arange(learner.num_frames), learner.times_s),
        np.maximum(votes.scatter, 0.5) / learner.fps,
        [len(row) for row in votes.voters],
    )
