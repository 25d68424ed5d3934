"""Settings, errors, output files and exit codes."""

from __future__ import annotations

import ast
import errno
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from msgspec import Meta

import tcc
from tcc import cli
from tcc.files import UserError, whole, write_json
from tcc_config import AFTER_TRAINING, TRAINING, Config
from tests.conftest import ROOT, Call


def test_set_dataset_and_seed_reach_the_config() -> None:
    config = Config()
    argv = ["--dataset", "lutz", "--seed", "7", "--set", "BATCH_SIZE=8", "--set", "NUM_STEPS=20"]
    args = cli.parse(cli.parser("Do it.", Config.__slots__), config, argv)
    assert (config.DATASET, config.SEED, config.BATCH_SIZE, config.NUM_STEPS) == ("lutz", 7, 8, 20)
    assert args.mode == "test"
    cli.parse(cli.parser("Do it.", Config.__slots__), config, ["--set", "NUM_STEPS=None"])
    assert config.NUM_STEPS is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("BATCH_SIZE", "expected NAME=VALUE"),
        ("BATCHSIZE=3", "tcc_config.py has no setting BATCHSIZE; did you mean BATCH_SIZE"),
        (
            "BATCH_SIZE=1",
            "BATCH_SIZE=1: expected a whole number that is at least 2 and at most 4096",
        ),
        ("BATCH_SIZE=many", "BATCH_SIZE=many: expected a whole number that is at least 2 and"),
        (
            "LOSS_TYPE=mse",
            "LOSS_TYPE=mse: expected one of regression_mse_var, regression_mse, regression_huber,",
        ),
        (
            "EMBEDDING_SIZE=5",
            "a whole number that is at least 2 and at most 4096 and a multiple of 2; see docs",
        ),
        ("EMBEDDING_SIZE=5000", "EMBEDDING_SIZE=5000: expected a whole number that is at least 2"),
        ("MAX_ROTATION=1e308", "1e308: expected a number that is at least 0 and at most 180; see"),
        ("FPS=1e-5", "FPS=1e-5: expected a number that is at least 1 and at most 1000; see"),
        ("FEATURE_FPS=1e7", "FEATURE_FPS=1e7: expected a number that is at least 1 and at most 1"),
        (
            "NUM_STEPS=none",
            "NUM_STEPS=none: expected a whole number that is at least 2 and at most 4096, or None",
        ),
        ("TOP_K=None", "TOP_K=None: expected a whole number that is at least 1 and at most 10000"),
        ("TEMPERATURE=0", "TEMPERATURE=0: expected a number that is greater than 0 and at most 1e"),
        ("NUM_VIDEOS=3", "NUM_VIDEOS=3: expected a whole number that is at least 4; see docs/set"),
        ("SEED=-1", "SEED=-1: expected a whole number that is at least 0 and less than 42949672"),
        ("SEED=4294967296", "at least 0 and less than 4294967296; see docs/settings.md"),
        ("EMBEDDING_SIZE=1", "EMBEDDING_SIZE=1: expected a whole number that is at least 2"),
        ("KERNEL_SIZE=4", "KERNEL_SIZE=4: expected one of 1, 3, 5, 7, 9; see"),
        ("NORMALIZE_INDICES=2", "NORMALIZE_INDICES=2: expected true or false; see"),
        ("JITTER=nan", "JITTER=nan: expected a number that is at least 0 and at most 1e+30; see"),
        ("LEARNING_RATE=inf", "=inf: expected a number that is greater than 0 and at most 1e+30"),
        ("DATASET=lutz", "--set DATASET=lutz: name the motion with --dataset lutz"),
        ("MAX_SCALE=.x", "MAX_SCALE=.x: expected a number that is at least 0 and at most 1"),
    ],
)
def test_bad_setting_is_named(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        cli.parse(cli.parser("Do it.", Config.__slots__), Config(), ["--set", setting])


@pytest.mark.parametrize("motion", ["data/axel/", "..", ""])
def test_bad_name_of_a_motion_is_named(motion: str) -> None:
    message = re.escape(f"--dataset {motion}: expected the name of a motion, for example axel: a f")
    with pytest.raises(UserError, match=message):
        cli.parse(cli.parser("Do it.", []), Config(), ["--dataset", motion])


@pytest.mark.parametrize(("text", "value"), [(".1", 0.1), ("1.", 1.0), ("1e-1", 0.1), ("1", 1.0)])
def test_numbers_are_read_as_people_write_them(text: str, value: float) -> None:
    config = Config()
    cli.parse(cli.parser("Do it.", Config.__slots__), config, ["--set", f"MAX_SCALE={text}"])
    assert value == config.MAX_SCALE


def test_options_that_mean_nothing_to_a_command_are_not_offered() -> None:
    parser = cli.parser("Do it.", [], without=["seed", "dataset", "data-dir"])
    cli.parse(parser, Config(), [])
    for option in ("--seed=1", "--dataset=axel", "--data-dir=x"):
        with pytest.raises(SystemExit):
            cli.parse(parser, Config(), [option])


def test_a_setting_that_the_command_does_not_read_is_refused() -> None:
    parser = cli.parser("Do it.", ["TOP_K", "FPS"])
    parser.prog = "tcc_x.py"
    config = Config()
    cli.parse(parser, config, ["--set", "TOP_K=7", "--set", "FPS=25"])
    assert (config.TOP_K, config.FPS) == (7, 25)
    for setting, command in (
        ("BATCH_SIZE=8", "tcc_train.py"),
        ("KENDALLS_TAU_STRIDE=2", "tcc_get_kendalls_tau.py"),
    ):
        name = setting.partition("=")[0]
        message = f"--set {name}: this is a setting of {command}; tcc_x.py does not use it$"
        with pytest.raises(UserError, match=message):
            cli.parse(parser, config, ["--set", setting])


def test_training_and_the_commands_after_it_read_every_setting_once() -> None:
    names = [name for names in AFTER_TRAINING.values() for name in names]
    assert sorted([*TRAINING, *names]) == sorted(Config.__slots__)


@pytest.mark.parametrize("path", [*ROOT.glob("*.py"), *ROOT.glob("tcc/**/*.py")], ids=str)
def test_only_the_parser_writes_settings(path: Path) -> None:
    written = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr.isupper()
        and not ast.unparse(node).startswith("numba.")
    ]
    names = {ast.unparse(node) for node in written}
    assert names == ({"config.DATASET", "config.SEED"} if path.name == "cli.py" else set())
    assert path.name == "cli.py" or "setattr(" not in path.read_text()


def test_seed_below_zero_and_person_zero_are_named() -> None:
    with pytest.raises(UserError, match="SEED=-1: expected a whole number that is at"):
        cli.parse(cli.parser("Do it.", Config.__slots__), Config(), ["--seed", "-1"])
    parser = cli.parser("Do it.", Config.__slots__)
    cli.add_pair(parser)
    with pytest.raises(UserError, match=r"--person 0: expected 1 \(the main person\), 2"):
        cli.parse(parser, Config(), ["--person", "0"])


def test_an_edited_default_is_checked_too() -> None:
    config = Config(LEARNING_RATE=-1.0)
    with pytest.raises(UserError, match="LEARNING_RATE=-1.0"):
        cli.parse(cli.parser("Do it.", Config.__slots__), config, [])


def test_the_type_of_a_setting_is_described_in_words() -> None:
    """Also of a type that no setting has today."""
    described = {
        bool: "true or false",
        int: "a whole number",
        str: "text",
        float | None: "a number, or None",
        Literal["a", 2]: "one of a, 2",
        Annotated[int, Meta(gt=1), Meta(multiple_of=3)]: (
            "a whole number that is greater than 1 and a multiple of 3"
        ),
        Annotated[float, Meta(ge=0.5, lt=2)] | None: (
            "a number that is at least 0.5 and less than 2, or None"
        ),
        list[int]: "list[int]",
    }
    for hint, words in described.items():
        assert cli.describe_type(hint) == words
    with pytest.raises(UserError, match=r"setting DATASET=5: expected text; see docs/settings.md"):
        cli.check(Config(DATASET=5))  # type: ignore[arg-type]


def test_every_default_is_allowed() -> None:
    config = Config()
    cli.check(config)
    assert config == Config()
    assert all(field.name.isupper() for field in fields(config))


@pytest.mark.parametrize(
    ("raised", "code", "printed"),
    [
        (UserError("no clip; add one"), 2, "error: no clip; add one\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_exit_codes(
    raised: BaseException, code: int, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise raised

    with pytest.raises(SystemExit) as stopped:
        cli.run(main)
    assert stopped.value.code == code
    assert capsys.readouterr().err == printed


@pytest.mark.parametrize("bug", [ZeroDivisionError(), OSError(errno.EBADF, "closed")])
def test_a_bug_is_not_hidden(bug: Exception) -> None:
    def main() -> None:
        raise bug

    with pytest.raises(type(bug)):
        cli.run(main)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENOENT])
def test_a_full_disk_or_a_bad_name_is_told_in_one_line(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise OSError(number, os.strerror(number), "result/a.mp4")

    with pytest.raises(SystemExit) as stopped:
        cli.run(main)
    assert stopped.value.code == 2
    message = f"error: result/a.mp4: {os.strerror(number)}; fix this and run again\n"
    assert capsys.readouterr().err == message


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("a file, not a folder")
    path = tmp_path / "result" / "start.json"
    with pytest.raises(
        UserError, match=r"can't write .*start.json \(.*\); fix this or choose another f"
    ):
        write_json(path, {})


@pytest.mark.parametrize("name", ["folder.json", "n" * 251 + ".json"])
def test_what_cannot_be_replaced_is_told_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with (
        pytest.raises(UserError, match=r"can't write .*json \((Is a dir|File name).*\); f"),
        whole(tmp_path / name),
    ):
        pytest.fail("the work began")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.json"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("tcc_*.py")), ids=lambda path: path.stem)
def test_help_of_every_command_has_its_example(
    path: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = getattr(importlib.import_module(path.stem), "main", None)
    if main is None:
        assert "__main__" not in path.read_text()
        return
    with pytest.raises(SystemExit) as stopped:
        call(main, "--help", cwd=tmp_path)
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert f"python3 {path.name}" in printed
    assert "--set NAME=VALUE" in printed
    listed = re.sub(r"\s+", " ", printed).split("for this run: ")[1].split("; repeat it")[0]
    few = re.fullmatch("[A-Z_]+(, [A-Z_]+){0,3}", listed)
    assert few or listed == (
        "for example BATCH_SIZE=8 or LEARNING_RATE=0.0005, see docs/settings.md"
    )


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.pick_device("cpu").type == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert cli.pick_device("auto").type == "cpu"
    for name in ("cuda", "mps"):
        with pytest.raises(
            UserError, match=f"{name}: this computer has no such device; use --device cpu"
        ):
            cli.pick_device(name)


def test_whole_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with whole(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_reads_a_result(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_json(tmp_path / "out.json", {})
    finally:
        os.umask(before)
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == mode


def test_json_has_the_schema_version_and_null_for_undefined(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_json(path, {"tau": np.nan, "matrix": np.array([[1.5, np.nan]]), "frame": np.int64(3)})
    expected = {"schema_version": 1, "tau": None, "matrix": [[1.5, None]], "frame": 3}
    assert json.loads(path.read_text()) == expected


COMMANDS = sorted(path for path in ROOT.glob("tcc_*.py") if "__main__" in path.read_text())
REMEDY = "run: . .venv/bin/activate, or make demo for the set-up\n"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_without_the_packages_every_command_says_so_in_one_line(path: Path, tmp_path: Path) -> None:
    """Python with -S does not find the installed packages."""
    done = subprocess.run(
        [sys.executable, "-S", path], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == f"error: the package torch is missing; {REMEDY}"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("missing", ["torch", "tqdm"])
def test_the_missing_package_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tcc, "find_spec", lambda name: name != missing)
    with pytest.raises(SystemExit) as stopped:
        tcc._require_packages()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: the package {missing} is missing; {REMEDY}"


def test_a_python_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 13))
    monkeypatch.setattr("sys.version", "3.10.13 (main, ...)")
    monkeypatch.setattr(tcc, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        tcc._require_packages()
    told = f"error: Python 3.10.13 is too old, 3.11 or newer is needed; {REMEDY}"
    assert capsys.readouterr().err == told


def test_all_required_packages_are_looked_for() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {re.split(r"[=<>]", line)[0] for line in lines}
    modules = importlib.metadata.packages_distributions()
    found = {name for module in tcc.PACKAGES for name in modules[module]}
    assert required <= {name.lower() for name in found}
    assert len(tcc.PACKAGES) == len(required)
