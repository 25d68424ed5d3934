"""Describes people by the colours of their clothes, to tell one from another."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Look = Callable[[int], Image]  # returns the picture of a frame, (H, W, 3) uint8 BGR

BINS = 16  # of each channel
TRUNK = (5, 6, 11, 12)  # shoulders and hips
LEGS = ((11, 13), (12, 14), (13, 15), (14, 16))
ALONG = np.linspace(0.15, 0.85, 8)  # shares of the length of a trunk or leg that are looked at
ACROSS = np.linspace(0.2, 0.8, 7)  # the same of the width of the trunk
MIN_CONFIDENCE = 0.25  # of all joints of the trunk, or of a leg
MIN_PIXELS = 6


def describe(
    look: Look, frames: NDArray[np.int32], keypoints: NDArray[np.float32], wanted: Iterable[int]
) -> NDArray[np.float64]:
    """Return the colours of trunk and legs of people, (P, 2, 3, BINS).

    They are cumulative histograms of the channels of CIE Lab, so that the mean difference of two
    grows with the distance of the colours also where they share no bin. NaN where the joints are
    not found or outside of the picture, and for people who are not `wanted`.

    Args:
        look: returns the picture of a frame.
        frames: (P,) of the people.
        keypoints: (P, 17, 3).
        wanted: indices of the people to look at.
    """
    result = np.full((len(frames), 2, 3, BINS), np.nan)
    wanted = np.array(sorted(wanted), np.int64)
    for frame in np.unique(frames[wanted]):
        image = look(int(frame))
        for person in wanted[frames[wanted] == frame]:
            for part, points in enumerate(_places(keypoints[person])):
                result[person, part] = _histogram(image, points)
    return result


def distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the colours (..., 2, 3, BINS) of people are apart, (...).

    It is the mean over trunk and legs of the Euclidean distance of colours, in steps of OpenCV's
    8-bit Lab, with the 1-Wasserstein distance in each channel. NaN if no part is known of both.
    """
    steps = np.abs(first - second).sum(axis=-1) * 256 / BINS
    parts = np.sqrt((steps**2).sum(axis=-1))
    known = np.isfinite(parts)
    count = known.sum(axis=-1)
    total = np.where(known, parts, 0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _places(keypoints: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return points (K, 2) px on the trunk and on the legs of a person."""
    points, confidence = keypoints[:, :2], keypoints[:, 2]
    trunk = np.zeros((0, 2), np.float32)
    if confidence[list(TRUNK)].min() >= MIN_CONFIDENCE:
        left, right, left_hip, right_hip = points[list(TRUNK)]
        down = ALONG[:, None, None]
        side, other = left + down * (left_hip - left), right + down * (right_hip - right)
        trunk = (side + ACROSS[:, None] * (other - side)).reshape(-1, 2).astype(np.float32)
    legs = [
        points[a] + ALONG[:, None] * (points[b] - points[a])
        for a, b in LEGS
        if confidence[[a, b]].min() >= MIN_CONFIDENCE
    ]
    return trunk, np.concatenate(legs).astype(np.float32) if legs else trunk[:0]


def _histogram(image: Image, points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cumulative histogram (3, BINS) of the colours at points (K, 2); NaN if few."""
    import cv2  # many commands read no picture

    column, row = points.round().astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < image.shape[1]) & (row < image.shape[0])
    if inside.sum() < MIN_PIXELS:
        return np.full((3, BINS), np.nan)
    pixels = image[row[inside], column[inside]][None]
    lab = cv2.cvtColor(pixels, cv2.COLOR_BGR2LAB)[0].astype(np.float64)
    place = lab / 256 * BINS - 0.5  # soft bins, so that noise does not decide
    low = np.floor(place).astype(int)
    share = place - low
    counts = np.zeros((3, BINS))
    for channel in range(3):
        for shift, weight in ((0, 1 - share), (1, share)):
            index = (low[:, channel] + shift).clip(0, BINS - 1)
            counts[channel] += np.bincount(index, weight[:, channel], BINS)
    return np.asarray(counts.cumsum(axis=1) / len(lab))
