"""Reading clips from folders, and making batches of clips."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from tcc.augment import choose_clips, sample_steps
from tcc.cli import parse, parser
from tcc.clip_folders import clip_folders, find_source
from tcc.clips import Clip, estimate_size, image_files, keypoint_file
from tcc.contact_sheet import check_and_print
from tcc.files import UserError
from tcc.images import read_image
from tcc.sidecars import MAX_PIXELS, Trim, picture_size, write_person
from tcc_config import Config
from tcc_data import (
    KeypointSequences,
    clip_doubts,
    feature_times,
    in_air,
    load_clip,
    load_clips,
    make_features,
    pick_num_steps,
)
from tests.conftest import ROOT, make_clip, wave, write_clip, write_frames
from tests.jumpers import START_S, keypoints_of, straight_up


def write(folder: Path, num_frames: int = 20, seed: int = 0) -> Path:
    """Write a clip and return its folder."""
    write_clip(folder, wave(num_frames, seed))
    return folder


def clips(tmp_path: Path, *lengths: int) -> list[Clip]:
    """Write and load clips of some lengths."""
    folders = [write(tmp_path / f"clip{i}", n, i) for i, n in enumerate(lengths)]
    return load_clips(folders, Config())


def test_clip_has_keypoints_times_and_frames_of_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", 12)
    clip = load_clip(folder, Config(FPS=25.0))
    np.testing.assert_allclose(clip.keypoints, wave(12, 0), atol=1e-3)
    np.testing.assert_allclose(clip.times_s, np.arange(12) / 25)
    assert (clip.name, clip.num_frames, clip.fps, clip.images) == ("a", 12, 25.0, [])
    assert clip.read_image(3).shape == (*clip.drawn_px[::-1], 3)  # plain ground
    assert np.ptp(clip.read_image(3)) == 0
    assert (clip.keypoints[..., :2] < clip.drawn_px).all()


def test_times_come_from_the_timestamps(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", 5)
    times = [0.0, 0.1, 0.15, 0.25, 0.35]
    (folder / "video.json").write_text(json.dumps({"timestamps_s": times, "width_px": 640}))
    clip = load_clip(folder, Config())
    assert clip.times_s.tolist() == times
    assert clip.fps == pytest.approx(10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "{",
            "video.json: expected timestamps_s, a list of seconds (Input data was truncated); run",
        ),
        ("{}", "list of seconds (Object missing required field `timestamps_s`); run tcc_get_pose"),
        ('{"timestamps_s": 3}', "list of seconds (Expected `array`, got `int`"),
        ('{"timestamps_s": [0, 1]}', "video.json: 2 timestamps for 5 frames; run tcc_get_pose.py"),
        (
            '{"timestamps_s": [0, 1, 1, 2, 3]}',
            "video.json frame 2: its time, 1.0 s, is not later than 1.0 s, the time of the frame",
        ),
        ('{"timestamps_s": [0, NaN, 1, 2, 3]}', "a list of seconds (JSON is malformed"),
        ("\xff", "a list of seconds (JSON is malformed"),
    ],
)
def test_malformed_video_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    folder = write(tmp_path / "a", 5)
    (folder / "video.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=re.escape(message)):
        load_clip(folder, Config())


@pytest.mark.parametrize("content", ["person = 0", "person = 'b'", "skater = 2", "[", "\xff"])
def test_malformed_clip_toml_is_named(tmp_path: Path, content: str) -> None:
    folder = write(tmp_path / "a", 5)
    (folder / "clip.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"clip.toml: expected a line such as person = 2, .*\(.*\)"):
        load_clip(folder, Config())


def write_two_people(folder: Path) -> None:
    """Write a clip of two people who move alike, left and right of the picture's centre."""
    folder.mkdir(parents=True)
    persons = [
        {
            "image_id": f"{f}.jpg",
            "score": 2.5,
            "keypoints": np.add(frame, [x, 0, 0]).ravel().tolist(),
        }
        for f, frame in enumerate(wave(15, 0))
        for x in (-143, 57)
    ]
    (folder / "alphapose-results.json").write_text(json.dumps(persons))


def test_clip_toml_and_argument_choose_the_person_and_close_ones_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_two_people(tmp_path / "a")
    [main] = load_clips([tmp_path / "a"], Config())
    assert re.search(r"another person is nearly as likely .*write person = 2 into", caplog.text)
    (tmp_path / "a" / "clip.toml").write_text("person = 2\n")
    other = load_clip(tmp_path / "a", Config())
    apart = np.abs(main.keypoints - other.keypoints)[..., 0]
    np.testing.assert_allclose(apart, 200, atol=1e-3)
    again = load_clip(tmp_path / "a", Config(), person=1)
    np.testing.assert_array_equal(again.keypoints, main.keypoints)
    with pytest.raises(UserError, match="person 3: the clip holds 2; choose 1 to 2"):
        load_clip(tmp_path / "a", Config(), person=3)


def test_frames_without_a_skater_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = write(tmp_path / "a", 12)
    file = folder / "alphapose-results.json"
    persons = [p for p in json.loads(file.read_text()) if p["image_id"] not in ("4.jpg", "5.jpg")]
    file.write_text(json.dumps(persons))
    load_clips([folder, write(tmp_path / "b", 8)], Config())
    told = "the pose is interpolated there (2 of 12 frames, 2 with nobody; 0.10 s from frame 4)"
    assert caplog.messages == [f"a: the skater is missed often or for long; {told}"]  # once
    folder = write(tmp_path / "c", 30)
    file = folder / "alphapose-results.json"
    persons = [p for p in json.loads(file.read_text()) if p["image_id"] not in ("4.jpg", "5.jpg")]
    file.write_text(json.dumps(persons))
    caplog.clear()
    load_clips([folder, tmp_path / "b"], Config())
    missed = "the skater was not found in 2 of 30 frames (nobody was found in 2)"
    assert caplog.messages == [f"{missed}; the pose there is interpolated: c"]
    load_clips([folder] * 9, Config())
    assert caplog.messages[-1].endswith(f"is interpolated: {', '.join('c' * 9)}")
    load_clips([folder] * 11, Config())
    assert caplog.messages[-1].endswith(f"is interpolated: {', '.join('c' * 9)} and 2 more")


def test_a_doubt_is_said_once_with_the_clips_that_have_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path("data/axel/train")
    folders = [root / name for name in ("a", "b", "c")]
    write_two_people(folders[0])
    write_two_people(folders[2])
    load_clips([folders[0], write(folders[1], 15), folders[2]], Config())
    both = (
        "2 clips: another person is nearly as likely to be the skater: a (margin 0.13), "
        "c (margin 0.13); to follow another person, write person = 2 into clip.toml in the clip's "
        "folder, for example data/axel/train/a; to see who is followed, run: python3 tcc_check.py "
        "--dataset axel --mode train"
    )
    assert caplog.messages == [both]
    caplog.clear()
    (clip,) = load_clips(folders[2:], Config())
    doubt = (
        "c: another person is nearly as likely to be the skater (margin 0.13); to follow another "
        "person, write person = 2 into clip.toml in the clip's folder, data/axel/train/c"
    )
    command = "; to see who is followed, run: python3 tcc_check.py --dataset axel --mode train"
    assert caplog.messages == [doubt + command]
    assert clip_doubts(clip) == [doubt]
    load_clips([tmp_path / folders[2]], Config())
    assert caplog.messages[-1].endswith(f"{command} --data-dir {tmp_path}/data")
    write_two_people(tmp_path / "filmed" / "d")
    load_clips([folders[2], tmp_path / "filmed" / "d"], Config())
    assert caplog.messages[-1].endswith("for example data/axel/train/c")  # no one sheet shows both
    load_clips([folders[2]] * 11, Config())
    assert caplog.messages[-1].startswith("11 clips: another person is nearly as likely")
    assert caplog.messages[-1].count("c (margin 0.13)") == 9
    assert " and 2 more; to follow" in caplog.messages[-1]


def test_every_kind_of_doubt_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_two_people(tmp_path / "a")
    file = tmp_path / "a" / "alphapose-results.json"
    persons = [p for p in json.loads(file.read_text()) if p["image_id"] not in ("4.jpg", "5.jpg")]
    file.write_text(json.dumps(persons))
    load_clips([tmp_path / "a"], Config())
    kinds = ("a: another person is nearly as likely", "a: the skater is missed often or for long")
    assert len(caplog.messages) == 2
    assert all(map(str.startswith, caplog.messages, kinds))


@pytest.mark.parametrize("confidence", [0.0, 0.1])
def test_a_clip_without_a_confident_joint_is_named(tmp_path: Path, confidence: float) -> None:
    keypoints = wave(10, 0)
    keypoints[..., 2] = confidence
    write_clip(tmp_path / "a", keypoints)
    message = rf"/a: no joint reaches SKELETON_CONF_THRESHOLD=0.2 \(highest confidence {confidence}"
    with pytest.raises(UserError, match=message):
        load_clip(tmp_path / "a", Config())
    config = Config(SKELETON_CONF_THRESHOLD=0.0)
    if confidence:
        assert np.isfinite(make_features(load_clip(tmp_path / "a", config), config)).all()
    else:
        with pytest.raises(UserError, match="no joint reaches"):
            load_clip(tmp_path / "a", config)


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "vis").mkdir()
    for name in ("10.jpg", "9.JPG", "11.png", "notes.txt", "._9.jpg"):
        (tmp_path / "vis" / name).touch()
    assert [path.name for path in image_files(tmp_path)] == ["9.JPG", "10.jpg", "11.png"]


def test_a_frame_of_another_size_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", 3)
    write_frames(folder, 3, (64, 36))
    cv2.imwrite(str(folder / "vis" / "1.jpg"), np.zeros((36, 65, 3), np.uint8))
    clip = load_clip(folder, Config())
    assert clip.read_image(2).shape == (36, 64, 3)
    with pytest.raises(
        UserError, match=r"vis/1.jpg is 65 x 36 px, but 0.jpg is 64 x 36 px; extract"
    ):
        clip.read_image(1)


def test_folders_are_sorted_and_hidden_ones_left_out(tmp_path: Path) -> None:
    for name in ("b", "a", ".cache"):
        write(tmp_path / "axel" / "test" / name, 3)
    (tmp_path / "axel" / "test" / "notes.txt").touch()
    assert [f.name for f in clip_folders(tmp_path, "axel", "test")] == ["a", "b"]


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    write(tmp_path / "axel" / "train" / "a", 3)
    (tmp_path / "axel" / "val").mkdir()
    with pytest.raises(
        UserError, match=r"no folder .*lutz/train; put the clips .* --dataset: axel$"
    ):
        clip_folders(tmp_path, "lutz", "train")
    with pytest.raises(
        UserError, match=r"no folder .*/train; put the clips there \(see docs/input.md\)$"
    ):
        clip_folders(tmp_path / "nowhere", "lutz", "train")
    with pytest.raises(UserError, match=r"axel/val holds no clip; put the clips there"):
        clip_folders(tmp_path, "axel", "val")
    (tmp_path / "axel" / "train" / "b.mp4").touch()
    with pytest.raises(
        UserError, match=r"no clip z: .*axel/train holds a, b.mp4, and there is no file .* z either"
    ):
        find_source("z", tmp_path, "axel", "train")
    with pytest.raises(
        UserError, match=r"no clip z: .*lutz/train holds no clip, and there is no file or folder z"
    ):
        find_source("z", tmp_path, "lutz", "train")
    assert find_source("a", tmp_path, "axel", "train") == tmp_path / "axel" / "train" / "a"
    elsewhere = write(tmp_path / "elsewhere", 3)
    assert find_source(str(elsewhere), tmp_path, "axel", "train") == elsewhere
    file = elsewhere / "alphapose-results.json"
    with pytest.raises(
        UserError, match=r"a keypoint file; give the folder that holds it, .*elsewhere$"
    ):
        find_source(str(file), tmp_path, "axel", "train")


def test_a_folder_holds_one_keypoint_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match=r"/a: expected one keypoint file \(\*.json\), found none"):
        load_clip(tmp_path / "a", Config())
    with pytest.raises(UserError, match=r"found none; it is empty; make the keypoints with"):
        keypoint_file(tmp_path / "a")
    (tmp_path / "b" / "labels").mkdir(parents=True)
    for name in ("k.csv", "x.json.gz"):
        (tmp_path / "b" / name).touch()
    with pytest.raises(UserError, match=r"none; it holds k.csv, labels/, x.json.gz; make the"):
        keypoint_file(tmp_path / "b")
    for name in ("z.json", "ALPHAPOSE-RESULTS.JSON"):
        (tmp_path / "b" / name).touch()
    assert keypoint_file(tmp_path / "b").name == "ALPHAPOSE-RESULTS.JSON"
    for name in ("x.json", "y.json", "video.json", "._x.json"):
        (tmp_path / "a" / name).touch()
    with pytest.raises(UserError, match=r"found x.json, y.json; keep only the file of AlphaPose"):
        load_clip(tmp_path / "a", Config())
    (tmp_path / "a" / "vis").mkdir()
    with pytest.raises(UserError, match=r"vis holds no image; put all frames there or remove"):
        load_clip(tmp_path / "a", Config())


def test_a_name_that_is_not_utf_8_is_refused_before_it_is_drawn(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"J\xfcrgen")
    for use in (
        lambda: load_clip(folder, Config()),
        lambda: check_and_print([folder], tmp_path, "axel", "val", 30, 0.2),
        lambda: parse(parser("", []), Config(), ["--dataset", folder.name]),
    ):
        with pytest.raises(UserError, match=r"J\\udcfcrgen': the name is not UTF-8; rename it"):
            use()


def test_num_steps_is_just_below_the_shortest_clip_and_bounded(tmp_path: Path) -> None:
    some = clips(tmp_path, 30, 12, 25)
    assert pick_num_steps(some, Config()) == 11
    assert pick_num_steps(some, Config(MAX_NUM_STEPS=8)) == 8
    assert pick_num_steps(some, Config(NUM_STEPS=9)) == 9


def test_num_steps_above_the_shortest_clip_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert pick_num_steps(clips(tmp_path, 30, 12, 25), Config(NUM_STEPS=13)) == 13
    assert "NUM_STEPS=13 is more than the 12 frames of the shortest clip, clip1; set" in caplog.text


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((20,), "1 clip: training compares clips of one motion; add at least one more"),
        (
            (20, 1),
            r"clip1 lasts 0 s: 1 frame\(s\) at FEATURE_FPS=30, but training needs 3; re",
        ),
        ((2, 20), r"clip clip0 lasts 0.0333 s: 2 frame\(s\)"),
    ],
)
def test_too_little_to_train_on_is_named(
    tmp_path: Path, lengths: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        pick_num_steps(clips(tmp_path, *lengths), Config())


@pytest.mark.parametrize(("count", "hinted"), [(2, True), (49, True), (50, False)])
def test_few_clips_are_hinted_at(
    count: int, hinted: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    some = clips(tmp_path, 5, 5) * 25
    pick_num_steps(some[:count], Config())
    assert (f"{count} clips; results are better with 50 or more" in caplog.text) == hinted


def test_steps_are_sorted_random_frames_none_twice_and_the_rest_is_padding() -> None:
    lengths = np.array([40, 12, 5])
    steps, mask = sample_steps(lengths, 12, np.random.default_rng(0))
    assert mask.sum(axis=1).tolist() == [12, 12, 5]
    for row, length in enumerate(lengths):
        valid = steps[row, mask[row]]
        assert (np.diff(valid) > 0).all()
        assert 0 <= valid[0] <= valid[-1] < length
    assert steps[1].tolist() == list(range(12))
    assert steps[2].tolist() == [0, 1, 2, 3, 4] + [4] * 7


def test_every_frame_is_drawn_as_often() -> None:
    generator = np.random.default_rng(0)
    steps, _ = sample_steps(np.full(3000, 10), 4, generator)
    np.testing.assert_allclose(np.bincount(steps.ravel()), 1200, rtol=0.1)


@pytest.mark.parametrize(("num_clips", "batch_size"), [(3, 8), (8, 3), (4, 4)])
def test_clips_of_a_batch_differ_as_far_as_they_can(num_clips: int, batch_size: int) -> None:
    chosen = choose_clips(num_clips, batch_size, np.random.default_rng(0))
    counts = np.bincount(chosen, minlength=num_clips)
    assert counts.sum() == batch_size
    assert np.ptp(counts) <= 1


def test_batch_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    some = clips(tmp_path, 30, 12, 25)
    config = Config(BATCH_SIZE=4, MAX_NUM_TRAINING_STEPS=5)
    first, again = (KeypointSequences(some, config, 8) for _ in range(2))
    for step in (3, 0, 4):
        np.random.seed(step)  # noqa: NPY002 - other random draws must not matter
        torch.manual_seed(step)
        for ours, theirs in zip(vars_of(first, step), vars_of(again, step), strict=True):
            assert torch.equal(ours, theirs)
    other_seed = KeypointSequences(some, Config(BATCH_SIZE=4, SEED=1), 8)
    assert not torch.equal(first[0].steps, first[1].steps)
    assert not torch.equal(first[0].steps, other_seed[0].steps)
    assert len(first) == 5
    with pytest.raises(IndexError):
        first[5]


def vars_of(sequences: KeypointSequences, step: int) -> list[torch.Tensor]:
    """Return the tensors of a batch."""
    batch = sequences[step]
    return [batch.features, batch.lengths, batch.steps, batch.mask]


def test_batch_is_padded_with_the_last_frame(tmp_path: Path) -> None:
    config = Config(BATCH_SIZE=6, NUM_STEPS=20)
    batch = KeypointSequences(clips(tmp_path, 40, 10, 25), config, 20)[0]
    assert batch.features.dtype == torch.float32
    assert batch.features.shape == (6, int(batch.lengths.max()), 43)
    assert batch.steps.shape == batch.mask.shape == (6, 20)
    for row, length in enumerate(batch.lengths.tolist()):
        assert int(batch.mask[row].sum()) == min(20, length)
        assert int(batch.steps[row].max()) < length


def test_mirrored_features_are_those_of_the_mirrored_skater(tmp_path: Path) -> None:
    clip = clips(tmp_path, 10)[0]
    mirrored = make_features(clip, Config(), mirrored=True)
    assert mirrored.shape == (10, 43)
    assert not np.allclose(mirrored, make_features(clip, Config()), atol=0.1)
    pose = make_features(clip, Config())[:, :34].reshape(10, 17, 2)
    left, right = pose[:, 5], pose[:, 6]
    np.testing.assert_allclose(mirrored[:, :34].reshape(10, 17, 2)[:, 6], left * [-1, 1], atol=1e-4)
    np.testing.assert_allclose(
        mirrored[:, :34].reshape(10, 17, 2)[:, 5], right * [-1, 1], atol=1e-4
    )


def people_at(folder: Path, *places: tuple[float, float]) -> None:
    """Write a clip of 20 frames with people at these places, x and y px."""
    persons = []
    for frame in range(20):
        for x, y in places:
            shape = wave(20, 3)[frame] * [0.5, 0.5, 1] + [x - 160, y - 100, 0]
            persons.append(
                {"image_id": f"{frame}.jpg", "keypoints": shape.ravel().tolist(), "score": 2}
            )
    folder.mkdir(parents=True)
    (folder / "alphapose-results.json").write_text(json.dumps(persons))


@pytest.mark.parametrize("source", ["video.json", "vis"])
def test_the_size_of_the_picture_says_who_is_at_its_centre(tmp_path: Path, source: str) -> None:
    folder = tmp_path / "clip"
    people_at(folder, (430, 540), (960, 540))
    assert (
        load_clip(folder, Config()).keypoints[..., 0].mean() < 500
    )  # the guessed picture is half as wide
    if source == "vis":
        write_frames(folder, 20, (1920, 1080))
    else:
        times_s = [frame / 30 for frame in range(20)]
        info = {"timestamps_s": times_s, "width_px": 1920, "height_px": 1080}
        (folder / source).write_text(json.dumps(info))
    assert load_clip(folder, Config()).keypoints[..., 0].mean() > 900


def test_the_size_of_a_picture_is_that_of_its_pixels_as_they_are_read(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    (tmp_path / "vis").mkdir()
    path = tmp_path / "vis" / "0.jpg"
    PIL.Image.new("RGB", (64, 36)).save(path, exif=exif)
    assert read_image(path).shape[:2] == (64, 36)
    assert picture_size(tmp_path, [path]) == (36, 64)
    (tmp_path / "video.json").write_text('{"width_px": 0, "height_px": 0}')
    assert picture_size(tmp_path, [path]) == (36, 64)
    assert picture_size(tmp_path, []) is None


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        ("tcc_data", {"cv2", "av", "rtmlib", "tcc.estimator", "sklearn", "tslearn"}),
        ("tcc_check", {"torch", "av", "rtmlib", "matplotlib", "sklearn", "tslearn"}),
        ("tcc_get_pose", {"torch", "rtmlib", "matplotlib", "sklearn", "tslearn"}),
        ("tcc_get_start", {"av", "rtmlib", "sklearn", "tslearn", "tensorboard"}),
        ("tcc_align", {"av", "rtmlib", "sklearn", "tslearn", "tensorboard"}),
        ("tcc_get_kendalls_tau", {"cv2", "av", "scipy.stats", "sklearn", "tslearn", "tensorboard"}),
        ("tcc_get_embed", {"cv2", "av", "matplotlib", "sklearn", "tslearn", "tensorboard"}),
    ],
)
def test_importing_brings_only_what_is_used(module: str, unused: set[str]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not unused & set(done.stdout.split())


def test_a_trimmed_clip_keeps_the_frame_numbers_and_times_of_the_video(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    first, second = wave(30, 1), wave(30, 2) + np.array([400, 0, 0], np.float32)
    second[:12] = 0  # enters at frame 12
    write_clip(folder, first, second)
    write_frames(folder, 30)
    (folder / "clip.toml").write_text("start_s = 0.5\nend_s = 0.8\n")
    clip = load_clip(folder, Config())
    assert (clip.first_frame, clip.num_frames, clip.total_frames) == (15, 10, 30)
    assert clip.times_s[0] == 0.5
    assert [path.stem for path in clip.images] == [str(frame) for frame in range(15, 25)]
    np.testing.assert_allclose(clip.keypoints, first[15:25], atol=1e-3)
    assert clip.track.num_people.tolist() == [2] * 10
    # --trim replaces the part in clip.toml, and one end is enough.
    assert load_clip(folder, Config(), trim=Trim(0.9)).first_frame == 27
    assert load_clip(folder, Config(), trim=Trim(end_s=0.1)).num_frames == 4
    write_person(folder, 2)
    assert (folder / "clip.toml").read_text() == "person = 2\nstart_s = 0.5\nend_s = 0.8\n"
    other = load_clip(folder, Config())
    np.testing.assert_allclose(other.keypoints, second[15:25], atol=1e-3)


@pytest.mark.parametrize(
    ("trim", "message"),
    [
        (Trim(2.0), "a: no frame is between 2 s and the end; the video lasts from 0.00 to 1.30 s"),
        (Trim(0.6, 0.5), "no frame is between 0.6 s and 0.5 s"),
        (Trim(0.0, 0.3), "nobody was found between 0 s and 0.3 s; choose another part"),
    ],
)
def test_a_part_without_frames_or_people_is_refused(
    tmp_path: Path, trim: Trim, message: str
) -> None:
    clip = wave(40, 1)
    clip[:10] = 0
    write_clip(tmp_path / "a", clip)
    with pytest.raises(UserError, match=message):
        load_clip(tmp_path / "a", Config(), trim=trim)


def test_a_person_who_is_rarely_seen_is_refused(tmp_path: Path) -> None:
    first, second = wave(60, 1), wave(60, 2) + np.array([400, 0, 0], np.float32)
    for seen, refused in ((5, True), (6, False)):  # a tenth of the frames is enough
        shown = second.copy()
        shown[seen:] = 0
        folder = tmp_path / str(seen)
        write_clip(folder, first, shown)
        if refused:
            with pytest.raises(UserError, match=r"person 2 is seen in only 5 of 60 frames; choose"):
                load_clip(folder, Config(), person=2)
        else:
            assert load_clip(folder, Config(), person=2).track.observed.sum() == seen
        assert load_clip(folder, Config(), person=1).track.observed.all()
    few = wave(8, 2) + np.array([400, 0, 0], np.float32)
    few[4:] = 0
    write_clip(tmp_path / "few", wave(8, 1), few)
    with pytest.raises(UserError, match=r"person 2 is seen in only 4 of 8 frames"):
        load_clip(tmp_path / "few", Config(), person=2)


def test_flights_of_a_clip_are_found_at_the_times_of_its_features() -> None:
    points, times_s, _ = straight_up(0.5, 60)
    clip = make_clip(keypoints_of(points), times_s=times_s)
    ticks_s = feature_times(clip, Config())[in_air(clip, Config())]
    np.testing.assert_allclose(ticks_s[[0, -1]], [START_S, START_S + 0.5], atol=0.05)


def test_a_joint_far_outside_makes_no_picture_that_fills_the_memory() -> None:
    width, height = estimate_size(np.full((1, 17, 3), 9e4, np.float32))
    assert width * height <= MAX_PIXELS
    assert estimate_size(np.full((1, 17, 3), 90, np.float32)) == (108, 108)


@pytest.mark.parametrize(
    ("name", "content"),
    [("video.json", '{"a": ' + "[" * 60_000), ("clip.toml", "person = " + "[" * 9000)],
)
def test_deep_nesting_is_told_in_one_line(tmp_path: Path, name: str, content: str) -> None:
    write_clip(tmp_path / "clip", wave(8, 0))
    (tmp_path / "clip" / name).write_text(content)
    with pytest.raises(UserError, match=rf"{name}: expected .*recursion depth exceeded"):
        load_clip(tmp_path / "clip", Config())
