"""The contact sheet shows who is followed and what to doubt; clip.toml corrects it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tcc.alphapose import Detections
from tcc.clip_folders import clip_folders
from tcc.contact_sheet import CELL_PX, SECOND, SHOWN, TITLE_PX, WHOLE_PX, check_clips
from tcc.draw import FAINT, LEFT, MARK
from tcc.files import UserError
from tcc.sidecars import write_person
from tcc.tracking import MIXED_UP, Track, choose_person
from tcc_config import Config
from tcc_data import load_clip
from tests.conftest import Run, wave, write_clip, write_frames

Shift = tuple[float, float]


def beside(person: NDArray[np.float32], x_px: float, scale: float = 1.0) -> NDArray[np.float32]:
    return np.concatenate([scale * person[..., :2] + (x_px, 0), person[..., 2:]], axis=-1).astype(
        np.float32
    )


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Write a clear clip, and one of two people who are equally near to the centre."""
    root = tmp_path / "data" / "wave" / "train"
    skater = wave(30, 0)
    write_clip(root / "clear", skater, beside(skater, 330, 0.4))
    write_clip(root / "twins", skater, beside(wave(30, 1), -260))
    return [root / "clear", root / "twins"]


def near(image: NDArray[Any], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return where a picture has about a colour; JPEG changes it a little."""
    return np.asarray(np.abs(image.astype(int) - color).max(axis=-1) < 40)


def test_sheet_marks_the_doubtful_clip_and_draws_the_chosen_person(
    folders: list[Path], tmp_path: Path
) -> None:
    checked, failed, _ = check_clips(folders, tmp_path / "check", "wave train", 30, 0.2)
    assert failed == []
    assert [len(clip.doubts) for clip in checked] == [0, 1]
    assert re.match(r"another person is nearly as likely to be the skater", checked[1].doubts[0])
    assert [clip.people_per_frame for clip in checked] == [2, 2]
    sheet = cv2.imread(str(tmp_path / "check.jpg"))
    assert sheet is not None
    clear_px = TITLE_PX + CELL_PX[1]
    height_px = clear_px + WHOLE_PX[1]
    assert sheet.shape == (2 * TITLE_PX + clear_px + 6 + height_px + 6, SHOWN * CELL_PX[0], 3)
    clear = sheet[2 * TITLE_PX :][:clear_px]
    twins = sheet[2 * TITLE_PX + clear_px + 6 :][:height_px]
    assert not near(clear[:TITLE_PX], MARK).any()
    assert near(twins[:TITLE_PX], MARK).mean() > 0.5
    assert near(clear, SECOND).sum() < 20  # JPEG mixes other colours
    for cell in np.split(twins[clear_px:], SHOWN, axis=1):  # the whole pictures
        assert near(cell, LEFT).sum() > 10
        assert near(cell, SECOND).sum() > 20
    for cell in np.split(clear[TITLE_PX:], SHOWN, axis=1):
        assert near(cell, LEFT).sum() > 100
        rows = np.flatnonzero(near(cell, LEFT).any(axis=1))
        assert np.ptp(rows) > CELL_PX[1] / 4  # the skater is large
        assert near(cell[30:], FAINT).sum() > 5
    stored = json.loads((tmp_path / "check.json").read_text())
    assert stored["schema_version"] == 1
    assert [clip["num_frames"] for clip in stored["clips"]] == [30, 30]


def test_clip_toml_settles_it(folders: list[Path], tmp_path: Path) -> None:
    first = load_clip(folders[1], Config())
    write_person(folders[1], 2)
    second = load_clip(folders[1], Config())
    assert abs(float((second.keypoints - first.keypoints)[..., 0].mean())) == pytest.approx(
        260, abs=15
    )
    assert second.track.margin == 1
    checked, _, _ = check_clips(folders, tmp_path / "check", "wave", 30, 0.2)
    assert checked[1].doubts == []
    np.testing.assert_array_equal(load_clip(folders[1], Config(), 1).keypoints, first.keypoints)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("person = 3", r"twins: person 3: the clip holds 2; choose 1 to 2"),
        ("person = 0", r"clip.toml: expected a line such as person = 2, .* `int` >= 1"),
        ("person = two", r"clip.toml: expected a line such as person = 2, with a whole number of"),
        (None, r"clip.toml: expected a line such as person = 2, .* \(Is a directory\)"),
        (
            "skater = 2",
            r"clip.toml: expected a line such as person = 2, .* unknown field `skater`",
        ),
    ],
)
def test_a_wrong_sidecar_is_told(folders: list[Path], line: str | None, message: str) -> None:
    path = folders[1] / "clip.toml"
    path.mkdir() if line is None else path.write_text(line)
    with pytest.raises(UserError, match=message) as raised:
        load_clip(folders[1], Config())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"timestamps_s": [0, 0.1]}', "2 timestamps for 30 frames; run tcc_get_pose.py --force"),
        ('{"timestamps_s": [0, null]}', "Expected `float`, got `null`"),
        ('{"fps": 30}', "missing required field `timestamps_s`\\); run tcc_get_pose.py --force"),
        ("{", "Input data was truncated"),
    ],
)
def test_wrong_times_are_told(folders: list[Path], content: str, message: str) -> None:
    (folders[1] / "video.json").write_text(content)
    with pytest.raises(UserError, match=rf"video.json: .*{message}") as raised:
        load_clip(folders[1], Config())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("step_s", [3600.0, 1e9])
def test_times_that_are_no_seconds_are_told(folders: list[Path], step_s: float) -> None:
    with pytest.raises(UserError, match=r"clear: 30 frames at FPS=0.001 last longer than an hour"):
        load_clip(folders[0], Config(FPS=0.001))
    times = [step_s * frame for frame in range(30)]
    (folders[1] / "video.json").write_text(json.dumps({"timestamps_s": times}))
    with pytest.raises(UserError, match=r"video.json: .* from frame to frame; timestamps_s must"):
        load_clip(folders[1], Config())


def test_a_byte_order_mark_in_the_sidecar_is_no_mistake(folders: list[Path]) -> None:
    (folders[1] / "clip.toml").write_text("person = 2\n", encoding="utf-8-sig")
    assert load_clip(folders[1], Config()).track.margin == 1


@pytest.mark.parametrize("picture", [b"no picture", None])
def test_a_bad_picture_is_of_one_clip_alone(
    folders: list[Path], tmp_path: Path, picture: bytes | None
) -> None:
    for folder in folders:
        write_frames(folder, 30)
    (folders[0] / "vis" / "0.jpg").unlink()
    if picture is None:
        (folders[0] / "vis" / "0.jpg").mkdir()
    else:
        (folders[0] / "vis" / "0.jpg").write_bytes(picture)
    checked, failed, _ = check_clips(folders, tmp_path / "check", "", 30, 0.2)
    assert ([clip.name for clip in checked], failed) == (["twins"], ["clear"])


def test_persons_are_counted_from_one(folders: list[Path]) -> None:
    with pytest.raises(UserError, match=r"twins: person 0: persons are counted from 1"):
        load_clip(folders[1], Config(), 0)


def test_what_training_refuses_does_not_pass_the_check(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skater, refused = wave(30, 0), {}
    for name, scale in (("zero", (0, 0, 0)), ("unsure", (1, 1, 0.1)), ("point", (1e-3, 1e-3, 1))):
        write_clip(tmp_path / name, skater * np.array(scale, np.float32))
        with pytest.raises(UserError) as raised:
            load_clip(tmp_path / name, Config())
        refused[name] = str(raised.value)
    assert "within 0.21 px, so their positions can't be in pixels" in refused["point"]
    checked, failed, _ = check_clips(
        map(tmp_path.joinpath, refused), tmp_path / "check", "", 30, 0.2
    )
    assert (checked, failed) == ([], list(refused))
    assert caplog.messages == list(refused.values())


def test_people_are_followed_at_the_rate_of_the_clip(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def choose(detections: Detections, person: int, fps: float, *rest: Any) -> Track:
        rates.append(fps)
        return choose_person(detections, person, fps, *rest)

    monkeypatch.setattr("tcc.clips.choose_person", choose)
    load_clip(folders[0], Config(FPS=25))
    (folders[0] / "video.json").write_text(
        json.dumps({"timestamps_s": [i / 240 for i in range(30)]})
    )
    load_clip(folders[0], Config())
    assert rates == pytest.approx([25, 240])


def test_many_clips_take_several_sheets(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five clips take three sheets of two; a later run with two clips removes the other sheets."""
    monkeypatch.setattr("tcc.contact_sheet.CLIPS_PER_SHEET", 2)
    stem = tmp_path / "check_wave.2_train"
    paths = [tmp_path / f"{stem.name}{number}.jpg" for number in ("", "_2", "_3")]
    sheets = check_clips([*folders, *folders, folders[0]], stem, "", 30, 0.2)[2]
    assert sheets == paths
    tall = [cv2.imread(str(path)) for path in sheets]
    heights = [image.shape[0] for image in tall if image is not None]
    assert heights[0] == heights[1] > heights[2]
    assert check_clips(folders, stem, "", 30, 0.2)[2] == paths[:1]
    assert sorted(tmp_path.glob("check*")) == [paths[0], stem.with_name(f"{stem.name}.json")]


def test_command_prints_lengths_and_goes_on_after_a_bad_clip(
    folders: list[Path], tmp_path: Path, run: Run
) -> None:
    write_clip(folders[0].with_name("short"), wave(12, 5))
    arguments = ("--dataset", "wave", "--mode", "train")
    done = run("tcc_check.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-3:] == [
        "3 clips, min(seq_lens) 12 (short)",
        "clips to look at: twins",
        "result/check_wave_train.jpg",
    ]
    assert done.stdout.splitlines()[2] == "short      12     0.40       0     1.0    1.00"
    (folders[0] / "alphapose-results.json").write_text("[]")
    broken = run("tcc_check.py", *arguments, cwd=tmp_path)
    assert broken.returncode == 2
    assert "clear/alphapose-results.json holds no person" in broken.stderr
    assert broken.stderr.endswith("error: 1 of 3 clips can't be read: clear\n")
    assert "twins" in broken.stdout


def test_videos_without_keypoints_are_told(
    folders: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = folders[0].parent
    for name in ("clear.mp4", "new.MOV", "._new.MOV", "notes.txt"):
        (root / name).touch()
    (root / ".new.partial").mkdir()
    assert clip_folders(tmp_path / "data", "wave", "train") == folders
    command = "python3 tcc_get_pose.py --dataset wave --mode train"
    unused = "these videos have no keypoints yet and are not used"
    assert caplog.messages == [f"{root}: {unused}: new.MOV; run: {command}"]
    (tmp_path / "data" / "wave" / "test").mkdir()
    (tmp_path / "data" / "wave" / "test" / "new.mp4").touch()
    with pytest.raises(UserError, match=r"holds 1 video.* run: python3 tcc_get_pose.py"):
        clip_folders(tmp_path / "data", "wave", "test")


def test_unsure_frames_are_labelled(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        "tcc.contact_sheet._label",
        lambda cell, text, is_doubtful: labels.append((text, is_doubtful)),
    )

    def choose(*arguments: Any) -> Track:
        track = choose_person(*arguments)
        return replace(track, unsure=np.arange(len(track.observed)) > 20)

    monkeypatch.setattr("tcc.clips.choose_person", choose)
    checked, _, _ = check_clips(folders[:1], folders[0].parent / "check", "", 30, 0.2)
    assert any(doubt.startswith(MIXED_UP) for doubt in checked[0].doubts)
    assert {("unsure" in text, is_doubtful) for text, is_doubtful in labels} == {
        (False, False),
        (True, True),
    }
