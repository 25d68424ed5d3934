"""Resampling of clips to one frame rate, so that a number of frames is a number of seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.files import UserError

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]

UNEVEN = 0.1  # largest relative error of one interval in a clip of constant rate
OFF = 0.01  # largest relative error of the whole clip's rate: 29.97 counts as 30
SHORTEST_S = 0.99e-5  # interval at 100,000 frames per second, the maximum of --capture-fps


def clock(times_s: Times, fps: float) -> Times:
    """Return the ticks of a clip, the times at which it is compared, from first to last frame.

    Args:
        times_s: (F,) s, rising times of the frames, at a constant or variable rate.
        fps: ticks per second.

    Returns:
        (G,) s; `times_s` itself if the clip already has this rate.
    """
    intervals = np.diff(times_s) * fps
    if not len(intervals) or (
        abs(intervals.mean() - 1) <= OFF and (np.abs(intervals - 1) <= UNEVEN).all()
    ):
        return times_s
    span_s = times_s[-1] - times_s[0]
    return np.asarray(times_s[0] + np.arange(int(span_s * fps + 1e-6) + 1) / fps, np.float64)


def resample(values: Array, times_s: Times, at_s: Times) -> Array:
    """Interpolate values linearly in time.

    Args:
        values: (F, ...).
        times_s: (F,) s, rising times of the values.
        at_s: (G,) s, times to interpolate at.

    Returns:
        (G, ...); the first value before the first time, the last value after the last time.
    """
    if np.array_equal(times_s, at_s):
        return values
    place = np.interp(at_s, times_s, np.arange(len(times_s)))
    before = place.astype(int)
    after = np.minimum(before + 1, len(times_s) - 1)
    share = (place - before).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    between: Array = values[before] * (1 - share) + values[after] * share
    return between


def nearest(times_s: Times, at_s: Times) -> NDArray[np.int64]:
    """Return the index (G,) of the element of rising `times_s` (F,) nearest to each `at_s` (G,)."""
    place = np.interp(at_s, times_s, np.arange(len(times_s)))
    return np.ceil(place - 0.5 - 1e-6).astype(np.int64)  # halfway between two: the earlier one


def rate(times_s: Times) -> float:
    """Return the frames per second at the median interval of `times_s` (F,) s; 30 for one frame.

    Raises:
        UserError: the rate is too high for a camera, so the times are not in seconds.
    """
    interval_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / 30
    if interval_s < SHORTEST_S:
        raise UserError(
            f"frames are {interval_s:g} s apart, {1 / interval_s:.0f} per second: timestamps_s in "
            "video.json must be in seconds"
        )
    return 1 / interval_s
