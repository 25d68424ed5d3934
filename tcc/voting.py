"""All standards vote on where the learner's events are; marked clips check each other's marks.

S standards, E events. Frames need not be whole numbers. A frame is NaN where the event is not
marked in the standard, and infinite where the standard misses it in the learner's clip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.dtw import Match, at_frames, map_frames
from tcc.evaluate.labels import LabelledClip, carry_events
from tcc.features import opposed
from tcc.search import Placement, locate

Array = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

MAX_VOTERS = 12  # more hardly change the median of a large library, and each is searched for
MAX_CHECKERS = 24  # clips that the mark of one clip is compared with
MIN_MARKED = 4  # clips with an event, so that their marks can be compared
COUNTS_S = 0.065  # an offset of two frames at 30 a second, 67 ms, is told
NORMAL = 1.4826  # of the median absolute deviation, which is then the standard deviation
CHUNK_CELLS = 500_000  # of the cost matrices that are accumulated together


@dataclass(frozen=True, slots=True)
class Votes:
    """What the standards say about a learner's events.

    Attributes:
        frames: (E,) of the learner; NaN if no standard marks the event, infinite if most miss it.
        scatter: (E,) robust standard deviation of the voters' frames, NaN without a frame.
        voters: for each event the standards that found it, the nearest first.
    """

    frames: Array
    scatter: Array
    voters: list[Indices]


def better_half(costs: Array, allowed: NDArray[np.bool_]) -> Indices:
    """Return the better half, rounded up, of the allowed standards, at most MAX_VOTERS.

    Args:
        costs: (S,), see `rank`.
        allowed: (S,).
    """
    among = np.flatnonzero(allowed)
    ranked = among[np.argsort(costs[among], kind="stable")]
    return ranked[: min((len(among) + 1) // 2, MAX_VOTERS)]


def vote(found: Array, costs: Array) -> Votes:
    """Return the median of the frames that the better half of the standards finds, by event.

    Args:
        found: (S, E) frames of the learner.
        costs: (S,), see `rank`.
    """
    frames, scatter = np.full((2, found.shape[1]), np.nan)
    voters = []
    for event, column in enumerate(found.T):
        chosen = better_half(costs, ~np.isnan(column))
        finders = chosen[np.isfinite(column[chosen])]
        voters.append(finders)
        if 2 * len(finders) < len(chosen):
            frames[event] = np.inf
        elif len(finders):
            frames[event] = np.median(column[finders])
            scatter[event] = NORMAL * np.median(np.abs(column[finders] - frames[event]))
    return Votes(frames, scatter, voters)


def rank(standards: Sequence[LabelledClip], learner: LabelledClip) -> Array:
    """Return (S,) how much each standard differs from the learner's clip; the nearest has least.

    It is the mean cost of the cheapest match of all of the shorter clip in the longer one, at
    single speed, and of the mirror image where the skaters turn in opposite directions. All
    standards are compared at once, which is much quicker than a search for each.
    """
    owners, variants = [], []
    for index, standard in enumerate(standards):
        opposite = opposed(standard.turn, learner.turn)
        for mirrored, variant in enumerate(standard.features):
            if opposite is None or len(standard.features) == 1 or opposite == bool(mirrored):
                owners.append(index)
                variants.append(variant)
    costs = np.full(len(standards), np.inf)
    np.minimum.at(costs, owners, match_costs(variants, learner.features[0]))
    return costs


def match_costs(clips: Sequence[Array], learner: Array) -> Array:
    """Return (S,) the mean cost of the cheapest path of `tcc.dtw.accumulate` for each clip.

    Args:
        clips: S arrays (N, D). Those with at most M rows are matched to a part of the learner's
            clip; in the others, the learner's clip is matched to a part.
        learner: (M, D).
    """
    learner = np.asarray(learner, np.float64)
    lengths = np.array([len(clip) for clip in clips])
    costs = np.empty(len(clips))
    for chunk in _chunks(lengths, len(learner)):
        rows = np.concatenate([clips[index] for index in chunk]).astype(np.float64)
        squares = (rows**2).sum(1)[:, None] + (learner**2).sum(1) - 2 * rows @ learner.T
        longest = int(lengths[chunk].max())
        padded = np.full((len(chunk), longest, len(learner)), np.inf)
        padded[np.arange(longest) < lengths[chunk, None]] = np.maximum(squares, 0) / rows.shape[1]
        if longest > len(learner):
            counts, padded = np.full(len(chunk), len(learner)), padded.swapaxes(1, 2)
        else:
            counts = lengths[chunk]
        costs[chunk] = _cheapest(padded, counts) / counts
    return costs


def _chunks(lengths: Indices, num_columns: int) -> Iterator[Indices]:
    """Yield clips of similar lengths whose cost matrices have about CHUNK_CELLS cells together."""
    order = np.argsort(lengths, kind="stable")
    for group in np.split(order, [np.searchsorted(lengths[order], num_columns, "right")]):
        longest = int(lengths[group].max(initial=1))
        size = max(1, CHUNK_CELLS // (longest * num_columns))
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _cheapest(cost: Array, num_rows: Indices) -> Array:
    """Return (S,) the total cost of the cheapest path over the first `num_rows` (S,) of each.

    Args:
        cost: (S, N, M); the steps and weights are those of `tcc.dtw.accumulate`.
    """
    best = np.full(len(cost), np.inf)
    before = total = np.full_like(cost[:, 0], np.inf)
    for row in range(cost.shape[1]):
        here = cost[:, row]
        if row == 0:
            totals = here.copy()
        else:
            totals = np.full_like(here, np.inf)
            totals[:, 1:] = total[:, :-1] + here[:, 1:]
            skipped = total[:, :-2] + (here[:, 1:-1] + here[:, 2:]) / 2
            np.minimum(totals[:, 2:], skipped, out=totals[:, 2:])
        if row > 1:
            two = before[:, :-1] + cost[:, row - 1, 1:] + here[:, 1:]
            np.minimum(totals[:, 1:], two, out=totals[:, 1:])
        before, total = total, totals
        last = num_rows == row + 1
        best[last] = totals[last].min(axis=1)
    return best


def place(standard: LabelledClip, learner: LabelledClip, top_k: int = 1) -> Placement:
    """Search for the standard in the learner's clip; return the matches in frames of both."""
    placement = locate(
        standard.features,
        learner.features[0],
        top_k=top_k,
        opposed=opposed(standard.turn, learner.turn),
        airborne=(standard.airborne, learner.airborne),
    )
    frames = standard.nearest_frames(), learner.nearest_frames()
    return replace(placement, matches=[at_frames(match, *frames) for match in placement.matches])


def events_in(match: Match, standard: LabelledClip) -> Array:
    """Return (E,) the learner's frames of the standard's events, interpolated."""
    return carry_events(map_frames(match.path, standard.num_frames), standard.events)


@dataclass(frozen=True, slots=True)
class Offset:
    """How far the marks of a clip are from where other marked clips put the events in it.

    Attributes:
        frames: (E,) mark - vote of the others; NaN if too few clips mark the event.
        scatter: (E,) see `Votes`.
        counts: (E,) whether the offset is large, more than the scatter, and so worth telling.
        num_checkers: (E,) clips that voted.
    """

    frames: Array
    scatter: Array
    counts: NDArray[np.bool_]
    num_checkers: Indices


@dataclass(slots=True)
class MarkCheck:
    """The marks of the clips of one folder, checked against each other."""

    clips: Sequence[LabelledClip]
    _found: dict[tuple[int, int], Array] = field(default_factory=dict)
    _costs: dict[tuple[int, int], float] = field(default_factory=dict)

    def offset(self, index: int, without: Collection[str] = ()) -> Offset:
        """Compare the marks of a clip with the vote of at most MAX_CHECKERS others.

        Args:
            index: of the clip.
            without: recordings whose clips have no vote, beside that of the clip itself.
        """
        clip = self.clips[index]
        left_out = {clip.recording, *without}
        marked = np.isfinite([other.events for other in self.clips])
        others: list[int] = [
            other for other in np.flatnonzero(marked.any(axis=1)).tolist()
            if self.clips[other].recording not in left_out
        ]  # fmt: skip
        others = others[:: -(-len(others) // MAX_CHECKERS) or 1]
        votes = vote(self._frames(index, others), self._rank(index, others))
        counts = np.array([len(voters) for voters in votes.voters])
        enough = marked[others].sum(axis=0) >= MIN_MARKED - 1
        known = enough & np.isfinite(votes.frames) & np.isfinite(clip.events)
        frames = np.full(len(clip.events), np.nan)
        frames[known] = clip.events[known] - votes.frames[known]
        size = np.where(known, np.abs(frames), 0)
        is_large = (size >= COUNTS_S * clip.fps) & (size > np.nan_to_num(votes.scatter))
        return Offset(frames, votes.scatter, is_large, counts)

    def corrected(self, index: int, without: Collection[str] = ()) -> LabelledClip:
        """Return a clip with its offsets taken off its marks; unknown offsets change nothing."""
        clip = self.clips[index]
        offset = np.nan_to_num(self.offset(index, without).frames)
        return replace(clip, events=clip.correct(offset))

    def _rank(self, index: int, others: Sequence[int]) -> Array:
        unknown = [other for other in others if (index, other) not in self._costs]
        costs = rank([self.clips[other] for other in unknown], self.clips[index])
        self._costs.update(
            ((index, other), float(cost)) for other, cost in zip(unknown, costs, strict=True)
        )
        return np.array([self._costs[index, other] for other in others])

    def _frames(self, index: int, others: Sequence[int]) -> Array:
        """Return (O, E) frames of the clip; only those of possible voters are searched for."""
        clip = self.clips[index]
        events = np.array([self.clips[other].events for other in others])
        found = events.reshape(len(others), len(clip.events)).copy()
        costs = self._rank(index, others)
        for row in {row for column in found.T for row in better_half(costs, ~np.isnan(column))}:
            pair = (index, others[row])
            if pair not in self._found:
                other = self.clips[pair[1]]
                self._found[pair] = events_in(place(other, clip).matches[0], other)
            found[row] = self._found[pair]
        return found


def doubtful_marks(clips: Sequence[LabelledClip], names: Sequence[str]) -> list[str]:
    """Return in words which marks of clips disagree with those of the other clips.

    Args:
        clips: with embeddings and marked events.
        names: of the E events.
    """
    check = MarkCheck(clips)
    told = []
    for index, clip in enumerate(clips):
        offset = check.offset(index)
        for name, frame, off, counts, others in zip(
            names, clip.events, offset.frames, offset.counts, offset.num_checkers, strict=True
        ):
            if counts:
                marked, voted = (round(clip.start_frame + at) for at in (frame, frame - off))
                told.append(
                    f"{clip.name}: {name} is marked at frame {marked}; {others} other clips put it "
                    f"at frame {voted}"
                )
    if told:
        told.append("look at both frames, and correct labels.csv where a mark is wrong")
    return told
