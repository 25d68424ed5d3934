"""Clips of any frame rate on one clock, so that what counts frames counts seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.files import UserError

Array = NDArray[np.floating[Any]]
Times = NDArray[np.float64]

UNEVEN = 0.1  # share of an interval by which one frame may be early or late at a constant rate
OFF = 0.01  # share by which all of a clip may be: 29.97 is 30
SHORTEST_S = 0.99e-5  # 100,000 frames a second, the most that --capture-fps takes


def clock(times_s: Times, fps: float) -> Times:
    """Return the times (G,) s at which a clip is compared: `fps` a second, first to last frame.

    Args:
        times_s: (F,) of the frames, rising, at any rate, also a variable one.
        fps: ticks a second. A clip of that rate keeps its own times.
    """
    intervals = np.diff(times_s) * fps
    if not len(intervals) or (
        abs(intervals.mean() - 1) <= OFF and (np.abs(intervals - 1) <= UNEVEN).all()
    ):
        return times_s
    span_s = times_s[-1] - times_s[0]
    return np.asarray(times_s[0] + np.arange(int(span_s * fps + 1e-6) + 1) / fps, np.float64)


def resample(values: Array, times_s: Times, at_s: Times) -> Array:
    """Interpolate (F, ...) of `times_s` (F,) linearly at `at_s` (G,): (G, ...), ends held."""
    if np.array_equal(times_s, at_s):
        return values
    place = np.interp(at_s, times_s, np.arange(len(times_s)))
    before = place.astype(int)
    after = np.minimum(before + 1, len(times_s) - 1)
    share = (place - before).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    between: Array = values[before] * (1 - share) + values[after] * share
    return between


def nearest(times_s: Times, at_s: Times) -> NDArray[np.int64]:
    """Return for each of `at_s` (G,) the index of the nearest of `times_s` (F,), rising."""
    place = np.interp(at_s, times_s, np.arange(len(times_s)))
    return np.ceil(place - 0.5 - 1e-6).astype(np.int64)  # halfway: the earlier


def rate(times_s: Times) -> float:
    """Return frames per second of the median interval; 30 of a single frame.

    Raises:
        UserError: it is no camera's; the times are of another unit than seconds.
    """
    interval_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / 30
    if interval_s < SHORTEST_S:
        raise UserError(
            f"frames {interval_s:g} s apart, {1 / interval_s:.0f} a second; mend the seconds in "
            "timestamps_s of video.json"
        )
    return 1 / interval_s
