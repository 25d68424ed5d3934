"""Runs the program in forks of a process that has imported it, so that each run starts at once.

A run can be killed, limited in memory and in the size of its files, and is killed if it hangs.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODULES = (
    "tcc_align", "tcc_check", "tcc_get_embed", "tcc_get_pose", "tcc_get_start", "tcc_report",
    "tcc_train", "torch._dynamo", "tcc.video", "tcc.tracking", "matplotlib.backends.backend_agg",
    "tests.reliability.inputs", "tests.reliability.writers",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Done:
    """What a run came to.

    Attributes:
        code: of the exit; negative: the signal that ended it.
        output: of stderr.
        wall_s: from its start to its end.
        peak_mb: most memory that it held, with that of the imported libraries.
    """

    code: int
    output: str
    wall_s: float
    peak_mb: float

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Server:
    """The process that forks; close it at the end."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.server"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def run(
        self,
        call: str,
        *arguments: str | int | Path,
        cwd: Path,
        kill_s: float | None = None,
        number: int = signal.SIGKILL,
        limit_s: float = 60.0,
        **limits: int,
    ) -> Done:
        """Run a function in a fork as `tcc.cli.run` runs a command.

        Args:
            call: of a command, such as tcc_train; or module:function.
            arguments: of the command line.
            cwd: folder to run in.
            kill_s: when to send the signal; None: never.
            number: of the signal.
            limit_s: when to give up: the run hangs.
            limits: `user` id; `file_bytes`, the largest file; `memory_mb` beside the libraries.
        """
        assert self.process.stdin
        assert self.process.stdout
        job = {
            "call": call, "argv": list(map(str, arguments)), "cwd": str(cwd), "kill_s": kill_s,
            "number": number, "limit_s": limit_s, **limits,
        }  # fmt: skip
        print(json.dumps(job), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the server has ended"
        return Done(**json.loads(line))

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def serve() -> None:
    """Read jobs from stdin, and write what they came to."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in MODULES:
        importlib.import_module(name)
    importlib.import_module("tests.reliability.writers").warm_up()
    gc.freeze()  # a fork then copies less memory
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), file=replies, flush=True)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    output, printed = os.memfd_create("output"), os.memfd_create("printed")
    began_s = time.monotonic()
    child = os.fork()
    if not child:
        os.dup2(printed, 1)
        os.dup2(output, 2)
        code = 1
        try:
            code = _enter(job)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    is_sent = False
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        spent_s = time.monotonic() - began_s
        if ended:
            break
        if job["kill_s"] is not None and spent_s >= job["kill_s"] and not is_sent:
            os.kill(child, job["number"])
            is_sent = True
        if spent_s > job["limit_s"]:
            os.write(output, b"Traceback: the run hangs\n")
            os.kill(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            break
        time.sleep(0.0005)
    os.close(printed)
    with os.fdopen(output, "rb") as file:
        file.seek(0)
        told = file.read().decode(errors="replace")
    return {
        "code": os.waitstatus_to_exitcode(status),
        "output": told,
        "wall_s": spent_s,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def _enter(job: dict[str, Any]) -> int:
    """Run the function of a job in this process, and return the exit code."""
    from tcc import cli, progress

    progress.BEGAN_S = time.monotonic()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(job["cwd"])
    module, _, function = job["call"].partition(":")
    sys.argv = [f"{module}.py", *job["argv"]]
    if size := job.get("file_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if memory_mb := job.get("memory_mb"):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory_mb * 2**20,) * 2)
    if user := job.get("user"):
        os.setresuid(user, user, user)
    try:
        cli.run(getattr(sys.modules[module], function or "main"))
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    return 0


def told_in_one_line(done: Done, notes: Sequence[str] = ("note: ", "warning: ")) -> bool:
    """Return whether a run ended with code 2 and one line that begins with error."""
    lines = [line for line in done.output.splitlines() if not line.startswith(tuple(notes))]
    return done.code == 2 and len(lines) == 1 and lines[0].startswith("error: ")


if __name__ == "__main__":
    serve()
