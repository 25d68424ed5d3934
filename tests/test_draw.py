"""Panels against pictures that can be checked by eye."""

from __future__ import annotations

import numpy as np
import pytest

from tcc.coco import JOINTS
from tcc.draw import HEADER_PX, LEFT, RIGHT, ClipPanel, Color, Image

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
