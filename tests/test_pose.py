"""From a video to a clip's folder, with an estimator that needs no weights."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import cv2
import numpy as np
import pytest

import tcc_get_pose
from tcc import cli, pose
from tcc.alphapose import read_detections
from tcc.estimator import EstimatorError, People, Rtmo
from tcc.files import UserError
from tcc.images import Image
from tcc.pose import video_to_keypoints
from tcc.tracking import Track, choose_person
from tcc.video import Frame, read_frames, write_video
from tcc_config import Config
from tests.conftest import ROOT, hash_folder

HEIGHT, WIDTH, FRAMES = 240, 320, 12
BODY = np.stack([np.linspace(-6, 6, 17), np.linspace(-15, 15, 17)], axis=1)  # joints, px


def place(frame: int) -> tuple[int, int]:
    """Return where the skater is, x and y px."""
    return 120 + 3 * frame, 110 + frame % 3


def picture(frame: int) -> Image:
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    cv2.circle(image, place(frame), 6, (255, 255, 255), -1)
    return image


def write_clip(path: Path, num_frames: int = FRAMES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, (picture(frame) for frame in range(num_frames)), 25)
    return path


class Stub:
    """Finds the white spot, `error_px` off in whole images and not at all in frames `missed`."""

    input_px = 640

    def __init__(self, scale: float = 1, error_px: float = 0, missed: tuple[int, ...] = ()) -> None:
        self.scale, self.error_px, self.missed = scale, error_px, missed
        self.calls = 0

    def load(self) -> dict[str, Any]:
        return {"name": "stub"}

    def __call__(self, image: Image) -> People:
        whole = image.shape[:2] == (HEIGHT, WIDTH)
        self.calls += 1
        rows, columns = np.nonzero(image[..., 0] > 128)
        if not len(rows) or (whole and self.calls - 1 in self.missed):
            return People(*(np.empty((0, *size), np.float32) for size in ((17, 3), (4,), ())))
        centre = np.array([columns.mean(), rows.mean()]) + self.error_px * whole
        points = np.c_[centre + self.scale * BODY, np.full(17, 0.8)].astype(np.float32)
        box = np.r_[points[:, :2].min(axis=0), np.ptp(points[:, :2], axis=0)]
        return People(points[None], box[None].astype(np.float32), np.array([0.9], np.float32))


def centres(folder: Path) -> np.ndarray[Any, Any]:
    names = sorted(path.name for path in (folder / "vis").iterdir())
    track = choose_person(read_detections(folder / "alphapose-results.json", names))
    assert track.observed.all()
    middle: np.ndarray[Any, Any] = track.keypoints[..., :2].mean(axis=1)
    return middle


def test_folder_holds_frames_keypoints_and_times(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "jump.mp4")
    stub = Stub(scale=3)
    video_to_keypoints(video, tmp_path / "clip", stub)
    assert stub.calls == FRAMES
    names = [f"{frame:06d}.jpg" for frame in range(FRAMES)]
    assert sorted(path.name for path in (tmp_path / "clip" / "vis").iterdir()) == names
    assert cv2.imread(str(tmp_path / "clip" / "vis" / names[5])) is not None
    stored = json.loads((tmp_path / "clip" / "video.json").read_text())
    assert stored["schema_version"] == 1
    assert stored["source"] == "jump.mp4"
    assert (stored["width_px"], stored["height_px"], stored["num_frames"]) == (320, 240, FRAMES)
    assert stored["fps"] == pytest.approx(25)
    assert stored["second_pass"] is False
    np.testing.assert_allclose(stored["timestamps_s"], np.arange(FRAMES) / 25, atol=1e-6)

    persons = json.loads((tmp_path / "clip" / "alphapose-results.json").read_text())
    assert [person["image_id"] for person in persons] == names
    assert persons[0].keys() == {"image_id", "category_id", "keypoints", "score", "box", "idx"}
    assert len(persons[0]["keypoints"]) == 51
    assert persons[0]["score"] == pytest.approx(0.8 + 0.9 + 1.25 * 0.8)
    assert persons[0]["box"][2:] == pytest.approx([36, 90], abs=0.1)
    np.testing.assert_allclose(
        centres(tmp_path / "clip"), [place(n) for n in range(FRAMES)], atol=0.6
    )


def test_second_look_corrects_and_finds_a_small_skater(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "far.mp4")
    stub = Stub(error_px=4, missed=(3, 4, 8))
    info = video_to_keypoints(video, tmp_path / "clip", stub)
    assert info["second_pass"] is True
    assert stub.calls == 2 * FRAMES
    np.testing.assert_allclose(
        centres(tmp_path / "clip"), [place(n) for n in range(FRAMES)], atol=0.6
    )
    persons = json.loads((tmp_path / "clip" / "alphapose-results.json").read_text())
    assert len(persons) == FRAMES


@pytest.mark.parametrize(("error_px", "taken"), [(5.3, True), (7.4, False)])
def test_second_look_takes_near_poses_only(tmp_path: Path, error_px: float, taken: bool) -> None:
    """The first look is off by 0.25 or 0.35 of the body's 30 px; the latter is another person."""
    video = write_clip(tmp_path / "far.mp4")
    video_to_keypoints(video, tmp_path / "clip", Stub(error_px=error_px))
    expected = np.array([place(n) for n in range(FRAMES)]) + (0 if taken else error_px)
    np.testing.assert_allclose(centres(tmp_path / "clip"), expected, atol=0.6)


class Pair(Stub):
    """Finds every white spot, 4 px off in whole images."""

    def __call__(self, image: Image) -> People:
        self.calls += 1
        error_px = 4 * (image.shape[:2] == (HEIGHT, WIDTH))
        middles = cv2.connectedComponentsWithStats(255 * (image[..., 0] > 128).astype(np.uint8))[3]
        points = np.full((len(middles) - 1, 17, 3), 0.8)
        points[..., :2] = middles[1:, None] + BODY + error_px
        box = np.concatenate([points[:, 0, :2], np.ptp(points[..., :2], axis=1)], axis=1)
        score = np.full(len(points), 0.9)
        return People(*(part.astype(np.float32) for part in (points, box, score)))


def test_second_look_is_at_the_person_in_the_middle_of_the_picture(tmp_path: Path) -> None:
    """If its size were guessed from the people, the other one would be nearer to the middle."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    for x in (90, WIDTH // 2):
        cv2.circle(image, (x, HEIGHT // 2), 6, (255, 255, 255), -1)
    write_video(tmp_path / "pair.mp4", [image] * FRAMES, 25)
    video_to_keypoints(tmp_path / "pair.mp4", tmp_path / "clip", Pair())
    found = read_detections(tmp_path / "clip" / "alphapose-results.json").keypoints[..., :2]
    middles = found.mean(axis=1)
    bystander = middles[:, 0] < WIDTH // 3
    np.testing.assert_allclose(middles[bystander], [(94, HEIGHT // 2 + 4)] * FRAMES, atol=0.6)
    np.testing.assert_allclose(middles[~bystander], [(WIDTH // 2, HEIGHT // 2)] * FRAMES, atol=0.6)


def test_capture_rate(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "slow.mp4")
    info = video_to_keypoints(video, tmp_path / "clip", Stub(3), capture_fps=240)
    assert info["fps"] == pytest.approx(240)
    assert info["timestamps_s"][-1] == pytest.approx((FRAMES - 1) / 240)
    stub = Stub(3)
    video_to_keypoints(video, tmp_path / "clip", stub)
    assert not stub.calls
    assert video_to_keypoints(video, tmp_path / "clip", stub, capture_fps=120)["capture_fps"] == 120


def test_a_finished_folder_is_left_until_the_video_changes(tmp_path: Path) -> None:
    video, clip = write_clip(tmp_path / "jump.mp4"), tmp_path / "jump"
    first = video_to_keypoints(video, clip, Stub(3))
    (clip / "clip.toml").write_text("person = 2\n")
    stub = Stub(3)
    assert video_to_keypoints(video, clip, stub)["timestamps_s"] == first["timestamps_s"]
    assert stub.calls == 0
    video_to_keypoints(video, clip, stub, force=True)
    assert stub.calls == FRAMES
    assert (clip / "clip.toml").read_text() == "person = 2\n"
    (clip / "clip.toml").unlink()
    write_clip(video, 7)
    assert video_to_keypoints(video, clip, Stub(3))["num_frames"] == 7
    assert len(list((clip / "vis").iterdir())) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jump", "jump.mp4"]


@pytest.mark.parametrize("name", ["a/jump.mov", "b/jump.mp4", "jump.mov"])
def test_another_video_replaces_a_clip_by_force_only(tmp_path: Path, name: str) -> None:
    clip = tmp_path / "jump"
    video_to_keypoints(write_clip(tmp_path / "jump.mp4"), clip, Stub(3))
    shutil.rmtree(clip / "vis")  # training needs none; the clip stays worth keeping
    before = hash_folder(clip)
    other = write_clip(tmp_path / name, 7)
    message = rf"{name}: .*/jump was made from another video, jump.mp4; rename .* use --force to"
    with pytest.raises(UserError, match=message):
        video_to_keypoints(other, clip, Stub(3))
    assert hash_folder(clip) == before
    assert video_to_keypoints(other, clip, Stub(3), force=True)["source"] == other.name
    shutil.copy(other, tmp_path / "copy.mp4")
    video_to_keypoints(tmp_path / "copy.mp4", clip, Stub(3))


def test_a_name_that_no_json_holds_is_told_before_the_work(tmp_path: Path) -> None:
    stub = Stub(3)
    with pytest.raises(UserError, match=r"': the name is not UTF-8; rename it") as raised:
        video_to_keypoints(tmp_path / "J\udce4ger.mp4", tmp_path / "clip", stub)
    assert stub.calls == 0
    assert "\n" not in str(raised.value)


def test_a_file_in_the_way_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "jump").write_text("notes")
    stub = Stub(3)
    with pytest.raises(UserError, match=r"/jump: a file with the name of the clip's folder"):
        video_to_keypoints(write_clip(tmp_path / "jump.mp4"), tmp_path / "jump", stub)
    assert stub.calls == 0
    assert (tmp_path / "jump").read_text() == "notes"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_run_leaves_nothing_and_the_next_starts_over(
    tmp_path: Path, error: type[BaseException]
) -> None:
    class Interrupted(Stub):
        def __call__(self, image: Image) -> People:
            if self.calls == 5:
                raise error
            return super().__call__(image)

    video, clip = write_clip(tmp_path / "jump.mp4", 40), tmp_path / "clip"
    threads = threading.active_count()
    with pytest.raises(error):
        video_to_keypoints(video, clip, Interrupted(3))
    assert [path.name for path in tmp_path.iterdir()] == ["jump.mp4"]
    assert threading.active_count() == threads
    killed = tmp_path / ".clip.partial" / "vis"
    killed.mkdir(parents=True)
    (killed / "000099.jpg").touch()
    video_to_keypoints(video, clip, Stub(3))
    assert len(list((clip / "vis").iterdir())) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "jump.mp4"]


@pytest.mark.parametrize(
    "content", [None, '{"timestamps_s": [0.0]}', '{"source_sha256": "0"}', "[]", "no JSON", "\xff"]
)
@pytest.mark.parametrize("keypoints", [False, True])
def test_what_it_did_not_make_is_not_touched(
    tmp_path: Path, content: str | None, keypoints: bool
) -> None:
    """Whatever the user's own video.json holds."""
    video, clip = write_clip(tmp_path / "jump.mp4"), tmp_path / "clip"
    (clip / "vis").mkdir(parents=True)
    (clip / "vis" / "0.jpg").write_bytes(b"mine")
    if content is not None:
        (clip / "video.json").write_text(content, encoding="latin-1")
    if keypoints:
        (clip / "alphapose-results.json").write_text("[]")
    before = hash_folder(clip)
    for force in (False, True):
        with pytest.raises(UserError, match=r"clip: holds .*vis.*, not made by tcc_get_pose"):
            video_to_keypoints(video, clip, Stub(3), force=force)
    assert hash_folder(clip) == before


def test_a_video_of_nobody(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "jump.mp4")
    with pytest.raises(UserError, match=r"jump.mp4: nobody found in 12 frames"):
        video_to_keypoints(video, tmp_path / "clip", Stub(missed=tuple(range(FRAMES))))
    assert [path.name for path in tmp_path.iterdir()] == ["jump.mp4"]


@pytest.mark.parametrize("slow", ["model", "decoder"])
def test_few_frames_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str) -> None:
    """At any length of the video. The decoder itself holds a frame a thread and its B-frames."""
    alive: set[int] = set()
    most = 0

    def counted(path: Path, capture_fps: float | None = None) -> Iterator[Frame]:
        nonlocal most
        for frame in read_frames(path, capture_fps):
            alive.add(id(frame.image))
            weakref.finalize(frame.image, alive.discard, id(frame.image))
            most = max(most, len(alive))
            if slow == "decoder":
                time.sleep(0.002)
            yield frame

    class Slow(Stub):
        def __call__(self, image: Image) -> People:
            if slow == "model":
                time.sleep(0.004)
            return super().__call__(image)

    monkeypatch.setattr(pose, "read_frames", counted)
    video_to_keypoints(write_clip(tmp_path / "long.mp4", 120), tmp_path / "clip", Slow(3))
    assert 2 <= most <= 16


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run tcc_get_pose.py with a stub in `tmp_path`; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tcc_get_pose, "Rtmo", lambda weights, device: Stub(3))
    monkeypatch.setattr(pose, "shared_rtmo", lambda weights, device: Stub(3))
    monkeypatch.setattr(logging.getLogger("tcc"), "level", logging.INFO)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(tcc_get_pose, "CONFIG", Config())
        monkeypatch.setattr(sys, "argv", ["tcc_get_pose.py", *arguments])
        code = 0
        try:
            cli.run(tcc_get_pose.main)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize("options", [(), ("--jobs", "1")])
def test_command_converts_a_folder_and_goes_on_after_errors(
    tmp_path: Path,
    command: Callable[..., tuple[int, str, str]],
    caplog: pytest.LogCaptureFixture,
    options: tuple[str, ...],
) -> None:
    root = tmp_path / "data" / "axel" / "test"
    write_clip(root / "b.MOV")
    write_clip(root / "a.mp4")
    (root / "a0_broken.avi").write_bytes(b"")
    (root / "notes.txt").touch()
    (root / "._b.MOV").touch()  # macOS leaves these on sticks
    code, out, err = command("--dataset", "axel", "--mode", "test", *options)
    assert code == 2
    assert out.splitlines() == [
        "data/axel/test/a: 12 frames, 320 x 240",
        "data/axel/test/b: 12 frames, 320 x 240",
        "clip  frames  seconds  missed  people  margin",
        "a         12     0.48       0     1.0    1.00",
        "b         12     0.48       0     1.0    1.00",
        "2 clips, min(seq_lens) 12 (a)",
        "clips to look at: none",
        "result/check_axel_test.jpg",
    ]
    assert cv2.imread("result/check_axel_test.jpg") is not None
    assert "a0_broken.avi: empty file" in caplog.text
    assert "error: 1 of 3 videos failed: a0_broken.avi\n" in err
    for name in ("a", "b"):
        assert len(centres(root / name)) == FRAMES
    (root / "a0_broken.avi").unlink()
    caplog.clear()
    caplog.set_level(logging.INFO)
    assert command(*options)[0] == 0
    assert "a: already made with stub; use --force to make it again" in caplog.text


@pytest.mark.parametrize("options", [(), ("--jobs", "1")])
def test_videos_of_one_name_are_left_out_and_the_others_made(
    tmp_path: Path,
    command: Callable[..., tuple[int, str, str]],
    caplog: pytest.LogCaptureFixture,
    options: tuple[str, ...],
) -> None:
    root = tmp_path / "data" / "axel" / "test"
    for name in ("a.mp4", "a.mov", "b.mp4"):
        write_clip(root / name)
    code, out, err = command(*options)
    assert code == 2
    assert out.startswith("data/axel/test/b: 12 frames, 320 x 240\n")
    assert sorted(path.name for path in root.iterdir()) == ["a.mov", "a.mp4", "b", "b.mp4"]
    messages = [record.message for record in caplog.records if record.levelname == "error"]
    both = [f"data/axel/test/a.{suffix}" for suffix in ("mov", "mp4")]
    assert messages == [
        f"{this}: its clip would have the same name, a, as that of {other}; rename one"
        for this, other in (both, both[::-1])
    ]
    assert err.endswith("error: 2 of 3 videos failed: a.mov, a.mp4\n")


def test_command_takes_a_path(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    video = write_clip(tmp_path / "elsewhere" / "jump.mp4")
    assert command(str(video), "--mode", "val")[0] == 0
    assert (tmp_path / "data" / "axel" / "val" / "jump" / "video.json").exists()
    assert [path.name for path in video.parent.iterdir()] == ["jump.mp4"]


def test_command_fails_where_a_clip_of_the_folder_cannot_be_read(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    root = tmp_path / "data" / "axel" / "test"
    write_clip(root / "a.mp4")
    (root / "old").mkdir(parents=True)
    code, out, err = command()
    assert code == 2
    assert err.endswith("error: 1 of 2 clips can't be read: old\n")
    assert out.endswith("result/check_axel_test.jpg\n")
    (root / "b.mp4").touch()
    code, _, err = command()
    assert code == 2
    assert err.endswith("error: 1 of 2 videos failed: b.mp4; 1 of 2 clips can't be read: old\n")


def test_command_keeps_the_person(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    video = write_clip(tmp_path / "data" / "axel" / "test" / "jump.mp4")
    sidecar = video.with_suffix("") / "clip.toml"
    assert command("--person", "2") == (2, ANY, ANY)
    assert not sidecar.exists()
    assert command("--person", "1")[0] == 0
    assert sidecar.read_text() == "person = 1\n"
    write_clip(video.with_name("other.mp4"))
    code, _, err = command("--person", "1")
    assert (code, err) == (2, "error: --person 1: expected one video, not 2; give its name\n")


@pytest.mark.parametrize("force", [False, True])
def test_clip_toml_of_another_video_does_not_choose_in_this_one(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]], force: bool
) -> None:
    """Another video by force, or the same one filmed or cut again, which needs no force."""
    old = write_clip(tmp_path / "data" / "axel" / "test" / "jump.mp4")
    clip = old.with_suffix("")
    assert command()[0] == 0
    (clip / "clip.toml").write_text("# the one in red\nperson = 1\n")
    assert ", follows the person in its clip.toml\n" in command("--force")[1]
    new = write_clip(tmp_path / "new" / "jump.mp4" if force else old, 7)
    arguments = (str(new), *["--force"] * force)
    before = hash_folder(clip)
    for person, message in (
        (
            (),
            r"/jump/clip.toml: chooses the skater in another video, not in .*jump.mp4; add --per",
        ),
        (("--person", "2"), r"jump.mp4: person 2: the clip holds 1; choose .*/jump is unchanged$"),
    ):
        code, _, err = command(*arguments, *person)
        assert code == 2
        assert err.startswith("error: ")
        assert re.search(message, err)
        assert "failed" not in err
        assert hash_folder(clip) == before
    video_to_keypoints(new, clip, Stub(3), force=force, person=1)  # clip.toml changes with the rest
    assert (clip / "clip.toml").read_text() == "person = 1\n"
    assert len(list((clip / "vis").iterdir())) == 7
    assert command(str(old), "--force", *["--person", "1"] * force)[0] == 0


def test_clip_toml_that_is_left_alone_does_not_choose_in_a_new_video(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    clip = write_clip(tmp_path / "data" / "axel" / "test" / "jump.mp4").with_suffix("")
    clip.mkdir()
    (clip / "clip.toml").write_text("person = 2\n")
    code, _, err = command()
    assert code == 2
    assert "clip.toml: chooses the skater in another video, not in " in err
    assert [path.name for path in clip.iterdir()] == ["clip.toml"]
    assert command("--person", "1")[0] == 0
    assert (clip / "clip.toml").read_text() == "person = 1\n"


def test_the_person_of_a_replaced_clip_is_checked_with_the_size_of_the_picture(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "data" / "axel" / "test" / "jump.mp4").with_suffix("")
    clip.mkdir()
    (clip / "clip.toml").write_text("person = 1\n")
    sizes = []

    def choose(*arguments: Any, **options: Any) -> Track:
        sizes.append(options.get("picture_px", arguments[3] if len(arguments) > 3 else None))
        return choose_person(*arguments, **options)

    monkeypatch.setattr("tcc.pose.choose_person", choose)
    monkeypatch.setattr("tcc.clips.choose_person", choose)
    assert command("--person", "1")[0] == 0
    assert len(sizes) >= 3
    assert None not in sizes
    assert len(set(sizes)) == 1


def test_a_video_in_the_folder_of_a_mode_belongs_there(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    train = write_clip(tmp_path / "data" / "lutz" / "train" / "jump.mp4")
    other = write_clip(tmp_path / "elsewhere" / "jump.mp4")
    code, out, err = command(str(train), str(other))  # motion axel and mode test by default
    assert code == 0, err
    assert (train.parent / "jump" / "video.json").exists()
    assert (tmp_path / "data" / "axel" / "test" / "jump" / "video.json").exists()
    for name in ("check_lutz_train.jpg", "check_axel_test.jpg"):
        assert (tmp_path / "result" / name).exists()
        assert name in out


def test_a_missing_video_is_named(command: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = command("my.mov")
    assert (code, err) == (2, "error: my.mov: no such file; check the path\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "data/axel/test holds no video (.mp4 .m4v .mov .qt .avi"),
        *(
            (("a.mp4", "--capture-fps", value), f"--capture-fps {value}: expected 1 to 100000, as")
            for value in ("0", "-240", "0.99", "1e-300", "100001", "inf", "nan")
        ),
    ],
)
def test_command_errors(
    command: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_a_model_that_is_missing_stops_at_once_with_the_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EstimatorError, match=r"onnxruntime.* -r requirements-pose.txt"):
        Rtmo().load()
    monkeypatch.undo()
    monkeypatch.setattr("rtmlib.tools.file.urlopen", _no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(EstimatorError, match=r"no network.* download https.*unzip.*--weights"):
        Rtmo().load()
    with pytest.raises(EstimatorError, match="none.onnx: no such file"):
        Rtmo(tmp_path / "none.onnx").load()
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(EstimatorError, match="text.onnx: not an ONNX model") as raised:
        Rtmo(tmp_path / "text.onnx").load()
    assert "\n" not in str(raised.value)


def test_the_model_is_imported_only_when_it_is_used() -> None:
    script = "import tcc_align, tcc_get_pose, tcc_get_start, sys; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"tcc.estimator", "av"} <= set(loaded.stdout.split())
    assert not {"rtmlib", "onnxruntime"} & set(loaded.stdout.split())


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no network")


@pytest.mark.real
def test_real_skater_is_found_in_every_frame(real_data: Path, tmp_path: Path) -> None:
    weights = real_data.parent / "models" / "movenet_multipose_as_rtmo.onnx"
    if not weights.exists():
        pytest.skip(f"no weights {weights}")
    jump = islice(read_frames(real_data / "videos" / "axel.mp4"), 64, 72)
    write_video(tmp_path / "jump.mp4", (frame.image for frame in jump), 30)
    info = video_to_keypoints(tmp_path / "jump.mp4", tmp_path / "clip", Rtmo(weights, "cpu"))
    assert info["num_frames"] == 8
    assert info["estimator"]["name"] == weights.stem
    middle = centres(tmp_path / "clip")
    assert np.abs(np.diff(middle, axis=0)).max() < 60  # px of 1920: one skater, no leap to another


@pytest.mark.real
def test_jobs_make_the_clips_of_one_process_with_the_threads_that_they_are_given(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = real_data.parent / "models" / "movenet_multipose_as_rtmo.onnx"
    if not weights.exists():
        pytest.skip(f"no weights {weights}")
    hashes = []
    for name, options in (("turn", []), ("jobs", ["--jobs", "2"])):
        root = tmp_path / name / "data" / "axel" / "test"
        for first in (64, 70, 76):
            jump = islice(read_frames(real_data / "videos" / "axel.mp4"), first, first + 5)
            root.mkdir(parents=True, exist_ok=True)
            write_video(root / f"{first}.mp4", (frame.image for frame in jump), 30)
        command = [sys.executable, str(ROOT / "tcc_get_pose.py"), "--weights", str(weights)]
        subprocess.run([*command, *options], cwd=tmp_path / name, check=True)
        hashes.append(hash_folder(root))
    assert hashes[0] == hashes[1]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = Rtmo(weights, "cpu")._model.session.get_session_options()
    assert options.intra_op_num_threads == 1
