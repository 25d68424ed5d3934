"""Draw skeletons, panels and grids with OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from tcc.coco import FLIP, LIMBS

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

# BGR. Colour-blind people can distinguish them: Okabe and Ito, "Color Universal Design", 2008.
LEFT, RIGHT, TRUNK = (0, 94, 213), (178, 114, 0), (115, 158, 0)
MARK, FAINT, DARK, LIGHT = (0, 159, 230), (150, 150, 150), (40, 40, 40), (245, 245, 245)
HEADER_PX, BAR_PX = 56, 12
FONT = cv2.FONT_HERSHEY_SIMPLEX
SUBPIXEL = 4
SMOOTHING_FRAMES = 8


@dataclass(frozen=True, slots=True)
class Viewport:
    """The part of a frame that a panel shows: a box x, y, width, height px, and the panel size."""

    box_px: tuple[float, float, float, float]
    width_px: int
    height_px: int

    def show(self, image: Image) -> Image:
        """Return the image in the box, scaled to the panel; parts outside the frame are dark."""
        return cv2.warpAffine(
            image, self._matrix(), (self.width_px, self.height_px),
            flags=cv2.INTER_AREA if self._scale() < 1 else cv2.INTER_LINEAR, borderValue=DARK,
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


def follow(
    keypoints: NDArray[np.float32],
    image_size: tuple[int, int],
    panel_size: tuple[int, int],
    extents: float = 2.2,
) -> list[Viewport]:
    """Return a viewport for every frame; it follows the skater smoothly and enlarges a small one.

    Args:
        keypoints: (F, 17, 3) of the clip.
        image_size: width, height of the frames, px.
        panel_size: width, height of the panel, px.
        extents: height of the box, in the skater's extents.

    Returns:
        F viewports. All boxes have one size, from a quarter of the frame's height to all of it.
    """
    points = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], np.nan)
    flat = np.where(np.isfinite(points), points, np.nanmean(points, axis=(0, 1)))
    low, high = flat.min(axis=1), flat.max(axis=1)
    extent = float(np.percentile((high - low).max(axis=1), 90))
    width, height = image_size
    aspect = panel_size[0] / panel_size[1]
    box_height = min(max(extents * extent, 0.25 * height), height)
    box_width = box_height * aspect
    if box_width > width:  # an upright video in a wide panel: reduce the box around the skater
        box_height = min(max(width / aspect, 1.2 * extent), height)
        box_width = box_height * aspect
    centres = gaussian_filter1d((low + high) / 2, SMOOTHING_FRAMES, axis=0, mode="nearest")
    spare = width - box_width
    x = np.clip(centres[:, 0] - box_width / 2, min(spare, 0), max(spare, 0))
    y = np.clip(centres[:, 1] - box_height / 2, 0, max(height - box_height, 0))
    return [
        Viewport((float(left), float(top), box_width, box_height), *panel_size)
        for left, top in zip(x, y, strict=True)
    ]


def draw_skeleton(
    image: Image,
    keypoints: NDArray[np.float32],
    *,
    confidence_threshold: float,
    color: Color | None = None,
    thickness_px: int | None = None,
) -> Image:
    """Return a copy of the picture with the limbs of one person.

    Args:
        image: (H, W, 3) BGR.
        keypoints: (17, 3) x px, y px, confidence.
        confidence_threshold: joints below it are not drawn.
        color: of all limbs; None: left side, right side and trunk each have a colour.
        thickness_px: of the limbs; None: it depends on the person's size, and the limbs have a
            light edge.
    """
    image = image.copy()
    seen = (keypoints[:, 2] >= confidence_threshold) & np.isfinite(keypoints[:, :2]).all(axis=1)
    if not seen.any():
        return image
    extent = np.ptp(keypoints[seen, :2], axis=0).max()
    thickness = thickness_px or int(np.clip(round(extent / 70), 1, 6))
    for first, second in LIMBS:
        if not (seen[first] and seen[second]):
            continue
        side = TRUNK if first % 2 != second % 2 else (LEFT if second % 2 else RIGHT)
        ends = np.clip(keypoints[[first, second], :2], -1e4, 1e4) * 2**SUBPIXEL
        start, end = (tuple(int(v) for v in np.round(point)) for point in ends)
        if thickness_px is None:
            cv2.line(image, start, end, LIGHT, thickness + 2, cv2.LINE_AA, SUBPIXEL)
        cv2.line(image, start, end, color or side, thickness, cv2.LINE_AA, SUBPIXEL)
    return image


class ClipPanel:
    """Draws a panel of one clip: a header, the skater with the skeleton, and a time line.

    Args:
        read: returns the picture (H, W, 3) BGR of a frame, given its number.
        keypoints: (F, 17, 3) px.
        times_s: (F,) time of each frame.
        panel_size: width, height of the picture between header and time line, px.
        confidence_threshold: joints below it are not drawn.
        mirrored: show the mirror image of the clip.
    """

    def __init__(
        self,
        read: Callable[[int], Image],
        keypoints: NDArray[np.float32],
        times_s: NDArray[np.float64],
        panel_size: tuple[int, int],
        confidence_threshold: float,
        mirrored: bool = False,
    ) -> None:
        self._read, self._times_s, self._mirrored = read, times_s, mirrored
        self._confidence_threshold = confidence_threshold
        height, width = read(0).shape[:2]
        self._keypoints = keypoints
        if mirrored:
            self._keypoints = keypoints[:, list(FLIP)].copy()
            self._keypoints[..., 0] = width - 1 - self._keypoints[..., 0]
        self._viewports = follow(self._keypoints, (width, height), panel_size)

    def draw(self, frame: int, title: str, note: str, span: tuple[int, int]) -> Image:
        """Return the panel of a frame.

        Args:
            frame: number of the frame.
            title: first line of the header.
            note: end of its second line.
            span: first frame and end (exclusive) of the motion, for the time line.
        """
        viewport = self._viewports[frame]
        image = self._read(frame)[:, :: -1 if self._mirrored else 1]
        picture = draw_skeleton(
            viewport.show(np.ascontiguousarray(image)),
            viewport.place(self._keypoints[frame]),
            confidence_threshold=self._confidence_threshold,
        )
        width, num_frames = picture.shape[1], len(self._times_s)
        detail = f"frame {frame} of {num_frames}   {self._times_s[frame]:.2f} s   {note}"
        bar = progress_bar(width, frame, num_frames, *span)
        return np.concatenate([header(width, title, detail), picture, bar])


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


def header(width_px: int, title: str, detail: str) -> Image:
    """Return a bar (HEADER_PX, width_px, 3) of two lines of text to put above a picture."""
    bar = np.full((HEADER_PX, width_px, 3), DARK, np.uint8)
    write_text(bar, title, (8, 22), 0.6, LIGHT)
    write_text(bar, detail, (8, 45), 0.5, LIGHT)
    return bar


def progress_bar(width_px: int, frame: int, num_frames: int, start: int, end: int) -> Image:
    """Return a time line that marks the frame, and the motion from `start` to `end` (exclusive)."""
    bar = np.full((BAR_PX, width_px, 3), FAINT, np.uint8)
    start_px, end_px, frame_px = (
        int(width_px * value / max(num_frames, 1)) for value in (start, end, frame)
    )
    bar[:, start_px : max(end_px, start_px + 1)] = MARK
    bar[:, max(frame_px - 1, 0) : frame_px + 2] = DARK
    return bar


def grid(panels: Sequence[Image], columns: int) -> Image:
    """Arrange panels of one size in rows of `columns`; unused places are dark."""
    blank = np.full_like(panels[0], 0) + np.uint8(DARK[0])
    filled = [*panels, *[blank] * (-len(panels) % columns)]
    rows = [
        np.concatenate(filled[row : row + columns], axis=1)
        for row in range(0, len(filled), columns)
    ]
    return np.concatenate(rows)
