"""Follows one skater through a clip full of people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tcc.alphapose import Detections
from tcc.cli import UserError

Array = NDArray[np.float64]

MAX_GAP = 20  # frames that the skater may be missed in one go
MAX_ACTIVE = 128  # partial tracks that are kept from frame to frame
SEEN = 0.2  # confidence from which a joint counts here
# Weights of the rewards of one detection, in units of the mean person score.
SIZE_WEIGHT = 0.5
CENTRE_WEIGHT = 2.0
MOTION_WEIGHT = 25.0
# A jump by REACH times the body's size from frame to frame costs what SWITCH_COST frames earn.
REACH = 1.0
SWITCH_COST = 15.0
GAP_COST = 0.5
LEAST_REWARD = 0.1


@dataclass(frozen=True, slots=True)
class Track:
    """One person through a clip of F frames.

    `keypoints` (F, 17, 3) float32, interpolated with confidence 0 where `observed` (F,) is False;
    `detection` (F,) int32 index into the detections or -1; `margin` in [0, 1], how clearly this
    track beats the next; `num_people` (F,) int32.
    """

    keypoints: NDArray[np.float32]
    observed: NDArray[np.bool_]
    detection: NDArray[np.int32]
    margin: float
    num_people: NDArray[np.int32]


def choose_person(detections: Detections, person: int = 1) -> Track:
    """Follow the main person of a clip by dynamic programming over all detections.

    What counts is, over the whole clip: the detector's score, size, nearness to the picture's
    centre (the camera follows the skater), how much the pose itself changes (skaters move their
    limbs, bystanders are moved by the camera), and presence; against motion and change of size that
    no body makes between two frames. One pass: linear in frames x people per frame squared.

    Args:
        detections: of all frames.
        person: 1 the main person; 2 the best track of the remaining detections; and so on.

    Raises:
        UserError: there are fewer persons.
    """
    free = np.ones(len(detections.frame), np.bool_)
    rewards = _rewards(detections)
    tracks: list[tuple[float, NDArray[np.int32]]] = []
    while len(tracks) <= person and free.any():
        total, chosen = _best_track(detections, rewards, free)
        tracks.append((total, chosen))
        free[chosen] = False
        free &= ~_duplicates(detections, chosen)
    if len(tracks) < person:
        raise UserError(f"person {person}: the clip holds {len(tracks)}; choose 1 to {len(tracks)}")
    total, chosen = tracks[person - 1]
    rival = max((other for other, _ in tracks[person : person + 1]), default=0.0)
    margin = float(np.clip(1 - max(rival, 0.0) / max(total, 1e-9), 0, 1))
    return _fill(detections, chosen, margin)


def _boxes(keypoints: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return centres (P, 2) and sizes (P,) in px of the confident joints."""
    seen = keypoints[..., 2:] >= min(SEEN, float(np.median(keypoints[..., 2])))
    seen |= ~seen.any(axis=1, keepdims=True)
    low = np.where(seen, keypoints[..., :2], np.inf).min(axis=1)
    high = np.where(seen, keypoints[..., :2], -np.inf).max(axis=1)
    return (low + high) / 2.0, np.maximum(np.linalg.norm(high - low, axis=-1), 1.0)


def _rewards(detections: Detections) -> Array:
    """Return what each detection earns, (P,), without regard to its neighbours in time."""
    centres, sizes = _boxes(detections.keypoints)
    corner = np.maximum(detections.keypoints[..., :2].max(axis=(0, 1)), 1.0)
    off_centre = np.linalg.norm(centres / corner - 0.5, axis=-1)
    relative = np.log(sizes / np.median(sizes))
    score = detections.score / max(float(np.median(detections.score)), 1e-6)
    reward: Array = np.minimum(score, 1.5).astype(np.float64) + SIZE_WEIGHT * np.clip(
        relative, -1, 1
    )
    reward += CENTRE_WEIGHT * (0.5 - off_centre)
    reward[reward < LEAST_REWARD] = LEAST_REWARD
    return reward


def _best_track(
    detections: Detections, rewards: Array, free: NDArray[np.bool_]
) -> tuple[float, NDArray[np.int32]]:
    """Viterbi: return the highest total and the detections of its track, in order of time."""
    centres, sizes = _boxes(detections.keypoints)
    points = detections.keypoints[..., :2].astype(np.float64)
    confident = detections.keypoints[..., 2] >= SEEN
    pose = (points - centres[:, None]) / sizes[:, None, None]
    total = np.full(len(rewards), -np.inf)
    previous = np.full(len(rewards), -1, np.int32)
    bounds = np.searchsorted(detections.frame, np.arange(detections.num_frames + 1))
    active = np.empty(0, np.int64)
    for frame in range(detections.num_frames):
        now = np.arange(bounds[frame], bounds[frame + 1])
        now = now[free[now]]
        active = active[frame - detections.frame[active] <= MAX_GAP]
        if len(now):
            total[now] = rewards[now]
            if len(active):
                gap = frame - detections.frame[active][:, None]
                size = (sizes[active][:, None] + sizes[now]) / 2
                apart = np.linalg.norm(points[active][:, None] - points[now], axis=-1)
                moved = np.median(apart, axis=-1) / size
                grown = np.abs(np.log(sizes[active][:, None] / sizes[now]))
                both = confident[active][:, None] & confident[now]
                change = np.linalg.norm(pose[active][:, None] - pose[now], axis=-1)
                bent = (change * both).sum(-1) / np.maximum(both.sum(-1), 1)
                motion = np.minimum(bent / gap, 0.08)
                strain = ((moved + grown / 4) / (REACH * np.sqrt(gap))) ** 2
                gain = (
                    total[active][:, None]
                    + MOTION_WEIGHT * motion
                    - SWITCH_COST * np.minimum(strain, 1)
                    - GAP_COST * (gap - 1)
                )
                best = gain.argmax(axis=0)
                better = gain[best, np.arange(len(now))] > 0
                total[now[better]] += gain[best, np.arange(len(now))][better]
                previous[now[better]] = active[best[better]]
        active = np.concatenate([active, now])
        if len(active) > MAX_ACTIVE:
            active = active[np.argpartition(-total[active], MAX_ACTIVE)[:MAX_ACTIVE]]
    chosen = [int(total.argmax())]
    while previous[chosen[-1]] >= 0:
        chosen.append(int(previous[chosen[-1]]))
    return float(total[chosen[0]]), np.array(chosen[::-1], np.int32)


def _duplicates(detections: Detections, chosen: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark detections that show a chosen person a second time."""
    _, sizes = _boxes(detections.keypoints)
    by_frame = np.full(detections.num_frames, -1)
    by_frame[detections.frame[chosen]] = chosen
    other = by_frame[detections.frame]
    apart = np.linalg.norm(
        detections.keypoints[..., :2] - detections.keypoints[other, :, :2], axis=-1
    )
    duplicate: NDArray[np.bool_] = (other >= 0) & (np.median(apart, axis=-1) < 0.1 * sizes)
    return duplicate


def _fill(detections: Detections, chosen: NDArray[np.int32], margin: float) -> Track:
    """Lay the chosen detections out over all frames and interpolate between them."""
    num_frames = detections.num_frames
    frames = detections.frame[chosen]
    detection = np.full(num_frames, -1, np.int32)
    detection[frames] = chosen
    known = detections.keypoints[chosen].reshape(len(chosen), -1)
    keypoints = np.stack(
        [np.interp(np.arange(num_frames), frames, column) for column in known.T], axis=1
    ).reshape(num_frames, -1, 3)
    observed = detection >= 0
    keypoints[~observed, :, 2] = 0
    num_people = np.bincount(detections.frame, minlength=num_frames).astype(np.int32)
    return Track(keypoints.astype(np.float32), observed, detection, margin, num_people)
