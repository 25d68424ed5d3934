"""Work on many clips: in turn, in several processes of this computer, or on a Dask cluster.

joblib runs the jobs, with loky on this computer or with its Dask backend. A job gets paths and a
few plain values, and reads its clip itself. So the workers of a cluster need the folder in which
the command was typed and those of the clips and the log, under the same paths, and the same version
of this program.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from socket import gethostname
from typing import Any, Protocol, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tcc.clips import IMAGE_SUFFIXES
from tcc.files import UserError, sha256, sha256_of, whole
from tcc.progress import progress, silence

log = logging.getLogger("tcc")
Item = TypeVar("Item")
Result = TypeVar("Result")
Arrays = dict[str, NDArray[Any]]
ROOT = Path(__file__).resolve().parents[1]
CONNECT_S = 10  # a scheduler must answer, and have a worker, within this time
INSTALL = "python3 -m pip install -r requirements-cluster.txt"


class Workers(Protocol):
    """Applies a function to many items."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], description: str, unit: str
    ) -> Iterable[Result]:
        """Yield the results in the order of the items, and show how many are finished.

        Args:
            function: can be pickled, and so can its results.
            items: can be pickled.
            description, unit: see `progress`.
        """


class InTurn:
    """Works on one item after the other, in this process."""

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], description: str, unit: str
    ) -> Iterator[Result]:
        """See `Workers.map`."""
        yield from map(function, progress(items, description, unit))


IN_TURN = InTurn()


@dataclass(frozen=True, slots=True)
class Jobs:
    """Works on several items at a time, each in one job.

    A job whose worker dies is done by another worker. What a job logs is printed here.

    Attributes:
        count: number of processes on this computer.
        scheduler: address of a Dask scheduler, whose workers are used instead; None: no cluster.
    """

    count: int = 1
    scheduler: str | None = None

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], description: str, unit: str
    ) -> Iterator[Result]:
        """See `Workers.map`.

        Raises:
            UserError: the scheduler can't be used; or a job has raised it.
        """
        if self.count == 1 and self.scheduler is None:
            yield from IN_TURN.map(function, items, description, unit)
            return
        from joblib import Parallel, delayed

        job = delayed(_Job(function, program_sha256(), Path.cwd()))
        with _dask(self.scheduler) if self.scheduler else nullcontext("loky") as backend:
            # A cluster gets all jobs at once, so that workers that join later find some.
            at_once = "all" if self.scheduler else "2 * n_jobs"
            parallel = Parallel(
                self.count, return_as="generator", backend=backend, batch_size=1,
                pre_dispatch=at_once,
            )  # fmt: skip
            finished = progress(parallel(map(job, items)), description, unit, len(items))
            with _told_in_one_line():
                for result, records in finished:
                    for record in records:
                        logging.getLogger(record.name).handle(record)
                    yield result


class Rows(Protocol):
    """Computes the rows of a table, each from the same data."""

    def map(
        self, function: Callable[[Any, int], Arrays], data: Any, count: int, title: str | None
    ) -> list[Arrays]:
        """Return the result of each row, and show how many are finished.

        Args:
            function: makes a row from the data and its number.
            data: can be pickled.
            count: number of rows.
            title: of the progress bar; None: nothing is shown while this process works alone.
        """

    def finish(self) -> None:
        """Delete what is kept for this command and was not asked for."""


class RowsInTurn:
    """Computes one row after the other, in this process."""

    def map(
        self, function: Callable[[Any, int], Arrays], data: Any, count: int, title: str | None
    ) -> list[Arrays]:
        """See `Rows.map`."""
        rows = range(count) if title is None else progress(range(count), title, "clip")
        return [function(data, row) for row in rows]

    def finish(self) -> None:
        """See `Rows.finish`; nothing is kept."""


ROWS_IN_TURN = RowsInTurn()


@dataclass(frozen=True, slots=True)
class RowJobs:
    """Computes each row in a job and keeps it.

    The data are written to a file that all jobs read, as they may be too large to send to each.

    Attributes:
        jobs: do the jobs.
        kept: where the rows and the data are kept.
        used: keys of the rows that were asked for.
    """

    jobs: Jobs
    kept: Kept
    used: set[str] = field(default_factory=set)

    def map(
        self, function: Callable[[Any, int], Arrays], data: Any, count: int, title: str | None
    ) -> list[Arrays]:
        """See `Rows.map`."""
        content = pickle.dumps(data)
        job = _RowJob(self.kept, function, value_sha256(data), sha256_of(content))
        with whole(job.data_path) as temporary:
            temporary.write_bytes(content)
        for _ in self.jobs.map(job, range(count), title or "", "clip"):
            pass
        keys = [job.key(row) for row in range(count)]
        self.used.update(keys)
        return [self.kept.make(key, partial(function, data, row)) for row, key in enumerate(keys)]

    def finish(self) -> None:
        """See `Rows.finish`."""
        self.kept.keep_only(self.used)
        for path in self.kept.folder.glob("*.pickle"):
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _RowJob:
    """Makes a row from data in a file, unless it is kept."""

    kept: Kept
    function: Callable[[Any, int], Arrays]
    data_sha256: str  # of the values, see `value_sha256`
    file_sha256: str  # of the file; equal values may be pickled as different bytes

    @property
    def data_path(self) -> Path:
        return self.kept.folder / f"{self.file_sha256}.pickle"

    def key(self, row: int) -> str:
        """Return the hash of what a row is made from."""
        name = self.function.__qualname__
        return sha256_of(f"{name} {row} {self.data_sha256} {program_sha256()}".encode())

    def __call__(self, row: int) -> None:
        self.kept.make(self.key(row), self._make(row))

    def _make(self, row: int) -> Callable[[], Arrays]:
        return lambda: self.function(_read_data(self.data_path), row)


@lru_cache(1)
def _read_data(path: Path) -> Any:
    """Read the data of rows, once in a process.

    Raises:
        UserError: the file is not the one that was written.
    """
    content = path.read_bytes()
    if sha256_of(content) != path.stem:
        raise UserError(f"{path} is damaged; delete it and run the command again")
    return pickle.loads(content)  # noqa: S301 - this program wrote it


def add_jobs(command_parser: argparse.ArgumentParser) -> None:
    """Add --jobs and --scheduler to the parser of a command that works on many clips."""
    command_parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="work on N clips at a time, and keep the result of each, so that the same command "
        "continues where it was interrupted",
    )
    command_parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="like --jobs, on the workers of this Dask scheduler, for example tcp://10.0.0.1:8786",
    )


def pick_jobs(args: argparse.Namespace) -> Jobs | None:
    """Return the jobs of --jobs or --scheduler; None if neither is given.

    Raises:
        UserError: both are given, or N is less than 1.
    """
    if args.jobs is None and args.scheduler is None:
        return None
    if args.jobs is not None and args.scheduler is not None:
        raise UserError("--jobs is for this computer and --scheduler for a cluster; give one")
    if args.jobs is not None and args.jobs < 1:
        raise UserError(f"--jobs {args.jobs}: expected at least 1")
    return Jobs(args.jobs or 1, args.scheduler)


def pick_rows(workers: Jobs | None, folder: Path) -> Rows:
    """Return what computes rows: jobs that keep them in a folder, or this process."""
    return ROWS_IN_TURN if workers is None else RowJobs(workers, Kept(folder))


@contextmanager
def _dask(address: str) -> Iterator[Any]:
    """Yield the backend of joblib that uses the workers of a scheduler."""
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise UserError(
            f"--scheduler: the Python package {error.name} is missing; run: {INSTALL}"
        ) from None
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):  # type: ignore[misc]
        """Reports a job that Dask has given up; joblib 1.6 waits for it for ever.

        With one job at a time, joblib would do all of them in this process.
        """

        def effective_n_jobs(self, n_jobs: int) -> int:
            threads: int = super().effective_n_jobs(n_jobs)
            return max(2, threads)

        def submit(self, func: Any, callback: Any = None) -> Any:
            def report(future: Future[Any]) -> None:
                if error := future.exception():
                    callback(error)

            future = super().submit(func, callback)
            future.add_done_callback(report)
            return future

    try:
        client = Client(  # type: ignore[no-untyped-call]
            address, timeout=CONNECT_S, set_as_default=False
        )
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--scheduler {address}: no Dask scheduler answers ({reason}); start one with: python3 "
            "-m dask scheduler"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError:
            raise UserError(
                f"--scheduler {address}: it has no worker; start some with: python3 -m dask worker "
                f"{address} --nthreads 1"
            ) from None
        yield Backend(client=client)


# Errors of joblib and Dask that say that a job can't be done, and what to tell instead.
LOST = {
    "TerminatedWorkerError": "a process was killed, perhaps because the memory is full; use fewer "
    "--jobs",
    "KilledWorker": "a job has ended several workers, perhaps because their memory is full; start "
    "fewer on each computer",
    "FutureCancelledError": "the connection to the scheduler is lost; start it again",
}


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    """Raise a UserError in place of the errors in LOST."""
    try:
        yield
    except Exception as error:
        if (told := LOST.get(type(error).__name__)) is None:
            raise
        raise UserError(f"{told}; run the same command again: finished clips are kept") from None


@dataclass(frozen=True, slots=True, eq=False)  # joblib needs its hash
class _Job:
    """A function whose log messages are returned with its result."""

    function: Callable[[Any], Any]
    program: str
    folder: Path

    def __call__(self, item: Any) -> tuple[Any, list[logging.LogRecord]]:
        if program_sha256() != self.program:
            raise UserError(
                f"a worker runs another version of this program, in {ROOT}; update it there"
            )
        if Path.cwd() != self.folder:
            try:
                os.chdir(self.folder)
            except OSError as error:
                raise UserError(
                    f"{self.folder}: {error.strerror} on the computer of a worker, {gethostname()};"
                    " share it"
                ) from None
        records = _listen()
        records.clear()
        return self.function(item), list(records)


class _Listener(logging.Handler):
    """Collects the messages of each thread, as text so that they can be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = threading.local()

    def records(self) -> list[logging.LogRecord]:
        """Return the list of the messages of this thread."""
        if not hasattr(self.messages, "records"):
            self.messages.records = []
        found: list[logging.LogRecord] = self.messages.records
        return found

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self.records().append(record)


@cache
def _listener() -> _Listener:
    """Make this process, which does jobs, silent and return the handler of its messages."""
    silence()
    listener = _Listener()
    log.addHandler(listener)
    log.setLevel(logging.INFO)
    log.propagate = False
    return listener


def _listen() -> list[logging.LogRecord]:
    return _listener().records()


@cache
def program_sha256() -> str:
    """Return the SHA-256 of this program's files: another version may give other results."""
    files = [*ROOT.glob("*.py"), *(ROOT / "tcc").rglob("*.py"), *(ROOT / "tcc").glob("*.pt")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(sha256_of(path.read_bytes()).encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """Results of jobs, each in a file that is named by the hash of all that it was made from.

    Attributes:
        folder: of the files; the workers of a cluster share it.
    """

    folder: Path

    def make(self, key: str, function: Callable[[], Arrays]) -> Arrays:
        """Return the result that is kept; if there is none, call the function and keep its result.

        Args:
            key: hash of what the result is made from, hexadecimal.
            function: makes the result.
        """
        if (found := self.read(key)) is not None:
            return found
        made = function()
        with whole(self.file(key)) as temporary:
            np.savez(temporary, allow_pickle=False, **made)
        return made

    def read(self, key: str) -> Arrays | None:
        """Return a result; None if there is none or its file is damaged."""
        try:
            with self.file(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, BadZipFile):
            return None

    def keep_only(self, keys: Iterable[str]) -> None:
        """Delete all other results."""
        wanted = {self.file(key) for key in keys}
        for path in self.folder.glob("*/*.npz"):
            if path not in wanted:
                path.unlink(missing_ok=True)

    def file(self, key: str) -> Path:
        """Return the path of a result."""
        return self.folder / key[:2] / f"{key}.npz"


def value_sha256(value: Any) -> str:
    """Return the SHA-256 of a value: an array, dataclass, list, tuple, text or number."""
    digest = hashlib.sha256()

    def update(part: Any) -> None:
        if isinstance(part, np.ndarray):
            digest.update(f"array {part.dtype} {part.shape} ".encode() + part.tobytes())
        elif is_dataclass(part):
            update([getattr(part, field.name) for field in fields(part)])
        elif isinstance(part, list | tuple):
            digest.update(f"{len(part)} parts ".encode())
            for item in part:
                update(item)
        else:
            digest.update(f"{part!r} ".encode())

    update(value)
    return digest.hexdigest()


def clip_sha256(folder: Path) -> str:
    """Return the SHA-256 of the content of a clip's folder; of images, only names and sizes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        is_image = path.suffix.lower() in IMAGE_SUFFIXES
        content = str(path.stat().st_size) if is_image else sha256(path)
        digest.update(f"{path.relative_to(folder)}\0{content}\0".encode())
    return digest.hexdigest()
