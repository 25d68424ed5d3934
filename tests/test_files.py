"""Folders of results: written as a whole, and kept if another result takes their name."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import PIPE

import pytest

from tcc.files import TEMPORARY, UserError, alone, whole, whole_folder, write_json
from tests.conftest import ROOT

# Writes half a file and half a folder, and is then killed; or says "ready" and waits.
WRITER = """
import os, signal, sys
from pathlib import Path
from tcc.files import whole, whole_folder
with whole(Path("file.txt")) as file, whole_folder(Path("a_vs_b"), {}, "s.json") as folder:
    file.write_text("half"), (folder / "page.html").write_text("half")
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("ready", flush=True)
    sys.stdin.read()
"""


def write_result(folder: Path, inputs: dict[str, str], *names: str) -> None:
    """Write a result: its JSON file and some others."""
    with whole_folder(folder, inputs, "summary.json") as made:
        write_json(made / "summary.json", {"inputs": inputs})
        for name in names:
            (made / name).parent.mkdir(exist_ok=True)
            (made / name).write_text(name)


def test_a_folder_appears_as_a_whole_and_other_files_in_it_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "a_vs_b"
    write_result(folder, {"learner": "1"}, "page.html", "frames/1.json")
    (folder / "notes.txt").write_text("of the coach")
    write_result(folder, {"learner": "1"}, "page.html", "frames/1.json")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == ["frames/1.json", "notes.txt", "page.html", "summary.json"]
    assert [path.name for path in folder.parent.iterdir()] == ["a_vs_b"]


def test_nothing_is_left_if_the_work_fails(tmp_path: Path) -> None:
    result = tmp_path / "a_vs_b", {"learner": "2"}, "summary.json"
    with pytest.raises(ZeroDivisionError), whole_folder(*result) as made:
        (made / "page.html").write_text("half")
        assert 1 / 0
    assert not list(tmp_path.iterdir())
    write_result(tmp_path / "a_vs_b", {"learner": "1"}, "page.html")
    with pytest.raises(ZeroDivisionError), whole_folder(*result) as made:
        (made / "page.html").write_text("half")
        assert 1 / 0
    assert (tmp_path / "a_vs_b" / "page.html").read_text() == "page.html"
    assert [path.name for path in tmp_path.iterdir()] == ["a_vs_b"]


def test_the_result_of_other_inputs_is_kept_under_another_name(tmp_path: Path) -> None:
    folder = tmp_path / "a_vs_b"
    for learner in ("1", "2", "3", "2", "1"):
        write_result(folder, {"learner": learner}, f"{learner}.txt")
        (folder / f"note{learner}.txt").touch()
    kept = {
        path.name: json.loads((path / "summary.json").read_text())["inputs"]["learner"]
        for path in tmp_path.iterdir()
    }
    assert kept == {"a_vs_b": "1", "a_vs_b_earlier_1": "1", "a_vs_b_earlier_2": "2",
                    "a_vs_b_earlier_3": "3"}  # fmt: skip
    for number, learner in enumerate("123", 1):
        names = {path.name for path in (tmp_path / f"a_vs_b_earlier_{number}").iterdir()}
        assert names == {"summary.json", f"{learner}.txt", f"note{learner}.txt"}


def test_a_folder_of_the_user_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "a_vs_b"
    folder.mkdir()
    write_result(folder, {})  # an empty folder may be filled
    (folder / "summary.json").rename(folder / "mine.json")
    with pytest.raises(UserError, match=r"a_vs_b: this folder has no summary.json, so it is not a"):
        write_result(folder, {})
    (tmp_path / "file").touch()
    for name in ("file", "file/inside"):
        with pytest.raises(UserError, match=rf"can't write .*{name} \(Not a directory\); fix this"):
            write_result(tmp_path / name, {})
    assert {path.name for path in tmp_path.iterdir()} == {"a_vs_b", "file"}
    assert [path.name for path in folder.iterdir()] == ["mine.json"]


def test_what_a_killed_run_left_is_deleted_but_not_what_is_in_use(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = partial(subprocess.Popen[str], cwd=tmp_path, env=environment, text=True)
    killed = start([sys.executable, "-c", WRITER, "kill"])
    assert killed.wait() < 0
    assert len(list(tmp_path.glob(f"{TEMPORARY}*"))) == 2
    running = start([sys.executable, "-c", WRITER, "wait"], stdin=PIPE, stdout=PIPE)
    assert running.stdout
    assert running.stdout.readline().strip() == "ready"
    write_json(tmp_path / "other.json", {})
    assert len(list(tmp_path.glob(f"{TEMPORARY}*"))) == 2  # those of the run that is not killed
    running.communicate()
    assert {path.name for path in tmp_path.iterdir()} == {"other.json", "file.txt", "a_vs_b"}


@pytest.mark.parametrize("left", [".", "openpose/learner"])
def test_a_folder_without_a_file_may_be_filled(tmp_path: Path, left: str) -> None:
    """A run that was killed while it renamed an earlier result leaves empty folders."""
    (tmp_path / "a_vs_b" / left).mkdir(parents=True)
    write_result(tmp_path / "a_vs_b", {}, "page.html")
    assert (tmp_path / "a_vs_b" / "page.html").exists()


@pytest.mark.parametrize("moves", range(6))
def test_a_kill_while_files_are_moved_leaves_a_folder_that_the_next_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    """The results of learner 1 and 2 take turns; the third run is killed after some moves."""
    folder = tmp_path / "a_vs_b"
    for learner in ("1", "2"):
        write_result(folder, {"learner": learner}, "a.html", "z.csv")
    done: list[Path] = []
    replace = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if target.parent.parent == tmp_path and not path.name.startswith(TEMPORARY):
            done.append(path)
            if len(done) > moves:
                raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(Path, "replace", killed)
        write_result(folder, {"learner": "2"}, "a.html", "z.csv")
        write_result(folder, {"learner": "1"}, "a.html", "z.csv")
    write_result(folder, {"learner": "1"}, "a.html", "z.csv")
    assert {path.name for path in folder.iterdir()} == {"a.html", "z.csv", "summary.json"}
    assert json.loads((folder / "summary.json").read_text())["inputs"] == {"learner": "1"}


def test_a_second_process_in_a_folder_is_told(tmp_path: Path) -> None:
    with (
        alone(tmp_path, "training"),
        pytest.raises(UserError, match="another training is running and writes there; wait"),
        alone(tmp_path, "training"),
    ):
        pytest.fail("both run")
    with alone(tmp_path, "training"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, None])
def test_a_full_disk_is_told_with_the_file(tmp_path: Path, number: int | None) -> None:
    problem = OSError("5 of 9 written") if number is None else OSError(number, "full")
    told = r"can't write .*a.npy \((full|disk full: 5 of 9 written)\); fix"
    with pytest.raises(UserError, match=told), whole(tmp_path / "a.npy"):
        raise problem
    assert not list(tmp_path.iterdir())
