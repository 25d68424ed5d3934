"""Jobs in processes of this computer and on a Dask cluster, of which a worker is killed."""

from __future__ import annotations

import functools
import logging
import os
import pickle
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tcc_evaluate
import tcc_get_embed
import tcc_get_kendalls_tau
from tcc import jobs
from tcc.files import UserError
from tcc.jobs import Jobs, Kept, clip_sha256, pick_jobs, value_sha256
from tests.conftest import ROOT, Call, Run, make_clip, wave, write_clip

log = logging.getLogger("tcc")
CLIPS = 60


def square(number: int) -> int:
    """Return a square, log the number, and fail at 13; at 0, end the process."""
    log.info("squaring %d", number)
    if number == 13:
        raise UserError("13 is not squared")
    if number == 0:
        os._exit(1)
    return number**2


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers of one thread: its address, and their processes.

    The parameter is the number of deaths of workers after which a job is given up.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    started = [["scheduler", "--port", port, *common]]
    started += [["worker", address, "--nthreads", "1", "--no-nanny", *common]] * 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(getattr(request, "param", 3)),
            },
        )
        for arguments in started
    ]  # fmt: skip
    try:
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A working folder with CLIPS clips in data/wave/val/."""
    for index in range(CLIPS):
        clip = wave(20 + index % 9, index, 1 + 0.1 * (index % 5))
        write_clip(tmp_path / "data" / "wave" / "val" / f"{index:02d}", clip)
    return tmp_path


def results(folder: Path) -> dict[Path, int]:
    """Return the kept results with the times in ns at which they were written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("jobs/*/*/*.npz")}


def test_jobs_give_results_and_messages_in_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    numbers = list(range(1, 9))
    assert list(Jobs(2).map(square, numbers, "squaring", "number")) == [n**2 for n in numbers]
    assert caplog.messages == [f"squaring {n}" for n in numbers]


@pytest.mark.parametrize(("number", "told"), [(13, "^13 is not squared$"), (0, "^a process was")])
def test_an_error_of_a_job_is_told_in_one_line(number: int, told: str) -> None:
    with pytest.raises(UserError, match=told):
        list(Jobs(2).map(square, [1, number, 3], "squaring", "number"))


def test_jobs_need_the_same_program_and_the_same_folder() -> None:
    job = jobs._Job(square, "other", Path.cwd())
    with pytest.raises(UserError, match="a worker runs another version of this program"):
        job(3)
    job = jobs._Job(square, jobs.program_sha256(), Path("/not/shared"))
    with pytest.raises(UserError, match="^/not/shared: No such file or directory on the computer"):
        job(3)


@pytest.mark.parametrize(
    ("count", "scheduler", "told"),
    [
        (0, None, "--jobs 0: expected at least 1"),
        (2, "tcp://a:1", "--jobs is for this computer and --scheduler for a cluster; give one"),
    ],
)
def test_impossible_options_are_refused(count: int, scheduler: str | None, told: str) -> None:
    with pytest.raises(UserError, match=told):
        pick_jobs(Namespace(jobs=count, scheduler=scheduler))
    assert pick_jobs(Namespace(jobs=None, scheduler=None)) is None


def test_a_missing_package_and_a_missing_scheduler_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = functools.partial(Jobs(1, "tcp://127.0.0.1:9").map, square, [1], "", "")
    monkeypatch.setattr(jobs, "CONNECT_S", 1)
    with pytest.raises(UserError, match=r"tcp://127.0.0.1:9: no Dask scheduler answers \(Timed"):
        list(numbers())
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(UserError, match="pip install -r requirements-cluster.txt"):
        list(numbers())
    assert (ROOT / "requirements-cluster.txt").exists()


def test_a_result_is_made_once_and_a_damaged_one_again(tmp_path: Path) -> None:
    kept, made = Kept(tmp_path / "jobs"), list[int]()

    def make() -> dict[str, np.ndarray]:
        made.append(len(made))
        return {"number": np.array(len(made))}

    assert kept.make("ab", make)["number"] == kept.make("ab", make)["number"] == 1
    (path,) = (tmp_path / "jobs").rglob("*.npz")
    path.write_bytes(path.read_bytes()[:-40])
    assert kept.make("ab", make)["number"] == 2
    kept.make("cd", make)
    kept.keep_only(["cd"])
    assert kept.read("ab") is None
    assert kept.read("cd") is not None


def test_a_clip_is_known_by_what_its_folder_holds(tmp_path: Path) -> None:
    write_clip(tmp_path / "a", wave(9, 1))
    write_clip(tmp_path / "b", wave(9, 1))
    first = clip_sha256(tmp_path / "a")
    assert clip_sha256(tmp_path / "b") == first
    (tmp_path / "b" / "clip.toml").write_text("person = 1\n")
    assert clip_sha256(tmp_path / "b") != first


def test_embeddings_of_jobs_are_those_of_one_process_and_only_new_clips_are_embedded(
    motion_dir: Path, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ["--dataset", "wave", "--mode", "val", "--device", "cpu"]
    output = motion_dir / "log" / "wave_embeddings.npy"
    call(tcc_get_embed.main, *arguments, cwd=motion_dir)
    expected, described = output.read_bytes(), output.with_suffix(".json").read_text()
    assert not results(motion_dir)

    call(tcc_get_embed.main, *arguments, "--jobs", "2", cwd=motion_dir)
    assert output.read_bytes() == expected
    assert output.with_suffix(".json").read_text() == described
    first = results(motion_dir)
    assert len(first) == 4
    call(tcc_get_embed.main, *arguments, "--jobs", "1", cwd=motion_dir)
    assert output.read_bytes() == expected
    assert results(motion_dir) == first

    (changed,) = (motion_dir / "data" / "wave" / "val").glob("val2")
    (changed / "clip.toml").write_text("start_s = 0.2\n")
    call(tcc_get_embed.main, *arguments, "--jobs", "1", cwd=motion_dir)
    assert len(results(motion_dir)) == 4
    assert len(results(motion_dir).items() & first.items()) == 3
    shortened = np.load(output)
    of_changed = shortened[shortened["video"] == "val2"]
    assert of_changed["frame"].tolist() == list(range(6, 34))
    call(tcc_get_embed.main, *arguments, cwd=motion_dir)
    assert np.load(output).tobytes() == shortened.tobytes()


def test_values_have_the_hash_of_what_they_hold() -> None:
    clip = make_clip(wave(9, 1))
    copied = pickle.loads(pickle.dumps([clip, "a", 1.0]))
    assert value_sha256(copied) == value_sha256([clip, "a", 1.0])
    others = [[1, 2], [[1], 2], [1, 2.0], [1, np.array(2)], ["1", 2], [np.zeros(4)], [np.ones(4)]]
    others += [[np.zeros((2, 2))], [np.zeros(4, np.float32)], [clip], [make_clip(wave(9, 2))]]
    assert len({value_sha256(value) for value in others}) == len(others)


@pytest.mark.parametrize(
    ("main", "kept"), [(tcc_evaluate.main, 7 * 4), (tcc_get_kendalls_tau.main, 4 * 4)]
)
def test_rows_of_jobs_give_the_scores_of_one_process_and_are_made_once(
    motion_dir: Path, call: Call, main: Callable[[], None], kept: int
) -> None:
    """A row is a clip: with all others, by each of the methods or under each leak test."""
    table = "".join(f"val,val{clip},{8 + clip},{14 + clip}\n" for clip in range(4))
    labels = motion_dir / "data" / "wave" / "labels.csv"
    labels.write_text(f"mode,video,takeoff_frame,landing_frame\n{table}")
    arguments = ["--dataset", "wave", "--mode", "val", "--device", "cpu"]
    for options in ([], ["--jobs", "2"], ["--jobs", "1"]):
        name = "_".join(["result", *options])
        call(main, *arguments, *options, "--result-dir", name, cwd=motion_dir)
        (path,) = (motion_dir / name).glob("*.json")
        if not options:
            expected = path.read_text()
            assert not results(motion_dir)
        elif options == ["--jobs", "2"]:
            first = results(motion_dir)
        assert path.read_text() == expected
    assert len(first) == kept
    assert results(motion_dir) == first
    assert not list((motion_dir / "log").rglob("*.pickle"))

    labels.write_text(labels.read_text().replace("val0,8", "val0,9"))
    call(main, *arguments, "--jobs", "1", cwd=motion_dir)
    assert len(results(motion_dir)) == kept
    unchanged = len(results(motion_dir).items() & first.items())
    assert unchanged == (0 if main is tcc_evaluate.main else kept)  # tau depends on no mark


def test_a_killed_worker_of_a_cluster_loses_nothing_and_repeats_nothing(
    library: Path, run: Run, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    """The rest of the clips go to the other worker, and finished ones are not embedded again."""
    address, workers = cluster
    arguments = ["--dataset", "wave", "--mode", "val", "--device", "cpu"]
    done = run("tcc_get_embed.py", *arguments, "--log-dir", "alone", cwd=library)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, str(ROOT / "tcc_get_embed.py"), *arguments, "--scheduler", address]
    main = subprocess.Popen(command, cwd=library, stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 120
    while len(results(library)) < 6:
        assert main.poll() is None, main.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    workers[0].kill()
    before = results(library)
    assert len(before) < CLIPS - 6
    _, told = main.communicate(timeout=120)
    assert main.returncode == 0, told
    after = results(library)
    assert len(after) == CLIPS
    assert before.items() <= after.items()
    one, other = (library / name / "wave_embeddings.npy" for name in ("alone", "log"))
    assert one.read_bytes() == other.read_bytes()
    assert len(set(np.load(other)["video"])) == CLIPS
    assert list(Jobs(1, address).map(pid_of, [1, 2, 3], "", "")) == 3 * [workers[1].pid]


def pid_of(_: int) -> int:
    """Return the number of the process that does this job."""
    return os.getpid()


@pytest.mark.parametrize("cluster", [0], indirect=True)
def test_a_job_that_is_given_up_is_told(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """joblib alone would wait for it for ever."""
    address, _ = cluster
    monkeypatch.setattr(jobs, "CONNECT_S", 60)
    with pytest.raises(UserError, match="^13 is not squared$"):
        list(Jobs(1, address).map(square, [4, 13], "squaring", "number"))
    with pytest.raises(UserError, match="^a job has ended several workers, .* clips are kept$"):
        list(Jobs(1, address).map(square, [4, 0], "squaring", "number"))
