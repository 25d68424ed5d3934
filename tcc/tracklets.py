"""Cuts the tracks of a clip where people meet or vanish, and tells which parts are one person.

Between the cuts, a detection and the nearest one in the next frame are the same person without
doubt. Which part follows which is an assignment with the lowest total cost. The cost of two parts
is the negative logarithm of how likely they are one person: by place and velocity, size, pose, the
colours of the clothes where there are pictures, and the numbers of a tracker where there are any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from tcc.alphapose import Detections
from tcc.appearance import Look, describe, distances

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

FPS = 30.0  # frame rate for which the constants per frame hold
REACH = 1.2  # longest distance of a link over one frame, body sizes; grows with the root of a gap
END_FRAMES = 6  # frames at the end of a part that tell its velocity, size and number
COAST_FRAMES = 10  # for so many frames, people are taken to move on as before
PLACE, PLACE_GROWTH = 0.12, 0.05  # standard deviation of the place, body sizes; growth per frame
SIZE, SIZE_GROWTH = 0.12, 0.01  # the same of the logarithm of the size
POSE, POSE_FRAMES = 0.08, 5  # the same of the joints within the body; longest gap with this cost
MAX_PLACE = 9.0  # highest cost of the place; cameras shake
MAX_ODD = 4.0  # highest cost of the size, and of the pose
ALIKE, STEP = 25.0, 6.0  # distance of colours that tells nothing; steps for one unit of cost
COLOURS = (-3.0, 8.0)  # lowest and highest cost of the colours
IDX = 3.0  # cost of another number, and gain of the same number
NONE = 12.0  # cost of a part that nothing follows
SURE = 2.0  # least difference between the costs of the best and the next solution
LOOK_EVERY = 4  # frames
MIN_VIEWS = 2  # of a part, before and after the colours change
BODY = [5, 6, 11, 12, 13, 14, 15, 16]  # joints around the clothes that are looked at
IDX_AGREES = 0.95  # share of the clear links that keep their number, else numbers are not used


@dataclass(frozen=True, slots=True)
class Parts:
    """T parts of the tracks of P detections.

    `label` (P,) part of each detection; `order` (P,) the detections sorted by part and frame;
    `start` (T + 1,) where each part begins in `order`; `colours` (T, 2, 3, BINS), see `describe`.
    """

    label: Indices
    order: Indices
    start: Indices
    colours: Array

    def ends(self, back: bool, count: int) -> Indices:
        """Return the last detections of each part, from the last one, (T, count); or the first.

        The last one of a part that is shorter is repeated.
        """
        step = np.minimum(np.arange(count), np.diff(self.start)[:, None] - 1)
        first = self.start[1:, None] - 1 - step if back else self.start[:-1, None] + step
        return np.asarray(self.order[first], np.int64)

    def successions(self, chosen: Indices, frame: NDArray[np.int32]) -> tuple[Indices, Indices]:
        """Return links from each of the chosen parts to the beginnings of all later ones.

        A part that ends less than END_FRAMES after the beginning of the next one is cut short.

        Args:
            chosen: parts.
            frame: (P,) of the detections.
        """
        first = frame[self.order[self.start[chosen]]].astype(np.int64)
        last = frame[self.order[self.start[chosen + 1] - 1]].astype(np.int64)
        before = np.minimum(last[:, None], first[None] - 1)
        follows = (first[:, None] <= before) & (last[:, None] - before < END_FRAMES)
        follows &= last[:, None] < last[None]
        one, other = np.nonzero(follows)
        source = self.order[self.start[chosen[one]] + before[one, other] - first[one]]
        return source, self.order[self.start[chosen[other]]]


@dataclass(frozen=True, slots=True)
class Chains:
    """Which parts are one person: `next` (T,) the part that follows each one, or -1.

    `margin` (T,) is the difference of costs to the next best solution, inf if there is none.
    """

    next: Indices
    margin: Array

    def groups(self, least: float) -> tuple[int, Indices]:
        """Return the number of groups of parts that follow each other, and the group of each, (T,).

        Args:
            least: margin from which on a part counts as followed.
        """
        source = np.flatnonzero((self.next >= 0) & (self.margin >= least))
        links = np.ones(len(source)), (source, self.next[source])
        graph = coo_array(links, shape=(len(self.next), len(self.next)))
        count, group = connected_components(graph, directed=False)
        return count, group.astype(np.int64)


def cut(
    detections: Detections,
    centres: Array,
    sizes: Array,
    links: tuple[Indices, Indices],
    look: Look | None = None,
) -> Parts:
    """Put the detections that are linked without doubt into parts.

    Args:
        detections: P detections.
        centres: (P, 2) px.
        sizes: (P,) px.
        links: sources and targets (L,) of the clear links; at most one from and to each detection.
        look: returns the picture of a frame; None: there are no pictures.
    """
    total = len(detections.frame)
    graph = coo_array((np.ones(len(links[0]), np.int8), links), shape=(total, total))
    _, label = connected_components(graph, directed=False)
    parts = _arrange(detections, label.astype(np.int64))
    if look is None or len(parts.start) < 3:
        return parts
    wanted = _clear_views(detections, parts)
    seen = describe(look, detections.frame, detections.keypoints, wanted)
    parts = _arrange(detections, _split_by_colours(parts, wanted, seen))
    colours = group_medians(seen[wanted], parts.label[wanted], len(parts.start) - 1)
    return replace(parts, colours=colours)


def _arrange(detections: Detections, label: Indices) -> Parts:
    """Return the parts of labelled detections, without colours."""
    num = int(label.max()) + 1
    order = np.lexsort((detections.frame, label))
    start = np.searchsorted(label[order], np.arange(num + 1))
    return Parts(label, order, start, np.full((num, 2, 3, 1), np.nan))


def _split_by_colours(parts: Parts, wanted: Indices, seen: Array) -> Indices:
    """Return the labels (P,) of parts that are cut where the colours change from ALIKE on."""
    label, num = parts.label.copy(), len(parts.start) - 1
    viewed = np.zeros(len(label), np.bool_)
    viewed[wanted] = np.isfinite(seen[wanted]).any(axis=(1, 2, 3))
    waiting = [parts.order[a:b] for a, b in zip(parts.start[:-1], parts.start[1:], strict=True)]
    while waiting:
        part = waiting.pop()
        views = np.flatnonzero(viewed[part])
        cuts = range(MIN_VIEWS, len(views) - MIN_VIEWS + 1)
        apart = [_change(seen[part[views]], k) for k in cuts]
        if apart and np.nanmax([0, *apart]) > ALIKE:
            k = cuts[int(np.nanargmax(apart))]
            middle = (views[k - 1] + views[k] + 1) // 2
            label[part[middle:]] = num
            num += 1
            waiting += [part[:middle], part[middle:]]
    return label


def _change(views: Array, k: int) -> float:
    """Return how far the median colours before view k are from those from it on."""
    both = [
        group_medians(half, np.zeros(len(half), np.int64), 1)[0] for half in (views[:k], views[k:])
    ]
    return float(distances(*both))


def _clear_views(detections: Detections, parts: Parts) -> Indices:
    """Return the detections to look at: of some frames, inside their part, and not near others."""
    frame = detections.frame.astype(np.int64)
    place = np.empty(len(frame), np.int64)
    place[parts.order] = np.arange(len(frame))
    start, end = parts.start[parts.label], parts.start[parts.label + 1]
    clear = np.minimum(place - start, end - 1 - place) >= END_FRAMES // 2
    body = detections.keypoints[:, BODY, :2]
    low, high = body.min(axis=1), body.max(axis=1)
    bounds = np.searchsorted(frame, np.arange(detections.num_frames + 1))
    for first, end_ in zip(bounds[:-1:LOOK_EVERY], bounds[1::LOOK_EVERY], strict=False):
        here = slice(first, end_)
        both = np.minimum(high[here, None], high[None, here])
        both = both - np.maximum(low[here, None], low[None, here])
        nearer = high[None, here, 1] > high[here, None, 1]  # their feet are lower in the picture
        clear[here] &= ~((both > 0).all(axis=-1) & nearer).any(axis=1)
    chosen = frame % LOOK_EVERY == 0
    return np.flatnonzero(clear & chosen)


def group_medians(values: Array, group: Indices, num: int) -> Array:
    """Return the median (num, ...) of values (K, ...) in each group, without NaN."""
    result = np.full((num, *values.shape[1:]), np.nan)
    for index in np.unique(group):
        own = values[group == index]
        known = np.isfinite(own[..., 0]).any(axis=0)
        result[index, known] = np.nanmedian(own[:, known], axis=0)
    return result


def group_means(values: Array, weight: Array, group: Indices, num: int) -> Array:
    """Return the weighted mean (num, ...) of values (K, ...) in each group, without NaN."""
    flat = values.reshape(len(values), -1)
    known = np.isfinite(flat) * weight[:, None]
    sums, counts = np.zeros((2, num, flat.shape[1]))
    np.add.at(sums, group, np.where(known > 0, flat, 0) * known)
    np.add.at(counts, group, known)
    means = np.where(counts > 0, sums / np.maximum(counts, 1e-9), np.nan)
    return np.asarray(means.reshape(num, *values.shape[1:]))


def chain(
    detections: Detections,
    centres: Array,
    sizes: Array,
    parts: Parts,
    idx: Indices | None,
    fps: float,
    max_gap: int,
) -> Chains:
    """Decide which part follows which, over at most `max_gap` frames.

    Args:
        detections: P detections.
        centres: (P, 2) px.
        sizes: (P,) px.
        parts: of the tracks.
        idx: (P,) numbers of a tracker, -1 if unknown; None: there are none.
        fps: frames per second.
        max_gap: frames.
    """
    num = len(parts.start) - 1
    frame = detections.frame.astype(np.int64)
    first, last = frame[parts.order[parts.start[:-1]]], frame[parts.order[parts.start[1:] - 1]]
    by_first = np.argsort(first, kind="stable")
    low = np.searchsorted(first[by_first], last + 1)
    high = np.searchsorted(first[by_first], last + max_gap, side="right")
    count = high - low
    source = np.repeat(np.arange(num), count)
    target = by_first[np.arange(len(source)) + np.repeat(low - np.cumsum(count) + count, count)]
    cost = _costs(detections, centres, sizes, parts, idx, fps, source, target)
    kept = cost < NONE
    source, target, cost = source[kept], target[kept], cost[kept]
    every = np.arange(num)
    offset = 1 - min(float(cost.min(initial=0)), 0)
    table = coo_array(
        (
            np.concatenate([cost, np.full(num, NONE)]) + offset,
            (np.concatenate([source, every]), np.concatenate([target, num + every])),
        ),
        shape=(num, 2 * num),
    )
    following = min_weight_full_bipartite_matching(table.tocsr())[1].astype(np.int64)
    following[following >= num] = -1
    crowded = np.bincount(frame)[np.maximum(last - 1, 0)] > 1
    return Chains(following, _margins(source, target, cost, following, crowded))


def _costs(
    detections: Detections,
    centres: Array,
    sizes: Array,
    parts: Parts,
    idx: Indices | None,
    fps: float,
    source: Indices,
    target: Indices,
) -> Array:
    """Return the cost of each pair of parts, (K,)."""
    frame, keypoints = detections.frame, detections.keypoints
    tail, head = parts.ends(True, END_FRAMES), parts.ends(False, END_FRAMES)
    steps = {}
    for name, end in (("tail", tail), ("head", head)):
        span = frame[end[:, 0]] - frame[end[:, -1]]
        moved = centres[end[:, 0]] - centres[end[:, -1]]
        steps[name] = moved / np.where(span == 0, 1, span)[:, None], span != 0
    a, b = tail[source, 0], head[target, 0]
    gap = (frame[b] - frame[a]) * FPS / fps
    (after, has_after), (before, has_before) = steps["tail"], steps["head"]
    both = has_after[source].astype(float) + has_before[target]
    speed = after[source] * has_after[source, None] + before[target] * has_before[target, None]
    speed /= np.maximum(both, 1)[:, None]
    size_a, size_b = (np.median(sizes[end], axis=1) for end in (tail, head))
    size = (size_a[source] + size_b[target]) / 2
    coast = np.minimum(frame[b] - frame[a], COAST_FRAMES * fps / FPS)
    error = np.linalg.norm(centres[b] - centres[a] - speed * coast[:, None], axis=-1) / size
    moved = np.linalg.norm(centres[b] - centres[a], axis=-1) / size
    spread = PLACE + PLACE_GROWTH * np.minimum(gap, 2 * COAST_FRAMES)
    cost = np.minimum((error / spread) ** 2 / 2, MAX_PLACE) + 2 * np.log(spread / PLACE)
    cost[moved > reach(frame[b] - frame[a], fps)] = np.inf
    grown = np.log(size_b[target] / size_a[source]) / (SIZE + SIZE_GROWTH * gap)
    cost += np.minimum(grown**2 / 2, MAX_ODD)
    near = np.flatnonzero(gap <= POSE_FRAMES)
    bent = _bent(keypoints, a[near], b[near], size[near]) / (POSE * np.sqrt(gap[near]))
    cost[near] += np.minimum(bent**2 / 2, MAX_ODD)
    apart = distances(parts.colours[source], parts.colours[target])
    cost += np.where(np.isfinite(apart), np.clip((apart - ALIKE) / STEP, *COLOURS), 0)
    if idx is not None:
        one, other = idx[tail[source]][:, :, None], idx[head[target]][:, None]
        known = (one >= 0) & (other >= 0)
        agree = np.where(known, np.where(one == other, -1.0, 1.0), 0).mean(axis=(1, 2))
        cost += IDX * agree
    return np.asarray(cost)


def reach(gap: NDArray[np.int32], fps: float) -> Array:
    """Return the longest distance of a link over `gap` frames, in body sizes."""
    result: Array = REACH * np.sqrt(np.maximum(gap * FPS / fps, 1))
    return result


def _bent(keypoints: NDArray[np.float32], a: Indices, b: Indices, size: Array) -> Array:
    """Return how much the pose changes from detection a to b, body sizes, (K,)."""
    weight = keypoints[a, :, 2] * keypoints[b, :, 2] + np.float32(1e-6)
    weight /= weight.sum(axis=1, keepdims=True)
    moved = (keypoints[b, :, :2] - keypoints[a, :, :2]) / size[:, None, None]
    moved -= (weight[..., None] * moved).sum(axis=1, keepdims=True)
    return np.asarray((weight * np.linalg.norm(moved, axis=-1)).sum(axis=1))


def _margins(
    source: Indices, target: Indices, cost: Array, following: Indices, crowded: NDArray[np.bool_]
) -> Array:
    """Return how much more the next best solution costs that changes each part's follower, (T,).

    Solutions are tried that exchange the followers of two parts, or end the part.
    """
    costs = dict(zip(zip(source.tolist(), target.tolist(), strict=True), cost, strict=True))
    leader = np.full(len(following), -1)
    leader[following[following >= 0]] = np.flatnonzero(following >= 0)
    margin = np.full(len(following), np.inf)

    def current(part: int) -> float:
        return float(costs[part, int(following[part])]) if following[part] >= 0 else NONE

    for (one, other), price in costs.items():
        own, rival = int(following[one]), int(leader[other])
        if own == other:
            if crowded[one]:
                margin[one] = min(margin[one], NONE - price)
            continue
        change = price - current(one)
        if rival >= 0:
            change += min(costs.get((rival, own), NONE), NONE) - current(rival)
            margin[rival] = min(margin[rival], change)
        margin[one] = min(margin[one], change)
    return margin


def useful_idx(detections: Detections, links: tuple[Indices, Indices]) -> Indices | None:
    """Return the numbers of a tracker, (P,); None if there are none that tell people apart.

    They are not used if they often change from a detection to the clear next one, or if they are
    only the rank by score in the frame.
    """
    idx = detections.idx
    if idx is None or len(np.unique(idx)) < 2:
        return None
    one, other = idx[links[0]], idx[links[1]]
    known = (one >= 0) & (other >= 0)
    if not known.any() or (one == other)[known].mean() < IDX_AGREES:
        return None
    order = np.lexsort((-detections.score, detections.frame))
    frame = detections.frame[order]
    rank = np.arange(len(frame)) - np.searchsorted(frame, frame)
    return None if (rank == idx[order]).all() else idx
