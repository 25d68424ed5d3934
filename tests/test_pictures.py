"""Overlay, key frames and the pictures of the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tcc import draw
from tcc.clips import Clip
from tcc.coco import FLIP
from tcc.draw import BANNER_PX, BAR_PX, HEADER_PX, LEFT, MARK, RIGHT, TRUNK
from tcc.images import PLAIN, read_image, write_image
from tcc.report import pictures
from tcc.report.comparison import Comparison, compare
from tcc.report.events import Event
from tcc.report.pictures import (
    GHOST_OPACITY,
    KEYFRAME_PX,
    draw_keyframes,
    draw_overlay,
    page_pictures,
)
from tcc.side_by_side import schedule
from tests.conftest import make_clip
from tests.test_export import comparison, jump

SIZE = (240, 300)
Image = NDArray[np.uint8]


def overlay(found: Comparison, slow: float = 1) -> list[Image]:
    return list(draw_overlay(found, SIZE, 0.2, slow))


def figure(frame: Image) -> Image:
    """Return the picture between header and time line."""
    return frame[BANNER_PX + HEADER_PX : -BAR_PX]


def decode(file: bytes) -> Image:
    """Return the picture in a JPEG file."""
    image = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8)


def ink(frame: Image, color: tuple[int, int, int], opacity: float = 1) -> NDArray[np.bool_]:
    """Return where the picture has a colour on plain ground."""
    shown = np.array(PLAIN) * (1 - opacity) + np.array(color) * opacity
    return np.asarray((np.abs(figure(frame) - shown) <= 1).all(axis=-1))


def numbered(folder: Path, performance_clip: Clip) -> Clip:
    """Return the clip with pictures whose grey value is the number of the frame."""
    folder.mkdir()
    images = [np.full((720, 1280, 3), frame, np.uint8) for frame in range(90)]
    clip = make_clip(performance_clip.keypoints[:90], folder, images)
    return replace(clip, first_frame=performance_clip.first_frame)


def test_overlay_shows_own_speed_and_slow_motion_and_repeats_the_array_of_a_frame_that_stays() -> (
    None
):
    found = comparison(jump(), jump(fps=60))
    frames, times_s = overlay(found, 0.25), found.learner.clip.times_s
    first_s, last_s = times_s[found.rows[[0, -1], 0]]
    assert len(frames) == len(schedule((first_s, last_s), 30, 0.25)[0])
    assert {frame.shape for frame in frames} == {
        (BANNER_PX + HEADER_PX + SIZE[1] + BAR_PX, SIZE[0], 3)
    }
    assert len({id(frame) for frame in frames}) == 2 * len(found.rows)
    assert not np.array_equal(frames[0], frames[-1])


def test_the_same_skater_twice_is_one_figure_of_the_full_height() -> None:
    """Also at another place and size in the picture, and where the camera moves."""
    learner = jump()
    keypoints = learner.clip.keypoints.copy()
    keypoints[..., :2] = (
        0.5 * keypoints[..., :2] + np.linspace(0, 300, len(keypoints))[:, None, None]
    )
    other = replace(learner, clip=make_clip(keypoints))
    for second in (learner, other):
        frames = overlay(comparison(learner, second))
        rows = [np.flatnonzero(ink(frame, LEFT).any(axis=1)) for frame in frames]
        for frame in frames[10:-10]:
            for color in (LEFT, RIGHT):
                ghost = ink(frame, color, GHOST_OPACITY[True])
                near = cv2.dilate(ink(frame, color).astype(np.uint8), np.ones((25, 25)))
                assert not (ghost & (near == 0)).any()
        assert max(row.max() for row in rows) > 0.8 * SIZE[1]
        assert min(row.min() for row in rows) < 0.35 * SIZE[1]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_standard_lies_on_the_learner_with_its_sides(mirrored: bool) -> None:
    learner = jump()
    keypoints = learner.clip.keypoints[:, list(FLIP)].copy()
    keypoints[..., 0] = 1279 - keypoints[..., 0]
    standard = replace(learner, clip=make_clip(keypoints), mirrored=mirrored)
    frames = overlay(comparison(learner, standard))[10:-10]
    outside = 0
    for frame in frames:
        near = cv2.dilate(ink(frame, LEFT).astype(np.uint8), np.ones((25, 25)))
        outside += int((ink(frame, LEFT, GHOST_OPACITY[True]) & (near == 0)).sum())
    assert (outside == 0) == mirrored


def test_the_ghost_is_wider_and_paler_and_fainter_outside_of_the_match() -> None:
    learner = jump()
    moved = learner.clip.keypoints.copy()
    moved[:, [*range(5), *range(7, 11)], 0] += 60  # head and arms are elsewhere
    found = comparison(learner, replace(learner, clip=make_clip(moved)))
    frames, heads = overlay(found), []
    for frame, matched in zip(frames, found.matched, strict=True):
        same, other = (
            ink(frame, RIGHT, GHOST_OPACITY[bool(state)]).sum() for state in (matched, not matched)
        )
        assert same > 5 * other + 20
        opacities = (1, GHOST_OPACITY[bool(matched)])
        heads.append([ink(frame, TRUNK, opacity).sum() for opacity in opacities])
    learner_px, ghost_px = np.sum(heads, axis=0)
    assert ghost_px > 1.5 * learner_px
    assert GHOST_OPACITY[False] < GHOST_OPACITY[True] < 0.6
    assert {True, False} == set(found.matched.tolist())


def test_joints_of_low_confidence_are_not_drawn_and_do_not_move_the_body() -> None:
    learner = jump()
    bad = learner.clip.keypoints.copy()
    bad[40:44, 11:13] = (5, 5, 0.1)  # both hips are wrong for four frames
    bad[:, [7, 9], 2] = 0.1  # the left arm is never seen
    hidden = replace(learner, clip=make_clip(bad))
    plain, shown = overlay(comparison(learner, learner)), overlay(comparison(hidden, learner))
    for frame in shown[45:55]:
        assert 0 < ink(frame, LEFT).sum() < 0.9 * ink(plain[50], LEFT).sum()
    places = [np.argwhere((figure(frame) == TRUNK).all(axis=-1)).mean(axis=0) for frame in shown]
    assert np.abs(np.diff(places, axis=0)[37:46]).max() < 12  # px; the shoulders and the head


def test_errors_of_the_hips_do_not_shake_the_body() -> None:
    learner = jump()
    bad = learner.clip.keypoints.copy()
    bad[::2, 11:13, 1] += 4  # px, up and down in every second frame
    shaken = pictures._body(replace(learner, clip=make_clip(bad)), 0.2)
    still = pictures._body(learner, 0.2)
    torso_px = np.linalg.norm(bad[0, 5:7, :2].mean(axis=0) - bad[0, 11:13, :2].mean(axis=0))
    moves = np.abs(np.diff((shaken - still)[5:-5, 5, 1], axis=0))
    assert moves.max() < 0.3 * 4 / torso_px


def test_one_joint_far_away_does_not_make_the_body_small_and_nothing_is_cut_off() -> None:
    learner = jump()
    bad = learner.clip.keypoints.copy()
    bad[30, 9, :2] = (-5000, 300)
    ground = np.array(PLAIN)
    plain = overlay(comparison(learner, learner))
    wrong = overlay(comparison(replace(learner, clip=make_clip(bad)), learner))
    heights = [np.ptp(np.argwhere((figure(found[60]) != ground).any(axis=-1))[:, 0])
               for found in (plain, wrong)]  # fmt: skip
    assert heights[1] > 0.5 * heights[0]
    for frame in plain:
        picture = figure(frame)
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert (edge == ground).all()


def test_time_line_shows_the_flight_of_the_learner() -> None:
    learner = jump()
    path = np.stack([np.arange(60), np.arange(20, 80)], axis=1)
    found = compare(learner, jump(), path, 0.9)
    first, count = int(found.rows[0, 0]), len(found.rows)
    assert first > 10
    bar = (overlay(found)[0][-1] == MARK).all(axis=-1)
    takeoff, landing = (learner.events[name].frame for name in ("takeoff", "landing"))
    for column, frame in zip(np.flatnonzero(bar)[[0, -1]], (takeoff, landing), strict=True):
        assert abs(column - SIZE[0] * (frame - first) / count) <= 2


def test_a_png_is_written_without_loss(tmp_path: Path) -> None:
    image = draw_keyframes(comparison(jump(), jump()), 0.2)
    write_image(tmp_path / "keyframes.png", image)
    assert (tmp_path / "keyframes.png").read_bytes().startswith(b"\x89PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "keyframes.png"), image)


def test_header_names_event_phase_and_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    real = draw.write_text

    def write(image: Image, text: str, *others: object) -> None:
        texts.append(text)
        real(image, text, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(draw, "write_text", write)
    learner, standard = jump(first_frame=100), jump(fps=60, first_frame=7, mirrored=True)
    found = comparison(learner, standard)
    overlay(replace(found, confidence=0.5), 0.5)
    takeoff = learner.events["takeoff"].frame
    second = found.rows[takeoff - found.rows[0, 0], 1]
    total = learner.clip.total_frames
    assert (
        f"learner   frame {100 + takeoff} of {total}   {(100 + takeoff) / 30:.2f} s   take-off"
        in texts
    )
    assert (
        f"learner   frame {101 + takeoff} of {total}   {(101 + takeoff) / 30:.2f} s   flight"
        in texts
    )
    assert any(text.startswith(f"ghost   frame {7 + second} of ") for text in texts)
    assert "clip, ghost: clip (mirrored)   own speed" in texts
    assert "clip, ghost: clip (mirrored)   slow motion 0.5x" in texts


def moments(found: Comparison) -> list[tuple[str, list[tuple[int, str]]]]:
    return pictures._key_moments(found)


def test_key_frames_are_each_at_its_own_event() -> None:
    learner, standard = jump(), jump(fps=60)
    found = comparison(learner, standard)
    assert moments(found) == [
        (
            name.replace("takeoff", "take-off"),
            [(event.frame, ""), (standard.events[name].frame, "")],
        )
        for name, event in learner.events.items()
    ]
    picture = draw_keyframes(found, 0.2)
    height = KEYFRAME_PX[1] + HEADER_PX + BAR_PX
    assert picture.shape == (BANNER_PX + 2 * height, 5 * KEYFRAME_PX[0], 3)


@pytest.mark.parametrize("side", ["learner", "standard"])
def test_an_event_of_one_skater_shows_the_other_by_the_alignment(side: str) -> None:
    found = comparison(jump(), jump(fps=60))
    full = getattr(found, side)
    events = {name: event for name, event in full.events.items() if name != "peak"}
    found = replace(found, **{side: replace(full, events=events)})
    (column,) = [frames for name, frames in moments(found) if name == "peak"]
    own, other = (column[0], column[1]) if side == "learner" else (column[1], column[0])
    assert own[1] == "by the alignment"
    assert not other[1]
    rows = found.rows.tolist()
    assert [column[0][0], column[1][0]] in rows


def test_without_events_the_key_frames_are_start_middle_and_end_of_the_match() -> None:
    found = comparison(jump(marked=False), jump(marked=False))
    inside = found.rows[found.matched].tolist()
    assert [(name, [frame for frame, _ in frames]) for name, frames in moments(found)] == [
        ("start", inside[0]), ("middle", inside[len(inside) // 2]), ("end", inside[-1]),
    ]  # fmt: skip
    assert draw_keyframes(found, 0.2).shape[1] == 3 * KEYFRAME_PX[0]


def test_page_pictures_are_the_shown_frames_of_both_clips(tmp_path: Path) -> None:
    learner = replace(jump(), clip=numbered(tmp_path / "a", jump().clip))
    standard = replace(jump(), clip=numbered(tmp_path / "b", jump().clip), mirrored=True)
    rows = np.stack([np.arange(20, 60), np.repeat(np.arange(50, 70), 2)], axis=1)
    found = Comparison(learner, standard, 0.9, rows, np.ones(40, bool))
    files, keypoints = page_pictures(found, (240, 270), 80)
    for role, frames in (("learner", range(20, 60)), ("standard", range(50, 70))):
        assert len(files[role]) == len(keypoints[role]) == len(frames)
        for file, frame, joints in zip(files[role], frames, keypoints[role], strict=True):
            image = decode(file)
            assert image.shape == (270, 240, 3)
            assert abs(float(np.median(image)) - frame) <= 2
            clip = learner.clip if role == "learner" else standard.clip
            own = clip.keypoints[frame]
            if role == "standard":
                own = own[list(FLIP)] * [-1, 1, 1]
            scale = np.ptp(joints[:, 1]) / np.ptp(own[:, 1])
            np.testing.assert_allclose(
                joints[:, :2] - joints[0, :2], scale * (own[:, :2] - own[0, :2]), atol=0.1
            )
            inside = (joints[:, :2] >= 0).all(axis=1) & (joints[:, :2] < (240, 270)).all(axis=1)
            assert inside.all()


def test_page_pictures_show_no_skeleton_and_are_mirrored(tmp_path: Path) -> None:
    base = jump().clip
    (tmp_path / "a").mkdir()
    image = np.zeros((720, 1280, 3), np.uint8)
    image[:, :, 1] = np.linspace(0, 255, 1280)
    clip = make_clip(base.keypoints[:6], tmp_path / "a", [image] * 6)
    rows = np.stack([np.arange(6)] * 2, axis=1)
    performance = replace(jump(), clip=clip)
    found = Comparison(performance, replace(performance, mirrored=True), 1, rows, np.ones(6, bool))
    files, _ = page_pictures(found, (240, 270), 90)
    for role, sign in (("learner", 1), ("standard", -1)):
        picture = decode(files[role][0])
        slopes = sign * np.diff(picture[:, ::20, 1].astype(int), axis=1)
        assert (slopes > -3).all()  # a skeleton would be an edge
        assert slopes.sum() > 0


def test_a_clip_without_images_has_one_plain_picture() -> None:
    found = comparison(jump(), jump())
    files, keypoints = page_pictures(found, (240, 270), 80)
    for role in ("learner", "standard"):
        assert len(files[role]) == len(keypoints[role]) == found.learner.clip.num_frames
        assert len({id(file) for file in files[role]}) == 1
    image = decode(files["learner"][0])
    assert (np.abs(image - np.array(PLAIN)) <= 2).all()


def test_an_event_that_both_lack_has_no_column() -> None:
    found = comparison(jump(), jump())
    only = {"landing": Event(30, 0.1, "marked")}
    found = replace(
        found,
        learner=replace(found.learner, events=only),
        standard=replace(found.standard, events={}),
    )
    assert [name for name, _ in moments(found)] == ["landing"]
