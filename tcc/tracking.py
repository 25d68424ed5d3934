"""Follows one skater through a clip of several people, and reports doubts about the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import Detections
from tcc.appearance import Look, distances
from tcc.files import UserError
from tcc.tracklets import (
    ALIKE,
    FPS,
    REACH,
    SURE,
    Chains,
    Parts,
    chain,
    cut,
    group_means,
    reach,
    useful_idx,
)

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

MAX_GAP_S = 2 / 3  # longest gap that a link bridges; over longer gaps, finished tracks are joined
SEEN = 0.2  # lowest confidence of a joint that counts for the box around a person
ASPECT = 16 / 9  # assumed width : height of a picture of unknown size
CENTRE = 0.4  # distance from the centre, in picture sizes, at which the reward falls to 1 / e
MOTION_WEIGHT = 16.0  # reward if joints move relative to the body by one body size per frame
MAX_MOTION = 0.08  # largest rewarded motion, body sizes per frame; more is the detector's error
SWITCH_COST = 12.0  # cost of a link over REACH or more; the reward of a good detection is about 1
STRAY_COST = 2.0  # extra cost of a link between two detections that are not mutually nearest
GAP_COST = 0.3  # cost of each missed frame
LEAST_REWARD = 0.1  # smallest reward of a detection
DUPLICATE = 0.2  # body sizes; a detection that is closer to the followed one is no other person
TWIN = 0.15  # the same for any two detections of a frame; people who touch are farther apart
OWN = 0.7  # share of ALIKE up to which colours are those of the person who is followed
CONTESTED = 0.15  # body sizes by which the nearest detection is nearer than the next, if clear
HALF = 2.0  # ratio of the confidences of the halves of a body where only one is shown
WAIST = 0.5  # trunk lengths; the hips of two halves of one body are nearer
TRUNK = (0.3, 1.5)  # range of the length of a trunk that is seen from any side, leg lengths
MIN_JOINTS = 5  # joints that both must show, else all joints are compared
MAX_GROWTH = 2.0  # largest ratio of a person's sizes before and after a gap
MAX_PIECES = 10  # number of tracks that may be joined; bounds the time
CHUNK = 50_000  # links that are computed at a time; bounds the memory

# What is reported as doubtful.
CLEAR_MARGIN = 0.5  # four of 40 recorded clips with one to nine people are below it
MAX_MISSED = 0.1  # share of a clip's frames
MAX_MISSED_S = 0.2  # longest gap; a jump is in the air for three times as long
MAX_LEAP = 0.5  # body sizes between two frames; all jumps of the recorded clips stay below it
MAX_MOVED = 1.0  # body sizes over a gap; all gaps of the recorded clips stay below 0.25
MAX_RATIO = 2.0  # of the sizes before and after a frame; all recorded clips stay below 1.8
MAX_GAP_RATIO = 1.6  # of the sizes before and after a gap; all recorded clips stay below 1.4
SIZE_FRAMES = 5  # frames before and after, of which the median size is taken
MISSED = "the skater is missed often or for long; the pose is interpolated there"
MIXED_UP = "another person may be followed where people meet or somebody comes back"
OTHER_PERSON = (
    "to follow another person, write person = 2 into clip.toml in the clip's folder, {folder}"
)
SHOWN_PART = (
    "to use only the part that shows the skater, write start_s or end_s into clip.toml in the "
    "clip's folder, {folder}"
)


@dataclass(frozen=True, slots=True)
class Track:
    """One person through a clip of F frames.

    `keypoints` (F, 17, 3) float32, interpolated and with confidence 0 where `observed` (F,) is
    False; `detection` (F,) int32 index into the detections, or -1; `margin` in [0, 1], 0 if the
    next person is as likely as this one; `num_people` (F,) int32 detections of each frame; `unsure`
    (F,) marks frames that may show another person, because people met or one came back.
    """

    keypoints: NDArray[np.float32]
    observed: NDArray[np.bool_]
    detection: NDArray[np.int32]
    margin: float
    num_people: NDArray[np.int32]
    unsure: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason to look at a clip: its `kind`, the `detail` of this clip, and the `remedy`.

    `kind` is the same text in all clips, so that it is said once for several clips. `remedy` may be
    empty, and may hold the text {folder}, which stands for the clip's folder.
    """

    kind: str
    detail: str
    remedy: str

    def sentence(self, folder: Path) -> str:
        """Return the doubt in full, for the clip in `folder`."""
        remedy = self.remedy.replace("{folder}", str(folder))
        return f"{self}; {remedy}" if remedy else str(self)

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})"


@dataclass(frozen=True, slots=True)
class _Links:
    """Links from detections `source` to `target` with rewards `gain`, (L,), sorted by target."""

    source: Indices
    target: Indices
    gain: Array

    def sorted(self) -> _Links:
        """Return the links in the order of their targets."""
        order = np.argsort(self.target, kind="stable")
        return _Links(self.source[order], self.target[order], self.gain[order])

    def among(self, free: NDArray[np.bool_]) -> _Links:
        """Keep the links between detections that are free."""
        kept = free[self.source] & free[self.target]
        return _Links(self.source[kept], self.target[kept], self.gain[kept])


def drop_twins(detections: Detections) -> Detections:
    """Return the detections without those that show a person a second time.

    Two halves of a body become one detection; see `_join_halves`. Of two detections in one frame
    whose joints are at a median distance below TWIN, the one with the higher score is kept. Only
    joints that both show are compared, because the second detection is often of half a body.
    """
    detections = _join_halves(detections)
    order = np.lexsort((-detections.score, detections.frame))
    frame, keypoints = detections.frame[order].astype(np.int64), detections.keypoints[order]
    _, sizes = _boxes(keypoints)
    seen = keypoints[..., 2] >= min(SEEN, float(np.median(keypoints[..., 2])))
    better, other = _pairs(frame, frame, frame)
    better, other = better[better < other], other[better < other]
    kept = np.ones(len(frame), np.bool_)
    for part in np.array_split(np.arange(len(better)), len(better) // CHUNK + 1):
        a, b = better[part], other[part]
        apart = np.linalg.norm(keypoints[a, :, :2] - keypoints[b, :, :2], axis=-1)
        both = seen[a] & seen[b]
        both |= both.sum(axis=1, keepdims=True) < MIN_JOINTS
        apart = np.nanmedian(np.where(both, apart, np.nan), axis=1)
        for index in np.flatnonzero(apart < TWIN * np.maximum(sizes[a], sizes[b])):
            kept[b[index]] &= not kept[a[index]]
    return detections.take(np.sort(order[kept]))


def _join_halves(detections: Detections) -> Detections:
    """Return the detections with each two halves of a body, which a detector has split, as one.

    One shows the arms and shoulders, and the other the legs, at least HALF times as confidently as
    the rest. They are one body if their hips are near, for the length of the trunk, and the trunk
    is not too long or short for the legs. The joints are those of the half that shows them, and the
    score is the higher one.
    """
    points, confidence = detections.keypoints[..., :2].astype(float), detections.keypoints[..., 2]
    above, below = confidence[:, 5:11].mean(axis=1), confidence[:, 11:].mean(axis=1)
    upper, lower = np.flatnonzero(above > HALF * below), np.flatnonzero(below > HALF * above)
    frame = detections.frame.astype(np.int64)
    one, other = _pairs(frame[lower], frame[upper], frame[upper])
    one, other = upper[one], lower[other]
    shoulders, hips, ankles = (points[:, [k, k + 1]].mean(axis=1) for k in (5, 11, 15))
    trunk = np.linalg.norm(shoulders - hips, axis=-1)[one] + 1e-9
    legs = np.linalg.norm(ankles - hips, axis=-1)[other] + 1e-9
    apart = np.linalg.norm(hips[one] - hips[other], axis=-1) / trunk
    fits = (apart < WAIST) & (trunk / legs > TRUNK[0]) & (trunk / legs < TRUNK[1])
    keypoints, score = detections.keypoints.copy(), detections.score.copy()
    kept = np.ones(len(frame), np.bool_)
    for index in np.flatnonzero(fits)[np.argsort(apart[fits], kind="stable")]:
        a, b = one[index], other[index]
        if kept[a] and kept[b] and (keypoints[a] == detections.keypoints[a]).all():
            keypoints[a, 11:] = keypoints[b, 11:]
            score[a] = max(score[a], score[b])
            kept[b] = False
    joined = replace(detections, keypoints=keypoints, score=score)
    return joined if kept.all() else joined.take(np.flatnonzero(kept))


def choose_person(
    detections: Detections,
    person: int = 1,
    fps: float = FPS,
    picture_px: tuple[int, int] | None = None,
    look: Look | None = None,
) -> Track:
    """Follow the main person of a clip by dynamic programming over all detections.

    The reward of a detection is the detector's score x the square root of its size x a Gaussian
    around the picture's centre, because the camera follows the skater. A link to the next frame has
    a reward for a change of the pose, because skaters move their limbs while the camera moves
    bystanders as a whole, and a cost for the distance. Each missed frame has a cost. The person
    with the highest total over the clip is the main person. Tracks that do not overlap in time and
    can show the same person are joined over gaps of any length. The time is linear in the frames
    and quadratic in the people per frame.

    Args:
        detections: of all frames.
        person: 1 for the main person, 2 for the best track of the remaining detections, and so on.
        fps: frames per second of the clip.
        picture_px: width and height of the frames; None: they are estimated from the people.
        look: returns the picture of a frame; None: there are no pictures.

    Raises:
        UserError: there is no such person.
    """
    if person < 1:
        raise UserError(f"person {person}: persons are counted from 1, the main person")
    centres, sizes = _boxes(detections.keypoints)
    rewards = _rewards(detections, centres, sizes, picture_px)
    links, clear = _links(detections, centres, sizes, fps)
    crowd = _sort(detections, centres, sizes, clear, fps, look)
    links = _within(detections, centres, sizes, links, crowd, fps)
    scene = _Scene(detections, centres, sizes, rewards, links, crowd, fps)
    people = scene.compare(scene.follow(person, np.ones(len(sizes), np.bool_)), person + 1)
    if len(people) < person:
        raise UserError(f"person {person}: the clip holds {len(people)}; choose 1 to {len(people)}")
    found = people[person - 1]
    rival = people[person].total if len(people) > person else 0.0
    margin = float(np.clip(1 - rival / found.total, 0, 1))
    return _fill(detections, found.chosen, margin, _unsure(detections, found, crowd))


@dataclass(frozen=True, slots=True)
class _Person:
    """A track: its reward `total`, the detections `chosen` in order of time, and `seams`.

    `seams` are the detections after a gap that only place and size speak for.
    """

    total: float
    chosen: Indices
    seams: Indices


@dataclass(frozen=True, slots=True)
class _Scene:
    """All that is known of the P detections of a clip."""

    detections: Detections
    centres: Array
    sizes: Array
    rewards: Array
    links: _Links
    crowd: _Crowd
    fps: float

    def follow(self, num: int, free: NDArray[np.bool_]) -> list[_Person]:
        """Return the people with the highest totals among the detections that are free, (P,).

        At least the first `num` + 1 are right, if there are so many.
        """
        frame, free, links = self.detections.frame, free.copy(), self.links.among(free)
        people: list[_Person] = []
        num_pieces = 0
        while free.any() and (len(people) <= num or num_pieces < MAX_PIECES):
            total, piece = _best_track(frame, np.where(free, self.rewards, -np.inf), links)
            num_pieces += 1
            free &= ~_duplicates(self.detections, self.centres, self.sizes, piece)
            links = links.among(free)
            for index, track in enumerate(people):
                joined = _join(
                    frame, self.centres, self.sizes, track.chosen, piece, self.fps, self.crowd
                )
                if joined is not None:
                    seams = np.append(track.seams, joined[1])
                    people[index] = _Person(track.total + total, joined[0], seams)
                    break
            else:
                people.append(_Person(total, piece, np.zeros(0, np.int64)))
            people.sort(key=lambda found: -found.total)
        return people

    def compare(self, people: list[_Person], num: int) -> list[_Person]:
        """Follow the first people again, see `follow_again`, and sort all by their totals.

        Of two tracks that share half of the detections of one, the better one is kept.
        """
        again = [self.follow_again(found) for found in people[: num + 1]]
        if all(one is other for one, other in zip(again, people, strict=False)):
            return people
        result: list[_Person] = []
        for found in sorted([*again, *people[num + 1 :]], key=lambda other: -other.total):
            shared = (np.isin(found.chosen, other.chosen).mean() for other in result)
            if max(shared, default=0) < 0.5:
                result.append(found)
        return result

    def follow_again(self, found: _Person) -> _Person:
        """Follow a person once more by the colours that most of the track wears.

        All who wear other colours are left out. The parts that wear the same are linked over gaps
        of any length. The others have LEAST_REWARD.
        """
        parts, apart = self.crowd.parts, self.crowd.distances_to(found.chosen)
        own = apart < OWN * ALIKE
        foreign = (apart > ALIKE)[parts.label]
        kept = found.chosen[~foreign[found.chosen]]
        if not foreign.any() or not len(kept):
            return found
        source, target = parts.successions(np.flatnonzero(own), self.detections.frame)
        links = _Links(
            np.append(self.links.source, source),
            np.append(self.links.target, target),
            np.append(self.links.gain, np.zeros(len(source))),
        ).sorted()
        rewards = np.where(own[parts.label], self.rewards, LEAST_REWARD)
        again = replace(self, rewards=rewards, links=links)
        track = max(
            again.follow(MAX_PIECES, ~foreign), key=lambda other: np.isin(kept, other.chosen).sum()
        )
        return replace(track, total=self.total(track.chosen))

    def total(self, chosen: Indices) -> float:
        """Return the reward of a track."""
        before, after = chosen[:-1], chosen[1:]
        gain, _ = _gain(self.detections, self.centres, self.sizes, before, after, self.fps)
        near = self.detections.frame[after] - self.detections.frame[before] <= MAX_GAP_S * self.fps
        return float(self.rewards[chosen].sum() + gain[near].sum())


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The `parts` of all tracks, and how they follow each other.

    `who` (T,) is the person of each part; `colours` those of each person, (N, 2, 3, BINS).
    """

    parts: Parts
    chains: Chains
    who: Indices
    colours: Array

    def of(self, chosen: Indices) -> Indices:
        """Return the person of each detection."""
        return self.who[self.parts.label[chosen]]

    def distances_to(self, chosen: Indices) -> Array:
        """Return how far the colours of each part are from those of most of a track, (T,).

        Parts that surely follow each other have their median, so that it does not matter if
        somebody else is seen in front of one of them. NaN if the colours are not known.
        """
        parts, count = np.unique(self.parts.label[chosen], return_counts=True)
        colours = self.parts.colours
        apart = distances(colours[parts, None], colours[None, parts])
        alike = np.where(apart < ALIKE, count, 0)  # NaN is not alike
        own = apart[alike.sum(axis=1).argmax()] < ALIKE
        result = np.full(len(colours), np.nan)
        if not own.any():
            return result
        weight = count[own].astype(float)
        [model] = group_means(colours[parts[own]], weight, np.zeros(len(weight), np.int64), 1)
        apart, length = distances(colours, model), np.diff(self.parts.start)
        num, group = self.chains.groups(SURE)
        for index in range(num):
            members = np.flatnonzero((group == index) & np.isfinite(apart))
            if len(members):
                result[group == index] = np.median(np.repeat(apart[members], length[members]))
        return result


def _sort(
    detections: Detections,
    centres: Array,
    sizes: Array,
    clear: tuple[Indices, Indices],
    fps: float,
    look: Look | None,
) -> _Crowd:
    """Sort the detections into people, over gaps of at most MAX_GAP_S."""
    parts = cut(detections, centres, sizes, clear, look)
    idx = useful_idx(detections, clear)
    gap = max(round(MAX_GAP_S * fps), 1)
    chains = chain(detections, centres, sizes, parts, idx, fps, gap)
    count, who = chains.groups(-np.inf)
    weight = np.diff(parts.start).astype(float)
    return _Crowd(
        parts, chains, who.astype(np.int64), group_means(parts.colours, weight, who, count)
    )


def _within(
    detections: Detections,
    centres: Array,
    sizes: Array,
    links: _Links,
    crowd: _Crowd,
    fps: float,
) -> _Links:
    """Keep the links within a person, and link the parts that follow each other."""
    parts, following = crowd.parts, crowd.chains.next
    has = following >= 0
    source = parts.ends(True, 1)[has, 0]
    target = parts.ends(False, 1)[following[has], 0]
    gain, _ = _gain(detections, centres, sizes, source, target, fps)
    same = crowd.of(links.source) == crowd.of(links.target)
    source, target = np.append(links.source[same], source), np.append(links.target[same], target)
    order = np.argsort(target, kind="stable")
    return _Links(source[order], target[order], np.append(links.gain[same], gain)[order])


def _unsure(detections: Detections, found: _Person, crowd: _Crowd) -> NDArray[np.bool_]:
    """Mark the frames, (F,), that hang on the longest part of the track by unsure seams only.

    Frames in the same colours are sure, unless somebody else in these colours is there.

    Args:
        detections: of all frames.
        found: the person.
        crowd: all parts.
    """
    chosen, frame = found.chosen, detections.frame
    part = crowd.parts.label[chosen]
    change = np.flatnonzero(np.diff(part)) + 1
    bad = crowd.chains.margin[part[change - 1]] < SURE
    bad &= crowd.chains.next[part[change - 1]] == part[change]
    bad |= np.isin(chosen[change], found.seams)
    bounds = np.concatenate([[0], change[bad], [len(chosen)]])
    apart = crowd.distances_to(chosen)[crowd.parts.label]
    rival = (apart < ALIKE) & ~np.isin(crowd.parts.label, part)
    main = int(np.diff(bounds).argmax())
    result = np.zeros(detections.num_frames, np.bool_)
    for k, (first, end) in enumerate(pairwise(bounds)):
        inside = slice(frame[chosen[first]], frame[chosen[end - 1]] + 1)
        with_rival = rival & (frame >= inside.start) & (frame < inside.stop)
        same = np.nan_to_num(apart[chosen[first:end]], nan=np.inf) < OWN * ALIKE
        result[inside] = k != main and (same.mean() < 0.5 or bool(with_rival.any()))
        if k:
            result[frame[chosen[first - 1]] + 1 : inside.start] = True
    return result


def _boxes(keypoints: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return the centre (P, 2) and the size (P,) in px of the box around the confident joints."""
    seen = keypoints[..., 2:] >= min(SEEN, float(np.median(keypoints[..., 2])))
    seen |= ~seen.any(axis=1, keepdims=True)
    low = np.where(seen, keypoints[..., :2], np.inf).min(axis=1)
    high = np.where(seen, keypoints[..., :2], -np.inf).max(axis=1)
    return (low + high) / 2.0, np.maximum(np.linalg.norm(high - low, axis=-1), 1.0)


def _rewards(
    detections: Detections, centres: Array, sizes: Array, picture_px: tuple[int, int] | None
) -> Array:
    """Return the reward of each detection without links, (P,)."""
    picture = _guess_picture(detections) if picture_px is None else picture_px
    off_centre = np.linalg.norm(centres / np.array(picture, float) - 0.5, axis=-1)
    score = np.minimum(detections.score / max(float(np.median(detections.score)), 1e-6), 1.5)
    size = np.sqrt(np.clip(sizes / np.median(sizes), 0.25, 4))
    reward: Array = score * size * np.exp(-((off_centre / CENTRE) ** 2))
    return np.maximum(reward, LEAST_REWARD)


def _guess_picture(detections: Detections) -> tuple[float, float]:
    """Return the width and height in px of the smallest usual picture that shows everybody."""
    width, height = np.maximum(detections.keypoints[..., :2].max(axis=(0, 1)), 1.0).astype(float)
    aspect = ASPECT if width > height else 1 / ASPECT
    return max(width, height * aspect), max(height, width / aspect)


def _links(
    detections: Detections, centres: Array, sizes: Array, fps: float
) -> tuple[_Links, tuple[Indices, Indices]]:
    """Link detections of neighbouring frames, and link ends of persons to beginnings after a gap.

    Two detections that are near and mutually nearest are taken for one person. A detection without
    such a partner in the next frame is an end. One without a partner in the frame before is a
    beginning. Links to another person cost STRAY_COST, except from an end to a beginning.
    """
    frame = detections.frame.astype(np.int64)
    source, target = _pairs(frame, frame + 1, frame + 1)
    gain, moved = _gain(detections, centres, sizes, source, target, fps)
    near = np.isfinite(moved)
    source, target, gain, moved = source[near], target[near], gain[near], moved[near]
    nearest = np.full((2, len(frame)), np.inf)
    np.minimum.at(nearest[0], source, moved)
    np.minimum.at(nearest[1], target, moved)
    mutual = (moved == nearest[0, source]) & (moved == nearest[1, target]) & (moved < REACH / 2)
    gain[~mutual] -= STRAY_COST
    second = np.full((2, len(frame)), np.inf)
    np.minimum.at(second[0], source[~mutual], moved[~mutual])
    np.minimum.at(second[1], target[~mutual], moved[~mutual])
    rival = np.minimum(second[0, source], second[1, target])
    is_clear = mutual & (rival - moved > CONTESTED)
    clear = source[is_clear], target[is_clear]
    ends = np.flatnonzero(np.bincount(source[mutual], minlength=len(frame)) == 0)
    begins = np.flatnonzero(np.bincount(target[mutual], minlength=len(frame)) == 0)
    end, begin = _pairs(frame[begins], frame[ends] + 1, frame[ends] + round(MAX_GAP_S * fps))
    end, begin = ends[end], begins[begin]
    gap_gain, _ = _gain(detections, centres, sizes, end, begin, fps)
    source, target = np.concatenate([source, end]), np.concatenate([target, begin])
    order = np.argsort(target, kind="stable")
    found = _Links(source[order], target[order], np.concatenate([gain, gap_gain])[order])
    return found, clear


def _pairs(frame: Indices, first: Indices, last: Indices) -> tuple[Indices, Indices]:
    """Pair each i with all k where first[i] <= frame[k] <= last[i]; `frame` ascends."""
    low, high = np.searchsorted(frame, first), np.searchsorted(frame, last, side="right")
    count = high - low
    i = np.repeat(np.arange(len(count)), count)
    return i, np.arange(len(i)) + np.repeat(low - np.cumsum(count) + count, count)


def _gain(
    detections: Detections,
    centres: Array,
    sizes: Array,
    source: Indices,
    target: Indices,
    fps: float,
) -> tuple[Array, Array]:
    """Return each link's reward and its distance in body sizes, inf beyond reach; both (L,)."""
    points, confidence = detections.keypoints[..., :2], detections.keypoints[..., 2]
    gap = detections.frame[target] - detections.frame[source]
    size = (sizes[source] + sizes[target]) / 2
    farthest = reach(gap, fps)
    moved, bent = np.full(len(gap), np.inf), np.zeros(len(gap))
    near = np.flatnonzero(
        np.linalg.norm(centres[target] - centres[source], axis=-1) < farthest * size
    )
    for part in np.array_split(near, len(near) // CHUNK + 1):
        a, b = source[part], target[part]
        weight = confidence[a] * confidence[b] + np.float32(1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        motion = (points[b] - points[a]) / size[part, None, None].astype(np.float32)
        shift = np.einsum("lj,ljc->lc", weight, motion)[:, None]
        for result, vector in ((moved, motion), (bent, motion - shift)):
            length = np.minimum(np.sqrt(np.einsum("ljc,ljc->lj", vector, vector)), 1)
            result[part] = np.einsum("lj,lj->l", weight, length)
    gain = MOTION_WEIGHT * np.minimum(bent / gap, MAX_MOTION)
    gain -= SWITCH_COST * np.minimum(moved / farthest, 1) ** 2 + GAP_COST * (gap - 1)
    return gain, moved


def _best_track(frame: NDArray[np.int32], rewards: Array, links: _Links) -> tuple[float, Indices]:
    """Return the highest total and the detections of its track in order of time (Viterbi)."""
    total = rewards.copy()
    heads = np.flatnonzero(np.diff(links.target, prepend=-1))  # first link to each target
    targets = links.target[heads]
    ends = np.append(heads, len(links.target))
    groups = np.flatnonzero(np.diff(frame[targets], prepend=-1))
    for group, stop in zip(groups, np.append(groups, len(heads))[1:], strict=True):
        incoming = slice(heads[group], ends[stop])
        gain = total[links.source[incoming]] + links.gain[incoming]
        best = np.maximum.reduceat(gain, heads[group:stop] - heads[group])
        total[targets[group:stop]] += np.maximum(best, 0)
    chosen = [int(total.argmax())]
    while True:
        low, high = np.searchsorted(links.target, (chosen[-1], chosen[-1] + 1))
        gain = total[links.source[low:high]] + links.gain[low:high]
        if not len(gain) or gain.max() <= 0:
            return float(total[chosen[0]]), np.array(chosen[::-1])
        chosen.append(int(links.source[low + gain.argmax()]))


def _join(
    frame: NDArray[np.int32],
    centres: Array,
    sizes: Array,
    track: Indices,
    piece: Indices,
    fps: float,
    crowd: _Crowd,
) -> tuple[Indices, Indices] | None:
    """Return a track with a piece in one of its gaps or at an end; None if it is another person's.

    A person who is in the picture at the same time is another person. A person who is too far away,
    has another size or other clothes is another person too, unless the frames of the piece usually
    show nobody else.

    Returns:
        The detections, and those after a gap that only place and size speak for.
    """
    first = int(np.searchsorted(frame[track], frame[piece[0]]))
    if first != np.searchsorted(frame[track], frame[piece[-1]], side="right"):
        return None
    joined = np.insert(track, first, piece)
    seams = np.array([first, first + len(piece)])
    seams = seams[(seams > 0) & (seams < len(joined))]
    before, after = joined[seams - 1], joined[seams]
    if crowd.of(piece[:1]) == crowd.of(track[:1]):
        return joined, after[:0]
    if len(seams) == 2 and frame[after[1]] - frame[before[0]] <= MAX_GAP_S * fps:
        return None  # a link could bridge this gap, but the best track did not use one
    if np.median(np.bincount(frame)[frame[piece]]) == 1:
        return joined, after[:0]
    grown = np.abs(np.log(sizes[after] / sizes[before])) > np.log(MAX_GROWTH)
    alike = float(distances(*crowd.colours[crowd.of(np.array([piece[0], track[0]]))]))
    if grown.any() or alike > ALIKE:
        return None
    if alike < ALIKE / 2:
        return joined, after[:0]
    moved = np.linalg.norm(centres[after] - centres[before], axis=-1)
    far = moved > reach(frame[after] - frame[before], fps) * (sizes[before] + sizes[after]) / 2
    return None if far.any() else (joined, after)


def _duplicates(
    detections: Detections, centres: Array, sizes: Array, chosen: Indices
) -> NDArray[np.bool_]:
    """Mark the chosen detections, and those that show the same person a second time; (P,)."""
    chosen_in = np.full(detections.num_frames, -1)
    chosen_in[detections.frame[chosen]] = chosen
    rivals = np.flatnonzero(chosen_in[detections.frame] >= 0)
    own = chosen_in[detections.frame[rivals]]
    near = np.linalg.norm(centres[rivals] - centres[own], axis=-1) < sizes[own] / 2
    rivals, own = rivals[near], own[near]
    points = detections.keypoints[..., :2]
    apart = np.median(np.linalg.norm(points[rivals] - points[own], axis=-1), axis=-1)
    result = np.zeros(len(sizes), np.bool_)
    result[rivals[apart < DUPLICATE * sizes[own]]] = True
    return result


def _fill(
    detections: Detections, chosen: Indices, margin: float, unsure: NDArray[np.bool_]
) -> Track:
    """Return the track of the chosen detections, interpolated in the other frames."""
    num_frames = detections.num_frames
    frames = detections.frame[chosen]
    detection = np.full(num_frames, -1, np.int32)
    detection[frames] = chosen
    values = detections.keypoints[chosen].reshape(len(chosen), -1)
    keypoints = np.stack(
        [np.interp(np.arange(num_frames), frames, column) for column in values.T], axis=1
    ).reshape(num_frames, -1, 3)
    observed = detection >= 0
    keypoints[~observed, :, 2] = 0
    num_people = np.bincount(detections.frame, minlength=num_frames).astype(np.int32)
    return Track(keypoints.astype(np.float32), observed, detection, margin, num_people, unsure)


def find_doubts(track: Track, times_s: Array, first_frame: int = 0) -> list[Doubt]:
    """Return the reasons to look at a track, at most one of each kind.

    Args:
        track: F frames.
        times_s: (F,) of the frames.
        first_frame: number of the first of the F frames, for the texts.
    """
    centres = track.keypoints[..., :2].mean(axis=1)
    extent = np.ptp(track.keypoints[..., :2], axis=1).max(axis=1)
    shifts = np.linalg.norm(np.diff(centres, axis=0), axis=1) / max(float(np.median(extent)), 1.0)
    doubts = _doubt_margin(track.margin) + _doubt_gaps(
        track.observed, track.num_people, times_s, first_frame
    )
    doubts += _doubt_identity(track.unsure, first_frame)
    if shifts.max(initial=0) > MAX_LEAP:
        frame = int(shifts.argmax()) + 1 + first_frame
        doubts.append(
            Doubt(
                "the skater's position changes suddenly; from there it may be another person",
                f"frame {frame}",
                OTHER_PERSON,
            )
        )
    elif (other := _find_other_body(track)) is not None:
        doubts.append(
            Doubt(
                "another person may be followed after the skater has left: place or size change",
                f"frame {other + first_frame}",
                SHOWN_PART,
            )
        )
    return doubts


def _find_other_body(track: Track) -> int | None:
    """Return the first frame where the track continues with another body; None if there is none.

    It has another size than the body before, or it is far from it after a gap.
    """
    shown = np.flatnonzero(track.observed)
    points = track.keypoints[shown, :, :2]
    sizes = np.maximum(np.ptp(points, axis=1).max(axis=1), 1.0)
    moved = np.linalg.norm(np.diff(points.mean(axis=1), axis=0), axis=1)
    for index in range(1, len(shown)):
        before = np.median(sizes[max(index - SIZE_FRAMES, 0) : index])
        after = np.median(sizes[index : index + SIZE_FRAMES])
        grown = abs(np.log(after / before))
        if shown[index] == shown[index - 1] + 1:
            at_once = abs(np.log(sizes[index] / sizes[index - 1]))
            is_other = grown > np.log(MAX_RATIO) and at_once > np.log(MAX_GAP_RATIO)
        else:
            is_far = moved[index - 1] > MAX_MOVED * (before + after) / 2
            is_other = is_far or grown > np.log(MAX_GAP_RATIO)
        if is_other:
            return int(shown[index])
    return None


def _doubt_identity(unsure: NDArray[np.bool_], first_frame: int) -> list[Doubt]:
    """Return a doubt if frames may show another person, else nothing."""
    if not unsure.any():
        return []
    frames = np.flatnonzero(unsure) + first_frame
    detail = f"{len(frames)} of {len(unsure)} frames, from frame {frames[0]} to {frames[-1]}"
    return [Doubt(MIXED_UP, detail, SHOWN_PART)]


def _doubt_margin(margin: float) -> list[Doubt]:
    """Return a doubt if another person may be the skater, else nothing."""
    kind = "another person is nearly as likely to be the skater"
    return [Doubt(kind, f"margin {margin:.2f}", OTHER_PERSON)] if margin < CLEAR_MARGIN else []


def _doubt_gaps(
    observed: NDArray[np.bool_], num_people: NDArray[np.int32], times_s: Array, first_frame: int
) -> list[Doubt]:
    """Return a doubt if the skater is missed often or for long, else nothing.

    A video of variable rate may pause between two frames that both show the skater. That is not a
    gap.
    """
    missed = int((~observed).sum())
    # The ends of the clip count as seen, so that a gap may reach from them to the first seen frame.
    seen = np.unique(np.concatenate([[0], np.flatnonzero(observed), [len(observed) - 1]]))
    paused = (np.diff(seen) == 1) & observed[seen[:-1]] & observed[seen[1:]]
    gaps_s = np.where(paused, 0.0, np.diff(times_s[seen]))
    if not missed or (missed <= MAX_MISSED * len(times_s) and gaps_s.max() <= MAX_MISSED_S):
        return []
    longest = int(gaps_s.argmax())
    first = int(seen[longest]) + int(observed[seen[longest]])
    empty = int((num_people == 0).sum())
    counts = f"{missed} of {len(times_s)} frames, {empty} with nobody"
    longest_s = f"{gaps_s[longest]:.2f} s from frame {first + first_frame}"
    return [Doubt(MISSED, f"{counts}; {longest_s}", "")]
