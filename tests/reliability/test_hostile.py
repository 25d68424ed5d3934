"""Files that are made to do harm: code in pickles, absurd sizes, names and texts."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from tcc.files import UserError
from tcc.pose import video_to_keypoints
from tests.conftest import hash_folder, wave, write_clip, write_frames
from tests.reliability.conftest import claim
from tests.reliability.server import Server, told_in_one_line
from tests.reliability.test_training import TRAINING, train, write_clips
from tests.test_pose import Stub

F = 24


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path.mkdir, (Path("harmed"),)  # type: ignore[return-value]


def evil_files(trained: Path) -> dict[str, bytes]:
    """Return files that carry a pickle: checkpoints, alone and beside weights, and arrays."""
    content = torch.load(trained, weights_only=True)
    made: dict[str, bytes] = {}
    for name, value in (("alone", Evil()), ("inside", {**content, "motion": Evil()})):
        for is_zip in (True, False):
            buffer = BytesIO()
            torch.save(value, buffer, _use_new_zipfile_serialization=is_zip)
            made[f"{name}_{is_zip}.pt"] = buffer.getvalue()
    buffer = BytesIO()
    np.save(buffer, np.array([Evil()], object), allow_pickle=True)
    made["array.npy"] = buffer.getvalue()
    buffer = BytesIO()
    np.savez(buffer, encoder=np.array([Evil()], object))
    made["arrays.npz"] = buffer.getvalue()
    return made


@claim("a file that carries a pickle is refused without running it", 2, 6)
def test_pickles_are_not_run(tmp_path: Path, server: Server, count: int) -> None:
    folder = write_clips(tmp_path)
    assert train(server, folder).code == 0
    path = folder / "log" / "wave_checkpoint.pt"
    for name, content in list(evil_files(path).items())[-count:]:
        path.write_bytes(content)
        for command in (
            ["tcc_train", *TRAINING, "--resume"],
            ["tcc_get_embed", "--dataset", "wave", "--mode", "val", "--checkpoint", path],
        ):
            done = server.run(*command, cwd=folder)
            assert told_in_one_line(done), done.output
            assert "is not a complete checkpoint of tcc_train.py" in done.output, name
    assert not (folder / "harmed").exists()


@claim("a checkpoint that names a path elsewhere writes nothing there", 1, 2)
def test_names_in_a_checkpoint_lead_nowhere(tmp_path: Path, server: Server, count: int) -> None:
    folder = write_clips(tmp_path / "work")
    assert train(server, folder).code == 0
    path = folder / "log" / "wave_checkpoint.pt"
    content = torch.load(path, weights_only=True)
    for name in ("../../../../harmed", str(tmp_path / "harmed"))[-count:]:
        scheduler = {**content["scheduler"], "last_epoch": 15}
        torch.save({**content, "step": 15, "scheduler": scheduler, "run": name}, path)
        done = train(server, folder)
        assert done.code == 0, done.output
    assert [other.name for other in tmp_path.iterdir()] == ["work"]
    assert {other.name for other in folder.iterdir()} == {"data", "log"}


def png_of(width: int, height: int) -> bytes:
    """Return a small PNG whose header claims a size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    small: bytes = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    return small[:12] + head + struct.pack(">I", zlib.crc32(head)) + small[33:]


def bmp_of(width: int, height: int) -> bytes:
    small: bytes = cv2.imencode(".bmp", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    return small[:18] + struct.pack("<ii", width, height) + small[26:]


def jpeg_of(width: int, height: int) -> bytes:
    small: bytes = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    start = small.index(b"\xff\xc0") + 5
    return small[:start] + struct.pack(">HH", height, width) + small[start + 4 :]


def claim_sizes(folder: Path, kind: str) -> None:
    """Change a clip with pictures so that one of its files claims an absurd size."""
    vis = folder / "vis"
    if kind in ("png", "bmp", "jpg"):
        made = {"png": png_of, "bmp": bmp_of, "jpg": jpeg_of}[kind](60_000, 60_000)
        (vis / "0.jpg").write_bytes(made)
    elif kind == "second":  # not the first, whose size is looked at
        (vis / "9.jpg").write_bytes(png_of(20_000, 20_000))
    elif kind == "video.json":
        content = {
            "timestamps_s": [f / 30 for f in range(F)],
            "width_px": 10**9,
            "height_px": 10**9,
        }
        (folder / "video.json").write_text(json.dumps(content))
    elif kind == "frames":
        records = json.loads((folder / "alphapose-results.json").read_text())
        for record in records:
            record["image_id"] = f"{10**8 * int(record['image_id'].split('.')[0])}.jpg"
        for path in vis.iterdir():
            path.unlink()
        vis.rmdir()
        (folder / "alphapose-results.json").write_text(json.dumps(records[:2]))
    elif kind == "canvas":
        numbers = (wave(F, 0)[0] / [640, 360, 1]).ravel().tolist()
        frame = {
            "people": [{"pose_keypoints_2d": numbers}],
            "canvas_width": 1e9,
            "canvas_height": 1e9,
        }
        (folder / "alphapose-results.json").write_text(json.dumps([frame] * F))


SIZES = ("png", "bmp", "jpg", "second", "video.json", "frames", "canvas")


@claim("a picture or JSON that claims an absurd size is refused, in 2 GB", 1, 1)
@pytest.mark.parametrize("kind", SIZES)
def test_absurd_sizes_are_refused(tmp_path: Path, server: Server, kind: str, count: int) -> None:
    test = tmp_path / "data" / "wave" / "test"
    for index, name in enumerate("ab"):
        write_clip(test / name, wave(F, index))
        write_frames(test / name, F)
    claim_sizes(test / "a", kind)
    done = server.run(
        "tcc_get_start", "--dataset", "wave", "a", "b", cwd=tmp_path, memory_mb=2048, limit_s=20
    )
    assert told_in_one_line(done), done.output
    assert done.peak_mb < 2048
    assert not list((tmp_path / "result").glob("*")), "nothing is half done"


@claim("a video that claims an absurd size is refused, in 2 GB", 0, 1)
def test_absurd_videos_are_refused(tmp_path: Path, server: Server, count: int) -> None:
    with av.open(str(tmp_path / "1.mp4"), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", 30)
        stream.width, stream.height, stream.pix_fmt = 9000, 8000, "yuvj420p"
        frame = av.VideoFrame(9000, 8000, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux([*stream.encode(frame), *stream.encode()])
    call = "tests.reliability.writers:write_clip_folder"
    done = server.run(call, 1, cwd=tmp_path, memory_mb=2048)
    assert told_in_one_line(done), done.output
    assert "more than 67 million pixels" in done.output


TEXTS = (
    "<img src=x onerror=alert(1)>", "a b", "it's", 'say "hi"', "跳 é 🎿", "-rf", "--help",
    "$(touch harmed)", "`touch harmed`", "&amp;", "{0}{name}", "%s%n", "a\nb", "\x1b[31mred",
    "a;b|c", "..a", "x" * 255, "é" * 127, "\N{RIGHT-TO-LEFT OVERRIDE}b", "*", "[ab]", "~", "#1",
    "a\\b",
)  # fmt: skip


@claim(
    "a name of signs, tags or 255 bytes is a name: page and subtitles escape it, and nothing else "
    "is written",
    1,
    24,
)
def test_names_are_used_as_they_are(tmp_path: Path, server: Server, count: int) -> None:
    """The names are those of the motion and of the clips; the page escapes them."""
    for number in np.linspace(0, len(TEXTS) - 1, count).round().astype(int):
        name = TEXTS[number]
        work = tmp_path / str(number) / "work"
        motion = name if len(name) < 100 else "wave"
        for index, clip in enumerate((name, "b")):
            write_clip(work / "data" / motion / "test" / clip, wave(F + index, index))
        before = hash_folder(tmp_path)
        done = server.run(
            "tcc_report", f"--dataset={motion}", f"--learner={name}", "--standard=b", "--no-video",
            "--events=takeoff=8,landing=14", cwd=work,
        )  # fmt: skip
        assert done.code == 0, done.output
        odd = [x for x in done.output.splitlines() if not x.startswith(("note: ", "warning: "))]
        assert not odd
        after = hash_folder(tmp_path)
        assert before.items() <= after.items()
        result = work / "result"
        assert all(str(tmp_path / path).startswith(f"{result}/") for path in after.keys() - before)
        [page] = result.rglob("report.html")
        html = page.read_text()
        assert "<img src=x" not in html
        assert "<" not in page.with_name("phases.srt").read_text(), "a subtitle may hold tags"
        assert "onerror=alert(1)>" not in html.replace("onerror=alert(1)&gt;", "")


@claim("a link in place of a result is replaced; what it leads to is not changed", 1, 3)
def test_links_are_not_followed(tmp_path: Path, server: Server, count: int) -> None:
    work = tmp_path / "work"
    for index, name in enumerate("ab"):
        write_clip(work / "data" / "wave" / "test" / name, wave(F, index))
    arguments = [
        ["tcc_get_embed", "--dataset", "wave"],
        ["tcc_get_start", "--dataset", "wave", "--no-video"],
        ["tcc_report", "--dataset", "wave", "--no-video"],
    ][:count]
    outside = tmp_path / "outside"
    outside.mkdir()
    for choice in arguments:
        assert server.run(*choice, cwd=work).code == 0
    results = [path for name in ("log", "result") for path in (work / name).rglob("*.*")]
    for path in results:
        (outside / path.name).write_text("of somebody else")
        path.unlink()
        path.symlink_to(outside / path.name)
    before = hash_folder(outside)
    for choice in arguments:
        done = server.run(*choice, cwd=work)
        assert done.code == 0 or told_in_one_line(done), done.output
    assert hash_folder(outside) == before
    assert not any(path.is_symlink() for path in (work / "log").iterdir())


@claim("a name that leads elsewhere is refused or used as a name", 1, 1)
def test_names_that_lead_elsewhere(tmp_path: Path, server: Server, count: int) -> None:
    work = tmp_path / "work"
    write_clip(work / "data" / "wave" / "test" / "a", wave(F, 0))
    write_clip(tmp_path / "b", wave(F, 1))
    for motion in ("..", "../work", "a/b", "/tmp", ""):
        done = server.run("tcc_get_embed", f"--dataset={motion}", cwd=work)
        assert told_in_one_line(done), done.output
    done = server.run("tcc_report", "--dataset=wave", "a", "../b", "--no-video", cwd=work)
    assert done.code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"work", "b"}
    assert {path.name for path in (work / "result").iterdir()} == {"a_vs_b"}
    for name in ("..mp4", "...mp4"):
        with pytest.raises(UserError, match=r"the name of its clip would be \.+; rename it"):
            video_to_keypoints(Path(name), work / "data" / Path(name).stem, Stub())
