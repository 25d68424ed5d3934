"""Every command as a user runs it: what it prints, writes and leaves alone, and its mistakes."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numba
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import tcc_align
import tcc_check
import tcc_get_embed
import tcc_get_kendalls_tau
import tcc_get_start
import tcc_pair
import tcc_train
from tcc import plots, search
from tcc.clips import Clip
from tcc.confidence import CONFIDENT
from tcc.draw import ClipPanel, banner
from tcc.features import flip
from tcc.files import UserError
from tcc.flight import Flight
from tcc.search import Placement, locate
from tests.conftest import ROOT, Call, Run, hash_folder, wave, write_clip, write_frames

MOTION = "double axel"
SETTINGS = {
    "HIDDEN_SIZE": 16,
    "EMBEDDING_SIZE": 8,
    "FINE_LAYERS": 1,
    "COARSE_LAYERS": 1,
    "BATCH_SIZE": 8,
    "MAX_NUM_TRAINING_STEPS": 60,
    "SAVE_CKPT_STEPS": 30,
}
SMALL = ["--dataset", MOTION]
MAINS = {
    "tcc_get_embed.py": tcc_get_embed.main,
    "tcc_get_start.py": tcc_get_start.main,
    "tcc_align.py": tcc_align.main,
    "tcc_get_kendalls_tau.py": tcc_get_kendalls_tau.main,
}
START = 9  # frame of a0, the learner, at which b0, the standard, begins


def write_data(folder: Path) -> None:
    """Write 4 train, 4 val and 5 test clips of one motion, those of val and test with frames."""
    motion = folder / "data" / MOTION
    for mode, names in (("train", "abcd"), ("val", "abcd"), ("test", "abcde")):
        for index, letter in enumerate(names):
            clip = wave(24 + 2 * index, 10 * len(mode) + index, 1 + 0.1 * index)
            if mode == "test" and letter == "a":
                clip = np.concatenate([wave(50, 7)[:START], wave(26, 31, 1.1)])
            path = motion / mode / f"{letter}0"
            write_clip(path, clip)
            if mode != "train":
                write_frames(path, len(clip))
    (motion / "labels.csv").write_text(
        "mode,video,takeoff_frame\nval,a0,10\nval,b0,9\nval,c0,8\nval,d0,\n"
    )


@pytest.fixture(scope="module")
def work(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips in which every command has been run once, in the user's order."""
    folder = tmp_path_factory.mktemp("work")
    write_data(folder)
    before = hash_folder(folder / "data")
    for command, *arguments in (
        ("tcc_train.py", *(f"--set={name}={value}" for name, value in SETTINGS.items())),
        ("tcc_get_embed.py", "--mode", "val"),
        ("tcc_get_start.py", "--mode", "test"),
        ("tcc_align.py", "--mode", "test"),
        ("tcc_get_kendalls_tau.py", "--mode", "val"),
    ):
        done = run(command, *SMALL, *arguments, cwd=folder, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        (folder / f"{command}.out").write_text(done.stdout)
        (folder / f"{command}.err").write_text(done.stderr)
    assert hash_folder(folder / "data") == before
    return folder


@pytest.fixture
def copy(work: Path, tmp_path: Path) -> Path:
    """A copy of the folder whose data and checkpoint a test may break; without results."""
    shutil.copytree(work / "data", tmp_path / "data")
    (tmp_path / "log").mkdir()
    shutil.copy(work / "log" / f"{MOTION}_checkpoint.pt", tmp_path / "log")
    return tmp_path


def read_json(path: Path) -> dict[str, Any]:
    """Read a result and check what all have."""
    content: dict[str, Any] = json.loads(path.read_text())
    assert content["schema_version"] == 1
    return content


def probe(path: Path) -> tuple[int, int, list[np.ndarray[Any, Any]]]:
    """Check that every browser and phone plays a video; return width, height and the frames.

    A frame that is shown for longer is returned several times.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.width % 2 == stream.height % 2 == 0
        decoded = list(container.decode(stream))
        times = np.array([frame.pts for frame in decoded])
        counts = np.append(np.diff(times) / np.diff(times).min(), 1).round().astype(int)
        pictures = [frame.to_ndarray(format="rgb24") for frame in decoded]
        frames = [p for p, count in zip(pictures, counts, strict=True) for _ in range(count)]
        size = stream.width, stream.height
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # faststart
    return *size, frames


def test_this_file_runs_every_command_or_another_does() -> None:
    elsewhere = {
        "tcc_check.py",
        "tcc_get_pose.py",
        "tcc_demo.py",
        "tcc_evaluate.py",
        "tcc_report.py",
        "tcc_train_generic.py",
    }
    commands = {p.name for p in ROOT.glob("tcc_*.py") if "__main__" in p.read_text()}
    assert commands - elsewhere == {*MAINS, "tcc_train.py"}


def test_train_says_the_steps_and_hints_at_more_clips(work: Path) -> None:
    line = "4 clips, min(seq_lens) 24, NUM_STEPS 23, 30 frames a second\n"
    assert line in (work / "tcc_train.py.out").read_text()
    assert "4 clips; results are better with 50 or more" in (work / "tcc_train.py.err").read_text()


def test_embeddings_load_without_pickle(work: Path) -> None:
    rows = np.load(work / "log" / f"{MOTION}_embeddings.npy", allow_pickle=False)
    assert rows.dtype.names == ("video", "frame", "embedding")
    assert rows.dtype["video"].kind == "U"
    assert rows.dtype["frame"] == np.int32
    assert rows.dtype["embedding"].subdtype == (np.dtype(np.float32), (8,))
    lengths = {"a0": 24, "b0": 26, "c0": 28, "d0": 30}
    for video, length in lengths.items():
        assert rows["frame"][rows["video"] == video].tolist() == list(range(length))
    assert len(rows) == sum(lengths.values())
    assert np.isfinite(rows["embedding"]).all()
    assert (rows["embedding"].std(axis=0) > 0).all()
    content = read_json(work / "log" / f"{MOTION}_embeddings.json")
    assert (content["mode"], content["videos"]) == ("val", lengths)
    assert len(content["checkpoint_sha256"]) == 64
    assert content["skeleton_conf_threshold"] == 0.2


def test_start_has_the_fields_of_its_contract(work: Path) -> None:
    content = read_json(work / "result" / f"start_{MOTION}_a0_vs_b0.json")
    assert abs(content["start_frame"] - START) <= 2
    assert content["end_frame"] == content["aligned_end_frame"] <= START + 26
    assert content["start_s"] == pytest.approx(content["start_frame"] / 30)
    assert content["method"] == "dtw"
    assert 0 <= content["confidence"] <= 1
    assert content["video_name"] == "a0"
    assert content["motion_type"] == MOTION
    assert content["original_seq_len"] == START + 26
    assert content["aligned_start_frame"] == content["start_frame"]
    assert content["aligned_std_start_frame"] == 0
    assert content["aligned_std_end_frame"] == 26
    assert content["aligned_seq_len"] == content["end_frame"] - content["start_frame"]
    path = np.array(content["path"])
    assert (np.diff(path, axis=0) > 0).all()
    assert path[0].tolist() == [0, content["start_frame"]]
    assert path[-1].tolist() == [25, content["end_frame"] - 1]
    best, *others = content["candidates"]
    assert {name: content[name] for name in best} == best
    assert all(best["cost"] <= other["cost"] for other in others)
    assert content["warnings"] is not None
    assert content["state"] == ("sure" if content["confidence"] >= CONFIDENT else "unsure")
    assert content["end_s"] == pytest.approx((content["end_frame"] - 1) / 30)
    assert (content["events"], set(content["air_time_s"].values())) == ({}, {None})
    printed = (work / "tcc_get_start.py.out").read_text().splitlines()[0]
    frame, last = content["start_frame"], content["end_frame"] - 1
    assert printed.startswith(
        f"a0: the {MOTION} starts at frame {frame} ({frame / 30:.2f} s) and ends at frame {last} "
        f"({last / 30:.2f} s), "
    )
    assert printed.endswith(f"confidence {content['confidence']:.2f}")


def test_start_video_and_picture_open(work: Path) -> None:
    stem = work / "result" / f"start_{MOTION}_a0_vs_b0"
    width, height, frames = probe(Path(f"{stem}.mp4"))
    assert width > height
    content = read_json(Path(f"{stem}.json"))
    start, end = content["start_frame"], content["end_frame"]
    lead = start - 3  # b0 has no frame before its first, so only 0.1 s is shown
    assert len(frames) == START + 26 - lead + 4 * (START + 25 - lead) + 1  # and at a quarter
    left, right = (np.stack(frames)[:, 110:-20, half] for half in (np.s_[:640], np.s_[640:]))
    left, right = (np.median(half, axis=(1, 2, 3)) for half in (left, right))
    own, slow = np.s_[: START + 26 - lead], np.s_[START + 26 - lead :]
    assert (np.diff(left[own]) >= 0).all()  # grey values are frame numbers
    np.testing.assert_allclose(left[slow][::4], left[own], atol=3)
    assert left[0] == pytest.approx(2 * lead, abs=3)
    assert right[: start - lead].max() < 4
    np.testing.assert_allclose(right[end - lead - 1], 2 * 25, atol=3)
    assert (np.diff(right[start - lead : end - lead]) >= -1).all()
    picture = cv2.imread(f"{stem}.png")
    assert picture is not None
    assert picture.shape[0] > 1500
    assert picture.std() > 10


def test_grid_has_its_reference_maps_and_picture(work: Path) -> None:
    stem = work / "result" / f"output_{MOTION}_test"
    content = read_json(Path(f"{stem}.json"))
    assert len(content["maps"]) == 4
    reference = next(iter(content["maps"]))
    assert content["reference"] == reference
    length = len(content["maps"][reference])
    assert content["maps"][reference] == list(range(length))
    for frames in content["maps"].values():
        assert len(frames) == length
        matched = np.flatnonzero([frame is not None for frame in frames])
        assert len(matched) == np.ptp(matched) + 1 > length / 2
        assert (np.diff([frames[frame] for frame in matched]) >= 0).all()
    assert content["costs"][reference] == 0
    assert (content["confidences"][reference], content["states"][reference]) == (1, "sure")
    printed = (work / "tcc_align.py.out").read_text()
    for video, cost in list(content["costs"].items())[1:]:
        trust, state = content["confidences"][video], content["states"][video]
        assert state == ("sure" if trust >= 0.8 else "unsure")
        note = f"{'' if state == 'sure' else 'unsure, '}confidence {trust:.2f}"
        note += ", mirrored" if content["mirrored"][video] else ""
        assert f"{video} to {reference}: mean distance {cost:.4f}, {note}\n" in printed
    assert all(cost > 0 for video, cost in content["costs"].items() if video != reference)
    width, height, frames = probe(Path(f"{stem}.mp4"))
    assert len(frames) >= 4 * length
    assert (width, height) == (840, 2 * 488 + 40)
    picture = cv2.imread(f"{stem}.jpg")
    assert picture is not None
    assert picture.std() > 10


def test_tau_has_the_leak_values_and_the_error_beside_it(work: Path) -> None:
    content = read_json(work / "result" / f"kendalls_tau_{MOTION}_val.json")
    assert content["videos"] == ["a0", "b0", "c0", "d0"]
    matrix = np.array(content["matrix"], float)
    defined = matrix[~np.eye(4, dtype=bool)]
    assert np.isnan(np.diagonal(matrix)).all()
    assert content["clips"]["tau"] == pytest.approx(defined.mean())
    assert content["clips"]["tau_forward"] == pytest.approx(matrix[np.triu_indices(4, 1)].mean())
    assert content["clips"]["tau_backward"] == pytest.approx(matrix[np.tril_indices(4, -1)].mean())
    assert (content["clips"]["pairs"], content["clips"]["undefined"]) == (12, 0)
    assert content["constant_pose"]["undefined"] == 12
    assert content["constant_pose"]["tau"] is None
    assert content["reversed"]["tau"] < content["clips"]["tau"]
    assert content["random_crops"]["pairs"] == 12
    assert content["alignment_error_frames"]["takeoff"]["pairs"] == 6
    assert cv2.imread(str(work / "result" / f"kendalls_tau_{MOTION}_val.png")) is not None
    printed = (work / "tcc_get_kendalls_tau.py.out").read_text()
    for line in ("clips", "constant pose", "random crops", "reversed"):
        assert f"\n{line} " in f"\n{printed}"
    takeoff = content["alignment_error_frames"]["takeoff"]
    (row,) = [line.split() for line in printed.splitlines() if line.startswith("takeoff ")]
    assert row == ["takeoff", f"{takeoff['mean']:.1f}", f"{takeoff['median']:.1f}", "6"]


def test_nothing_half_written_is_left(work: Path) -> None:
    assert {path.name.partition("_")[0] for path in (work / "result").iterdir()} == {
        "start",
        "output",
        "kendalls",
    }
    assert not [path for path in work.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("method", ["dtw", "sliding"])
def test_start_without_drawing_by_either_method(copy: Path, call: Call, method: str) -> None:
    for clip in (copy / "data" / MOTION / "test").iterdir():
        shutil.rmtree(clip / "vis")
    call(tcc_get_start.main, *SMALL, "--method", method, "--no-video", cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_a0_vs_b0.json")
    assert content["method"] == method
    assert abs(content["start_frame"] - START) <= 2
    names = {path.suffix for path in (copy / "result").iterdir()}
    assert names == {".json", ".png"}


@pytest.mark.parametrize(
    ("arguments", "learner", "standard"),
    [
        (["--learner", "c0"], "c0", "b0"),
        (["--learner", "b0"], "b0", "c0"),
        (["--standard", "c0"], "a0", "c0"),
        (["--standard", "a0"], "b0", "a0"),
        (["--learner", "e0", "--standard", f"data/{MOTION}/val/d0/"], "e0", "d0"),
    ],
)
def test_learner_and_standard_name_others(
    copy: Path, call: Call, arguments: list[str], learner: str, standard: str
) -> None:
    call(tcc_get_start.main, *SMALL, *arguments, "--no-video", cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_{learner}_vs_{standard}.json")
    assert (content["video_name"], content["standard_name"]) == (learner, standard)


def test_a_clip_by_its_path_is_not_compared_with_itself_unasked(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy / "data" / MOTION / "test"
    for role, name, learner, standard in (
        ("--learner", "a0", "a0", "b0"),
        ("--standard", "a0", "b0", "a0"),
    ):
        call(tcc_get_start.main, *SMALL, role, folder / name, "--no-video", cwd=copy)
        assert (copy / "result" / f"start_{MOTION}_{learner}_vs_{standard}.json").exists()
    assert "both" not in caplog.text
    same = ["--learner", "a0", "--standard", folder / "a0"]
    call(tcc_get_start.main, *SMALL, *same, "--no-video", cwd=copy)
    assert "a0 is both the learner's clip and the standard" in caplog.text


def test_two_clips_in_order_are_the_learner_and_the_standard(copy: Path, call: Call) -> None:
    call(
        tcc_get_start.main,
        *SMALL,
        "c0",
        copy / "data" / MOTION / "val" / "d0",
        "--no-video",
        cwd=copy,
    )
    assert (copy / "result" / f"start_{MOTION}_c0_vs_d0.json").exists()


def test_the_path_of_a_clip_names_its_motion(copy: Path, call: Call) -> None:
    folder = copy / "data" / MOTION / "test"
    call(tcc_get_start.main, folder / "a0", folder / "b0", "--no-video", cwd=copy)
    assert read_json(copy / "result" / f"start_{MOTION}_a0_vs_b0.json")["motion_type"] == MOTION


def test_a_trimmed_learner_keeps_the_numbers_of_the_whole_video(copy: Path, call: Call) -> None:
    call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)
    result = copy / "result" / f"start_{MOTION}_a0_vs_b0.json"
    whole = read_json(result)
    (copy / "data" / MOTION / "test" / "a0" / "clip.toml").write_text("start_s = 0.1\n")
    call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)
    trimmed = read_json(result)
    assert trimmed["inputs"]["learner"] != whole["inputs"]["learner"]
    assert abs(trimmed["start_frame"] - whole["start_frame"]) <= 1
    assert trimmed["start_s"] == pytest.approx(trimmed["start_frame"] / 30)
    assert trimmed["original_seq_len"] == whole["original_seq_len"]
    assert min(frame for _, frame in trimmed["path"]) >= 3


def test_results_of_other_inputs_are_kept(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stem = f"start_{MOTION}_a0_vs_b0"
    folder = copy / "result"
    call(tcc_get_start.main, *SMALL, cwd=copy)
    first = hash_folder(folder)
    call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)  # the same inputs
    assert hash_folder(folder) == first
    call(tcc_get_start.main, *SMALL, "--method", "sliding", "--no-video", cwd=copy)
    assert {path.name for path in folder.iterdir()} == {
        f"{stem}.json", f"{stem}.png",
        *(f"{stem}_earlier_1{suffix}" for suffix in (".json", ".mp4", ".png")),
    }  # fmt: skip
    now = hash_folder(folder)
    assert all(now[name.replace(stem, f"{stem}_earlier_1")] == first[name] for name in first)
    assert f"is kept as {stem}_earlier_1" in caplog.text
    call(tcc_get_start.main, *SMALL, "--trim", "0.1-", "--no-video", cwd=copy)
    assert (folder / f"{stem}_earlier_2.json").exists()


def test_the_same_earlier_result_is_kept_once(copy: Path, call: Call) -> None:
    for method in ("dtw", "sliding", "dtw", "sliding", "dtw"):
        call(tcc_get_start.main, *SMALL, "--method", method, "--no-video", cwd=copy)
    stem = f"start_{MOTION}_a0_vs_b0"
    names = {path.stem for path in (copy / "result").iterdir()}
    assert names == {stem, f"{stem}_earlier_1", f"{stem}_earlier_2"}


def test_the_row_of_a_video_file_is_used_and_swapped_events_are_told(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    labels = copy / "data" / MOTION / "labels.csv"
    result = copy / "result" / f"start_{MOTION}_a0_vs_b0.json"
    for row, events in (("b0.mp4,8,15", {"takeoff", "landing"}), ("b0,15,8", set())):
        labels.write_text(f"mode,video,takeoff_frame,landing_frame\ntest,{row}\n")
        call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)
        assert set(read_json(result)["events"]) == events
    assert "landing_frame is not after takeoff_frame in test b0; no events" in caplog.text


def test_a_mistake_in_an_option_is_one_line(run: Run, tmp_path: Path) -> None:
    for command, option, message in (
        ("tcc_get_start.py", "--attempt=0", "argument --attempt: '0': expected 1 or a greater"),
        ("tcc_get_start.py", "--trim=0,2-1", "argument --trim: '0,2-1': expected seconds, as in"),
        ("tcc_align.py", "--speed=abc", "argument --speed: abc: expected a number from 0.02 to 1"),
    ):
        done = run(command, option, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {message}")
        assert done.stderr.count("\n") == 1


def test_scores_of_another_checkpoint_are_kept(copy: Path, call: Call) -> None:
    stem = f"kendalls_tau_{MOTION}_val"
    for _ in range(2):  # the same inputs
        call(tcc_get_kendalls_tau.main, *SMALL, "--mode", "val", cwd=copy)
    assert len(list((copy / "result").iterdir())) == 2
    first = hash_folder(copy / "result")
    path = copy / "log" / f"{MOTION}_checkpoint.pt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, "step": 1}, path)
    call(tcc_get_kendalls_tau.main, *SMALL, "--mode", "val", cwd=copy)
    now = hash_folder(copy / "result")
    assert all(now[name.replace(stem, f"{stem}_earlier_1")] == first[name] for name in first)


def test_long_names_are_cut_and_stay_different(copy: Path, call: Call) -> None:
    names = ["\u30b8\u30e3" * 41 + letter for letter in "ab"]  # 247 bytes each
    for index, name in enumerate(names):
        write_clip(copy / "data" / MOTION / "test" / name, wave(26 + index, 31, 1.1))
    for name in names:
        call(tcc_get_start.main, *SMALL, "b0", name, "--no-video", cwd=copy)
    results = sorted((copy / "result").glob("*.json"))
    assert sorted(read_json(path)["standard_name"] for path in results) == names
    assert all(len(path.name.encode()) <= 220 for path in results)
    call(tcc_align.main, *SMALL, "--videos", ",".join(["b0", *names]), "--no-video", cwd=copy)


def test_every_clear_place_is_printed_and_more_than_top_k_are_told(
    copy: Path, call: Call, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    standard = wave(26, 31, 1.1)
    turned = standard[::-1] * [-1, 1, 1] + [640, 0, 0]
    learner = np.concatenate([turned, standard, turned, standard, turned, standard])
    write_clip(copy / "data" / MOTION / "test" / "z0", learner)
    pair = [*SMALL, "--learner", "z0", "--standard", "b0", "--no-video"]
    for top_k, clear, more in ((1, 1, True), (2, 2, True), (3, 3, False), (5, 3, False)):
        caplog.clear()
        capsys.readouterr()
        call(tcc_get_start.main, *pair, "--set", f"TOP_K={top_k}", cwd=copy)
        *lines, _ = capsys.readouterr().out.splitlines()
        content = read_json(copy / "result" / f"start_{MOTION}_z0_vs_b0.json")
        sure = [place for place in content["candidates"] if place["confidence"] >= CONFIDENT]
        assert len(lines) == len(sure) == clear
        assert len(content["candidates"]) <= top_k
        assert lines[0].startswith(f"z0: the {MOTION} starts at frame {content['start_frame']} ")
        assert all(line.startswith(f"z0: another {MOTION} starts at frame") for line in lines[1:])
        starts = [26, 78, 130]
        assert all(min(abs(p["start_frame"] - s) for s in starts) <= 2 for p in sure)
        assert (f"z0 shows b0 more than {top_k} times; increase TOP_K" in caplog.text) == more


def test_check_tells_marks_that_disagree_if_there_is_a_checkpoint(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["mode,video,takeoff_frame"]
    for index in range(6):
        write_clip(copy / "data" / MOTION / "val" / f"m{index}", wave(30, 31, 1 + index / 50))
        rows.append(f"val,m{index},{15 if index == 4 else 10}")
    (copy / "data" / MOTION / "labels.csv").write_text("\n".join(rows))
    told = "m4: takeoff is marked at frame 15; 3 other clips put it at frame 10"
    for mode, is_told in (("val", True), ("test", False)):
        caplog.clear()
        call(tcc_check.main, *SMALL, "--mode", mode, cwd=copy)
        assert (told in caplog.text) == is_told
        assert ("takeoff is marked" in caplog.text) == is_told
    (copy / "log" / f"{MOTION}_checkpoint.pt").unlink()
    caplog.clear()
    call(tcc_check.main, *SMALL, "--mode", "val", cwd=copy)
    assert "takeoff is marked" not in caplog.text


def test_another_attempt_is_used_by_its_number(
    copy: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    standard = wave(26, 31, 1.1)
    turned = standard[::-1] * [-1, 1, 1] + [640, 0, 0]
    learner = np.concatenate([turned, standard, turned, standard])
    write_clip(copy / "data" / MOTION / "test" / "z0", learner)
    pair, result = [*SMALL, "z0", "b0", "--no-video"], copy / "result"
    aligned = [*SMALL, "--videos", "b0,z0", "--no-video"]
    starts = []
    for attempt, suffix in (("1", ""), ("2", "_attempt2")):
        call(tcc_get_start.main, *pair, "--attempt", attempt, cwd=copy)
        content = read_json(result / f"start_{MOTION}_z0_vs_b0{suffix}.json")
        assert [place["attempt"] for place in content["candidates"][:2]] == (
            [1, 2] if attempt == "1" else [2, 1]
        )
        starts.append(content["start_frame"])
        capsys.readouterr()
        call(tcc_align.main, *aligned, "--attempt", attempt, cwd=copy)
        frames = read_json(result / f"output_{MOTION}_test{suffix}.json")["maps"]["z0"]
        assert min(frame for frame in frames if frame is not None) == starts[-1]
        other = "2" if attempt == "1" else "1"
        assert f"to use it: --attempt {other}\n" in capsys.readouterr().out
    assert abs(abs(starts[0] - starts[1]) - 52) <= 2
    for command, arguments in ((tcc_get_start.main, pair), (tcc_align.main, aligned)):
        with pytest.raises(UserError, match=r"--attempt 9: in z0, \d places were found \(1: from"):
            call(command, *arguments, "--attempt", "9", cwd=copy)


def test_start_takes_its_times_from_the_timestamps(copy: Path, call: Call) -> None:
    folder = copy / "data" / MOTION / "test" / "a0"
    times = [0.1 * frame**1.2 for frame in range(START + 26)]
    (folder / "video.json").write_text(json.dumps({"timestamps_s": times}))
    call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_a0_vs_b0.json")
    assert content["start_s"] == pytest.approx(times[content["start_frame"]])
    for candidate in content["candidates"]:
        assert candidate["start_s"] == pytest.approx(times[candidate["start_frame"]])


@pytest.mark.parametrize("method", ["dtw", "sliding"])
@pytest.mark.parametrize("fps", [30.0, 50.0, 12.0])
def test_plotted_curve_is_lowest_at_the_start_that_is_found(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch, method: str, fps: float
) -> None:
    """Also where the learner's clip has more or fewer frames than the search has ticks."""
    folder = copy / "data" / MOTION / "test" / "z0"
    write_clip(folder, np.concatenate([wave(37, 7), wave(26, 31, 1.1), wave(20, 8)]))
    times_s = (np.arange(83) / fps).tolist()
    (folder / "video.json").write_text(json.dumps({"timestamps_s": times_s}))
    curves = []
    monkeypatch.setattr(tcc_get_start, "plot_start", lambda *arguments: curves.append(arguments[2]))
    pair = ["--learner", "z0", "--standard", "b0"]
    call(tcc_get_start.main, *SMALL, *pair, "--method", method, "--no-video", cwd=copy)
    found = read_json(copy / "result" / f"start_{MOTION}_z0_vs_b0.json")
    assert len(curves[0]) == 83
    assert np.nanargmin(curves[0]) == found["start_frame"]
    assert np.nanmin(curves[0]) == pytest.approx(found["cost"])


def test_person_picks_another_skater(copy: Path, call: Call) -> None:
    file = copy / "data" / MOTION / "test" / "a0" / "alphapose-results.json"
    persons = json.loads(file.read_text())
    for frame, points in enumerate(wave(START + 26, 50) * [0.4, 0.4, 1] + [450, 0, 0]):
        name = f"{frame}.jpg"
        bystander = {"image_id": name, "keypoints": points.ravel().tolist(), "score": 1.0}
        persons.append(bystander)
    file.write_text(json.dumps(persons))
    stem = copy / "result" / f"start_{MOTION}_a0_vs_b0.json"
    paths = []
    for person in ("1", "2"):
        call(tcc_get_start.main, *SMALL, "--person", person, "--no-video", cwd=copy)
        paths.append(read_json(stem)["path"])
    assert paths[0][0] == read_json_start(copy, call)
    assert paths[0] != paths[1]
    with pytest.raises(UserError, match="person 3: the clip holds 2; choose 1 to 2"):
        call(tcc_get_start.main, *SMALL, "--person", "3", "--no-video", cwd=copy)


def read_json_start(folder: Path, call: Call) -> list[int]:
    """Return the first pair of the path when nobody is chosen."""
    call(tcc_get_start.main, *SMALL, "--no-video", cwd=folder)
    path = read_json(folder / "result" / f"start_{MOTION}_a0_vs_b0.json")["path"]
    return [int(frame) for frame in path[0]]


def test_videos_chooses_the_grid_and_its_reference(copy: Path, call: Call) -> None:
    arguments = ["--videos", "e0, a0,c0,b0,d0", "--no-video"]
    call(tcc_align.main, *SMALL, *arguments, cwd=copy)
    content = read_json(copy / "result" / f"output_{MOTION}_test.json")
    assert list(content["maps"]) == ["e0", "a0", "c0", "b0", "d0"]
    assert content["reference"] == "e0"
    assert not (copy / "result" / f"output_{MOTION}_test.mp4").exists()


def test_grid_is_chosen_with_the_seed(copy: Path, call: Call) -> None:
    chosen = set()
    for seed in range(6):
        call(tcc_align.main, *SMALL, "--no-video", "--seed", str(seed), cwd=copy)
        chosen.add(tuple(read_json(copy / "result" / f"output_{MOTION}_test.json")["maps"]))
    assert len(chosen) > 1
    assert all(len(videos) == 4 for videos in chosen)


def test_checkpoint_names_another_and_the_generic_one_stands_in(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    moved = copy / "other.pt"
    (copy / "log" / f"{MOTION}_checkpoint.pt").rename(moved)
    for command, main in MAINS.items():
        arguments = (
            [] if command in ("tcc_get_embed.py", "tcc_get_kendalls_tau.py") else ["--no-video"]
        )
        with pytest.raises(UserError, match=r"no checkpoint lost.pt; run: python3 tcc_train.py"):
            call(main, *SMALL, *arguments, "--checkpoint", "lost.pt", cwd=copy)
        caplog.clear()
        call(main, "--dataset", MOTION, *arguments, cwd=copy)
        assert "no checkpoint log/double axel_checkpoint.pt: using the generic" in caplog.text
        call(main, *SMALL, *arguments, "--checkpoint", moved, cwd=copy)
    assert read_json(copy / "log" / f"{MOTION}_embeddings.json")["checkpoint"] == str(moved)


def test_embeddings_of_another_mode_are_replaced_and_told(
    copy: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    described = copy / "log" / f"{MOTION}_embeddings.json"
    for mode, told in (("val", "each"), ("val", "each"), ("test", "each; replaced those of val")):
        call(tcc_get_embed.main, *SMALL, "--mode", mode, cwd=copy)
        assert capsys.readouterr().out.endswith(f" numbers {told}\n")
        assert read_json(described)["mode"] == mode
    for content in ("{}", "no JSON"):
        described.write_text(content)
        call(tcc_get_embed.main, *SMALL, "--mode", "val", cwd=copy)
        assert capsys.readouterr().out.endswith(" numbers each\n")


def test_without_vis_stick_figures_are_drawn(copy: Path, call: Call) -> None:
    shutil.rmtree(copy / "data" / MOTION / "test" / "b0" / "vis")
    call(tcc_get_start.main, *SMALL, "--speed", "1", cwd=copy)
    _, _, frames = probe(copy / "result" / f"start_{MOTION}_a0_vs_b0.mp4")
    assert len(frames) < START + 26  # no repetition
    assert np.median(frames[-1][110:-20, 640:]) > 200  # plain light ground
    assert np.median(frames[-1][110:-20, :640]) < 100  # the last of a0's pictures
    call(tcc_align.main, *SMALL, "--videos", "a0,b0", "--speed", "1", cwd=copy)
    _, _, frames = probe(copy / "result" / f"output_{MOTION}_test.mp4")
    assert np.median(frames[len(frames) // 2][110:-20, 420:]) > 200


def test_unreadable_frame_leaves_no_result(copy: Path, call: Call) -> None:
    (copy / "data" / MOTION / "test" / "a0" / "vis" / "20.jpg").write_bytes(b"\xff\xd8half")
    message = r"vis/20.jpg is cut off; extract the video's frames again"
    with pytest.raises(UserError, match=message):
        call(tcc_get_start.main, *SMALL, cwd=copy)
    with pytest.raises(UserError, match=message):
        call(tcc_align.main, *SMALL, "--videos", "b0,a0,c0,d0", cwd=copy)
    assert not list((copy / "result").iterdir())


def test_learner_shorter_than_the_standard_is_told_and_keeps_its_role(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tcc")
    for num_frames in (1, 8):
        learner = copy / "data" / MOTION / "test" / f"a{num_frames}"
        write_clip(learner, wave(26, 31, 1.1)[10 : 10 + num_frames])
        write_frames(learner, num_frames)
        call(tcc_get_start.main, *SMALL, "--learner", learner.name, "--standard", "b0", cwd=copy)
        content = read_json(copy / "result" / f"start_{MOTION}_a{num_frames}_vs_b0.json")
        assert (content["start_frame"], content["end_frame"]) == (0, num_frames)
        assert content["original_seq_len"] == num_frames
        assert 0 < content["aligned_std_end_frame"] - content["aligned_std_start_frame"] < 26
        assert len(content["candidates"]) == 1
        assert content["state"] != "sure"
        first, end = content["aligned_std_start_frame"], content["aligned_std_end_frame"]
        shown = f"0 to {num_frames - 1} of a{num_frames} and {first} to {end - 1} of b0"
        assert f"a{num_frames} and b0 have a part in common: frames {shown}" in caplog.text
        _, _, frames = probe(copy / "result" / f"start_{MOTION}_a{num_frames}_vs_b0.mp4")
        assert len(frames) == num_frames + 4 * (num_frames - 1) + 1


def test_standard_of_one_frame_is_found(copy: Path, call: Call) -> None:
    standard = copy / "data" / MOTION / "test" / "z0"
    write_clip(standard, wave(26, 31, 1.1)[5:6])
    call(tcc_get_start.main, *SMALL, "--standard", "z0", "--no-video", cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_a0_vs_z0.json")
    assert content["aligned_seq_len"] == len(content["path"]) == 1


def test_clips_of_one_frame_are_scored_and_aligned(copy: Path, call: Call) -> None:
    shutil.rmtree(copy / "data" / MOTION / "test")
    for index in range(4):
        write_clip(copy / "data" / MOTION / "test" / f"s{index}", wave(1, index))
    call(tcc_get_embed.main, *SMALL, cwd=copy)
    call(tcc_align.main, *SMALL, "--no-video", cwd=copy)
    call(tcc_get_kendalls_tau.main, *SMALL, cwd=copy)
    content = read_json(copy / "result" / f"kendalls_tau_{MOTION}_test.json")
    assert content["clips"]["undefined"] == content["clips"]["pairs"] == 12
    assert content["alignment_error_frames"] == {}


def test_mirrored_learner_is_found_and_told(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """The mirror image of a clip is that clip: cost 0 and the same start."""
    write_mirror_image(copy)
    call(tcc_get_start.main, *SMALL, "--learner", "m0", "--standard", "b0", "--no-video", cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_m0_vs_b0.json")
    assert content["mirrored"]
    assert content["cost"] == pytest.approx(0, abs=1e-6)
    assert (content["start_frame"], content["end_frame"]) == (0, 26)
    assert "m0 turns in the other direction, so b0 is mirrored" in caplog.text


def write_mirror_image(folder: Path) -> None:
    """Write clip m0 of test, the mirror image of b0."""
    mirrored = flip(wave(26, 41, 1.1)) + np.array([640, 0, 0], np.float32)
    write_clip(folder / "data" / MOTION / "test" / "m0", mirrored)


def test_mirrored_clip_is_aligned_mirrored_and_told(
    copy: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The mirror image of the reference is the reference: cost 0, and the same t-SNE points."""
    write_mirror_image(copy)
    project, projected = tcc_align.project, []

    def keep_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        projected.append(rows)
        return project(rows)

    monkeypatch.setattr(tcc_align, "project", keep_rows)
    videos = ["--videos", "b0,m0,c0,d0", "--no-video"]
    call(tcc_align.main, *SMALL, *videos, cwd=copy)
    content = read_json(copy / "result" / f"output_{MOTION}_test.json")
    assert content["mirrored"] == {"b0": False, "m0": True, "c0": False, "d0": False}
    assert content["costs"]["m0"] == pytest.approx(0, abs=1e-6)
    assert content["maps"]["m0"] == content["maps"]["b0"]
    np.testing.assert_allclose(projected[0][:26], projected[0][26:52], atol=1e-4)
    lines = capsys.readouterr().out.splitlines()
    trust = f"confidence {content['confidences']['m0']:.2f}"
    assert lines[0] == f"m0 to b0: mean distance 0.0000, {trust}, mirrored"
    assert lines[1].startswith(f"c0 to b0: mean distance {content['costs']['c0']:.4f}, ")
    assert "mirrored" not in lines[1]

    for turn, mirrored in ((1.0, False), (0.0, True)):  # clearly one way; unclear: the cost decides
        monkeypatch.setattr(tcc_align, "clip_turn", lambda clip, config, turn=turn: turn)
        call(tcc_align.main, *SMALL, *videos, cwd=copy)
        content = read_json(copy / "result" / f"output_{MOTION}_test.json")
        assert content["mirrored"]["b0"] is False
        assert content["mirrored"]["m0"] is mirrored
        assert (content["costs"]["m0"] < 1e-6) == mirrored


def test_mirrored_clip_is_drawn_mirrored(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mirror_image(copy)
    write_frames(copy / "data" / MOTION / "test" / "m0", 26)
    draw = ClipPanel.draw
    drawn: dict[str, tuple[bool, set[str]]] = {}

    def keep_note(self: ClipPanel, frame: int, title: str, note: str, *rest: Any) -> Any:
        drawn.setdefault(title, (self._mirrored, set()))[1].update(note.split("   "))
        return draw(self, frame, title, note, *rest)

    monkeypatch.setattr(ClipPanel, "draw", keep_note)
    call(tcc_align.main, *SMALL, "--videos", "b0,m0,c0,d0", cwd=copy)
    assert list(drawn) == ["reference: b0", "m0", "c0", "d0"]
    assert [mirrored for mirrored, _ in drawn.values()] == [False, True, False, False]
    assert ["mirrored" in notes for _, notes in drawn.values()] == [False, True, False, False]
    content = read_json(copy / "result" / f"output_{MOTION}_test.json")
    assert f"confidence {content['confidences']['m0']:.2f}" in drawn["m0"][1]
    drawn.clear()
    call(tcc_get_start.main, *SMALL, "--learner", "m0", "--standard", "b0", cwd=copy)
    assert drawn["learner: m0"] == (False, {"motion"})
    assert drawn["standard: b0"] == (True, {"motion", "mirrored"})


def test_alignment_has_free_ends_and_its_cost_is_the_mean_over_its_path() -> None:
    """The path has 5 pairs, more than either part has frames; one differs, by 3 in 1 of 2."""
    reference = np.array([[0, 0], [10, 10], [20, 20], [30, 30]], np.float32)
    outside = np.full((4, 2), 99, np.float32)
    clip = np.array([[0, 0], [10, 13], [20, 20], [20, 20], [30, 30]], np.float32)
    found = locate([reference], np.concatenate([outside, clip, outside]))
    match = tcc_align.align(found.cost, found.matches[0])
    assert match.cost == pytest.approx(3**2 / 2 / 5)
    assert (match.start_frame, match.end_frame) == (4, 9)
    np.testing.assert_array_equal(match.path, [[0, 4], [1, 5], [2, 6], [2, 7], [3, 8]])
    found = locate([np.concatenate([outside, clip, outside])], reference)
    turned = tcc_align.align(found.cost, found.matches[0])
    np.testing.assert_array_equal(turned.path, match.path[:, ::-1])


def test_compiler_is_off_for_short_clips_and_on_for_long_ones(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for max_cells, off in ((tcc_align.MAX_INTERPRETED_CELLS, True), (-1, False)):
        monkeypatch.setattr(numba.config, "DISABLE_JIT", False)
        monkeypatch.setattr(tcc_align, "MAX_INTERPRETED_CELLS", max_cells)
        call(tcc_align.main, *SMALL, "--no-video", cwd=copy)
        assert off == numba.config.DISABLE_JIT  # type: ignore[attr-defined]


def test_clips_that_are_cut_differently_match_only_where_they_show_the_same(
    copy: Path, call: Call
) -> None:
    """s0 begins 15 frames later than l0 and ends 10 frames earlier; nobody stands still."""
    whole = wave(75, 7, 0.8)
    for name, part in (("l0", whole), ("s0", whole[15:65])):
        write_clip(copy / "data" / MOTION / "test" / name, part)
    for videos in ("l0,s0", "s0,l0"):
        call(tcc_align.main, *SMALL, "--videos", videos, "--speed", "1", cwd=copy)
        content = read_json(copy / "result" / f"output_{MOTION}_test.json")
        assert content["confidences"][videos[3:]] > 0.85
        frames = content["maps"][videos[3:]]
        shift = -15 if videos == "l0,s0" else 15
        matched = {index: frame for index, frame in enumerate(frames) if frame is not None}
        assert 46 <= len(matched) <= 50
        assert all(abs(frame - index - shift) <= 1 for index, frame in matched.items())
        _, _, drawn = probe(copy / "result" / f"output_{MOTION}_test.mp4")
        assert abs(len(drawn) - (56 if videos == "l0,s0" else 50)) <= 3  # 0.1 s around the match


def test_grid_names_the_clips_that_are_unsure_and_not_found(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    confidences = {"a0": 1.0, "b0": 0.9, "c0": 0.5, "d0": 0.1}

    aligned = tcc_align.Aligned

    def doubt(clip: Clip, *fields: Any) -> Any:
        return replace(aligned(clip, *fields), confidence=confidences[clip.name])

    monkeypatch.setattr(tcc_align, "Aligned", doubt)
    told: set[tuple[str, bool]] = set()
    spans: dict[str, Any] = {}

    def keep_banner(width_px: int, text: str, is_doubtful: bool) -> NDArray[np.uint8]:
        told.add((text, is_doubtful))
        return banner(width_px, text, is_doubtful)

    draw = ClipPanel.draw

    def keep_span(self: ClipPanel, frame: int, title: str, note: str, *rest: Any) -> Any:
        spans[title] = rest[0]
        return draw(self, frame, title, note, *rest)

    monkeypatch.setattr(ClipPanel, "draw", keep_span)
    monkeypatch.setattr("tcc.side_by_side.banner", keep_banner)
    call(tcc_align.main, *SMALL, "--videos", "a0,b0,c0,d0", "--speed", "1", cwd=copy)
    assert told == {(f"{MOTION}, unsure: c0, not found: d0   own speed", True)}
    assert [span is None for span in spans.values()] == [False, False, False, True]
    content = read_json(copy / "result" / f"output_{MOTION}_test.json")
    assert list(content["states"].values()) == ["sure", "sure", "unsure", "not found"]
    assert ", not found, confidence 0.10" in capsys.readouterr().out


def test_standard_events_are_carried_over_printed_and_drawn(
    copy: Path,
    call: Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row is that of the standard's own folder; a0 shows b0, which starts at frame START."""
    labels = copy / "data" / MOTION / "labels.csv"
    head = "mode,video,landing_frame,takeoff_frame,arms_in_frame,start_frame\n"
    labels.write_text(f"{head}test,b0,20,11,,1\nval,b0,3,2,1,\ntest,a0,,,0,\n")
    drawn = []
    plot = plots.plot_start

    def keep(*arguments: Any) -> None:
        drawn.append([(moment.name, *moment.labels) for moment in arguments[4]])
        plot(*arguments)

    monkeypatch.setattr(tcc_get_start, "plot_start", keep)
    call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_a0_vs_b0.json")
    takeoff, landing = content["events"]["takeoff"], content["events"]["landing"]
    assert list(content["events"]) == ["start", "takeoff", "landing"]
    for event, frame in ((takeoff, 11), (landing, 20)):
        assert event["standard_frame"] == frame
        assert abs(event["learner_frame"] - START - frame) <= 2
        assert event["learner_s"] == pytest.approx(event["learner_frame"] / 30)
    air_s = landing["learner_s"] - takeoff["learner_s"]
    assert content["air_time_s"] == {"learner": air_s, "standard": pytest.approx(0.3)}
    told = capsys.readouterr().out.splitlines()[1]
    assert told == (
        f"a0: take-off at frame {takeoff['learner_frame']} ({takeoff['learner_s']:.2f} s ± "
        f"{1000 * takeoff['uncertainty_s']:.0f} ms), landing at frame {landing['learner_frame']} "
        f"({landing['learner_s']:.2f} s ± {1000 * landing['uncertainty_s']:.0f} ms), "
        f"time in the air {air_s:.2f} s (b0: 0.30 s)"
    )
    assert [name for name, *_ in drawn[0]] == ["start", "take-off", "landing", "end"]
    assert drawn[0][1][2] == "frame 11, 0.37 s"

    call(tcc_get_start.main, *SMALL, "--standard", f"data/{MOTION}/val/b0", "--no-video", cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_a0_vs_b0.json")
    assert content["events"]["arms_in"]["standard_frame"] == 1
    assert "arms in" in [name for name, *_ in drawn[1]]


def test_a_wrong_label_is_told_and_the_start_is_found_all_the_same(
    copy: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    labels = copy / "data" / MOTION / "labels.csv"
    labels.write_text("mode,video,takeoff_frame\ntest,b0,90\n")
    call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)
    assert "takeoff_frame of test b0 is 90; the clip has frames 0 to 25; no events" in caplog.text
    assert read_json(copy / "result" / f"start_{MOTION}_a0_vs_b0.json")["events"] == {}


@pytest.mark.parametrize(("confidence", "state"), [(0.5, "unsure"), (0.1, "not found")])
def test_doubt_is_printed_drawn_and_in_the_json(
    copy: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    confidence: float,
    state: str,
) -> None:
    labels = copy / "data" / MOTION / "labels.csv"
    labels.write_text("mode,video,takeoff_frame,landing_frame\ntest,b0,11,20\n")
    monkeypatch.setattr(search, "share_right", lambda evidence: confidence)
    told: dict[str, Any] = {"notes": set(), "spans": set()}
    draw, plot = ClipPanel.draw, plots.plot_start

    def keep_panel(self: ClipPanel, frame: int, title: str, note: str, *rest: Any) -> Any:
        told["notes"].add(note)
        told["spans"].add(rest[0])
        return draw(self, frame, title, note, *rest)

    def keep_banner(width_px: int, text: str, is_doubtful: bool) -> NDArray[np.uint8]:
        told["banner"] = (text, is_doubtful)
        return banner(width_px, text, is_doubtful)

    def keep_plot(*arguments: Any) -> None:
        told["plot"] = arguments[-2:]
        plot(*arguments)

    monkeypatch.setattr(ClipPanel, "draw", keep_panel)
    monkeypatch.setattr("tcc.side_by_side.banner", keep_banner)
    monkeypatch.setattr(tcc_get_start, "plot_start", keep_plot)
    call(tcc_get_start.main, *SMALL, cwd=copy)
    content = read_json(copy / "result" / f"start_{MOTION}_a0_vs_b0.json")
    assert (content["state"], content["confidence"]) == (state, confidence)
    text = f"{MOTION}, {state}, confidence {confidence:.2f}"
    assert told["banner"] == (f"{text}   slow motion 0.25x", True)
    assert told["plot"] == (f"a0: {text}", True)
    line = capsys.readouterr().out.splitlines()[0]
    is_found = state == "unsure"
    assert line.endswith(f"{', unsure' * is_found}, confidence {confidence:.2f}")
    assert line.startswith(f"a0: {f'the {MOTION} starts' if is_found else f'{MOTION} not found;'}")
    assert ("motion" in told["notes"]) == is_found
    assert (told["spans"] == {None}) == (not is_found)
    assert bool(content["events"]) == is_found
    assert (content["air_time_s"]["learner"] is not None) == is_found
    warning = "the start is uncertain" if is_found else "nothing in a0 is like b0; check that both"
    assert warning in caplog.text


def test_all_frames_are_numbered_in_the_whole_video(
    copy: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """a0 without its first 5 frames, and b0 without its first 4, give the same pairs."""
    labels = copy / "data" / MOTION / "labels.csv"
    labels.write_text("mode,video,takeoff_frame,landing_frame\ntest,b0,11,20\n")
    stem = copy / "result"
    found = []
    for is_trimmed in (False, True):
        if is_trimmed:
            for name, first in (("a0", 5), ("b0", 4)):
                line = f"start_s = {first / 30 - 0.01}\n"
                (copy / "data" / MOTION / "test" / name / "clip.toml").write_text(line)
        capsys.readouterr()
        call(tcc_get_start.main, *SMALL, "--no-video", cwd=copy)
        call(tcc_align.main, *SMALL, "--videos", "b0,a0", "--no-video", cwd=copy)
        content = read_json(stem / f"start_{MOTION}_a0_vs_b0.json")
        maps = read_json(stem / f"output_{MOTION}_test.json")["maps"]
        found.append((content, maps, capsys.readouterr().out))
    (whole, whole_maps, _), (trimmed, maps, printed) = found
    assert trimmed["original_seq_len"] == whole["original_seq_len"] == START + 26
    assert trimmed["aligned_std_start_frame"] == 4
    assert trimmed["aligned_std_end_frame"] == 26
    assert abs(trimmed["start_frame"] - START - 4) <= 2
    assert trimmed["start_frame"] == trimmed["candidates"][0]["start_frame"]
    assert trimmed["path"][0] == [4, trimmed["start_frame"]]
    assert trimmed["aligned_start_frame"] == trimmed["start_frame"]
    assert abs(trimmed["aligned_end_frame"] - whole["aligned_end_frame"]) <= 1
    for event in ("takeoff", "landing"):
        assert trimmed["events"][event]["standard_frame"] == (11 if event == "takeoff" else 20)
        frames = (content["events"][event]["learner_frame"] for content in (whole, trimmed))
        assert abs(np.diff(list(frames))[0]) <= 2
    assert f"starts at frame {trimmed['start_frame']} ({trimmed['start_s']:.2f} s)" in printed
    assert maps["b0"] == list(range(4, 26))
    apart = [a - b for a, b in zip(maps["a0"], whole_maps["a0"][4:], strict=True) if a and b]
    assert len(apart) > 15
    assert np.abs(apart).max() <= 3


@pytest.mark.parametrize("num_frames", [1, 12])
def test_still_clips_are_drawn_as_one_point_and_told(copy: Path, run: Run, num_frames: int) -> None:
    """In a process of its own, as t-SNE of equal embeddings ends in a segmentation fault."""
    shutil.rmtree(copy / "data" / MOTION / "test")
    for name in "abcd":
        still = np.repeat(wave(1, 0), num_frames, axis=0)
        write_clip(copy / "data" / MOTION / "test" / name, still)
    done = run("tcc_align.py", *SMALL, "--no-video", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "warning: all frames of all clips have the same embedding, so the t-SNE" in done.stderr
    assert read_json(copy / "result" / f"output_{MOTION}_test.json")["costs"]["b"] == 0
    assert cv2.imread(str(copy / "result" / f"output_{MOTION}_test.jpg")) is not None


@pytest.mark.parametrize("num_distinct", [2, 3, 5])
def test_few_distinct_poses_keep_their_places_apart(num_distinct: int) -> None:
    generator = np.random.default_rng(num_distinct)
    which = np.arange(40) % num_distinct
    points = tcc_align.project(generator.normal(size=(num_distinct, 8)).astype(np.float32)[which])
    assert points.shape == (40, 2)
    assert np.isfinite(points).all()
    assert len(np.unique(points.round(3), axis=0)) >= num_distinct


def keep(folder: Path, mode: str, *names: str) -> None:
    """Remove the other clips of a mode."""
    for clip in (folder / "data" / MOTION / mode).iterdir():
        if clip.name not in names:
            shutil.rmtree(clip)


def test_mistakes_with_clips_are_named(copy: Path, call: Call) -> None:
    with pytest.raises(UserError, match=r"no clip z0: data/double axel/test holds a0, b0, c0"):
        call(tcc_get_start.main, *SMALL, "--learner", "z0", cwd=copy)
    for names in ("a0,b0,,c0,d0", "a0,b0,c0,d0,", " "):
        with pytest.raises(UserError, match=rf"--videos {names}: there is an empty name"):
            call(tcc_align.main, *SMALL, "--videos", names, cwd=copy)
    with pytest.raises(UserError, match=r"--videos holds 1 clip; at least 2 are needed: add one"):
        call(tcc_align.main, *SMALL, "--videos", "a0", cwd=copy)
    with pytest.raises(UserError, match=r"--videos a0,b0,c0,a0: a name is given twice; give"):
        call(tcc_align.main, *SMALL, "--videos", "a0,b0,c0,a0", cwd=copy)
    keep(copy, "test", "b0")
    with pytest.raises(UserError, match=r"test holds 1 clip; at least 2 are needed: add one"):
        call(tcc_align.main, *SMALL, cwd=copy)
    with pytest.raises(UserError, match=r"test holds only the clip b0; add the standard, or nam"):
        call(tcc_get_start.main, *SMALL, cwd=copy)
    with pytest.raises(UserError, match=r"test holds 1 clip; tau compares at least 2: add one or"):
        call(tcc_get_kendalls_tau.main, *SMALL, cwd=copy)
    call(tcc_get_start.main, *SMALL, f"--learner=data/{MOTION}/val/a0", "--no-video", cwd=copy)
    assert (copy / "result" / f"start_{MOTION}_a0_vs_b0.json").exists()


@pytest.mark.parametrize(
    ("names", "width_px", "height_px"),
    [("ab", 840, 528), ("abc", 1260, 528), ("abcd", 840, 1016), ("abcde", 840, 1016)],
)
def test_the_grid_shows_the_clips_there_are_up_to_num_videos(
    copy: Path, call: Call, names: str, width_px: int, height_px: int
) -> None:
    keep(copy, "test", *(f"{name}0" for name in names))
    call(tcc_align.main, *SMALL, cwd=copy)
    stem = copy / "result" / f"output_{MOTION}_test"
    assert len(read_json(stem.with_suffix(".json"))["maps"]) == min(len(names), 4)
    assert probe(stem.with_suffix(".mp4"))[:2] == (width_px, height_px)


def test_event_behind_the_end_of_its_clip_is_named(copy: Path, call: Call) -> None:
    labels = copy / "data" / MOTION / "labels.csv"
    labels.write_text("mode,video,takeoff_frame\nval,a0,24\nval,b0,9\n")
    with pytest.raises(
        UserError, match=r"takeoff_frame of val a0 is 24; the clip has frames 0 to 23"
    ):
        call(tcc_get_kendalls_tau.main, *SMALL, "--mode", "val", cwd=copy)


def test_tau_without_labels_says_that_the_error_is_unknown(
    copy: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "data" / MOTION / "labels.csv").unlink()
    call(tcc_get_kendalls_tau.main, *SMALL, "--mode", "val", cwd=copy)
    assert "alignment error: unknown; labels.csv must mark the same" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("tcc_train.py", ["--dataset", "lutz"], "error: no folder data/lutz/train; put the clips"),
        (
            "tcc_get_start.py",
            [*SMALL, "--checkpoint", "x.pt"],
            "error: no checkpoint x.pt; run: python3 tcc",
        ),
        ("tcc_align.py", ["--seed", "-1"], "error: setting SEED=-1: expected a whole number"),
        (
            "tcc_get_kendalls_tau.py",
            ["--dataset", MOTION, "--mode", "val", "--result-dir", "tcc_train.py.out"],
            "error: can't write tcc_train.py.out/kendalls_tau_double axel_val.json (",
        ),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(
    work: Path, run: Run, command: str, arguments: list[str], message: str
) -> None:
    done = run(command, *arguments, cwd=work)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    *notes, last = done.stderr.splitlines()
    assert last.startswith(message)
    assert all(note.startswith(("warning: ", "note: ")) for note in notes)


def test_closed_input_and_closed_output_are_no_mistake(copy: Path) -> None:
    command = f'"{sys.executable}" "{ROOT}/tcc_get_embed.py" --dataset "{MOTION}" --mode val'
    for line in (f"{command} <&-", f"{command} | true"):
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line}"],
            cwd=copy, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.real
def test_the_whole_path_runs_on_recorded_clips(
    real_data: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = ["--dataset", "skate", "--data-dir", real_data]
    before = hash_folder(real_data / "skate")
    short = ["--set", "MAX_NUM_TRAINING_STEPS=20", "--set", "SAVE_CKPT_STEPS=20"]
    call(tcc_train.main, *recorded, *short, cwd=tmp_path)
    assert "24 clips, min(seq_lens) " in capsys.readouterr().out
    weights = torch.load(tmp_path / "log" / "skate_checkpoint.pt", weights_only=True)["encoder"]
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    call(tcc_get_embed.main, *recorded, "--mode", "val", cwd=tmp_path)
    assert len(read_json(tmp_path / "log" / "skate_embeddings.json")["videos"]) == 16
    call(tcc_get_kendalls_tau.main, *recorded, "--mode", "val", cwd=tmp_path)
    tau = read_json(tmp_path / "result" / "kendalls_tau_skate_val.json")
    assert tau["alignment_error_frames"].keys() == {"takeoff", "landing"}
    assert tau["constant_pose"]["undefined"] == 16 * 15

    framed = ["--dataset", "skate_frames", "--data-dir", real_data, "--mode", "val"]
    framed += ["--checkpoint", "log/skate_checkpoint.pt"]
    call(tcc_get_start.main, *framed, cwd=tmp_path)
    call(tcc_align.main, *framed, cwd=tmp_path)
    clips = sorted((real_data / "skate_frames" / "val").iterdir())
    learner, standard = (path.name for path in clips[:2])
    stem = tmp_path / "result" / f"start_skate_frames_{learner}_vs_{standard}"
    start = read_json(Path(f"{stem}.json"))
    _, _, frames = probe(Path(f"{stem}.mp4"))
    assert len(frames) > 4 * start["aligned_seq_len"]
    grid = read_json(tmp_path / "result" / "output_skate_frames_val.json")
    _, _, frames = probe(tmp_path / "result" / "output_skate_frames_val.mp4")
    assert len(frames) >= len(grid["maps"][grid["reference"]])
    assert hash_folder(real_data / "skate") == before


def test_both_searches_know_where_the_skaters_are_in_the_air(
    copy: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[list[int]]] = []

    def keep_airborne(*arguments: Any, **options: Any) -> Placement:
        airborne = options.get("airborne") or arguments[5]
        seen.append([np.flatnonzero(mask).tolist() for mask in airborne])
        return locate(*arguments, **options)

    for module in (tcc_pair, tcc_align):
        monkeypatch.setattr(module, "locate", keep_airborne)
    frames = {"a0": [3, 4], "b0": [7]}
    monkeypatch.setattr(
        "tcc_data.clip_flights",
        lambda clip, config: [
            Flight(clip.times_s[[frames[clip.name][0], frames[clip.name][-1] + 1]], np.ones(2), 30)
        ],
    )
    call(tcc_get_start.main, *SMALL, "--standard", "a0", "--learner", "b0", "--no-video", cwd=copy)
    call(tcc_align.main, *SMALL, "--videos", "a0,b0", "--no-video", cwd=copy)
    assert len(seen) >= 2
    assert all(airborne == [frames["a0"], frames["b0"]] for airborne in seen)
