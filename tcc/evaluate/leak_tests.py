"""Leak tests: changed clips that show whether an encoder only counts frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tcc.evaluate.labels import LabelledClip

Clips = list[LabelledClip]

SHORTEST_CROP = 0.6  # as a share of the clip
MOMENT_S = 1e-6  # a tick this close to the first or last frame of a crop belongs to the crop


def change_clips(
    standards: Sequence[LabelledClip],
    learners: Sequence[LabelledClip],
    generator: np.random.Generator,
) -> dict[str, tuple[Clips, Clips]]:
    """Return the standards and the learners of each leak test.

    Returns:
        An encoder that does not count frames has no tau for `constant pose`. It scores nearly as
        high for `random crops` as for the whole clips. It scores lower for `reversed`, where only
        the learners are reversed, unless the motion looks the same backwards.
    """
    return {
        "constant pose": ([hold_pose(c) for c in standards], [hold_pose(c) for c in learners]),
        "random crops": (
            [crop(clip, generator) for clip in standards],
            [crop(clip, generator) for clip in learners],
        ),
        "reversed": (list(standards), [reverse(clip) for clip in learners]),
    }


def hold_pose(clip: LabelledClip) -> LabelledClip:
    """Repeat the features of the middle tick through the whole clip."""
    held = clip.represent(lambda rows: np.repeat(rows[len(rows) // 2, None], len(rows), axis=0))
    return replace(held, flights=())


def reverse(clip: LabelledClip) -> LabelledClip:
    """Run a clip backwards, with its events."""
    backwards = clip.represent(lambda rows: rows[::-1].copy())
    end_s = clip.times_s[0] + clip.times_s[-1]
    return replace(
        backwards,
        ticks_s=end_s - clip.ticks_s[::-1],
        times_s=end_s - clip.times_s[::-1],
        events=clip.num_frames - 1 - clip.events,
        turn=-clip.turn,
        flights=(),
    )


def crop(clip: LabelledClip, generator: np.random.Generator) -> LabelledClip:
    """Keep a random part of a clip, at least SHORTEST_CROP of it and every marked event."""
    num_frames = clip.num_frames
    marked = clip.events[np.isfinite(clip.events)]
    first, last = (int(marked.min()), int(marked.max())) if len(marked) else (num_frames, 0)
    length = round(num_frames * generator.uniform(SHORTEST_CROP, 1))
    length = max(min(2, num_frames), length, last - first + 1)
    low, high = max(0, last - length + 1), min(first, num_frames - length)
    start = int(generator.integers(low, high + 1))
    times_s = clip.times_s[start : start + length]
    ends_s = times_s[[0, -1]] + [-MOMENT_S, MOMENT_S]
    part = slice(*np.searchsorted(clip.ticks_s, ends_s))
    return replace(
        clip.represent(lambda rows: rows[part]),
        ticks_s=clip.ticks_s[part],
        times_s=times_s,
        events=clip.events - start,
        start_frame=clip.start_frame + start,
    )
