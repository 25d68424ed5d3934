"""Folders of results: written as a whole, and kept if another result takes their name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tcc.files import UserError, whole_folder, write_json


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
