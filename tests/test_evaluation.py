"""Event errors against known answers, and the command as a user runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.confidence import CONFIDENT
from tcc.dtw import map_frames
from tcc.evaluate.errors import (
    Comparison,
    Errors,
    pool,
    relative_interval,
)
from tcc.evaluate.intervals import lower_median, resample, share_within, summarize
from tcc.evaluate.labels import LabelledClip, carry_events
from tcc.evaluate.leak_tests import change_clips, crop, hold_pose, reverse
from tcc.evaluate.tables import print_table
from tcc.search import locate
from tcc_evaluate import score_leaks
from tests.conftest import Run, wave, write_clip

Pairs = NDArray[np.int64]

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
    assert placement.confidence > CONFIDENT
    assert not locate([mirrored, standard], learner).mirrored


def test_events_are_carried_along_the_path_and_missed_outside_it() -> None:
    mapped = map_frames(np.array([[2, 5], [3, 7], [4, 8], [6, 9], [7, 11]]), 10)
    found = carry_events(mapped, np.array([3, 5, NAN, 1, 8]))
    np.testing.assert_array_equal(found, [7, 8.5, NAN, INF, INF])
    np.testing.assert_array_equal(carry_events(mapped, np.array([3.25, 7.1])), [7.25, INF])


def test_an_interval_holds_the_middle_95_percent_of_the_samples() -> None:
    counts = np.arange(1001.0)
    weights = np.stack([counts, 1000 - counts], axis=1)  # a share of 0, 0.001, ... 1 hits
    summary = summarize(np.array([0.0, 10]), np.full(2, 30.0), weights)
    assert summary["within_3_interval"] == [0.025, 0.975]
    assert summary["mean_interval"] == pytest.approx([0.25, 9.75])


def test_an_error_of_exactly_k_frames_is_within_k() -> None:
    errors, fps = np.array([3.0, -3, 4, -10]), np.full(4, 30.0)
    summary = summarize(errors, fps, np.ones((10, 4)))
    assert [summary[f"within_{k}"] for k in (1, 2, 3, 5, 10)] == [0, 0, 0.5, 0.75, 1]
    assert [summary[f"within_{k}_interval"][0] for k in (1, 2, 3, 5, 10)] == [0, 0, 0.5, 0.75, 1]
    assert (share_within(errors, 3), share_within(errors, 2)) == (0.5, 0)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([2, 2, 1], 4), ([1, 0, 1], 1), ([1, 3, 4], 4), ([1, 3, 5], 9), ([4, 3, 0], 1)],
)
def test_the_median_of_a_sample_is_the_lower_one(weights: list[int], expected: float) -> None:
    errors = np.array([-4.0, 9, 1])  # of sizes 1, 4, 9 the weights follow below
    rows = np.array([[weights[1], weights[2], weights[0]]], np.float64)
    summary = summarize(errors, np.full(3, 30.0), rows)
    assert summary["median_interval"] == [expected, expected]


def test_lower_median_is_the_middle_or_the_lower_of_two() -> None:
    assert lower_median(np.array([5.0, 1, 4, 2, 3])) == 3
    assert lower_median(np.array([INF, 1, 3, 2])) == 2
    assert lower_median(np.array([INF, 1])) == 1
    assert np.isnan(lower_median(np.array([])))


def test_standards_and_learners_are_drawn_apart_and_their_counts_multiplied() -> None:
    pairs = np.array([(a, b) for a in range(3) for b in range(3, 7)])
    weights = resample([pairs[:, 0], pairs[:, 1]], np.random.default_rng(0)).reshape(-1, 3, 4)
    standards, learners = weights.sum(axis=2) / 4, weights.sum(axis=1) / 3
    np.testing.assert_allclose(weights, standards[:, :, None] * learners[:, None])
    for drawn in (standards, learners):
        count = drawn.shape[1]
        assert (drawn.sum(axis=1) == count).all()
        np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.1)
        np.testing.assert_allclose(drawn.var(axis=0), 1 - 1 / count, atol=0.12)  # multinomial
    assert abs(np.corrcoef(standards[:, 0], learners[:, 0])[0, 1]) < 0.1


def test_summary_of_errors_that_can_be_counted_by_hand() -> None:
    errors = np.array([0.0, -2, 4, INF, NAN, 12])
    fps = np.array([30.0, 30, 60, 30, 30, 30])
    summary = summarize(errors, fps, np.ones((1000, 6)))
    assert (summary["pairs"], summary["missed"]) == (5, 1)
    assert (summary["median"], summary["mean"], summary["signed"]) == (4, 4.5, 3.5)
    assert summary["median_ms"] == pytest.approx(1000 / 15)
    assert summary["mean_ms"] == pytest.approx(1000 * (0 + 2 / 30 + 4 / 60 + 12 / 30) / 4)
    assert [summary[f"within_{k}"] for k in (1, 2, 3, 5, 10)] == [0.2, 0.4, 0.4, 0.6, 0.6]
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


PERIOD = 8.0  # frames between two events of a made clip, at tempo 1


def made_clips(folder: str, tempos: list[float], seed: int, lead: int = 6) -> list[LabelledClip]:
    """Clips that run through one curve at different tempos, after and before something else.

    The embedding is the position on the curve, so that the true match has distance 0 but for
    sampling.
    """
    generator = np.random.default_rng(seed)
    curve = np.cumsum(np.random.default_rng(99).normal(size=(400, 8)), axis=0)
    clips = []
    for index, tempo in enumerate(tempos):
        times = np.arange(100, 130, tempo)
        motion = np.stack([np.interp(times, np.arange(400), column) for column in curve.T], 1)
        around = generator.normal(30, 1, (2 * lead, 8))
        embeddings = np.concatenate([around[:lead], motion, around[lead:]])
        times_s = np.arange(len(embeddings)) / 30
        clips.append(
            LabelledClip(
                folder=folder,
                name=f"clip{index}",
                features=(embeddings, -embeddings),
                ticks_s=times_s,
                times_s=times_s,
                events=np.rint([lead + PERIOD / tempo, lead + 2 * PERIOD / tempo]),
                recording=f"{folder}/{index}",
            )
        )
    return clips


STANDARDS = made_clips("made/train", [1.0, 0.8, 1.25], 1, lead=0)
LEARNERS = made_clips("made/val", [1.0, 1.25, 0.8], 2)
PAIRS = np.array([(a, b) for a in range(3) for b in range(3)])
NAMES = ["takeoff", "landing"]


def match(
    standards: Sequence[LabelledClip], learners: Sequence[LabelledClip], pairs: Pairs = PAIRS
) -> Comparison:
    """Search every pair."""
    return Comparison.by_length(standards, learners, NAMES, pairs).search()


def event_table(comparison: Comparison) -> dict[str, Errors]:
    """Return the errors of the events of all pairs."""
    return comparison.tabulate(comparison.find_events(), comparison.pairs)


def test_perfect_embeddings_score_best_everywhere() -> None:
    comparison = match(STANDARDS, LEARNERS)
    table = event_table(comparison)
    assert list(table) == ["takeoff", "landing", "takeoff to landing"]
    assert share_within(table["takeoff"].frames, 1) == share_within(table["landing"].frames, 1) == 1
    assert not comparison.mirrored.any()
    scores = comparison.score_embeddings(np.random.default_rng(0))
    assert scores["tau"] > 0.97
    assert scores["tau_undefined"] == 0
    assert comparison.mean_enclosed_area() < 0.02


def test_a_mirrored_learner_is_found_by_the_mirrored_standard() -> None:
    comparison = match(STANDARDS, [clip.represent(np.negative) for clip in LEARNERS])
    assert comparison.mirrored.all()
    assert comparison.mean_tau()["tau"] > 0.97
    listed = comparison.list_matches()[5]
    assert (listed["standard"], listed["learner"], listed["mirrored"]) == ("clip1", "clip2", True)
    assert abs(listed["found"]["landing"] - listed["marked"]["landing"]) <= 1


def test_constant_pose_is_undefined_and_reversed_clips_fall() -> None:
    held = [[hold_pose(clip) for clip in clips] for clips in (STANDARDS, LEARNERS)]
    scores = match(held[0], held[1]).mean_tau()
    assert np.isnan(scores["tau"])
    assert scores["tau_undefined"] == 1
    backwards = [reverse(clip) for clip in LEARNERS]
    np.testing.assert_array_equal(backwards[0].features[0][::-1], LEARNERS[0].features[0])
    last = LEARNERS[0].num_frames - 1
    np.testing.assert_array_equal(backwards[0].events, last - LEARNERS[0].events)
    assert reverse(replace(LEARNERS[0], turn=2.0)).turn == -2
    assert match(STANDARDS, backwards).mean_tau()["tau"] < -0.9


def test_leak_tests_change_the_roles_that_they_should() -> None:
    changed = change_clips(STANDARDS, LEARNERS, np.random.default_rng(0))
    assert list(changed) == ["constant pose", "random crops", "reversed"]
    for clips in changed["constant pose"]:
        assert all((clip.features[1] == clip.features[1][0]).all() for clip in clips)
    for before, after in zip((STANDARDS, LEARNERS), changed["random crops"], strict=True):
        assert [clip.name for clip in after] == [clip.name for clip in before]
        lengths = [[clip.num_frames for clip in clips] for clips in (before, after)]
        assert sum(lengths[1]) < sum(lengths[0])
    standards, learners = changed["reversed"]
    assert standards == STANDARDS
    assert all(
        (after.features[0][::-1] == before.features[0]).all()
        for after, before in zip(learners, LEARNERS, strict=True)
    )


def test_frame_counter_is_caught_by_cropped_clips_an_aligner_is_not() -> None:
    """The clips are cut alike, so the frame's number aligns them as well as the motion does."""
    roles = [made_clips("made/train", [1.0] * 6, 3), made_clips("made/val", [1.0] * 6, 4)]
    pairs = np.array([(a, b) for a in range(6) for b in range(6)])

    def score(change: bool, counter: bool) -> float:
        generator = np.random.default_rng(5)
        cut = [[crop(clip, generator) for clip in clips] if change else clips for clips in roles]
        comparison = Comparison.by_length(cut[0], cut[1], NAMES, pairs)
        if counter:
            comparison = comparison.represent(lambda rows: np.arange(float(len(rows)))[:, None])
        return share_within(event_table(comparison.search())["takeoff"].frames, 1)

    assert score(change=False, counter=True) == 1
    assert score(change=True, counter=True) < 0.6
    assert score(change=False, counter=False) == 1
    assert score(change=True, counter=False) > 0.75


def test_cropped_clips_keep_their_events() -> None:
    for seed in range(30):
        generator = np.random.default_rng(seed)
        for clip in LEARNERS:
            cut = crop(clip, generator)
            assert len(cut.features[0]) >= round(0.6 * len(clip.features[0]))
            np.testing.assert_array_equal(
                cut.features[0][cut.events.astype(int)], clip.features[0][clip.events.astype(int)]
            )


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_the_shortest_clips_can_be_cropped(num_frames: int) -> None:
    times_s = np.arange(num_frames) / 30
    rows = np.zeros((num_frames, 2))
    clip = LabelledClip("made/val", "short", (rows,), times_s, times_s, np.full(2, NAN), "short")
    for seed in range(10):
        cut = crop(clip, np.random.default_rng(seed))
        assert min(2, num_frames) <= cut.num_frames == len(cut.features[0]) <= num_frames


def filmed_at(clips: Sequence[LabelledClip], rate: int) -> list[LabelledClip]:
    """The same clips by a camera of another rate; the features keep their ticks."""
    return [
        replace(
            clip,
            times_s=np.arange(0, clip.ticks_s[-1] + 1e-9, 1 / rate),
            events=np.rint(clip.events / 30 * rate),
        )
        for clip in clips
    ]


@pytest.mark.parametrize(("first", "second"), [(30, 60), (60, 30), (15, 120)])
def test_events_are_in_frames_of_the_clips_and_errors_in_ms(first: int, second: int) -> None:
    comparison = match(filmed_at(STANDARDS, first), filmed_at(LEARNERS, second))
    for (standard, _), mapped in zip(comparison.clips(), comparison.maps, strict=True):
        assert len(mapped) == standard.num_frames
    table = event_table(comparison)
    for event in NAMES:
        errors = table[event]
        np.testing.assert_allclose(errors.fps, second)
        late_s = errors.frames / errors.fps
        assert np.abs(late_s).max() <= 1 / 30 + 1 / first + 0.5 / second
        summary = summarize(errors.frames, errors.fps, np.ones((10, len(PAIRS))))
        assert summary["mean_ms"] == pytest.approx(1000 * np.abs(late_s).mean())
    assert comparison.score_embeddings(np.random.default_rng(0))["phase_100%"] > 0.75
    assert comparison.mean_enclosed_area() < 0.03


@pytest.mark.parametrize("rate", [15, 60])
def test_changed_clips_keep_frames_ticks_and_events_together(rate: int) -> None:
    generator = np.random.default_rng(3)
    for clip in filmed_at(LEARNERS, rate):
        cut, backwards = crop(clip, generator), reverse(clip)
        assert cut.events.max() < cut.num_frames < clip.num_frames
        for changed in (cut, backwards):
            assert len(changed.features[0]) == len(changed.ticks_s)
            assert (np.diff(changed.ticks_s) > 0).all()
        part = slice(cut.start_frame, cut.start_frame + cut.num_frames)
        np.testing.assert_array_equal(cut.times_s, clip.times_s[part])
        inside = slice(2, -2)  # no ticks beyond the ends
        np.testing.assert_allclose(
            cut.per_frame()[inside], clip.per_frame()[part][inside], atol=1e-6
        )
        np.testing.assert_allclose(
            backwards.per_frame()[inside][::-1], clip.per_frame()[inside], atol=1e-6
        )


def test_linear_time_and_prior_know_lengths_alone() -> None:
    comparison = Comparison.by_length(STANDARDS, LEARNERS, NAMES, PAIRS)
    for (standard, learner), mapped in zip(comparison.clips(), comparison.maps, strict=True):
        assert len(mapped) == standard.num_frames
        assert (mapped[0], mapped[-1]) == (0, learner.num_frames - 1)
    found, rows = comparison.prior_events()
    np.testing.assert_array_equal(rows, [[0], [1], [2]])
    share = np.median([clip.events[0] / clip.num_frames for clip in STANDARDS])
    assert found[1, 0] == round(share * LEARNERS[1].num_frames)


SAME = np.array([(0, 0), (1, 1), (2, 2)])


def film(recordings: str, starts: list[int]) -> list[LabelledClip]:
    """The learners as clips of these recordings, from these frames of them on."""
    return [
        replace(clip, recording=recording, start_frame=start)
        for clip, recording, start in zip(LEARNERS, recordings, starts, strict=True)
    ]


def test_every_frame_of_one_recording_is_compared() -> None:
    first, second = film("abc", [0, 4, 0]), film("abd", [0, 1, 0])
    comparison = Comparison.by_length(first, second, NAMES, SAME)
    frames = [np.arange(float(clip.num_frames)) for clip in LEARNERS]
    comparison = replace(comparison, maps=[frames[0] + 2.2, frames[1] + 3, frames[2]])
    np.testing.assert_array_equal(comparison.frame_errors(), [2, 0, NAN])
    np.testing.assert_array_equal(comparison.one_recording(), [True, True, False])
    comparison.maps[0][: 2 * len(frames[0]) // 3] = NAN
    assert comparison.frame_errors()[0] == INF


def test_a_cropped_camera_of_one_recording_still_shares_its_frames() -> None:
    generator = np.random.default_rng(1)
    cut = [crop(clip, generator) for clip in LEARNERS]
    assert any(clip.start_frame > 0 for clip in cut)
    np.testing.assert_array_equal(match(cut, LEARNERS, SAME).frame_errors(), 0)


def test_time_between_events_is_a_share_of_the_true_time() -> None:
    errors = np.array([[1.0, 4], [INF, 0], [0, INF], [0, -2], [4, NAN], [-2, 0], [0, 0]])
    marked = np.array([[10.0, 20], [10, 20], [10, 20], [10, 10], [20, NAN], [10, 18], [18, 10]])
    np.testing.assert_array_equal(
        relative_interval(errors, marked), [0.3, INF, INF, NAN, NAN, 0.25, NAN]
    )


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (["abc", "abc"], ["a to b", "b to c"]),
        (["ac", "ac", "b", "b"], ["a to c"]),
        (["ab", "ab", "ac", "ac"], ["a to b", "a to c"]),
        (["ac", "ac", "bc", "bc"], ["a to c", "b to c"]),
        (["abc", "abc", "ac"], ["a to b", "b to c"]),
        (["ab", "bc"], []),
        (["a", "a"], []),
    ],
)
def test_every_event_has_the_time_to_the_nearest_ones_of_its_clips(
    marked: list[str], expected: list[str]
) -> None:
    clip = LEARNERS[0]
    clips = [
        replace(
            clip,
            events=np.array([5.0 * i if name in these else NAN for i, name in enumerate("abc")]),
        )
        for these in marked
    ]
    pairs = np.array([(i, j) for i in range(len(clips)) for j in range(len(clips)) if i != j])
    comparison = Comparison.by_length(clips, clips, ["a", "b", "c"], pairs)
    assert list(event_table(comparison)) == ["a", "b", "c", *expected]


def test_retrieval_sees_no_clip_of_the_same_recording() -> None:
    pairs = np.array([(0, 1), (1, 0)])
    twins = film("aab", [0, 0, 0])
    scores = match(twins[:2], twins[:2], pairs).score_embeddings(np.random.default_rng(0))
    assert np.isnan(scores["ap_5"])
    scores = match(twins, twins, pairs).score_embeddings(np.random.default_rng(0))
    assert scores["ap_5"] > 0.75


def test_a_clip_has_one_number_in_both_roles_and_its_own_among_others_of_its_name() -> None:
    rows = np.array([(0, 1), (1, 0), (2, 1)])
    frames = np.array([1.0, 2, 3])
    fast = [replace(clip, times_s=clip.times_s / k) for k, clip in enumerate(LEARNERS, 1)]
    one_folder = Comparison.by_length(fast, fast, NAMES, rows).errors_of(frames, rows)
    np.testing.assert_array_equal(one_folder.clips, rows)
    np.testing.assert_allclose(one_folder.fps, [60, 30, 60])  # the learner's
    np.testing.assert_array_equal(one_folder.frames, frames)
    two_folders = Comparison.by_length(STANDARDS, fast, NAMES, rows)
    np.testing.assert_array_equal(
        two_folders.errors_of(frames, rows).clips, [(0, 4), (1, 3), (2, 4)]
    )
    voted = two_folders.errors_of(frames[:2], np.array([[2], [0]]))
    np.testing.assert_array_equal(voted.clips, [[5], [3]])
    np.testing.assert_allclose(voted.fps, [90, 30])
    overlap = Comparison.by_length(STANDARDS, [*STANDARDS[1:], *LEARNERS[:1]], NAMES, rows)
    np.testing.assert_array_equal(overlap.errors_of(frames, rows).clips, [(0, 2), (1, 1), (2, 2)])


def test_selected_pairs_keep_their_matches() -> None:
    comparison = match(STANDARDS, LEARNERS)
    chosen = comparison.select(np.isin(np.arange(9), [2, 7]))
    np.testing.assert_array_equal(chosen.pairs, PAIRS[[2, 7]])
    np.testing.assert_array_equal(chosen.find_events(), comparison.find_events()[[2, 7]])
    np.testing.assert_array_equal(chosen.costs, comparison.costs[[2, 7]])
    assert chosen.list_matches() == [comparison.list_matches()[row] for row in (2, 7)]


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
    takeoff = content["errors"]["takeoff"]
    assert {"tcc", "tcc, path alone", "tcc, marks checked", "tcc, voting", "random encoder",
            "frame index", "linear time", "constant prior"} <= set(takeoff)  # fmt: skip
    assert (takeoff["raw pose"]["pairs"], takeoff["raw pose, voting"]["pairs"]) == (16, 4)
    assert content["embeddings"]["frame index"]["tau"] > 0.99
    assert content["leak_tests"]["constant pose"]["tau"] is None  # undefined: no clock
    assert content["leak_tests"]["constant pose"]["tau_undefined"] == 1
    found = [match["found"]["takeoff"] for match in content["matches"]]
    marked = [match["marked"]["takeoff"] for match in content["matches"]]
    within = np.mean(np.abs(np.subtract(found, marked)) <= 3)
    assert takeoff["tcc"]["within_3"] == pytest.approx(within)
    sure = np.mean([match["confidence"] >= CONFIDENT for match in content["matches"]])
    assert content["calibration"]["takeoff"]["sure"] == pytest.approx(sure)
    assert stem.with_name(f"{stem.name}_takeoff.png").read_bytes()[:4] == b"\x89PNG"


def test_a_pattern_chooses_clips(labelled: Path, run: Run) -> None:
    sides = ["--standards", "wave/val/*[01]", "--learners", "wave/val/val*"]
    done = run("tcc_evaluate.py", "--dataset", "wave", *sides, cwd=labelled)
    assert done.returncode == 0, done.stderr
    path = labelled / "result" / "evaluate_wave_val_01_vs_wave_val_val.json"
    content = json.loads(path.read_text())
    assert content["standards"]["clips"] == ["val0", "val1"]
    assert content["learners"]["clips"] == ["val0", "val1", "val2", "val3"]
    assert content["pairs"] == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--standards", "wave"], "--standards wave: expected MOTION/MODE or MOTION/MODE/PATTERN"),
        (["--learners", "wave/val/z*"], "data/wave/val has no clip named z*"),
        (["--mode", "test"], "marks no event in mode test"),
        (["--learners", "wave/side"], "marks no event in mode side"),
        (["--clips", "0"], "--clips 0 --seeds 0: expected at least 1 clip"),
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
    assert "takeoff_frame of val val1 is 70; the clip has frames 0 to 31" in done.stderr


def test_one_recording_is_compared_in_every_frame_and_unlabelled_clips_are_told(
    labelled: Path, run: Run
) -> None:
    path = labelled / "data" / "wave" / "labels.csv"
    folder = labelled / "data" / "wave" / "val"
    shutil.copytree(folder / "val0", folder / "other_camera")
    shutil.copytree(folder / "val0", folder / "unlabelled")
    text = path.read_text().replace("val,val0,,8,20,", "val,val0,,8,20,jump")
    path.write_text(text + "val,other_camera,,8,20,jump\n")
    done = run("tcc_evaluate.py", "--dataset", "wave", "--mode", "val", cwd=labelled)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("wave/val: 1 of 6 clips have no label") == 1
    content = json.loads((labelled / "result/evaluate_wave_val_vs_wave_val.json").read_text())
    every_frame = content["errors"]["same recording, every frame"]["tcc"]
    assert (every_frame["pairs"], every_frame["median"]) == (2, 0)  # the same clip, both ways
    assert content["errors"]["takeoff"]["tcc"]["pairs"] == 5 * 4 - 2


def test_seeds_train_and_score_anew(labelled: Path, run: Run) -> None:
    options = ["--mode", "val", "--seeds", "2", "--clips", "3", *HARDLY]
    done = run("tcc_evaluate.py", "--dataset", "wave", *options, cwd=labelled)
    assert done.returncode == 0, done.stderr
    content = json.loads((labelled / "result/evaluate_wave_val_vs_wave_val.json").read_text())
    assert content["seeds"] == [0, 1]
    assert content["errors"]["takeoff"]["tcc"]["pairs"] == 2 * 6
    assert content["spread"]["embeddings"]["tcc"]["tau"] > 0
    assert content["spread"]["embeddings"]["raw pose"]["tau"] == pytest.approx(0)
    assert "1 of 4 clips are left out by --clips" in done.stderr


def test_seeds_and_checkpoint_exclude_each_other(labelled: Path, run: Run) -> None:
    options = ["--seeds", "2", "--checkpoint", "log/wave_checkpoint.pt"]
    done = run("tcc_evaluate.py", "--dataset", "wave", *options, cwd=labelled)
    assert done.returncode == 2
    assert "leave --checkpoint out" in done.stderr


def test_a_miss_is_told_apart_from_an_event_that_is_not_marked() -> None:
    clips = [replace(LEARNERS[0], events=np.array([3.0, NAN])), LEARNERS[1]]
    comparison = Comparison.by_length(clips, clips, NAMES, np.array([(0, 1), (1, 0)]))
    maps = [np.full(clip.num_frames, NAN) for clip in clips]
    maps[1][:] = 7.2
    listed = replace(comparison, maps=maps).list_matches()
    assert [match["found"] for match in listed] == [{"takeoff": None}, {"takeoff": 7, "landing": 7}]
    assert [match["marked"] for match in listed] == [
        dict(zip(NAMES, LEARNERS[1].events, strict=True)),
        {"takeoff": 3},
    ]


def test_leak_tests_score_events_of_different_recordings_alone() -> None:
    clips = [*film("aab", [0, 0, 0])]
    clips[1] = replace(
        clips[1], events=clips[1].events + 8
    )  # wrong, so that no pair with it counts
    pairs = np.array([(0, 1), (1, 0), (0, 2), (2, 0)])
    linear = Comparison.by_length(clips, clips, NAMES, pairs)
    scores = score_leaks(lambda rows: rows, linear)
    cut = scores["random crops"]
    assert (cut["takeoff_within_3"], cut["landing_within_3"]) == (1, 1)
    assert cut["every_frame_median"] > 0


def test_pairs_of_one_recording_alone_have_no_event_errors() -> None:
    clips = film("aaa", [0, 0, 0])
    linear = Comparison.by_length(clips, clips, NAMES, np.array([(0, 1), (1, 0)]))
    others = linear.select(~linear.one_recording())
    summaries = pool([{"linear time": others.tabulate(others.find_events(), others.pairs)}], 0)
    assert list(summaries) == NAMES
    assert summaries["takeoff"]["linear time"]["pairs"] == 0


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([["takeoff", "median", "missed"], ["a method", "1.0", "0 of 384"], ["b", "-", "3"]])
    assert capsys.readouterr().out.splitlines() == [
        "",
        "takeoff   median    missed",
        "a method     1.0  0 of 384",
        "b              -         3",
    ]
