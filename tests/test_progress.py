"""Long work shows that it goes on, on a terminal and in a log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tcc import progress as module
from tcc.progress import long_step, progress


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print a line every 0.2 s."""
    monkeypatch.setattr(module, "INTERVAL_S", 0.2)


def wait_for_lines(capsys: pytest.CaptureFixture[str], count: int) -> list[str]:
    """Return the next lines of stderr."""
    text = ""
    began_s = time.monotonic()
    while text.count("\n") < count and time.monotonic() - began_s < 10:
        time.sleep(0.02)
        text += capsys.readouterr().err
    return text.splitlines()


def test_a_log_tells_the_items_that_are_finished(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    for item in progress(range(9), "drawing", "frame"):
        if item in (0, 3):
            told += wait_for_lines(capsys, 1)
    assert re.fullmatch(r"drawing: 0 of 9 frames, \d s", told[0])
    assert re.fullmatch(r"drawing: 3 of 9 frames, \d s", told[1])


def test_a_resumed_count_and_changing_values_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    shown: dict[str, str] = {}
    steps = progress(range(4, 9), "training", "step", 9, initial=4, postfix=shown)
    assert next(steps) == 4
    assert wait_for_lines(capsys, 1)[0].startswith("training: 4 of 9 steps, ")
    shown["loss"] = "0.5"
    next(steps)
    assert re.fullmatch(r"training: 5 of 9 steps, loss=0.5, \d s", wait_for_lines(capsys, 1)[0])


def test_one_long_item_is_no_silence(capsys: pytest.CaptureFixture[str]) -> None:
    (item,) = (wait_for_lines(capsys, 2) for _ in progress(["huge"], "reading", "clip"))
    assert len(item) == 2
    assert all(line.startswith("reading: 0 of 1 clips, ") for line in item)


def test_a_number_that_is_unknown_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    frames = progress(iter("abc"), "a.mp4", "frame")
    next(frames)
    assert wait_for_lines(capsys, 1)[0].startswith("a.mp4: 0 frames, ")


def test_a_step_without_items_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with long_step("loading the pose model"):
        assert re.fullmatch(r"loading the pose model, \d s", wait_for_lines(capsys, 1)[0])


def stop_early(items: Iterator[int]) -> None:
    for _ in items:
        raise RuntimeError


def test_finished_and_failed_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), "drawing", "frame")) == [0, 1, 2]
    with long_step("loading the pose model"):
        pass
    with pytest.raises(RuntimeError):
        stop_early(progress(range(3), "drawing", "frame"))
    capsys.readouterr()
    time.sleep(0.5)
    assert capsys.readouterr().err == ""


def test_steps_of_less_than_an_interval_are_told_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is that of the command: a line at 1 s, in the second of two steps of 0.6 s."""
    monkeypatch.setattr(module, "INTERVAL_S", 1.0)
    monkeypatch.setattr(module, "BEGAN_S", time.monotonic())
    for name in ("first", "second"):
        with long_step(name):
            time.sleep(0.6)
    assert capsys.readouterr().err == "second, 0 s\n"


def test_a_terminal_shows_a_bar_and_no_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown: dict[str, str] = {}
    for item in progress(range(4), "training", "step", postfix=shown):
        shown["loss"] = f"{item}.5"
        time.sleep(0.15)
    printed = capsys.readouterr().err
    assert re.search(r"training: 100%.* 4/4 .*loss=3.5", printed)
    assert "of 4 steps" not in printed
