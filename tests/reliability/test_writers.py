"""Whatever is killed while it writes leaves the old file or the new one, whole."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from tcc.pose import read_info
from tests.conftest import hash_folder, wave, write_clip
from tests.reliability.conftest import claim
from tests.reliability.server import Server
from tests.test_pose import write_clip as write_pose_video

WRITERS = {
    "checkpoint": "out.pt", "numbers": "out.json", "array": "out.npy", "png": "out.png",
    "jpeg": "out.jpg", "mp4": "out.mp4", "html": "out.html", "clip_toml": "clip.toml",
}  # fmt: skip


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@claim(
    "a writer that is killed leaves the old file or the new one, no other after the next run",
    3,
    100,
)
@pytest.mark.parametrize("kind", WRITERS)
def test_killed_writer_leaves_a_whole_file(
    tmp_path: Path, server: Server, kind: str, count: int
) -> None:
    path, call = tmp_path / WRITERS[kind], f"tests.reliability.writers:write_{kind}"
    known, whole_s = set(), 0.0
    for version in (1, 0):
        done = server.run(call, str(version), cwd=tmp_path)
        assert done.code == 0, done.output
        known.add(digest(path))
        whole_s = done.wall_s
    assert len(known) == 2
    chance = random.Random(kind)
    kills = version = 0
    while kills < count:
        version = 1 - version
        done = server.run(call, str(version), cwd=tmp_path, kill_s=chance.uniform(0, whole_s))
        kills += done.was_killed
        assert done.was_killed or done.code == 0, done.output
        assert digest(path) in known
        left = [other.name for other in tmp_path.iterdir() if other != path]
        assert len(left) <= 1, left
    assert server.run(call, "1", cwd=tmp_path).code == 0
    assert list(tmp_path.iterdir()) == [path]


@claim("a conversion of a video that is killed is completed by the next run", 2, 100)
def test_killed_conversion_is_completed(tmp_path: Path, server: Server, count: int) -> None:
    call = "tests.reliability.writers:write_clip_folder"
    hashes, whole_s = [], 0.0
    for version in (0, 1):
        write_pose_video(tmp_path / f"{version}.mp4", 6 + version)
        done = server.run(call, str(version), cwd=tmp_path)
        assert done.code == 0, done.output
        hashes.append(hash_folder(tmp_path / "clip"))
        whole_s = done.wall_s
    known = {(name, value) for files in hashes for name, value in files.items()}
    chance = random.Random(0)
    kills, version = 0, 1
    while kills < count:
        version = 1 - version
        done = server.run(call, str(version), cwd=tmp_path, kill_s=chance.uniform(0, whole_s))
        assert done.was_killed or done.code == 0, done.output
        kills += done.was_killed
        assert set(hash_folder(tmp_path / "clip").items()) <= known
    assert server.run(call, "1", cwd=tmp_path).code == 0
    assert hash_folder(tmp_path / "clip") == hashes[1]
    assert read_info(tmp_path / "clip")
    assert {path.name for path in tmp_path.iterdir()} == {"0.mp4", "1.mp4", "clip"}


@claim("a report that is killed leaves whole files, and the next run completes it", 0, 40)
def test_killed_report_is_completed(tmp_path: Path, server: Server, count: int) -> None:
    for index, name in enumerate("ab"):
        write_clip(tmp_path / "data" / "wave" / "test" / name, wave(24 + 2 * index, index))
    result = tmp_path / "result"
    arguments = [
        ["--dataset", "wave", "--no-video", "--events", f"takeoff={frame},landing=14"]
        for frame in (8, 9)
    ]
    known, whole_s = set(), 0.0
    for choice in arguments:
        done = server.run("tcc_report", *choice, cwd=tmp_path)
        assert done.code == 0, done.output
        known |= set(hash_folder(result / "a_vs_b").items())
        whole_s = done.wall_s
    names = {name for name, _ in known}
    chance = random.Random(0)
    kills, turn = 0, 1
    while kills < count:
        turn = 1 - turn
        # Half of the kills come in the last tenth, when the files are written and moved.
        start_s = chance.choice((0, 0.9)) * whole_s
        kill_s = chance.uniform(start_s, whole_s)
        done = server.run("tcc_report", *arguments[turn], cwd=tmp_path, kill_s=kill_s)
        assert done.was_killed or done.code == 0, done.output
        kills += done.was_killed
        for folder in result.glob("a_vs_b*"):
            assert set(hash_folder(folder).items()) <= known
    for choice in arguments:
        assert server.run("tcc_report", *choice, cwd=tmp_path).code == 0
    assert set(hash_folder(result / "a_vs_b")) == names
    assert not list(result.glob(".*"))
