"""Output files that are written completely or not at all, JSON, hashes, and UserError."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import msgspec

SCHEMA_VERSION = 1


class UserError(Exception):
    """A mistake that the user can fix. One line says what, where, which value, and what to do."""


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

    The file is renamed to `path` if the block succeeds, and deleted if it fails.

    Raises:
        UserError: `path` can't be written.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A folder of this name, or a name that is too long, is reported before the work is done.
        with suppress(FileNotFoundError):
            if S_ISDIR(path.stat().st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary.touch(exist_ok=False)  # its permissions follow the user's umask
    except OSError as error:
        raise UserError(
            f"can't write {path} ({error.strerror}); fix this or choose another folder with "
            "--log-dir or --result-dir"
        ) from None
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
