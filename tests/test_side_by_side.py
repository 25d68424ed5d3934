"""What the video shows of each clip, when, and at what speed."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from tcc.side_by_side import (
    HELD_S,
    LEAD_S,
    Shown,
    add_speed,
    draw,
    follow_times,
    make_panels,
    pair_times,
    schedule,
    video_fps,
    window,
)
from tests.conftest import make_clip, wave

STATES = ("before", "motion", "after")


def test_a_clip_goes_on_at_its_tempo_before_and_after_the_match() -> None:
    pairs_s = np.array([[2.0, 1.0], [3.0, 1.4], [4.0, 2.0]])
    at_s = np.array([0.0, 2.0, 2.5, 3.5, 4.0, 6.0])
    np.testing.assert_allclose(follow_times(pairs_s, at_s), [0.0, 1.0, 1.2, 1.7, 2.0, 3.0])


def test_one_pair_goes_on_at_single_speed_and_repeated_times_are_averaged() -> None:
    at_s = np.array([0.0, 2.0, 3.0])
    np.testing.assert_allclose(follow_times(np.array([[2.0, 5.0]]), at_s), [3.0, 5.0, 6.0])
    np.testing.assert_allclose(
        follow_times(np.array([[2.0, 4.0], [2.0, 6.0], [3.0, 6.0]]), np.array([2.0])), [5.0]
    )


def test_window_has_at_most_a_second_before_and_after_and_ends_with_the_clip() -> None:
    clip = make_clip(wave(150, 0))
    assert window(clip, 60, 90) == pytest.approx((2 - LEAD_S, 3 + LEAD_S))
    assert window(clip, 15, 140) == pytest.approx((0, 149 / 30))


def test_window_is_short_where_another_clip_has_no_more_frames() -> None:
    clip, other = make_clip(wave(150, 0)), make_clip(wave(40, 1))
    pairs_s = np.array([[2.0, 0.0], [3.0, 1.0]])  # the other ends 0.3 s later
    assert window(clip, 60, 90, [(other, pairs_s)]) == pytest.approx((2 - HELD_S, 3.3 + HELD_S))
    slow = pairs_s * [1, 0.5]  # at half the tempo, it lasts twice as long
    assert window(clip, 60, 90, [(other, slow)]) == pytest.approx((2 - HELD_S, 3 + LEAD_S))


def test_schedule_shows_every_frame_once_and_then_a_quarter_of_a_frame_further() -> None:
    times_s, speeds = schedule((1.0, 2.0), 30, 0.25)
    own = times_s[speeds == 1]
    np.testing.assert_allclose(own, 1 + np.arange(31) / 30)
    np.testing.assert_allclose(times_s[speeds == 0.25], 1 + np.arange(121) / 120)
    np.testing.assert_array_equal(np.flatnonzero(np.diff(speeds)), [30])
    np.testing.assert_allclose(schedule((1.0, 2.0), 30, 1)[0], own)


def test_a_fast_camera_gives_no_video_that_screens_cannot_show() -> None:
    assert video_fps(make_clip(wave(50, 0), times_s=np.arange(50) / 240)) == 60
    assert video_fps(make_clip(wave(50, 0), times_s=np.arange(50) / 25)) == pytest.approx(25)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "fast", "nan"])
def test_a_speed_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_speed(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--speed", text])
    assert "argument --speed: " in capsys.readouterr().err
    assert parser.parse_args(["--speed", "0.1"]).speed == 0.1
    assert parser.parse_args([]).speed == 0.25


def test_frames_states_and_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard has 2 frames before its matched part and none after it."""
    told: list[list[tuple[object, ...]]] = []

    class Panel:
        def draw(self, *arguments: object) -> np.ndarray:
            told[-1].append(arguments)
            return np.zeros((4, 40, 3), np.uint8)

    monkeypatch.setattr("tcc.side_by_side.make_panels", lambda *_: [Panel(), Panel()])
    learner, standard = make_clip(wave(60, 0)), make_clip(wave(12, 1))
    path = np.stack([np.arange(20, 30), np.arange(2, 12)], axis=1)
    pairs_s = pair_times(path, learner, standard)
    span = (20, 30)
    shown = [
        Shown(learner, "learner", "", False, pairs_s[:, [0, 0]], span, STATES),
        Shown(standard, "standard", "mirrored", True, pairs_s, (2, 12), STATES),
    ]
    times_s = learner.times_s[[17, 18, 19, 20, 29, 30, 40, 40]]
    speeds = np.array([1, 1, 1, 1, 1, 1, 1, 0.25])
    frames = []
    generator = draw(shown, times_s, speeds, "axel", False, 0.2, (40, 40), 2)
    for _ in times_s:
        told.append([])
        frames.append(next(generator))
    left, right = zip(*told, strict=True)
    assert [call[0] for call in left] == [17, 18, 19, 20, 29, 30, 40, 40]
    assert [call[0] for call in right] == [0, 0, 1, 2, 11, 11, 11, 11]
    before, after = ["before   mirrored"] * 3, ["after   mirrored"] * 3
    assert [call[2] for call in right] == [*before, *["motion   mirrored"] * 2, *after]
    assert [call[2] for call in left] == [*["before"] * 3, *["motion"] * 2, *["after"] * 3]
    assert [call[4] for call in right] == [True, False, False, False, False, True, True, True]
    assert not any(call[4] for call in left)
    assert (left[0][3], right[0][3]) == (span, (2, 12))


def test_a_frame_that_is_shown_again_is_drawn_once() -> None:
    clip = make_clip(wave(30, 0))
    times = np.stack([clip.times_s, clip.times_s], axis=1)
    shown = [Shown(clip, "a", "", False, times, (0, 30), STATES)]
    times_s, speeds = schedule((0.0, clip.times_s[-1]), 30, 0.1)
    frames = list(draw(shown, times_s, speeds, "axel", False, 0.2, (64, 64), 1))
    assert len(frames) == 30 + 291
    assert len({id(frame) for frame in frames}) == 60


def test_the_line_above_tells_confidence_and_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, bool]] = []

    def keep(width_px: int, text: str, is_doubtful: bool) -> np.ndarray:
        told.append((text, is_doubtful))
        return np.zeros((2, width_px, 3), np.uint8)

    monkeypatch.setattr("tcc.side_by_side.banner", keep)
    clip = make_clip(wave(3, 0))
    times = np.stack([clip.times_s, clip.times_s], axis=1)
    shown = [Shown(clip, "a", "", False, times, None, STATES)]
    list(draw(shown, *schedule((0.0, 0.0), 30, 0.5), "axel, unsure", True, 0.2, (64, 64), 1))
    assert told == [("axel, unsure   own speed", True), ("axel, unsure   slow motion 0.5x", True)]


def test_panels_of_one_video_get_the_room_that_the_widest_movement_needs() -> None:
    wide = wave(30, 0)
    wide[15:, 9, 0] += 300  # an arm is stretched
    panels = make_panels([(make_clip(wide), False), (make_clip(wave(30, 1)), False)], (64, 64), 0.2)
    heights = [panel._viewports[20].box_px[3] / panel._body.height_px[20] for panel in panels]
    assert heights[0] == pytest.approx(heights[1]) == pytest.approx(panels[0].room)
    assert panels[0].room > panels[1].room
