"""Output files that are written completely or not at all, JSON, hashes, and UserError."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import msgspec

log = logging.getLogger("tcc")
SCHEMA_VERSION = 1
TEMPORARY = ".tcc-"  # how the names of hidden temporary files and folders begin
# Errors of the disk; NumPy raises one without a number.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, None}
MAX_LINE = 2000  # characters of a message
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # among them, the ends of a line
MAX_STEM_BYTES = 200  # leaves room for _earlier_1, the name of an event and the suffix


class UserError(Exception):
    """A mistake that the user can fix. One line says what, where, which value, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """Return a text with its control characters escaped, and without its middle if it is long.

    Names of files and values in them may hold anything.
    """
    if len(text) > MAX_LINE:
        text = f"{text[: MAX_LINE // 2]} ... {text[-MAX_LINE // 2 :]}"
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def require_utf8(path: Path) -> None:
    """Check that the last name of a path is UTF-8.

    JSON can't store any other name, and OpenCV crashes when it draws one.

    Raises:
        UserError: the name is not UTF-8.
    """
    if path.name.encode(errors="ignore").decode() != path.name:
        raise UserError(f"{str(path)!a}: the name is not UTF-8; rename it")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, to write to.

    The file is renamed to `path` if the block succeeds, and deleted if it fails. If the process is
    killed, the next one that writes to the folder deletes it.

    Raises:
        UserError: `path` can't be written.
    """
    temporary = _name_temporary(path, path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A folder of this name, or a name that is too long, is reported before the work is done.
        with suppress(FileNotFoundError):
            if S_ISDIR(path.stat().st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary.touch(exist_ok=False)  # its permissions follow the user's umask
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with _in_use(temporary):
            yield temporary
            temporary.replace(path)
    except OSError as error:
        if error.errno not in DISK:
            raise
        raise _unwritable(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def _name_temporary(path: Path, suffix: str) -> Path:
    """Return a hidden path beside another one, and delete what a killed process has left there."""
    _remove_strays(path.parent.absolute())
    return path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{suffix}")


@cache
def _remove_strays(folder: Path) -> None:
    """Delete temporary files and folders in a folder that no process has locked, once."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError), _locked(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _in_use(path: Path) -> Iterator[None]:
    """Lock a temporary path while the block runs, so that no other process takes it for a stray."""
    with ExitStack() as lock:
        with suppress(OSError):  # this file system has no locks, so strays are not deleted either
            lock.enter_context(_locked(path))
        yield


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Keep other processes out while the block runs.

    Args:
        folder: it is locked; created if it is missing.
        what: runs, for the message.

    Raises:
        UserError: another process is in such a block.
    """
    with ExitStack() as lock:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.enter_context(_locked(folder))
        except BlockingIOError:
            raise UserError(
                f"{folder}: another {what} is running and writes there; wait for its end or choose "
                "another --log-dir"
            ) from None
        except OSError:  # this file system has no locks
            pass
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a file or folder while the block runs. If the process is killed, the lock ends too.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: it can't be locked.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> UserError:
    reason = error.strerror or f"disk full: {error}"
    return UserError(
        f"can't write {path} ({reason}); fix this or choose another folder with "
        "--log-dir or --result-dir"
    )


@contextmanager
def whole_folder(folder: Path, inputs: dict[str, Any], json_name: str) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`, to write the files of a result to.

    They are moved to `folder` if the block succeeds, and deleted if it fails. Other files in
    `folder` are kept. If it holds a result that was made from other inputs, it is renamed to
    <folder>_earlier_1, or _2 if there is one already, and so on.

    Args:
        folder: of the result.
        inputs: see `keep_earlier`.
        json_name: of the file in the folder that holds its inputs.

    Raises:
        UserError: `folder` can't be written, or it holds files but is not a result.
    """
    temporary = _name_temporary(folder, "")
    try:
        temporary.mkdir(parents=True)
        if _holds_files(folder) and _inputs(folder / json_name) is None:
            raise UserError(
                f"{folder}: this folder has no {json_name}, so it is not a result of this program; "
                "choose another --result-dir"
            )
        with _in_use(temporary):
            yield temporary
            _keep_earlier_folder(folder, inputs, json_name)
            _move_files(temporary, folder, json_name)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _holds_files(folder: Path) -> bool:
    """Return whether there is a file in a folder or below it; raise OSError if it is a file."""
    found = any(folder.iterdir()) if folder.exists() else False
    return found and not all(map(Path.is_dir, folder.rglob("*")))


def _move_files(source: Path, target: Path, json_name: str, json_last: bool = False) -> None:
    """Move all files below a folder to the same places below another one.

    If there is no other one yet, the folder is renamed. Otherwise the JSON file, by which a result
    is recognised, is moved first or last: after a kill, the next run can go on.
    """
    if not os.path.lexists(target):
        source.rename(target)
        return
    paths = sorted(source.rglob("*"))
    paths.sort(key=lambda path: (path == source / json_name) == json_last)
    for path in paths:
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)


def result_stem(folder: Path, pattern: str, *names: str) -> Path:
    """Return the path of a command's results without suffix, for example start_axel_my_vs_coach.

    File systems take names of at most 255 bytes. If the name would be too long, each of `names` is
    cut and gets a part of its hash, so that different names stay different.

    Args:
        folder: of the results.
        pattern: name with {} for each of `names`.
        names: of motions, modes and clips.
    """
    room = (MAX_STEM_BYTES - len(pattern.encode())) // len(names)
    if sum(len(name.encode()) for name in names) > room * len(names):
        names = tuple(
            f"{name.encode()[: room - 9].decode(errors='ignore')}~{sha256_of(name.encode())[:8]}"
            if len(name.encode()) > room
            else name
            for name in names
        )
    return folder / pattern.format(*names)


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def keep_earlier(stem: Path, inputs: dict[str, Any], suffixes: Iterable[str]) -> None:
    """Rename the files of an earlier result, unless it was made from the same inputs.

    Nothing is overwritten by the result of other clips, and no old picture stays beside new
    numbers. The earlier result is called <stem>_earlier_1, or _2 if there is one already, and so
    on.

    Args:
        stem: path of the result without suffix.
        inputs: plain values that say what the new result is made from; the JSON file of a result
            holds them as `inputs`.
        suffixes: of the files of a result, for example .mp4 or _takeoff.png; .json is one of them.
    """
    files = {suffix: Path(f"{stem}{suffix}") for suffix in suffixes}
    present = {suffix: path for suffix, path in files.items() if path.is_file()}
    found = _inputs(files[".json"])
    if not present or found == json.loads(msgspec.json.encode(inputs)):
        return
    number = 1
    while any(Path(f"{stem}_earlier_{number}{suffix}").exists() for suffix in files):
        if found is not None and _inputs(Path(f"{stem}_earlier_{number}.json")) == found:
            break  # the same result was kept before
        number += 1
    for suffix, path in present.items():
        path.replace(Path(f"{stem}_earlier_{number}{suffix}"))
    log.info(
        "%s: the result of other clips, persons, settings or another checkpoint is kept as %s",
        stem, Path(f"{stem}_earlier_{number}").name,
    )  # fmt: skip


def _keep_earlier_folder(folder: Path, inputs: dict[str, Any], json_name: str) -> None:
    """Rename the folder of an earlier result, unless it was made from the same inputs."""
    found = _inputs(folder / json_name)
    if found is None or found == json.loads(msgspec.json.encode(inputs)):
        return
    number = 1
    while (kept := folder.with_name(f"{folder.name}_earlier_{number}")).exists():
        if _inputs(kept / json_name) == found:
            break  # the same result was kept before
        number += 1
    _move_files(folder, kept, json_name, json_last=True)
    shutil.rmtree(folder, ignore_errors=True)
    log.info(
        "%s: the report of other clips, persons, settings or another checkpoint is kept as %s",
        folder, kept.name,
    )  # fmt: skip


def _inputs(path: Path) -> object:
    """Return what a result was made from; None if its JSON file does not say so."""
    try:
        return json.loads(path.read_bytes())["inputs"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` and the schema version as JSON, completely or not at all.

    NumPy values become numbers and lists; NaN becomes null.
    """
    encoded = msgspec.json.encode(
        {"schema_version": SCHEMA_VERSION, **content}, enc_hook=lambda value: value.tolist()
    )
    with whole(path) as temporary:
        temporary.write_text(json.dumps(json.loads(encoded), indent=1) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
