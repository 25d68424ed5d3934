"""Event errors against known answers, and the command as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tcc.alignment import locate, map_frames
from tcc.evaluation import carry_events, vote
from tcc.metrics import resample, summarize
from tests.conftest import Run, wave, write_clip

NAN, INF = np.nan, np.inf
HARDLY = ["--set", "MAX_NUM_TRAINING_STEPS=2", "--set", "HIDDEN_SIZE=8"]


def test_locate_keeps_the_better_of_standard_and_mirror_image() -> None:
    generator = np.random.default_rng(0)
    standard, mirrored, learner = (
        np.cumsum(generator.normal(size=(frames, 4)), 0) for frames in (20, 20, 50)
    )
    learner[25:45] = mirrored
    placement = locate([standard, mirrored], learner)
    assert placement.mirrored
    assert placement.matches[0].start_frame == 25
    assert placement.matches[0].cost == pytest.approx(0)
    assert placement.confidence == pytest.approx(1)
    assert not locate([mirrored, standard], learner).mirrored


def test_events_are_carried_along_the_path_and_missed_outside_it() -> None:
    mapped = map_frames(np.array([[2, 5], [3, 7], [4, 8], [6, 9], [7, 11]]), 10)
    found = carry_events(mapped, np.array([3, 5, NAN, 1, 8]))
    np.testing.assert_array_equal(found, [7, 8, NAN, INF, INF])  # 8.5 rounds to even


def test_vote_is_the_median_of_the_better_half() -> None:
    found = np.array([[10.0, NAN], [12, INF], [50, INF], [60, 3], [7, INF], [INF, NAN]])
    costs = np.array([0.3, 0.1, 0.2, 0.4, 0.5, 0.1])
    votes, learners = vote(found, costs, np.array([4, 4, 4, 4, 6, 6]))
    np.testing.assert_array_equal(learners, [4, 6])
    np.testing.assert_array_equal(votes, [[31, 3], [7, INF]])


def test_summary_of_errors_that_can_be_counted_by_hand() -> None:
    errors = np.array([0.0, -2, 4, INF, NAN, 12])
    fps = np.array([30.0, 30, 60, 30, 30, 30])
    summary = summarize(errors, fps, np.ones((1000, 6)))
    assert (summary["pairs"], summary["missed"]) == (5, 1)
    assert (summary["median"], summary["mean"], summary["signed"]) == (4, 4.5, 3.5)
    assert summary["median_ms"] == pytest.approx(1000 / 15)
    assert summary["mean_ms"] == pytest.approx(1000 * (0 + 2 / 30 + 4 / 60 + 12 / 30) / 4)
    assert [summary[f"within_{k}"] for k in (1, 3, 5, 10)] == [0.2, 0.4, 0.6, 0.6]
    assert summary["within_3_interval"] == [0.4, 0.4]


def test_interval_is_over_clips_not_pairs() -> None:
    generator = np.random.default_rng(1)
    learners = np.repeat(np.arange(10), 100)
    standards = np.tile(np.arange(100), 10) + 10
    errors = np.where(learners < 5, 0.0, 9)  # the learner alone decides
    fps = np.full(1000, 30.0)
    low, high = summarize(errors, fps, resample([learners, standards], generator))[
        "within_3_interval"
    ]
    spread = np.sqrt(0.25 / 10)  # of a share of 10 independent learners, not of 1000 pairs
    assert high - low == pytest.approx(2 * 1.96 * spread, abs=0.1)


def test_a_clip_in_both_roles_is_drawn_once() -> None:
    pairs = np.array([(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)])
    weights = resample([pairs[:, 0], pairs[:, 1]], np.random.default_rng(0))
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    counts = {(0, 0, 0), (1, 1, 1), (2, 0, 0), (0, 2, 0), (0, 0, 2)}  # products of three draws
    assert {tuple(row) for row in weights[:, ::2].astype(int)} == counts


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """Clips of joints that swing at known tempos, with events, and a hardly trained encoder."""
    root = tmp_path_factory.mktemp("evaluate")
    rows = ["mode,video,frames,takeoff_frame,landing_frame,recording"]
    for mode, seed in (("train", 400), ("val", 500)):
        for index in range(4):
            tempo = 1 + 0.1 * index
            clip = wave(30 + 2 * index, seed + index, tempo)
            write_clip(root / "data" / "wave" / mode / f"{mode}{index}", clip)
            rows.append(f"{mode},{mode}{index},,{round(8 / tempo)},{round(20 / tempo)},")
    (root / "data" / "wave" / "labels.csv").write_text("\n".join(rows) + "\n")
    done = run("tcc_train.py", "--dataset", "wave", *HARDLY, cwd=root)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def labelled(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained` to change."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def test_command_finds_the_events_of_clips_that_differ_in_tempo(labelled: Path, run: Run) -> None:
    sides = ["--standards", "wave/train", "--learners", "wave/val"]
    done = run("tcc_evaluate.py", "--dataset", "wave", *sides, cwd=labelled)
    assert done.returncode == 0, done.stderr
    stem = labelled / "result" / "evaluate_wave_train_vs_wave_val"
    content = json.loads(stem.with_suffix(".json").read_text())
    assert content["schema_version"] == 1
    assert content["pairs"] == 16
    assert content["errors"]["takeoff"]["raw pose"]["within_3"] > 0.8
    assert "raw pose, voting" in done.stdout
    assert stem.with_name(f"{stem.name}_takeoff.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--standards", "wave"], "--standards wave: expected MOTION/MODE, as in wave/val"),
        (["--mode", "test"], "marks no event in mode test"),
        (["--learners", "wave/side"], "marks no event in mode side"),
    ],
)
def test_errors_name_what_is_missing(
    labelled: Path, run: Run, options: list[str], message: str
) -> None:
    options = options if "--mode" in options else ["--mode", "val", *options]
    done = run("tcc_evaluate.py", "--dataset", "wave", *options, cwd=labelled)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_label_outside_its_clip_is_named(labelled: Path, run: Run) -> None:
    path = labelled / "data" / "wave" / "labels.csv"
    path.write_text(path.read_text().replace("val,val1,,7", "val,val1,,70"))
    done = run("tcc_evaluate.py", "--dataset", "wave", "--mode", "val", cwd=labelled)
    assert done.returncode == 2
    assert "takeoff_frame of val1 is 70; the clip has frames 0 to 31" in done.stderr
