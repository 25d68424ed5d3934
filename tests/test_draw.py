"""Panels against pictures that can be checked by eye."""

from __future__ import annotations

import numpy as np
import pytest

from tcc.coco import JOINTS
from tcc.draw import HEADER_PX, LEFT, RIGHT, ClipPanel, Color, Image, write_text

WIDTH, HEIGHT = 320, 240
GREEN = (0, 200, 0)


def has_color(image: Image, x: int, y: int, color: Color) -> bool:
    """Whether a pixel of the picture below the header is of a colour, but for blending."""
    return bool(np.abs(image[HEADER_PX + y, x].astype(int) - color).max() < 20)


@pytest.mark.parametrize("mirrored", [False, True])
def test_mirrored_panel_mirrors_pixels_joints_and_the_names_of_the_sides(mirrored: bool) -> None:
    """The left arm hangs before a green stripe; in a mirror a right arm does, on the other side."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, 240:281] = GREEN
    keypoints = np.zeros((1, 17, 3), np.float32)
    for side, x in (("left", 260), ("right", 60)):
        for part, y in (("shoulder", 20), ("elbow", 120), ("wrist", 220)):
            keypoints[0, JOINTS.index(f"{side}_{part}")] = x, y, 1
    panel = ClipPanel(lambda _: image, keypoints, np.zeros(1), (WIDTH, HEIGHT), 0.5, mirrored)
    picture = panel.draw(0, "clip", "", (0, 1))
    striped, plain = (59, 259) if mirrored else (260, 60)
    for x in (striped - 15, striped + 15):
        assert has_color(picture, x, 70, GREEN)
    for x in (plain - 15, plain + 15):
        assert has_color(picture, x, 70, (0, 0, 0))
    assert has_color(picture, striped, 70, RIGHT if mirrored else LEFT)
    assert has_color(picture, plain, 70, LEFT if mirrored else RIGHT)


def test_mirrored_skeleton_lies_on_the_mirrored_pixels() -> None:
    keypoints = np.zeros((1, 17, 3), np.float32)
    for part, y in (("shoulder", 20), ("elbow", 120), ("wrist", 220)):
        keypoints[0, JOINTS.index(f"left_{part}")] = 100, y, 1
    columns = []
    for mirrored, color in ((False, LEFT), (True, RIGHT)):
        panel = ClipPanel(
            lambda _: np.zeros((HEIGHT, WIDTH, 3), np.uint8), keypoints, np.zeros(1),
            (WIDTH, HEIGHT), 0.5, mirrored,
        )  # fmt: skip
        row = panel.draw(0, "clip", "", (0, 1))[HEADER_PX + 70]
        columns.append(np.flatnonzero((row == color).all(axis=1)))
    np.testing.assert_array_equal(WIDTH - 1 - columns[1][::-1], columns[0])


def test_long_text_is_written_smaller_and_keeps_its_margins() -> None:
    heights = []
    for text in ("short", "a line that is far too long for this picture" * 2):
        picture = np.zeros((40, 300, 3), np.uint8)
        write_text(picture, text, (8, 30), 0.7, (255, 255, 255))
        rows, columns = np.nonzero(picture.any(axis=-1))
        heights.append(np.ptp(rows))
        assert columns.min() >= 7
        assert columns.max() < 300 - 4
    assert columns.max() > 300 - 20  # as large as it fits
    assert heights[1] < 0.7 * heights[0]
