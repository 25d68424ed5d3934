"""Two clips on the learner's time axis."""

from __future__ import annotations

import numpy as np
import pytest

from tcc.report.comparison import Comparison, compare, through_events
from tcc.report.events import mark
from tcc.report.performance import perform
from tests.conftest import make_clip, wave


def compared(path: list[tuple[int, int]], fps: float = 30) -> Comparison:
    """Compare 150 frames of a learner at 30 frames a second with 80 frames of a standard."""
    learner = make_clip(wave(150, 0))
    standard = make_clip(wave(80, 1), times_s=np.arange(80) / fps)
    learner_jump, standard_jump = (perform(clip, {}, 0.2) for clip in (learner, standard))
    return compare(learner_jump, standard_jump, np.array(path), 0.9)


def test_rows_follow_the_path_and_go_on_at_its_tempo() -> None:
    found = compared([(10, 50), (20, 60), (50, 90)])
    frames, others = found.rows.T
    np.testing.assert_array_equal(frames, np.arange(37, 121))  # 0.1 s before the standard's first
    np.testing.assert_array_equal(others, np.clip(frames - 40, 0, 79))
    np.testing.assert_array_equal(found.matched, (frames >= 50) & (frames <= 90))
    assert found.row(37) == 0
    assert found.row(120) == 83
    assert found.row(36) is found.row(121) is None
    assert found.confidence == pytest.approx(0.9)


def test_rows_use_the_times_of_both_clips() -> None:
    found = compared([(0, 40), (60, 70)], fps=60)  # one second in both
    frames, others = found.rows.T
    inside = (frames >= 40) & (frames <= 70)
    np.testing.assert_array_equal(others[inside], 2 * (frames[inside] - 40))


def test_half_speed_repeats_frames_of_the_standard() -> None:
    found = compared([(10, 40), (20, 60), (30, 80)])
    frames, others = found.rows.T
    inside = (frames >= 40) & (frames <= 80)
    np.testing.assert_allclose(others[inside], 10 + (frames[inside] - 40) / 2, atol=0.5)


def test_a_path_goes_through_the_events_and_keeps_its_ends() -> None:
    clips = make_clip(wave(150, 0)), make_clip(wave(80, 1), times_s=np.arange(80) / 30)
    marks = {"takeoff": 60, "landing": 75}, {"takeoff": 24, "landing": 33}
    learner, standard = (
        perform(clip, mark(events, clip.times_s), 0.2)
        for clip, events in zip(clips, marks, strict=True)
    )
    straight = np.stack([np.arange(10, 51), np.arange(50, 91)], axis=1)
    path = through_events(straight, learner, standard)
    np.testing.assert_array_equal(path[:, 1], np.arange(50, 91))
    assert path[0].tolist() == [10, 50]
    assert path[-1].tolist() == [50, 90]
    at = dict(zip(path[:, 1].tolist(), path[:, 0].tolist(), strict=True))
    assert (at[60], at[75]) == (24, 33)
    assert (np.diff(path[:, 0]) >= 0).all()
    assert at[55] == 10 + 5 + 2  # half of the shift of 4 frames
    # An event outside of the path, or of one clip only, does not change it.
    for one, other in ((perform(clips[0], {}, 0.2), standard), (learner, learner)):
        np.testing.assert_array_equal(through_events(straight, one, other), straight)
