"""README.md and docs/: every command runs, and every file, link, setting and field exists.

python3 -m tests.test_docs    writes the table of docs/settings.md and docs/summary.schema.json
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tokenize
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import cv2
import msgspec
import pytest

from tcc.report.summary import Summary
from tcc_config import Config
from tests.conftest import ROOT, wave, write_clip, write_frames

README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
SCHEMA = ROOT / "docs" / "summary.schema.json"
LINK = re.compile(r"\]\(([^)\s]+)\)")
TABLE = re.compile(r"(<!-- settings.*?-->\n)(.*?)(<!-- end of settings -->)", re.DOTALL)
# Commands that are slow or need packages that are not installed here: the test that runs them.
ELSEWHERE = {
    "make demo": "test_demo.py",
    "python3 tcc_get_pose.py": "test_pose.py",
    "python3 tcc_get_embed.py --dataset axel --mode train --scheduler": "test_jobs.py",
    "python3 tcc_get_start.py my.mov coach.mp4": "test_clip_cache.py",
    "python3 tcc_report.py my.mov coach.mp4": "test_report.py",
    "python3 -m pip install -r requirements-pose.txt": "test_pose.py",
    "python3 -m pip install -r requirements-cluster.txt": "test_jobs.py",
    "python3 -m dask": "test_jobs.py",
    "torchrun --nproc-per-node 2 tcc_train.py": "test_processes.py",
}
# Commands on recorded data, and arguments that are added here to make them short.
RECORDED = ("$TCC_REAL_DATA", "/tmp/real", "benchmarks")
FEWER = {
    "tcc_evaluate.py": " --clips 4",
    "benchmarks/real_data.py": " --cameras 2",
    "benchmarks/pose.py": " --frames 1 --weights {models}/movenet_multipose_as_rtmo.onnx",
    "benchmarks/measures.py": " --cameras 1 --jumps 20",
    "benchmarks.instructions": " --seeds 1 --jumps 24",
    "benchmarks.protocol": " --seeds 1",
    "benchmarks.tracking": " --scenes 2",
    "benchmarks.bench": " --quick --only loss",
}
SHORT = (
    ("pose.py", "(10, 60, 600)", "(10,)"),
    ("events.py", "if row_mode == mode\n    ]", "if row_mode == mode\n    ][-4:]"),
    ("protocol.py", "MAX_CLIPS = 32", "MAX_CLIPS = 4"),
    ("protocol.py", "progress(list(groups),", "progress(list(groups)[:1],"),
    ("confidence.py", "MOST_PAIRS = 300", "MOST_PAIRS = 4"),
    ("confidence.py", "else chosen(clips))", "else chosen(clips))[:3]"),
    ("instructions.py", "CLIPS = 24", "CLIPS = 5"),
    ("instructions.py", "(110.0, 8.0), (-80.0, 15.0), ", ""),
)
# Settings for a quick training.
QUICK = {
    "HIDDEN_SIZE": "16",
    "EMBEDDING_SIZE": "8",
    "MAX_NUM_TRAINING_STEPS": "12",
    "SAVE_CKPT_STEPS": "6",
}
# Runs all lines in one Python process, so that PyTorch, which takes longest, is imported once.
TYPE = """
import runpy, shlex, subprocess, sys, time
sys.path.insert(0, "")
started = time.perf_counter()
for line in sys.argv[1:]:
    print(f"$ {line} ({time.perf_counter() - started:.0f} s)", flush=True)
    program, *arguments = shlex.split(line)
    if program != "python3" or not arguments[0].endswith(".py"):
        subprocess.run(line, shell=True, check=True)
        continue
    for name in [name for name in sys.modules if name.startswith("tcc")]:
        del sys.modules[name]
    sys.argv = arguments
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as stopped:
        if stopped.code:
            raise
"""


def describe(path: Path) -> dict[str, str]:
    """Return the comment of each setting in tcc_config.py."""
    lines: dict[int, str] = {}
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                lines[token.start[0]] = token.string.removeprefix("#").strip()
    described = {}
    names = {field.name for field in fields(Config)}
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id in names
        ):
            span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            described[node.target.id] = " ".join(lines[line] for line in span if line in lines)
    return described


def choices(hint: object) -> str:
    """Return the choices of a Literal, also inside Annotated; empty for other types."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return ": " + ", ".join(f"`{choice}`" for choice in get_args(hint))
    return ""


def settings_table() -> str:
    """Return the table of all settings."""
    described = describe(ROOT / "tcc_config.py")
    hints = get_type_hints(Config, include_extras=True)
    rows = [
        f"| `{name}` | `{default}` | {described[name]}{choices(hints[name])} |"
        for name, default in ((field.name, field.default) for field in fields(Config))
    ]
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows, ""])


def pages() -> list[Path]:
    """Return README.md and the pages that it links to, in its order."""
    links = LINK.findall(README.read_text())
    found = [ROOT / link for link in links if link.endswith(".md")]
    return list(dict.fromkeys([README, *found]))


def text() -> str:
    """Return the text of all pages."""
    return "\n".join(page.read_text() for page in pages())


def commands() -> list[str]:
    """Return all command lines of the pages, in order."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def documented_fields() -> dict[str, set[str]]:
    """Return the fields of each JSON file that docs/output.md describes in a section."""
    sections = re.findall(
        r"^### `(.*?\.json)`\n(.*?)(?=^#|\Z)",
        (ROOT / "docs" / "output.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    return {
        pattern: {
            name
            for cell in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", cell)
        }
        for pattern, section in sections
    }


def test_settings_are_those_of_the_config() -> None:
    described = describe(ROOT / "tcc_config.py")
    assert len(described) == len(fields(Config))
    assert all(described.values())
    found = TABLE.search(SETTINGS.read_text())
    assert found
    assert found[2] == settings_table(), "run: python3 -m tests.test_docs"
    named = set(re.findall(r"--set (\w+)=", text())) - {"NAME"}
    assert named <= {field.name for field in fields(Config)}


def test_every_page_is_linked_from_the_readme_and_every_link_resolves() -> None:
    assert set(pages()) == {README, *(ROOT / "docs").glob("*.md")}
    for page in pages():
        for link in LINK.findall(page.read_text()):
            path, _, anchor = link.partition("#")
            if path.startswith("https://"):
                continue
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_command_is_told_and_every_named_file_exists() -> None:
    for program in ROOT.glob("tcc_*.py"):
        assert f"`{program.name}`" in text(), program
    for command in ("tcc_train", "tcc_get_embed", "tcc_get_start", "tcc_align"):
        assert f"python3 {command}.py" in text()
    for folder in ("tests/", "benchmarks/", "data/", "log/", "result/", "tcc/"):
        assert f"`{folder}`" in text()
    named = re.findall(r"`((?:tests|tcc|benchmarks|docs)/[\w./]*|tcc_\w+\.py|[\w-]+\.txt)`", text())
    for path in named:
        assert (ROOT / path).exists(), path


def test_picture_is_small_and_opens() -> None:
    path = ROOT / "docs" / "example.jpg"
    assert path.stat().st_size <= 150_000
    assert cv2.imread(str(path)) is not None


@pytest.mark.parametrize("start", ELSEWHERE)
def test_what_is_run_elsewhere_is(start: str) -> None:
    named = re.findall(r"[\w-]+\.(?:py|txt)", start.replace("make demo", "tcc_demo.py"))
    assert all((ROOT / name).exists() for name in named)
    word = named[0].removesuffix(".py") if named else start.split()[-1]
    assert word in (ROOT / "tests" / ELSEWHERE[start]).read_text()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the program with clips of an axel, quick settings, python3 and .venv."""
    for path in [
        *ROOT.glob("*.py"),
        *ROOT.glob("*.txt"),
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
    ]:
        shutil.copy(path, tmp_path)
    shutil.copytree(ROOT / "tcc", tmp_path / "tcc")
    (tmp_path / "tests").mkdir()
    for name in ("test_metrics.py", "jumpers.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests")
    config = (tmp_path / "tcc_config.py").read_text()
    for name, value in QUICK.items():
        config, count = re.subn(rf"({name}: .*?) = \w+", rf"\1 = {value}", config)
        assert count == 1
    (tmp_path / "tcc_config.py").write_text(config)
    for mode in ("train", "val", "test"):
        for index in range(1, 5):
            folder = tmp_path / "data" / "axel" / mode / f"jump{index}"
            write_clip(folder, wave(20 + index, index, 1 + 0.1 * index))
            if mode != "train":
                write_frames(folder, 20 + index)
    rows = [f"val,jump{index},{8 + index},{14 + index}" for index in range(1, 5)]
    labels = "\n".join(["mode,video,takeoff_frame,landing_frame", *rows])
    (tmp_path / "data" / "axel" / "labels.csv").write_text(labels)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    for shim in ("bin/python3", ".venv/bin/python"):
        (tmp_path / shim).parent.mkdir(exist_ok=True)
        (tmp_path / shim).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (tmp_path / shim).chmod(0o755)
    for stamp in ("ready", "ready-dev"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def type_all(copy: Path, typed: list[str], **environment: str) -> None:
    """Type lines into a shell in the copy, one after the other."""
    environment = {**os.environ, **environment, "PATH": f"{copy / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", TYPE, *typed],
        cwd=copy, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stderr


@pytest.mark.real
def test_every_command_on_recorded_data_runs(
    copy: Path, tmp_path_factory: pytest.TempPathFactory, real_data: Path
) -> None:
    shutil.copytree(ROOT / "benchmarks", copy / "benchmarks")
    for name, long, short in SHORT:
        path = copy / "benchmarks" / name
        program = path.read_text()
        assert long in program
        path.write_text(program.replace(long, short))
    made = tmp_path_factory.mktemp("real")
    typed = [line for line in commands() if any(word in line for word in RECORDED)]
    assert len(typed) >= 5
    for index, line in enumerate(typed):
        program = line.removeprefix("python3 -m ").removeprefix("python3 ").split()[0]
        line = line.replace("$TCC_REAL_DATA", str(real_data)).replace("/tmp/real", str(made))
        typed[index] = line.replace("--seeds 3", "--seeds 1") + FEWER.get(program, "").format(
            models=real_data.parent / "models"
        )
    type_all(copy, typed, TCC_REAL_DATA=str(real_data))


def test_every_command_runs(copy: Path) -> None:
    left = (*ELSEWHERE, *(line for line in commands() if any(word in line for word in RECORDED)))
    typed = [line for line in commands() if not line.startswith(left)]
    assert len(typed) > 10
    type_all(copy, typed)
    for pattern in re.findall(r"`((?:log|result)/[\w<>.]+)`", text()):
        assert list(copy.glob(re.sub(r"<\w+>", "*", pattern))), pattern
    assert len(documented_fields()) >= 6
    for pattern, documented in documented_fields().items():
        for path in copy.glob(re.sub(r"<\w+>", "*", pattern)):
            assert set(json.loads(path.read_text())) - {"schema_version"} == documented, path


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(msgspec.json.schema(Summary), indent=1) + "\n")
    SETTINGS.write_text(
        TABLE.sub(lambda found: found[1] + settings_table() + found[3], SETTINGS.read_text())
    )
