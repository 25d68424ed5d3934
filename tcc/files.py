"""Files: the user's mistake, outputs that appear whole or not at all, JSON and hashes."""

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
    """A mistake that the user can mend: one line that says what, where, which value, what to do."""


def require_utf8(path: Path) -> None:
    """Check the last name of a path: no JSON holds other bytes, and OpenCV crashes on them.

    Raises:
        UserError: it is not UTF-8.
    """
    if path.name.encode(errors="ignore").decode() != path.name:
        raise UserError(f"{str(path)!a}: the name is not UTF-8; rename it")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` on success, is removed on failure.

    Raises:
        UserError: nothing can be written there.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # a name too long or a folder is told before the work
            if S_ISDIR(path.stat().st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary.touch(exist_ok=False)  # with the permissions that the user's umask leaves
    except OSError as error:
        raise UserError(
            f"can't write {path} ({error.strerror}); free or rename it, or choose another folder "
            "with --log-dir or --result-dir"
        ) from None
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` with the schema version as JSON, whole or not at all; NaN becomes null."""
    encoded = msgspec.json.encode(
        {"schema_version": SCHEMA_VERSION, **content}, enc_hook=lambda value: value.tolist()
    )
    with whole(path) as temporary:
        temporary.write_text(json.dumps(json.loads(encoded), indent=1) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
