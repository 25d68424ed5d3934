"""Panels against pictures that can be checked by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.coco import JOINTS
from tcc.draw import (
    BANNER_PX,
    DARK,
    FACE,
    HEADER_PX,
    LEFT,
    LEGEND_PX,
    LIGHT,
    MARK,
    RIGHT,
    TRUNK,
    ClipPanel,
    Color,
    Image,
    banner,
    draw_skeleton,
    follow,
    grid,
    header,
    measure_body,
    progress_bar,
    write_text,
)
from tcc.side_by_side import make_panels
from tcc_config import Config
from tcc_data import load_clip
from tests.conftest import make_clip, wave

WIDTH, HEIGHT = 320, 240
GREEN = (0, 200, 0)
ANKLES = [JOINTS.index(f"{side}_ankle") for side in ("left", "right")]


def has_color(image: Image, x: int, y: int, color: Color) -> bool:
    """Whether a pixel of the picture below the header is of a colour, but for blending."""
    return bool(np.abs(image[HEADER_PX + y, x].astype(int) - color).max() < 20)


def arms(sides: dict[str, int]) -> NDArray[np.float32]:
    """Keypoints (1, 17, 3) of a person with arms only, each hanging at a given x."""
    keypoints = np.zeros((1, 17, 3), np.float32)
    for side, x in sides.items():
        for part, y in (("shoulder", 20), ("elbow", 120), ("wrist", 220)):
            keypoints[0, JOINTS.index(f"{side}_{part}")] = x, y, 1
    return keypoints


def skater(num_frames: int, height_px: NDArray[np.floating], x_px: float) -> NDArray[np.float32]:
    """Keypoints of somebody who stands, `height_px` high, with the feet at y = 900."""
    up = dict.fromkeys(JOINTS, 0.93) | {
        f"{side}_{part}": share
        for part, share in (
            ("shoulder", 0.818), ("elbow", 0.63), ("wrist", 0.485), ("hip", 0.53), ("knee", 0.285),
            ("ankle", 0.039),
        )
        for side in ("left", "right")
    }  # fmt: skip
    out = np.array([(-1) ** ("left" in name) * 0.1 * (name not in JOINTS[:5]) for name in JOINTS])
    keypoints = np.ones((num_frames, 17, 3), np.float32)
    keypoints[..., 0] = x_px + np.outer(height_px, out)
    keypoints[..., 1] = 900 - np.outer(height_px, [up[name] for name in JOINTS])
    return keypoints


@pytest.mark.parametrize("mirrored", [False, True])
def test_mirrored_panel_mirrors_pixels_joints_and_the_names_of_the_sides(
    tmp_path: Path, mirrored: bool
) -> None:
    """The left arm hangs before a green stripe; in a mirror a right arm does, on the other side."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, 240:281] = GREEN
    clip = make_clip(arms({"left": 260, "right": 60}), tmp_path, [image])
    panel = ClipPanel(clip, (WIDTH, HEIGHT), 0.5, mirrored)
    panel._viewports = [panel._viewports[0].__class__((0, 0, WIDTH, HEIGHT), WIDTH, HEIGHT)]
    picture = panel.draw(0, "clip", "", (0, 1))
    striped, plain = (59, 259) if mirrored else (260, 60)
    for x in (striped - 15, striped + 15):
        assert has_color(picture, x, 70, GREEN)
    for x in (plain - 15, plain + 15):
        assert has_color(picture, x, 70, (0, 0, 0))
    assert has_color(picture, striped, 70, RIGHT if mirrored else LEFT)
    assert has_color(picture, plain, 70, LEFT if mirrored else RIGHT)


def test_mirrored_skeleton_lies_on_the_mirrored_pixels() -> None:
    columns = []
    for mirrored, color in ((False, LEFT), (True, RIGHT)):
        panel = ClipPanel(
            make_clip(arms({"left": 100}), picture_px=(WIDTH, HEIGHT)), (WIDTH, HEIGHT), 0.5,
            mirrored,
        )  # fmt: skip
        row = panel.draw(0, "clip", "", (0, 1))[HEADER_PX + HEIGHT // 3]
        columns.append(np.flatnonzero((row == color).all(axis=1)))
        assert len(columns[-1])
    assert abs((WIDTH - 1 - columns[1][::-1] - columns[0]).mean()) <= 1


def test_both_skaters_have_one_height_on_the_screen_while_one_comes_nearer() -> None:
    near = np.linspace(200, 400, 90)
    pair = [skater(90, near, 700), skater(90, np.full(90, 90.0), 300)]
    clips = [make_clip(keypoints, picture_px=(1920, 1080)) for keypoints in pair]
    panels = make_panels([(clip, False) for clip in clips], (640, 720), 0.2)
    heights = np.array(
        [
            [np.ptp(viewport.place(points)[:, 1]) for viewport, points in zip(v, k, strict=True)]
            for v, k in ((panel._viewports, panel._keypoints) for panel in panels)
        ]
    )
    np.testing.assert_allclose(heights[0, 20:-20], heights[1, 20:-20], rtol=0.08)
    assert heights[1].min() > 0.5 * 720 / 1.4


def test_height_is_that_of_the_standing_body_and_stays_when_it_crouches() -> None:
    keypoints = skater(60, np.full(60, 200.0), 500)
    keypoints[30:, :13, 1] += 40  # trunk and hips sink; thigh and shank, 49 px each, are bent
    keypoints[30:, 13:15, 0] += 39.5
    keypoints[30:, 13:15, 1] = keypoints[30:, 15:, 1] - 29
    body = measure_body(keypoints, (1920, 1080), 30, 0.2)
    np.testing.assert_allclose(body.height_px, 200, rtol=0.08)


def test_feet_are_shown_and_the_crop_reaches_the_edge_of_the_frame() -> None:
    keypoints = skater(40, np.full(40, 300.0), 40)  # at the left edge
    body = measure_body(keypoints, (1920, 920), 30, 0.2)
    viewports = follow(body, (1920, 920), (640, 720), body.room((640, 720)))
    for viewport, points in zip(viewports, keypoints, strict=True):
        placed, scale = viewport.place(points), 720 / viewport.box_px[3]
        assert placed[ANKLES, 1].max() + (900 + 20 - 888.3) * scale <= 720.5
        assert viewport.box_px[0] == 0
        assert viewport.box_px[1] + viewport.box_px[3] <= 920


def test_there_is_room_below_the_ankles_for_feet_and_skates() -> None:
    keypoints = skater(40, np.full(40, 300.0), 900)
    keypoints[:, [7, 8, 9, 10], 1] -= 330  # both arms are up: the box must hold more than a body
    body = measure_body(keypoints, (1920, 1080), 30, 0.2)
    viewport = follow(body, (1920, 1080), (640, 720), body.room((640, 720)))[20]
    below_px = viewport.box_px[1] + viewport.box_px[3] - keypoints[20, ANKLES, 1].max()
    assert below_px >= 0.149 * 300


def test_one_wrong_joint_does_not_make_the_skater_tiny() -> None:
    keypoints = skater(40, np.full(40, 300.0), 1500)
    keypoints[:, 9, :2] = 1  # as where an annotator has given no position
    body = measure_body(keypoints, (1920, 1080), 30, 0.2)
    (viewport, *_) = follow(body, (1920, 1080), (640, 720), body.room((640, 720)))
    assert viewport.box_px[3] < 2 * 300
    placed = viewport.place(keypoints[0])[np.arange(17) != 9, :2]
    assert (placed > 0).all()
    assert (placed < (640, 720)).all()


@pytest.mark.real
@pytest.mark.parametrize("panel_px", [(640, 720), (420, 420)])
def test_recorded_skaters_are_whole_in_99_percent_of_the_frames(
    real_data: Path, panel_px: tuple[int, int]
) -> None:
    folders = [
        *(real_data / "skate_frames/val").iterdir(),
        *(real_data / "skate_full/val").glob("*"),
    ]
    assert len(folders) == 20
    for folder in folders:
        clip = load_clip(folder, Config())
        panel = ClipPanel(clip, panel_px, 0.2)
        inside = []
        for frame, points in enumerate(clip.keypoints):
            seen = points[points[:, 2] >= 0.2]
            if not len(seen):  # nobody was found
                continue
            margin = 0.15 * panel._body.height_px[frame]
            corners = np.ones((2, 3), np.float32)
            corners[:, :2] = seen[:, :2].min(axis=0) - margin, seen[:, :2].max(axis=0) + margin
            corners[:, :2] = np.clip(corners[:, :2], 0, clip.drawn_px)  # nothing is outside
            placed = panel._viewports[frame].place(corners)[:, :2]
            inside.append((placed >= -1).all() and (placed <= np.array(panel_px) + 1).all())
        assert np.mean(inside) >= 0.99, folder


def test_without_images_stick_figures_are_drawn_on_plain_light_ground() -> None:
    keypoints = wave(3, 0)
    for size_px in ((640, 480), None):
        panel = ClipPanel(make_clip(keypoints, picture_px=size_px), (WIDTH, HEIGHT), 0.2)
        picture = panel.picture(1)
        corner = picture[2, 2]
        assert (picture[[0, -1]] == corner).all()  # also outside the frame
        assert corner.min() > 200
        assert (np.abs(picture.astype(int) - corner).max(axis=-1) > 40).sum() > 300
        assert (picture == LEFT).all(axis=-1).any()


def test_the_head_is_one_point_and_no_line_joins_the_joints_of_the_face() -> None:
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[FACE] = [[100, 50, 1], [60, 50, 1], [140, 50, 1], [20, 50, 1], [180, 50, 1]]
    blank = np.zeros((100, 200, 3), np.uint8)
    picture = draw_skeleton(blank, keypoints, confidence_threshold=0.5, thickness_px=3)
    drawn = picture.any(axis=-1)
    rows, columns = np.nonzero(drawn)
    assert (picture[50, 100] == TRUNK).all()
    assert columns.min() >= 90
    assert columns.max() <= 110
    assert np.ptp(rows) == np.ptp(columns)
    keypoints[:, 2] = 0.4
    unseen = draw_skeleton(blank, keypoints, confidence_threshold=0.5, thickness_px=3)
    assert not unseen.any()


def test_limbs_have_a_light_edge_and_one_colour_has_none() -> None:
    keypoints, blank = arms({"left": 50})[0], np.zeros((240, 100, 3), np.uint8)
    edged = draw_skeleton(blank, keypoints, confidence_threshold=0.5, thickness_px=4)
    row = edged[70]
    assert (row[50] == LEFT).all()
    assert np.abs(row[46].astype(int) - LIGHT).max() < 60
    plain = draw_skeleton(blank, keypoints, confidence_threshold=0.5, thickness_px=4, color=GREEN)
    assert (plain[70].any(axis=-1)).sum() < (row.any(axis=-1)).sum()
    assert not plain[70, 46].any()


def test_header_has_the_colours_of_both_sides_and_a_long_title_leaves_them_free() -> None:
    bar = header(420, "learner: a name that is much too long for the header of a panel" * 2, "")
    legend = bar[:30, -LEGEND_PX:]
    assert (legend == LEFT).all(axis=-1).sum() > 80
    assert (legend == RIGHT).all(axis=-1).sum() > 80
    free = np.array_equal(legend, header(420, "", "")[:30, -LEGEND_PX:])
    assert free


def test_doubt_is_orange_and_what_is_not_found_has_no_span() -> None:
    assert (banner(300, "unsure", True) == MARK).all(axis=-1).mean() > 0.8
    assert (banner(300, "sure", False) == DARK).all(axis=-1).mean() > 0.8
    assert banner(300, "", False).shape == (BANNER_PX, 300, 3)
    assert (progress_bar(300, 5, 30, (10, 20)) == MARK).all(axis=-1).any(axis=0).sum() == 100
    assert not (progress_bar(300, 5, 30, None) == MARK).all(axis=-1).any()


def test_panel_tells_frame_and_time_of_the_whole_video(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def keep(image: Image, text: str, *_: object) -> None:
        told.append(text)

    monkeypatch.setattr("tcc.draw.write_text", keep)
    clip = make_clip(wave(20, 0), first_frame=40, total_frames=90)
    ClipPanel(clip, (WIDTH, HEIGHT), 0.2).draw(3, "learner: my", "motion", None)
    assert told == ["learner: my", f"frame 43 of 90   {43 / 30:.2f} s   motion"]


def test_grid_puts_panels_into_rows_below_the_bar_and_leaves_unused_places_dark() -> None:
    panels = [np.full((4, 6, 3), value, np.uint8) for value in (60, 70, 80)]
    picture = grid(np.full((2, 12, 3), 50, np.uint8), panels, 2)
    expected = [(0, 2, 0, 12, 50), (2, 6, 0, 6, 60), (2, 6, 6, 12, 70), (6, 10, 0, 6, 80)]
    for top, bottom, left, right, value in [*expected, (6, 10, 6, 12, DARK[0])]:
        assert (picture[top:bottom, left:right] == value).all()
    assert picture.shape == (10, 12, 3)


def test_dimmed_picture_is_darker() -> None:
    panel = ClipPanel(make_clip(wave(2, 0)), (WIDTH, HEIGHT), 0.2)
    bright, dark = (panel.draw(0, "", "", None, dimmed)[HEADER_PX:-20] for dimmed in (False, True))
    assert dark.mean() < 0.5 * bright.mean()


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
