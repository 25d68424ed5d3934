"""Pictures of two skaters for the report: overlay, key frames and the frames of the page."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from tcc.clock import nearest
from tcc.confidence import CONFIDENT
from tcc.draw import (
    ClipPanel,
    Image,
    banner,
    draw_skeleton,
    grid,
    header,
    progress_bar,
)
from tcc.features import fill_joints, flip, normalize
from tcc.images import plain_image
from tcc.report.comparison import Comparison
from tcc.report.events import EVENTS, event_word
from tcc.report.export import phase_at
from tcc.report.measures import low_pass
from tcc.report.performance import Performance
from tcc.side_by_side import make_panels, pace, schedule, video_fps

KEYFRAME_PX = (320, 400)  # width, height of a picture of the key frames
REACH = 2.5  # farthest from the hips that a joint is, in torso lengths
MARGIN = 0.3  # around the joints of the overlay, in torso lengths: the head is larger than the face
TORSO_LINES = 16  # the torso's length, in widths of a line of the learner's skeleton
GHOST_LINES = 2  # width of a line of the standard's skeleton, in widths of a line of the learner's
GHOST_OPACITY = {True: 0.45, False: 0.2}  # in the part that the path matches, and outside of it


def draw_overlay(
    comparison: Comparison, size_px: tuple[int, int], threshold: float, slow: float
) -> Iterator[Image]:
    """Yield the frames of a video of both skeletons, the standard as a ghost behind the learner.

    The middle of the hips stays in place, and both torsos have the same length. The joints are
    those of the measures: interpolated where the detector is not sure, and filtered, because the
    hips are the centre, and every error of them would move the whole body. The scale is the same in
    all frames. The video has `tcc.side_by_side.video_fps` of the learner; a frame that stays is the
    same array again.

    Args:
        comparison: the two performances.
        size_px: width, height of the picture below the header.
        threshold: joints of a lower confidence are not drawn.
        slow: speed of the repetition; 1: there is none.
    """
    learner, standard = comparison.learner, comparison.standard
    rows, times_s = comparison.rows, learner.clip.times_s
    bodies = [_body(performance, threshold) for performance in (learner, standard)]
    torso_px = _fit(bodies, rows, size_px, threshold)
    thickness_px = max(2, round(torso_px / TORSO_LINES))
    shown_s, speeds = schedule(
        (times_s[rows[0, 0]], times_s[rows[-1, 0]]), video_fps(learner.clip), slow
    )
    flight = learner.phases.get("flight")
    span = None if flight is None else (flight[0] - rows[0, 0], flight[1] - rows[0, 0])
    title = f"{learner.clip.name}, ghost: {standard.clip.name}{' (mirrored)' * standard.mirrored}"
    is_doubtful = comparison.confidence < CONFIDENT
    drawn: tuple[int, float] | None = None
    for row, speed in zip(
        (nearest(times_s, shown_s) - rows[0, 0]).tolist(), speeds.tolist(), strict=True
    ):
        if drawn != (row, speed):
            drawn = (row, speed)
            first, second = rows[row].tolist()
            ground = plain_image(size_px)
            ghost = draw_skeleton(
                ground, bodies[1][second], confidence_threshold=threshold,
                thickness_px=GHOST_LINES * thickness_px,
            )  # fmt: skip
            opacity = GHOST_OPACITY[bool(comparison.matched[row])]
            picture = cv2.addWeighted(ghost, opacity, ground, 1 - opacity, 0).astype(np.uint8)
            picture = draw_skeleton(
                picture, bodies[0][first], confidence_threshold=threshold,
                thickness_px=thickness_px,
            )  # fmt: skip
            lines = (f"learner   {_moment(learner, first)}", f"ghost   {_moment(standard, second)}")
            head = banner(size_px[0], f"{title}   {pace(speed)}", is_doubtful)
            image = np.concatenate(
                [head, header(size_px[0], *lines), picture,
                 progress_bar(size_px[0], row, len(rows), span)]
            )  # fmt: skip
        yield image


def draw_keyframes(comparison: Comparison, threshold: float) -> Image:
    """Return a picture of the learner above the standard at each event, (H, W, 3).

    Both are shown at their own event. If only one of them has it, the other is shown at the frame
    that the alignment gives. Without events, it shows start, middle and end of the matched part.

    Args:
        comparison: the two performances.
        threshold: joints of a lower confidence are not drawn.
    """
    performances = (comparison.learner, comparison.standard)
    panels = make_panels(
        [(performance.clip, performance.mirrored) for performance in performances],
        KEYFRAME_PX,
        threshold,
    )
    columns = _key_moments(comparison)
    cells = [
        panel.draw(frame, f"{role}: {name}", note, performance.phases.get("flight"))
        for side, (role, panel, performance) in enumerate(
            zip(("learner", "standard"), panels, performances, strict=True)
        )
        for name, moments in columns
        for frame, note in [moments[side]]
    ]
    names = [performance.clip.name for performance in performances]
    mirrored = " (mirrored)" * comparison.standard.mirrored
    head = banner(
        len(columns) * KEYFRAME_PX[0], f"learner: {names[0]}   standard: {names[1]}{mirrored}",
        comparison.confidence < CONFIDENT,
    )  # fmt: skip
    return grid(head, cells, len(columns))


def page_pictures(
    comparison: Comparison, panel_size: tuple[int, int], quality: int
) -> tuple[dict[str, list[bytes]], dict[str, NDArray[np.float32]]]:
    """Return the pictures of the page and the skeletons in them.

    A picture is the part of a frame that the side-by-side video shows, without the skeleton. The
    frames are all of the learner's in `rows`, and the standard's from its first to its last one.
    All pictures of a clip without images are the same object.

    Args:
        comparison: the two performances.
        panel_size: width, height of a picture, px.
        quality: of JPEG, 0 to 100.

    Returns:
        For "learner" and "standard": n JPEG files, and the keypoints (n, 17, 3) in px of these
        pictures. A mirrored standard is mirrored in both.

    Raises:
        UserError: a frame can't be read.
    """
    performances = {"learner": comparison.learner, "standard": comparison.standard}
    panels = make_panels(
        [(performance.clip, performance.mirrored) for performance in performances.values()],
        panel_size,
        0.0,
    )
    pictures, keypoints = {}, {}
    for (role, performance), panel, frames in zip(
        performances.items(), panels, comparison.rows.T, strict=True
    ):
        shown = range(int(frames.min()), int(frames.max()) + 1)

        def encode(frame: int, panel: ClipPanel = panel) -> bytes:
            return _jpeg(panel.bare(frame), quality)

        if performance.clip.images:
            with ThreadPoolExecutor() as pool:  # OpenCV lets other threads run
                pictures[role] = list(pool.map(encode, shown))
        else:
            pictures[role] = [encode(shown[0])] * len(shown)
        keypoints[role] = np.stack([panel.keypoints(frame) for frame in shown])
    return pictures, keypoints


def _body(performance: Performance, threshold: float) -> NDArray[np.float32]:
    """Return the skater in torso lengths from the middle of the hips, (F, 17, 3)."""
    clip = performance.clip
    keypoints = flip(clip.keypoints) if performance.mirrored else clip.keypoints
    points = low_pass(normalize(fill_joints(keypoints, threshold), clip.fps), clip.times_s)
    return np.concatenate([points, keypoints[..., 2:]], axis=-1).astype(np.float32)


def _fit(
    bodies: list[NDArray[np.float32]],
    rows: NDArray[np.int64],
    size_px: tuple[int, int],
    threshold: float,
) -> float:
    """Scale bodies (F, 17, 3) to px of a picture, so that the shown joints fill it.

    Returns:
        The length of the torso, px.
    """
    shown = np.concatenate([body[frames] for body, frames in zip(bodies, rows.T, strict=True)])
    points = shown[shown[..., 2] >= threshold, :2].clip(-REACH, REACH)
    points = points if len(points) else np.zeros((1, 2))
    low, high = points.min(axis=0) - MARGIN, points.max(axis=0) + MARGIN
    torso_px = float(np.min(size_px / (high - low)))
    for body in bodies:
        body[..., :2] = np.array(size_px) / 2 + torso_px * (body[..., :2] - (low + high) / 2)
    return torso_px


def _moment(performance: Performance, frame: int) -> str:
    """Return number and time of a frame in the whole video, and its event or phase."""
    clip = performance.clip
    events = [name for name, event in performance.events.items() if event.frame == frame]
    what = event_word(events[0]) if events else phase_at(performance, frame)
    number = f"frame {clip.first_frame + frame} of {clip.total_frames}"
    return f"{number}   {clip.times_s[frame]:.2f} s   {what}"


def _key_moments(
    comparison: Comparison,
) -> list[tuple[str, list[tuple[int, str]]]]:
    """Return the columns of the key frames: name, and frame and note of learner and standard."""
    rows = comparison.rows
    sides = (comparison.learner, comparison.standard)
    columns = []
    for name in EVENTS:
        found = [side.events[name].frame if name in side.events else None for side in sides]
        known = [side for side in (0, 1) if found[side] is not None]
        if known:
            row = int(np.abs(rows[:, known[0]] - (found[known[0]] or 0)).argmin())
            columns.append(
                (
                    event_word(name),
                    [
                        (int(rows[row, side]), "by the alignment")
                        if (frame := found[side]) is None
                        else (frame, "")
                        for side in (0, 1)
                    ],
                )
            )
    if columns:
        return columns
    inside = np.flatnonzero(comparison.matched)
    places = (inside[0], inside[len(inside) // 2], inside[-1])
    return [
        (name, [(int(frame), "") for frame in rows[place]])
        for name, place in zip(("start", "middle", "end"), places, strict=True)
    ]


def _jpeg(image: Image, quality: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
