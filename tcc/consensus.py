"""One clock for all clips of a motion, from their alignments with each other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.dtw import WarpingPath, locate, map_frames
from tcc.features import opposed

Array = NDArray[np.floating[Any]]
Bar = Callable[[Sequence[tuple[int, int]]], Iterable[tuple[int, int]]]
MAX_HUBS = 24
MAX_PAIRS = 2000


def common_clock(
    views: Sequence[tuple[Array, Array]],
    turns: Sequence[float],
    generator: np.random.Generator,
    progress: Bar = iter,
) -> list[NDArray[np.float64]]:
    """Place the frames of N clips on the clock of one of them, without a label.

    Every clip is aligned with some, the hubs, and of these the one that the others match best is
    the clock. From a clip to the clock there is a way through each hub; a frame's place is the
    median over the ways, so that no single alignment, nor what is peculiar to one clip, decides.
    This is the transitive alignment of multiple sequences (Notredame et al., "T-Coffee", 2000) with
    a median for its vote.

    Args:
        views: of each clip the embeddings (F, D) and those of its mirror image.
        turns: (N,) which way each skater turns, as `tcc.features.turn` says.
        generator: draws the hubs: all clips, if there are few.
        progress: wraps the pairs that are aligned.

    Returns:
        N arrays (F,), frame of the clock's clip; NaN where most ways lead out of it.
    """
    num_clips = len(views)
    num_hubs = min(num_clips, MAX_HUBS, max(4, MAX_PAIRS // num_clips))
    hubs = sorted(generator.choice(num_clips, num_hubs, replace=False).tolist())
    paths: dict[tuple[int, int], WarpingPath] = {}
    confidence = dict.fromkeys(hubs, 0.0)
    for hub, clip in progress([(hub, clip) for hub in hubs for clip in range(num_clips)]):
        ways = opposed(turns[hub], turns[clip])
        placement = locate(views[hub], views[clip][0], opposed=ways)
        paths[hub, clip] = placement.matches[0].path
        confidence[hub] += placement.confidence
    clock = max(hubs, key=lambda hub: confidence[hub])

    def back(hub: int, clip: int) -> NDArray[np.float64]:
        """Return for each frame of a clip that of the hub."""
        return map_frames(paths[hub, clip][:, ::-1], len(views[clip][0]))

    to_clock = {hub: back(clock, hub) for hub in hubs}
    places = []
    for clip in range(num_clips):
        ways_in = np.array([carry(back(hub, clip), to_clock[hub]) for hub in hubs])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a frame that no way leads from
            place = np.nanmedian(ways_in, axis=0)
        place[np.isfinite(ways_in).mean(axis=0) < 0.5] = np.nan
        places.append(place)
    return places


def carry(frames: NDArray[np.float64], mapped: NDArray[np.float64]) -> NDArray[np.float64]:
    """Look up frames (F,), between whole ones, NaN for none, in a map (G,) that is NaN outside."""
    known = np.flatnonzero(np.isfinite(mapped))
    carried: NDArray[np.float64] = np.interp(
        frames, known, mapped[known], left=np.nan, right=np.nan
    )
    return carried
