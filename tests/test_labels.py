"""labels.csv as people write it: what is read, what is refused and what is told."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcc.evaluate.labels import check_labels, order_events, read_labels, read_recordings
from tcc.files import UserError

HEAD = "mode,video,takeoff_frame,landing_frame\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where labels.csv of the motion axel is to be written."""
    (tmp_path / "axel").mkdir()
    return tmp_path / "axel" / "labels.csv"


@pytest.mark.parametrize("value", ["nan", "2.5", "x"])
def test_a_label_that_is_no_frame_is_named(tmp_path: Path, value: str) -> None:
    (tmp_path / "axel").mkdir()
    (tmp_path / "axel" / "labels.csv").write_text(
        f"mode,video,takeoff_frame,landing_frame\nval,a,3,\nval,b,{value},9\n"
    )
    with pytest.raises(UserError, match=r"labels.csv line 3: .*; expected a frame number from 0"):
        read_labels(tmp_path, "axel")


def test_labels_hold_the_marked_events(tmp_path: Path) -> None:
    (tmp_path / "axel").mkdir()
    file = tmp_path / "axel" / "labels.csv"
    with pytest.raises(UserError, match=r"no .*labels.csv; it holds columns mode, video and"):
        read_labels(tmp_path, "axel")
    file.write_text("\ufeffmode,video,takeoff_frame,landing_frame\nval,a,3,\n,,,\ntest,a,0,9\n")
    assert read_labels(tmp_path, "axel") == {
        ("val", "a"): {"takeoff": 3},
        ("test", "a"): {"takeoff": 0, "landing": 9},
    }
    file.write_text("video,takeoff_frame\na,3\n")
    with pytest.raises(UserError, match=r"expected columns mode, video .* got video, takeoff_f"):
        read_labels(tmp_path, "axel")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((HEAD + "val,Jürgen,3,9\n").encode("cp1252"), "can't decode byte 0xfc"),
        ((HEAD + "val,a,3,9\n").encode("utf-16"), "can't decode byte 0xff"),
        ((HEAD + 'val,"' + 200_000 * "a").encode(), "field larger than field limit"),
    ],
    ids=["cp1252", "utf-16", "an open quote"],
)
def test_a_file_that_is_no_csv_in_utf_8_is_told(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    for read in (read_labels, read_recordings):
        with pytest.raises(UserError, match=rf"labels.csv: .*{message}.*; save it as CSV UTF-8"):
            read(file.parents[1], "axel")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("val,a,3,9,12\n", "line 2: expected a mode, a video and at most 4 cells"),
        ("val,a,3,9\n\n\nval,b,3,9,\n", "line 5: expected a mode, a video and at most 4 cells"),
        ("val\n", "line 2: expected a mode, a video"),
        (",a,3,9\n", "line 2: expected a mode, a video"),
        ("val,a,3,9\n\ntrain,a,3,9\nval,a,4,9\n", "line 5: val a has two rows; keep one"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named_by_its_line(
    file: Path, rows: str, message: str
) -> None:
    file.write_text(HEAD + rows)
    with pytest.raises(UserError, match=re.escape(f"labels.csv {message}")):
        read_labels(file.parents[1], "axel")


def test_rows_without_a_clip_are_told_and_events_outside_theirs_refused(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (file.parent / "val" / "a").mkdir(parents=True)
    (file.parent / "val" / "b").mkdir()
    where = (file.parents[1], "axel", "val")
    labels = {("val", "a"): {"takeoff": 3}, ("val", "b"): {"takeoff": 30}}
    check_labels(*where, labels, {"a": 4})
    assert not caplog.messages
    for frame in (-1, 4):
        with pytest.raises(UserError, match=f"takeoff_frame of val a is {frame}; .* frames 0 to 3"):
            check_labels(*where, {("val", "a"): {"takeoff": frame}}, {"a": 4})
    lost: dict[tuple[str, str], dict[str, int]] = {("vla", str(clip)): {} for clip in range(6)}
    check_labels(*where, labels | lost, {"a": 4})
    (message,) = caplog.messages
    assert message.endswith(
        "labels.csv: 6 of 8 rows have no clip: vla/0, vla/1, vla/2, vla/3, vla/4, ..."
    )


def test_events_that_swap_are_told(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = {"a": (3, 9), "b": (5, 5), "c": (9, 4), "d": (1, 2), "e": (1, 7), "not read": (8, 1)}
    labels = {
        ("val", video): {"takeoff": takeoff, "landing": landing}
        for video, (takeoff, landing) in rows.items()
    }
    labels["val", "f"] = {"landing": 2}
    for video in rows:
        (file.parent / "val" / video).mkdir(parents=True)
    (file.parent / "val" / "f").mkdir()
    check_labels(file.parents[1], "axel", "val", labels, dict.fromkeys("abcdef", 20))
    (message,) = caplog.messages
    assert "labels.csv: landing_frame is not after takeoff_frame in val b, c; correct" in message


def test_events_follow_one_another_whatever_the_columns() -> None:
    marks = [{"landing": 9}, {"landing": 30, "takeoff": 20}, {"landing": 8, "takeoff": 4}]
    assert order_events(marks) == ["takeoff", "landing"]
    assert order_events([]) == []


def test_take_off_comes_before_landing_whatever_is_never_marked_with_them() -> None:
    jump, spin = {"landing": 30, "takeoff": 20}, {"spin": 25}
    for marks in ([jump, spin], [spin, jump], [{"landing": 9}, spin, jump], [jump, spin, spin]):
        order = order_events(marks)
        assert order.index("takeoff") < order.index("landing")
    assert order_events([{"landing": 30}, spin, jump]) == ["takeoff", "spin", "landing"]


def test_events_in_a_circle_follow_by_their_median_and_others_keep_their_place() -> None:
    circle = [{"a": 1, "b": 5}, {"b": 2, "c": 6}, {"c": 3, "a": 7}, {"b": 4}]
    assert order_events(circle) == ["a", "b", "c"]  # medians 4, 4, 4.5
    outside = [*circle, {"c": 0, "end": 1}, {"start": 9, "a": 10}]
    assert order_events(outside) == ["start", "c", "b", "a", "end"]


CLIPS = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=8)


def prefer(clips: list[dict[str, int]]) -> set[tuple[str, str]]:
    """Return the pairs of events of which the first is the earlier one in most clips with both."""
    names = {name for clip in clips for name in clip}
    preferred = set()
    for one, other in itertools.permutations(names, 2):
        signs = [np.sign(clip[other] - clip[one]) for clip in clips if {one, other} <= set(clip)]
        if sum(signs) > 0:
            preferred.add((one, other))
    return preferred


@settings(deadline=None, max_examples=300)
@given(CLIPS)
def test_order_holds_every_event_once_and_respects_every_preference_outside_circles(
    clips: list[dict[str, int]],
) -> None:
    order = order_events(clips)
    assert sorted(order) == sorted({name for clip in clips for name in clip})
    assert order_events(clips) == order
    preferred = prefer(clips)
    reached = set(preferred)  # through others as well
    for _ in range(6):
        reached |= {(a, d) for a, b in reached for c, d in reached if b == c}
    for one, other in preferred:
        if (other, one) not in reached:
            assert order.index(one) < order.index(other)


@settings(deadline=None, max_examples=100)
@given(st.permutations("abcdef"), st.lists(st.sets(st.sampled_from("abcdef")), max_size=8))
def test_clips_that_agree_give_their_common_order(true: list[str], marked: list[set[str]]) -> None:
    clips = [{name: 10 * true.index(name) for name in sorted(names)} for names in marked]
    order = order_events(clips)
    assert order == sorted(order, key=true.index)
