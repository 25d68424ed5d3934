"""The command tcc_report.py, on synthetic skaters and the generic encoder."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

import tcc_get_start
import tcc_report
from tcc.features import flip
from tcc.report import instructions
from tcc.report.summary import Summary
from tests.conftest import ROOT, Call, write_clip, write_frames
from tests.jumpers import axel, keypoints_of, seen_from

SCHEMA = ROOT / "docs" / "summary.schema.json"
MOTION = "jump"
TRAIN = 9
START = ("--dataset", MOTION)
FILES = {
    "report.html", "summary.json", "alignment.csv", "angles.csv", "phases.srt", "keyframes.png",
}  # fmt: skip


def write_skater(folder: Path, seed: int, degrees: float = 90, mirrored: bool = False) -> None:
    """Write the clip of a synthetic Axel, seen by a level camera."""
    points = seen_from(axel(seed, clockwise=False).joints_m, degrees)
    if mirrored:
        points = flip(points) + np.array([1280, 0])
    write_clip(folder, keypoints_of(points))


@pytest.fixture(scope="module")
def skaters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/jump/: TRAIN clips in train/, and four in test/, two with pictures."""
    root = tmp_path_factory.mktemp("skaters")
    for seed in range(TRAIN):
        write_skater(root / "data" / MOTION / "train" / f"t{seed}", 20 + seed, 60 + 5 * seed)
    test = root / "data" / MOTION / "test"
    for name, seed in (("a", 3), ("b", 4), ("c", 5)):
        write_skater(test / name, seed)
    write_skater(test / "d", 3, mirrored=True)
    marks = axel(4, clockwise=False).events
    (root / "data" / MOTION / "labels.csv").write_text(
        f"mode,video,takeoff_frame,landing_frame\ntest,b,{marks['takeoff']},{marks['landing']}\n"
    )
    return root


@pytest.fixture
def work(skaters: Path, tmp_path: Path) -> Path:
    """A working folder with the clips."""
    (tmp_path / "data").symlink_to(skaters / "data")
    return tmp_path


def read(folder: Path) -> dict[str, Any]:
    """Return the summary in the folder of a report, checked against its schema."""
    content = (folder / "summary.json").read_bytes()
    summary: dict[str, Any] = json.loads(content)
    jsonschema.validate(summary, json.loads(SCHEMA.read_text()))
    msgspec.json.decode(content, type=Summary)
    return summary


def test_the_schema_is_that_of_the_summary() -> None:
    assert json.loads(SCHEMA.read_text()) == msgspec.json.schema(Summary), (
        "run: python3 -m tests.test_docs"
    )


def test_a_report_holds_all_files_and_the_marked_events(
    work: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tcc_report.main, *START, "--no-video", cwd=work)
    folder = work / "result" / "a_vs_b"
    assert {path.name for path in folder.iterdir()} == {*FILES, "openpose"}
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "result/a_vs_b/report.html"
    assert printed[0].startswith("a: jump, confidence 0.8")
    summary = read(folder)
    assert not any("in the air" in warning for warning in summary["warnings"])
    learner, standard = axel(3, clockwise=False), axel(4, clockwise=False)
    for name in ("takeoff", "landing"):
        moments = summary["events"][name]
        assert moments["standard"]["frame"] == standard.events[name]
        assert moments["standard"]["source"] == "marked"
        assert abs(moments["learner"]["frame"] - learner.events[name]) <= 2
        time_s, sure_s = (moments["learner"][field] for field in ("time_s", "uncertainty_s"))
        assert f"({time_s:.3f} ± {sure_s:.3f} s)" in printed[1]
    assert list(summary["events"]) == ["entry", "takeoff", "peak", "landing", "exit"]
    numbers = {(row["measure"], row["at"]): row for row in summary["numbers"]}
    flight_s = (standard.events["landing"] - standard.events["takeoff"]) / 30
    assert numbers["flight", None]["standard"]["value"] == pytest.approx(flight_s)
    assert numbers["flight", None]["usual"]["clips"] >= instructions.MIN_CLIPS
    rows = list(csv.DictReader((folder / "alignment.csv").read_text().splitlines()))
    assert summary["start_frame"] == min(
        int(row["learner_frame"]) for row in rows if row["matched"] == "1"
    )


def test_events_can_be_given_and_are_counted_in_the_whole_video(work: Path, call: Call) -> None:
    given = axel(5, clockwise=False).events
    option = f"takeoff={given['takeoff']},landing={given['landing']}"
    call(
        tcc_report.main, "a", "c", *START, "--no-video", "--events", option,
        "--standard-trim", "0.2-", cwd=work,
    )  # fmt: skip
    events = read(work / "result" / "a_vs_c")["events"]
    assert events["takeoff"]["standard"]["frame"] == given["takeoff"]
    assert events["landing"]["standard"]["source"] == "marked"
    assert events["peak"]["standard"]["source"] == "motion"


def test_unmarked_events_are_found_in_the_motion_and_this_is_told(
    work: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    call(tcc_report.main, "a", "c", *START, "--no-video", cwd=work)
    summary = read(work / "result" / "a_vs_c")
    true = axel(5, clockwise=False).events
    for name in ("takeoff", "landing"):
        assert summary["events"][name]["standard"]["source"] == "motion"
        assert abs(summary["events"][name]["standard"]["frame"] - true[name]) <= 3
    told = r"c: take-off and landing are not marked; by its motion they are at frames \d+ and \d+"
    assert re.search(told, caplog.text)
    assert any(re.search(told, warning) for warning in summary["warnings"])


def test_every_command_says_the_same_time(work: Path, call: Call) -> None:
    call(tcc_report.main, *START, "--no-video", cwd=work)
    call(tcc_get_start.main, *START, "--no-video", cwd=work)
    start = json.loads((work / "result" / f"start_{MOTION}_a_vs_b.json").read_text())
    moments = read(work / "result" / "a_vs_b")["events"]
    for name, event in start["events"].items():
        assert event["learner_s"] == moments[name]["learner"]["time_s"]
        assert event["learner_frame"] == moments[name]["learner"]["frame"]
    assert list(start["events"]) == ["takeoff", "landing"]


def test_an_air_time_that_the_height_contradicts_is_told(
    work: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    true = axel(4, clockwise=False).events
    option = f"takeoff={true['takeoff'] - 15},landing={true['landing'] + 10}"
    call(tcc_report.main, *START, "--no-video", "--events", option, cwd=work)
    told = r"b: 1\.\d\d s in the air mean a height of \d\.\d\d m, but the hips rise by \d\.\d\d m; "
    assert re.search(told, caplog.text)
    assert any(re.match(told, warning) for warning in read(work / "result" / "a_vs_b")["warnings"])


def test_left_and_right_are_those_of_a_learner_who_turns_the_other_way(
    work: Path, call: Call
) -> None:
    for pair in (("a", "b"), ("d", "b")):
        call(tcc_report.main, *pair, *START, "--no-video", cwd=work)
    plain, mirrored = (read(work / "result" / name) for name in ("a_vs_b", "d_vs_b"))
    assert not plain["mirrored"]
    assert mirrored["mirrored"]
    numbers = [
        {(row["measure"], row["at"]): row for row in summary["numbers"]}
        for summary in (plain, mirrored)
    ]
    for role in ("learner", "standard", "usual"):
        one, other = (
            numbers[0]["left_knee", "flight"][role],
            numbers[1]["right_knee", "flight"][role],
        )
        key = "centre" if role == "usual" else "value"
        assert one[key] == pytest.approx(other[key], abs=0.5)
        assert one[key] != pytest.approx(numbers[0]["right_knee", "flight"][role][key], abs=0.5)


def test_the_same_report_is_written_again_and_another_one_is_kept(work: Path, call: Call) -> None:
    for _ in range(2):
        call(tcc_report.main, *START, "--no-video", cwd=work)
    assert [path.name for path in (work / "result").iterdir()] == ["a_vs_b"]
    call(tcc_report.main, *START, "--no-video", "--trim", "0.3-", cwd=work)
    names = {path.name for path in (work / "result").iterdir()}
    assert names == {"a_vs_b", "a_vs_b_earlier_1"}


def test_few_train_clips_show_nothing_usual(work: Path, call: Call, skaters: Path) -> None:
    (work / "data").unlink()
    for name in ("a", "b"):
        write_skater(work / "data" / MOTION / "test" / name, 3 if name == "a" else 4)
    write_skater(work / "data" / MOTION / "train" / "t0", 20)
    call(tcc_report.main, *START, "--no-video", cwd=work)
    summary = read(work / "result" / "a_vs_b")
    usual = [row["usual"] for row in summary["numbers"] if row["usual"]]
    assert all(row["clips"] == 1 for row in usual)


def test_the_pair_itself_does_not_show_what_is_usual(work: Path, call: Call) -> None:
    data = work / "data"
    call(tcc_report.main, data / MOTION / "train" / "t0", "b", *START, "--no-video", cwd=work)
    summary = read(work / "result" / "t0_vs_b")
    counts = {row["usual"]["clips"] for row in summary["numbers"] if row["usual"]}
    assert max(counts) <= TRAIN - 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("takeof=3", "'takeof=3': expected an event and its frame, as in takeoff=64,landing=78"),
        ("takeoff=x", "'takeoff=x': expected an event and its frame"),
        ("takeoff", "'takeoff': expected an event and its frame"),
        ("takeoff=9,landing=9", "'takeoff=9,landing=9': the frames must rise in this order: entry"),
        ("landing=2,takeoff=5", "the frames must rise in this order"),
    ],
)
def test_wrong_events_are_refused(
    work: Path, call: Call, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(tcc_report.main, *START, "--events", option, cwd=work)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_an_event_outside_the_clip_is_refused(work: Path, call: Call) -> None:
    from tcc.files import UserError

    with pytest.raises(UserError, match=r"--events landing=900: b has frames 0 to \d+; name one"):
        call(tcc_report.main, *START, "--events", "takeoff=40,landing=900", cwd=work)
    assert not (work / "result").exists()


def test_videos_and_pictures_are_made_of_clips_with_frames(work: Path, call: Call) -> None:
    (work / "data").unlink()
    for name, seed in (("a", 3), ("b", 4)):
        folder = work / "data" / MOTION / "test" / name
        write_skater(folder, seed)
        write_frames(folder, len(axel(seed, clockwise=False).joints_m), (1281, 721))
    call(tcc_report.main, *START, cwd=work)
    folder = work / "result" / "a_vs_b"
    assert {path.name for path in folder.iterdir()} == {
        *FILES, "openpose", "side_by_side.mp4", "overlay.mp4",
    }  # fmt: skip
    count = len(axel(3, clockwise=False).joints_m)
    assert len(list((folder / "openpose" / "learner").glob("*.json"))) == count
    assert np.sum([path.stat().st_size for path in folder.glob("*.mp4")]) > 10_000
