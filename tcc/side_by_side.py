"""Videos of several clips side by side, aligned, at their own speed and in slow motion."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcc.clips import Clip
from tcc.clock import nearest
from tcc.draw import ClipPanel, Image, banner, grid
from tcc.dtw import WarpingPath, merge_pairs

Array = NDArray[np.float64]

LEAD_S = 1.0  # how much of the clip is shown before and after the motion
HELD_S = 0.1  # how much of it where another clip has no more frames and stands still
MAX_FPS = 60.0  # of the video; more than most screens show
SLOW, SLOWEST = 0.25, 0.02  # default and smallest speed of the repetition


@dataclass(frozen=True, slots=True)
class Shown:
    """One clip of the video.

    Attributes:
        clip: to show.
        title: role and name.
        note: what the panel says in every frame.
        mirrored: show the mirror image.
        pairs_s: (K, 2) times of the leading clip and of this one that match, rising.
        span: frames of this clip that are matched, the end is exclusive; None: nothing is matched.
        states: what the panel says before, within and after the matched part.
    """

    clip: Clip
    title: str
    note: str
    mirrored: bool
    pairs_s: Array
    span: tuple[int, int] | None
    states: tuple[str, str, str]


def add_speed(command_parser: argparse.ArgumentParser) -> None:
    """Add --speed to the parser of a command that draws a video."""
    command_parser.add_argument(
        "--speed",
        type=_speed,
        default=SLOW,
        metavar="S",
        help="speed of the slow repetition in the video, such as 0.1; 1: no repetition "
        "(default: %(default)s)",
    )


def _speed(text: str) -> float:
    """Return a speed; argparse reports the error and exits with code 2."""
    with suppress(ValueError):
        if SLOWEST <= (speed := float(text)) <= 1:
            return speed
    raise argparse.ArgumentTypeError(f"{text}: expected a number from {SLOWEST} to 1")


def pair_times(path: WarpingPath, leader: Clip, clip: Clip) -> Array:
    """Return the times (K, 2) of a path (K, 2) of a leading clip's frames and another's."""
    return np.stack([leader.times_s[path[:, 0]], clip.times_s[path[:, 1]]], axis=1)


def follow_times(pairs_s: Array, at_s: Array) -> Array:
    """Return the times (G,) of a clip that match times (G,) of the leading clip.

    Between the pairs (K, 2), they are interpolated. Before and after the pairs, the clip goes on at
    the mean tempo of the pairs.
    """
    first, second = merge_pairs(pairs_s)
    length = first[-1] - first[0]
    tempo = (second[-1] - second[0]) / length if length > 0 else 1.0
    outside = np.minimum(at_s - first[0], 0) + np.maximum(at_s - first[-1], 0)
    times: Array = np.interp(at_s, first, second) + tempo * outside
    return times


def window(
    clip: Clip, first: int, last: int, others: Sequence[tuple[Clip, Array]] = ()
) -> tuple[float, float]:
    """Return from when to when the video shows a leading clip, s.

    It shows the frames `first` to `last`, and at most LEAD_S before and after them, but only
    HELD_S where one of the other clips has no more frames. Each of these is given with its
    `pairs_s`, see `Shown`.
    """
    start_s, end_s = clip.times_s[[first, last]]
    from_s, to_s = start_s - LEAD_S, end_s + LEAD_S
    for other, pairs_s in others:
        (first_s, own_first_s), (last_s, own_last_s) = pairs_s[[0, -1]]
        is_path = last_s > first_s and own_last_s > own_first_s
        tempo = (own_last_s - own_first_s) / (last_s - first_s) if is_path else 1.0
        from_s = max(from_s, first_s - (own_first_s - other.times_s[0]) / tempo - HELD_S)
        to_s = min(to_s, last_s + (other.times_s[-1] - own_last_s) / tempo + HELD_S)
    return max(clip.times_s[0], min(from_s, start_s)), min(clip.times_s[-1], max(to_s, end_s))


def schedule(window_s: tuple[float, float], fps: float, slow: float) -> tuple[Array, Array]:
    """Return the times (G,) of the leading clip that the video shows, and the speed (G,) of each.

    Args:
        window_s: from when to when.
        fps: frames per second of the video.
        slow: speed of the repetition; 1: there is none.
    """
    start_s, end_s = window_s
    speeds = [1.0] if slow == 1 else [1.0, slow]
    passes = [
        start_s + np.arange(int((end_s - start_s) * fps / speed + 1e-6) + 1) * speed / fps
        for speed in speeds
    ]
    return np.concatenate(passes), np.repeat(speeds, [len(times) for times in passes])


def video_fps(leader: Clip) -> float:
    """Return the frames per second of a video that shows a leading clip."""
    return min(leader.fps, MAX_FPS)


def pace(speed: float) -> str:
    """Return how people write the speed of a video."""
    return "own speed" if speed == 1 else f"slow motion {speed:g}x"


def draw(
    shown: Sequence[Shown],
    times_s: Array,
    speeds: Array,
    text: str,
    is_doubtful: bool,
    confidence_threshold: float,
    panel_size: tuple[int, int],
    columns: int,
) -> Iterator[Image]:
    """Yield the frames of the video, one for each time.

    A clip that has no frame at a time shows its nearest one, dark.

    Args:
        shown: the clips.
        times_s: (G,) of the leading clip.
        speeds: (G,) speed of each frame.
        text: what the line above all panels says.
        is_doubtful: whether this line is orange.
        confidence_threshold: joints below it are not drawn.
        panel_size: width, height of the picture in a panel, px.
        columns: panels in a row.
    """
    panels = make_panels(
        [(item.clip, item.mirrored) for item in shown], panel_size, confidence_threshold
    )
    rows = [_places(item, times_s) for item in shown]
    drawn: tuple[Any, ...] = ()
    for index, speed in enumerate(speeds):
        places = tuple(row[index] for row in rows)
        if drawn != (places, speed):  # in slow motion, several frames of the video are the same
            drawn = (places, speed)
            head = banner(columns * panel_size[0], f"{text}   {pace(speed)}", is_doubtful)
            picture = grid(
                head,
                [
                    panel.draw(frame, item.title, state, item.span, is_held)
                    for item, panel, (frame, state, is_held) in zip(
                        shown, panels, places, strict=True
                    )
                ],
                columns,
            )
        yield picture


def make_panels(
    clips: Sequence[tuple[Clip, bool]], panel_size: tuple[int, int], confidence_threshold: float
) -> list[ClipPanel]:
    """Return a panel for each clip, mirrored if True; in all, the body has the same height."""
    panels = [
        ClipPanel(clip, panel_size, confidence_threshold, mirrored) for clip, mirrored in clips
    ]
    for panel in panels:
        panel.give_room(max(panel.room for panel in panels))
    return panels


def _places(shown: Shown, times_s: Array) -> list[tuple[int, str, bool]]:
    """Return the frame at each time, its state, and whether the clip has no frame then."""
    clip, half_s = shown.clip, 0.5 / shown.clip.fps
    at_s = follow_times(shown.pairs_s, times_s)
    first_s, last_s = shown.pairs_s[[0, -1], 1]
    frames = nearest(clip.times_s, at_s)
    which = 1 + (at_s > last_s + half_s).astype(int) - (at_s < first_s - half_s)
    held = (at_s < clip.times_s[0] - half_s) | (at_s > clip.times_s[-1] + half_s)
    return [
        (int(frame), "   ".join(filter(None, (shown.states[state], shown.note))), bool(is_held))
        for frame, state, is_held in zip(frames, which, held, strict=True)
    ]
