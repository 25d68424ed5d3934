"""The common clock: one time axis for all clips of a motion, computed from their alignments."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.dtw import map_frames
from tcc.features import opposed
from tcc.jobs import IN_TURN, Workers
from tcc.search import locate

Array = NDArray[np.floating[Any]]
MAX_HUBS = 24  # largest number of clips that every clip is aligned with
MAX_PAIRS = 2000  # largest number of alignments, unless 4 hubs need more


def common_clock(
    embeddings: Sequence[tuple[Array, Array]],
    turns: Sequence[float],
    generator: np.random.Generator,
    workers: Workers = IN_TURN,
) -> list[NDArray[np.float64]]:
    """Return the frame of one reference clip that shows the same moment as each frame of N clips.

    No labels are needed. Some clips are hubs: every clip is aligned with each hub. The hub that all
    clips match best is the reference clip. Each hub gives one route from a clip to the reference,
    clip to hub to reference, and the result is the median over all routes. So one wrong alignment
    or one unusual clip changes little. This is the transitive alignment of multiple sequences
    (Notredame et al., "T-Coffee", 2000), with a median instead of a vote.

    Args:
        embeddings: for each clip its embeddings (F, D) and those of its mirror image (F, D). Each
            is read once, and once more if it is a hub, so they may be made when they are read.
        turns: (N,) direction in which each skater turns, from `tcc.features.turn`.
        generator: draws the hubs. If there are few clips, all of them are hubs.
        workers: align the clips with the hubs.

    Returns:
        N arrays (F,), frame of the reference clip; NaN where fewer than half of the routes know it.
    """
    num_clips = len(embeddings)
    num_hubs = min(num_clips, MAX_HUBS, max(4, MAX_PAIRS // num_clips))
    hubs = sorted(generator.choice(num_clips, num_hubs, replace=False).tolist())
    views = {hub: embeddings[hub] for hub in hubs}

    def align(clip: int) -> tuple[NDArray[np.float64], list[float]]:
        """Return (H, F) each hub's frame for each frame of a clip, and (H,) the confidences."""
        own, frames, confidences = embeddings[clip][0], [], []
        for hub in hubs:
            mirrored = opposed(turns[hub], turns[clip])
            placement = locate(views[hub], own, opposed=mirrored)
            frames.append(map_frames(placement.matches[0].path[:, ::-1], len(own)))
            confidences.append(placement.confidence)
        return np.array(frames), confidences

    aligned = list(workers.map(align, range(num_clips), "aligning", "clip"))
    confidence = [sum(column) for column in zip(*(row for _, row in aligned), strict=True)]
    reference = int(np.argmax(confidence))
    to_reference = [aligned[hub][0][reference] for hub in hubs]
    clocks = []
    for to_hubs, _ in aligned:
        routes = np.array([carry(*maps) for maps in zip(to_hubs, to_reference, strict=True)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a frame for which all routes are NaN
            frames = np.nanmedian(routes, axis=0)
        frames[np.isfinite(routes).mean(axis=0) < 0.5] = np.nan
        clocks.append(frames)
    return clocks


def carry(frames: NDArray[np.float64], mapped: NDArray[np.float64]) -> NDArray[np.float64]:
    """Look up frame numbers in a map, with linear interpolation.

    Args:
        frames: (F,) frame numbers, not always whole; NaN: unknown.
        mapped: (G,) the value of each frame number 0 to G - 1, NaN at the start and the end of the
            map where it has no value.

    Returns:
        (F,) values; NaN for unknown frames and where the map has no value.
    """
    defined = np.flatnonzero(np.isfinite(mapped))
    carried: NDArray[np.float64] = np.interp(
        frames, defined, mapped[defined], left=np.nan, right=np.nan
    )
    return carried
