"""All standards vote on a learner's events: the same as by the evaluation, and told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tcc_get_start
from tcc import election, voting
from tcc.election import elect
from tcc.evaluate.errors import Comparison, list_pairs
from tcc.evaluate.labels import LabelledClip
from tcc.files import UserError
from tcc.flight import MATCH_S
from tests.conftest import Call, wave, write_clip
from tests.test_voting import MARKS, make_clips

NAMES = ["takeoff", "landing"]


def brute_force(standards: list[LabelledClip], learner: LabelledClip) -> list[float]:
    """Vote by the evaluation, which searches for all standards."""
    pairs = list_pairs(standards, [learner])
    comparison = Comparison.by_length(standards, [learner], NAMES, pairs).search()
    offsets = comparison.mark_offsets()
    [frames], _ = comparison.vote(offsets, comparison.conventions(offsets))
    return list(frames)


def test_a_vote_is_that_of_the_evaluation_and_of_all_standards() -> None:
    learner, *standards = make_clips(12)
    standards[3] = replace(standards[3], events=np.array([MARKS[0] - 4, MARKS[1]]))
    costs = voting.rank(standards, learner)
    found = elect(standards, replace(learner, events=np.full(2, np.nan)), NAMES, costs)
    assert np.rint(found.times_s * learner.fps).tolist() == brute_force(standards, learner)
    assert found.num_voters == [6, 6]
    assert (found.uncertainty_s >= election.AGREED_S).all()


def test_uncertainty_grows_with_the_spread_of_the_votes() -> None:
    learner, *standards = make_clips(12)
    spread = [
        replace(clip, events=clip.events + (-1) ** number * np.array([4.0, 0.0]))
        for number, clip in enumerate(standards)
    ]
    costs = voting.rank(standards, learner)
    near, far = (elect(clips, learner, NAMES, costs).uncertainty_s for clips in (standards, spread))
    assert far[0] > 2 * near[0]
    assert far[1] == pytest.approx(near[1], abs=0.01)
    [alone, _] = elect(standards[:1], learner, NAMES, costs[:1]).uncertainty_s
    assert alone == MATCH_S


def test_standards_that_are_found_elsewhere_do_not_vote() -> None:
    learner, *standards = make_clips(12)
    costs = voting.rank(standards, learner)
    end = learner.num_frames
    whole = elect(standards, learner, NAMES, costs, (0, end), 3)
    np.testing.assert_array_equal(whole.times_s, elect(standards, learner, NAMES, costs).times_s)
    outside = elect(standards, learner, NAMES, costs, (end, end + 9), 3)
    assert np.isnan(outside.times_s).all()
    assert outside.num_voters == [0, 0]


def test_only_voters_are_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, *standards = make_clips(60)
    searched: list[str] = []

    def keep(standard: LabelledClip, clip: LabelledClip, top_k: int) -> Any:
        searched.append(clip.name)
        return voting.place(standard, clip, top_k)

    monkeypatch.setattr("tcc.election.place", keep)
    elect(standards, learner, NAMES, voting.rank(standards, learner))
    assert searched == [learner.name] * voting.MAX_VOTERS


def test_command_tells_the_vote_and_shows_the_nearest(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data" / "hop"
    rows = ["mode,video,takeoff_frame,landing_frame"]
    for number in range(5):
        write_clip(root / "train" / f"s{number}", wave(40, number % 2, 1 + 0.02 * number))
        rows.append(f"train,s{number},{12 + number % 2},{24 + number % 2}")
    write_clip(root / "test" / "mine", wave(40, 0, 1.0))
    (root / "labels.csv").write_text("\n".join(rows))
    options = ["--dataset", "hop", "--no-video", "--standards", "hop/train"]
    call(tcc_get_start.main, "mine", *options, cwd=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    content = json.loads(next((tmp_path / "result").glob("start_hop_mine_vs_s*.json")).read_text())
    assert content["events"]["takeoff"]["learner_frame"] == pytest.approx(12, abs=1)
    nearest = content["standard_name"]
    assert lines[1] == f"mine: 3 of 5 standards vote; the nearest is {nearest}"
    assert content["standards"] == {"folder": "hop/train", "clips": 5, "voters": 3}
    assert content["events"]["takeoff"]["uncertainty_s"] >= election.AGREED_S
    assert " ms), landing at frame" in lines[2]


def test_the_path_of_the_learner_names_the_motion(tmp_path: Path, call: Call) -> None:
    root = tmp_path / "data" / "hop"
    write_clip(root / "train" / "s0", wave(40, 0))
    write_clip(root / "test" / "mine", wave(40, 0))
    (root / "labels.csv").write_text("mode,video,takeoff_frame\ntrain,s0,12")
    options = ["--no-video", "--standards", "hop/train"]
    call(tcc_get_start.main, "data/hop/test/mine", *options, cwd=tmp_path)
    assert (tmp_path / "result" / "start_hop_mine_vs_s0.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--standards", "hop/train", "--standard", "s0"], "--standards names the standards"),
        (["--standards", "hop/lost"], "lost"),
        (["--standards", "hop"], "--standards hop: expected MOTION/MODE or MOTION/MODE/PATTERN"),
    ],
)
def test_standards_that_cannot_vote_are_told(
    tmp_path: Path, call: Call, arguments: list[str], message: str
) -> None:
    for mode, name in (("train", "s0"), ("test", "mine"), ("test", "other")):
        write_clip(tmp_path / "data" / "hop" / mode / name, wave(40, 0))
    labels = "mode,video,takeoff_frame\ntrain,s0,12"
    (tmp_path / "data" / "hop" / "labels.csv").write_text(labels)
    with pytest.raises(UserError, match=message):
        call(tcc_get_start.main, "--dataset", "hop", "--no-video", *arguments, cwd=tmp_path)
