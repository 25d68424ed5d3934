"""Draw skeletons, panels and grids with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, percentile_filter

from tcc.clips import Clip
from tcc.coco import FLIP, JOINTS, LIMBS
from tcc.features import fill_joints
from tcc.images import PLAIN

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

# BGR. Colour-blind people can distinguish them: Okabe and Ito, "Color Universal Design", 2008.
LEFT, RIGHT, TRUNK = (0, 94, 213), (178, 114, 0), (115, 158, 0)
MARK, FAINT, DARK, LIGHT = (0, 159, 230), (150, 150, 150), (40, 40, 40), (245, 245, 245)
BANNER_PX, HEADER_PX, BAR_PX, EDGE_PX, LEGEND_PX = 40, 56, 12, 2, 140
FONT = cv2.FONT_HERSHEY_SIMPLEX
SUBPIXEL = 4
FACE = [JOINTS.index(name) for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
# Trunk, thigh and shank of an adult are 0.288 + 0.245 + 0.246 of the body's height: Winter,
# "Biomechanics and Motor Control of Human Movement", figure 4.1.
SEGMENTS_OF_HEIGHT = 0.779
HEIGHT_WINDOW_S, HEIGHT_SIGMA_S = 1.0, 0.4  # span in which the height is measured; its smoothing
CENTRE_SIGMA_S = 0.25
MARGIN = 0.15  # of the body's height: feet and skates are below the ankles, hands past the wrists
SHOWN_WHOLE = 99  # % of the frames in which the box must hold the whole body
REACH = 1.0  # farthest from the middle of the joints that a joint is, in heights of the body
LEAST_ROOM = 1.35  # smallest height of the box, in heights of the body
KEPT_PICTURES = 128  # of a panel in memory, at most 180 MB, for the repetition in slow motion
BODIES_PER_LINE = 90  # the body's height, in widths of a line of the skeleton


@dataclass(frozen=True, slots=True)
class Viewport:
    """The part of a frame that a panel shows: a box x, y, width, height px, and the panel size."""

    box_px: tuple[float, float, float, float]
    width_px: int
    height_px: int

    def show(self, image: Image, ground: Color = DARK) -> Image:
        """Return the image in the box, scaled to the panel; outside the frame is `ground`."""
        return cv2.warpAffine(
            image, self._matrix(), (self.width_px, self.height_px),
            flags=cv2.INTER_AREA if self._scale() < 1 else cv2.INTER_LINEAR, borderValue=ground,
        ).astype(np.uint8)  # fmt: skip

    def place(self, keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return keypoints (17, 3) of the frame in pixels of the panel."""
        placed = keypoints.copy()
        matrix = self._matrix()
        placed[:, :2] = keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return placed

    def _scale(self) -> float:
        _, _, width, height = self.box_px
        return min(self.width_px / width, self.height_px / height)

    def _matrix(self) -> NDArray[np.float32]:
        x, y, width, height = self.box_px
        scale = self._scale()
        offset_x = (self.width_px - scale * width) / 2 - scale * x
        offset_y = (self.height_px - scale * height) / 2 - scale * y
        return np.array([[scale, 0, offset_x], [0, scale, offset_y]], np.float32)


@dataclass(frozen=True, slots=True)
class Body:
    """Where the skater is in each of F frames.

    Attributes:
        low_px, high_px: (F, 2) corners of the box around all joints that are seen, with MARGIN; a
            joint out of REACH is wrong, and not in it.
        centre_px: (F, 2) centre of this box, smoothed.
        height_px: (F,) height of the body when it stands, smoothed.
    """

    low_px: NDArray[np.float32]
    high_px: NDArray[np.float32]
    centre_px: NDArray[np.float32]
    height_px: NDArray[np.float32]

    def room(self, panel_size: tuple[int, int]) -> float:
        """Return how high a box with the shape of the panel must be to hold the whole body.

        It is in heights of the body, for SHOWN_WHOLE % of the frames.
        """
        half = np.maximum(self.high_px - self.centre_px, self.centre_px - self.low_px)
        aspect = panel_size[0] / panel_size[1]
        needed = 2 * np.maximum(half[:, 1], half[:, 0] / aspect) / self.height_px
        return max(LEAST_ROOM, float(np.percentile(needed, SHOWN_WHOLE, method="higher")))


def measure_body(
    keypoints: NDArray[np.float32],
    picture_px: tuple[int, int],
    fps: float,
    confidence_threshold: float,
) -> Body:
    """Measure where the skater is.

    The height is computed from trunk, thigh and shank, so that it stays the same when the skater
    crouches. It is the 70th percentile over HEIGHT_WINDOW_S, because a limb that points at the
    camera looks shorter.

    Args:
        keypoints: (F, 17, 3) px.
        picture_px: width, height of the frames. Nothing outside can be seen.
        fps: frames per second.
        confidence_threshold: joints below it are not used.
    """
    points = fill_joints(keypoints, confidence_threshold)
    shoulders, hips, knees, ankles = (points[:, first : first + 2] for first in (5, 11, 13, 15))
    trunk = np.linalg.norm(shoulders.mean(axis=1) - hips.mean(axis=1), axis=-1)
    thigh, shank = (
        np.linalg.norm(upper - lower, axis=-1).max(axis=1)
        for upper, lower in ((hips, knees), (knees, ankles))
    )
    height = (trunk + thigh + shank) / SEGMENTS_OF_HEIGHT
    height = percentile_filter(height, 70, round(HEIGHT_WINDOW_S * fps) | 1, mode="nearest")
    height = gaussian_filter1d(height, HEIGHT_SIGMA_S * fps, mode="nearest")
    middle = np.median(points, axis=1, keepdims=True)
    apart = np.linalg.norm(points - middle, axis=-1)
    height = np.maximum(height, max(2 * float(np.median(apart)), 1.0))  # if the legs are never seen
    reach = REACH * height[:, None]
    margin = MARGIN * height[:, None]
    low, high = (
        np.clip(edge, middle[:, 0] - reach, middle[:, 0] + reach)
        for edge in (points.min(axis=1), points.max(axis=1))
    )
    low, high = np.clip(low - margin, 0, picture_px), np.clip(high + margin, 0, picture_px)
    centre = gaussian_filter1d((low + high) / 2, CENTRE_SIGMA_S * fps, axis=0, mode="nearest")
    return Body(low, high, centre, height)


def follow(
    body: Body, picture_px: tuple[int, int], panel_size: tuple[int, int], room: float
) -> list[Viewport]:
    """Return a viewport for every frame. It follows the body, and its size changes with the body's.

    So the body has the same height in all panels that have the same `room`.

    Args:
        body: of F frames.
        picture_px: width, height of the frames.
        panel_size: width, height of the panel, px.
        room: height of the box, in heights of the body.

    Returns:
        F viewports. Their boxes stay in the picture, unless the picture is smaller.
    """
    heights = room * body.height_px
    sizes = np.stack([heights * panel_size[0] / panel_size[1], heights], axis=1)
    spare = np.array(picture_px) - sizes
    corners = np.clip(body.centre_px - sizes / 2, np.minimum(spare, 0), np.maximum(spare, 0))
    return [
        Viewport((x, y, width, height), *panel_size)
        for (x, y), (width, height) in zip(corners.tolist(), sizes.tolist(), strict=True)
    ]


def draw_skeleton(
    image: Image,
    keypoints: NDArray[np.float32],
    *,
    confidence_threshold: float,
    thickness_px: int,
    color: Color | None = None,
) -> Image:
    """Return a copy of the picture with the limbs of one person, and a point for the head.

    Args:
        image: (H, W, 3) BGR.
        keypoints: (17, 3) x px, y px, confidence.
        confidence_threshold: joints below it are not drawn.
        thickness_px: of the limbs.
        color: of all limbs; None: left side, right side and trunk each have a colour, and all have
            a light edge.
    """
    image = image.copy()
    seen = (keypoints[:, 2] >= confidence_threshold) & np.isfinite(keypoints[:, :2]).all(axis=1)
    points = np.round(np.clip(keypoints[:, :2], -1e4, 1e4) * 2**SUBPIXEL).astype(int)
    edge_px = max(1, thickness_px // 2)
    for is_edge in (True, False) if color is None else (False,):
        width = thickness_px + 2 * edge_px * is_edge
        for first, second in LIMBS:
            if seen[first] and seen[second] and first not in FACE:
                side = TRUNK if first % 2 != second % 2 else (LEFT if second % 2 else RIGHT)
                ink = LIGHT if is_edge else color or side
                ends = points[first].tolist(), points[second].tolist()
                cv2.line(image, *ends, ink, width, cv2.LINE_AA, SUBPIXEL)
        if seen[FACE].any():
            head = points[FACE][seen[FACE]].mean(axis=0).round().astype(int).tolist()
            radius = (2 * thickness_px + edge_px * is_edge) * 2**SUBPIXEL
            ink = LIGHT if is_edge else color or TRUNK
            cv2.circle(image, head, radius, ink, -1, cv2.LINE_AA, SUBPIXEL)
    return image


class ClipPanel:
    """Draws a panel of one clip: a header, the skater with the skeleton, and a time line.

    Args:
        clip: of F frames.
        panel_size: width, height of the picture between header and time line, px.
        confidence_threshold: joints below it are not drawn.
        mirrored: show the mirror image of the clip.

    Attributes:
        room: smallest height of the picture, in heights of the body, that shows the whole body.
        picture: returns the part of a frame (H, W, 3) that is shown, with the skeleton, given the
            index of the frame; do not change it.
    """

    def __init__(
        self,
        clip: Clip,
        panel_size: tuple[int, int],
        confidence_threshold: float,
        mirrored: bool = False,
    ) -> None:
        self._clip, self._panel_size, self._mirrored = clip, panel_size, mirrored
        self._confidence_threshold = confidence_threshold
        self._keypoints, self._picture_px = clip.keypoints, clip.drawn_px
        if mirrored:
            self._keypoints = self._keypoints[:, list(FLIP)].copy()
            self._keypoints[..., 0] = self._picture_px[0] - 1 - self._keypoints[..., 0]
        self.picture = lru_cache(KEPT_PICTURES)(self._picture)
        self._body = measure_body(self._keypoints, self._picture_px, clip.fps, confidence_threshold)
        self.room = self._body.room(panel_size)
        self.give_room(self.room)

    def give_room(self, room: float) -> None:
        """Set the height of the picture, in heights of the body."""
        height_px = self._panel_size[1] / room
        self._thickness_px = max(3, round(height_px / BODIES_PER_LINE))
        self.picture.cache_clear()
        self._viewports = follow(self._body, self._picture_px, self._panel_size, room)

    def bare(self, frame: int) -> Image:
        """Return the part of a frame that is shown, without the skeleton."""
        image = self._clip.read_image(frame)[:, :: -1 if self._mirrored else 1]
        ground = DARK if self._clip.images else PLAIN
        return self._viewports[frame].show(np.ascontiguousarray(image), ground)

    def keypoints(self, frame: int) -> NDArray[np.float32]:
        """Return the keypoints (17, 3) in px of the picture."""
        return self._viewports[frame].place(self._keypoints[frame])

    def _picture(self, frame: int) -> Image:
        return draw_skeleton(
            self.bare(frame),
            self.keypoints(frame),
            confidence_threshold=self._confidence_threshold,
            thickness_px=self._thickness_px,
        )

    def draw(
        self,
        frame: int,
        title: str,
        note: str,
        span: tuple[int, int] | None,
        dimmed: bool = False,
    ) -> Image:
        """Return the panel of a frame.

        Args:
            frame: index of the frame. The number that is written is the one in the whole video.
            title: first line of the header.
            note: end of its second line.
            span: first frame and end (exclusive) of the motion, for the time line; None: no motion.
            dimmed: draw the picture dark.
        """
        picture = self.picture(frame)
        if dimmed:
            picture = cv2.addWeighted(picture, 0.4, picture, 0, 0).astype(np.uint8)
        clip, width = self._clip, picture.shape[1]
        number = f"frame {clip.first_frame + frame} of {clip.total_frames}"
        detail = f"{number}   {clip.times_s[frame]:.2f} s   {note}"
        bar = progress_bar(width, frame, clip.num_frames, span)
        panel = np.concatenate([header(width, title, detail), picture, bar])
        panel[:, -EDGE_PX:] = DARK
        return panel


def write_text(
    image: Image, text: str, corner_px: tuple[int, int], scale: float, color: Color
) -> None:
    """Write a line of text into a picture, smaller if it would not fit the width.

    Args:
        image: (H, W, 3) BGR, changed in place.
        text: one line.
        corner_px: x, y of the line's left end and baseline; a margin of x stays free on the right.
        scale: largest scale of OpenCV's font.
        color: BGR.
    """
    (length, _), _ = cv2.getTextSize(text, FONT, scale, 1)
    fitted = scale * min(1.0, (image.shape[1] - 2 * corner_px[0]) / max(length, 1))
    cv2.putText(image, text, corner_px, FONT, fitted, color, 1, cv2.LINE_AA)


@lru_cache(maxsize=8)
def banner(width_px: int, text: str, is_doubtful: bool) -> Image:
    """Return a bar (BANNER_PX, width_px, 3) of one line to put above all panels.

    It is orange if the result is doubtful. Do not change it.
    """
    ground, ink = (MARK, DARK) if is_doubtful else (DARK, LIGHT)
    bar = np.full((BANNER_PX, width_px, 3), ground, np.uint8)
    write_text(bar, text, (8, 28), 0.75, ink)
    return bar


def header(width_px: int, title: str, detail: str) -> Image:
    """Return a bar (HEADER_PX, width_px, 3) to put above a picture.

    It holds two lines of text, and the colours of the left and the right side of the body.
    """
    bar = np.full((HEADER_PX, width_px, 3), DARK, np.uint8)
    write_text(bar[:, : width_px - LEGEND_PX], title, (8, 22), 0.6, LIGHT)
    write_text(bar, detail, (8, 45), 0.5, LIGHT)
    for text, color, x in (("left", LEFT, 0), ("right", RIGHT, LEGEND_PX // 2)):
        x += width_px - LEGEND_PX
        cv2.rectangle(bar, (x, 10), (x + 14, 22), color, -1)
        cv2.rectangle(bar, (x, 10), (x + 14, 22), LIGHT, 1)
        cv2.putText(bar, text, (x + 20, 21), FONT, 0.5, LIGHT, 1, cv2.LINE_AA)
    return bar


def progress_bar(width_px: int, frame: int, num_frames: int, span: tuple[int, int] | None) -> Image:
    """Return a time line that marks the frame, and the motion from start to end (exclusive)."""
    bar = np.full((BAR_PX, width_px, 3), FAINT, np.uint8)
    start_px, end_px, frame_px = (
        int(width_px * value / max(num_frames, 1)) for value in (*(span or (0, 0)), frame)
    )
    if span:
        bar[:, start_px : max(end_px, start_px + 1)] = MARK
    bar[:, max(frame_px - 1, 0) : frame_px + 2] = DARK
    return bar


def grid(head: Image, panels: Sequence[Image], columns: int) -> Image:
    """Arrange panels of one size in rows of `columns` below a bar; unused places are dark.

    Args:
        head: (H, columns * width of a panel, 3).
        panels: the panels.
        columns: panels in a row.
    """
    height, width, _ = panels[0].shape
    head_px, rows = len(head), -(-len(panels) // columns)
    picture = np.empty((head_px + rows * height, columns * width, 3), np.uint8)
    picture[:head_px] = head
    if unused := -len(panels) % columns:
        picture[-height:, -unused * width :] = DARK
    for index, panel in enumerate(panels):
        y, x = head_px + index // columns * height, index % columns * width
        picture[y : y + height, x : x + width] = panel
    return picture
