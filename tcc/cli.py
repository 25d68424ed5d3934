"""Code that all commands share: arguments, settings, device and exit codes."""

from __future__ import annotations

import argparse
import difflib
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields
from io import TextIOWrapper
from pathlib import Path
from types import NoneType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NoReturn,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from tqdm.contrib.logging import logging_redirect_tqdm

from tcc.files import UserError, one_line, require_utf8
from tcc.sidecars import Trim

if TYPE_CHECKING:
    import torch

log = logging.getLogger("tcc")
# Errors of the disk, of permissions and of file names, which the user can fix. The commands check
# the user's files first, so a missing file has been deleted while the command was running.
FIXABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY,
    errno.ENOENT, errno.ESTALE,
}  # fmt: skip
MAX_NAMES = 4  # of settings in the help of a command
TYPE_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "None",
}  # fmt: skip
BOUND_WORDS = {
    "ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than",
    "multiple_of": "a multiple of",
}  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see: python3 {self.prog} --help\n")


def parser(
    description: str | None,
    settings: Iterable[str],
    mode: str = "test",
    without: Collection[str] = (),
) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all commands share.

    Args:
        description: the command's docstring. Its first line is printed at the start of the help,
            the rest at the end.
        settings: names of the settings that the command uses. `parse`
            refuses --set with any other name.
        mode: default of --mode.
        without: names of shared options that mean nothing to the command.
    """
    head, _, rest = (description or "").partition("\n")
    names = [name for name in settings if name != "DATASET"]
    listed = ", ".join(names)
    if len(names) > MAX_NAMES:
        listed = "for example BATCH_SIZE=8 or LEARNING_RATE=0.0005, see docs/settings.md"
    result = _Parser(
        description=head,
        epilog=f"examples:\n{rest.strip(chr(10))}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(name: str, **options: Any) -> None:
        if name.removeprefix("--") not in without:
            result.add_argument(name, **options)

    add(
        "--dataset",
        metavar="MOTION",
        help="name of the motion: a folder in DATA_DIR (default: DATASET in tcc_config.py)",
    )
    add(
        "--mode",
        choices=("train", "val", "test"),
        default=mode,
        help="which clips of the motion to use: a folder in DATA_DIR/MOTION (default: %(default)s)",
    )
    for name, content in (
        ("data", "the clips"),
        ("log", "checkpoints and embeddings"),
        ("result", "videos, images and tables"),
    ):
        add(
            f"--{name}-dir",
            type=Path,
            default=Path(name),
            help=f"folder of {content} (default: %(default)s)",
        )
    add(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="processor for the neural network; auto: a GPU if there is one, else the CPU "
        "(default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help="seed of all random choices (default: SEED in tcc_config.py)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"change a setting of tcc_config.py for this run: {listed}; repeat it for more "
        "settings",
    )
    result.set_defaults(settings=frozenset(names))
    return result


def add_checkpoint(command_parser: argparse.ArgumentParser) -> None:
    """Add --checkpoint to the parser of a command that reads one."""
    command_parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="PATH",
        help="trained encoder (default: LOG_DIR/MOTION_checkpoint.pt if it exists, else the "
        "generic encoder)",
    )


def add_pair(command_parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command that compares a learner's clip with a standard: see `pair`."""
    add = command_parser.add_argument
    kinds = "its name, folder or video file"
    add(
        "clips",
        nargs="*",
        metavar="CLIP",
        help=f"the learner's clip and the standard, the coach's clip: each {kinds}",
    )
    add("--learner", metavar="CLIP", help="the learner's clip (default: the first clip of MODE)")
    add("--standard", metavar="CLIP", help="the coach's clip (default: the second clip of MODE)")
    add(
        "--standards",
        metavar="MOTION/MODE[/PATTERN]",
        help="all marked clips of this folder vote on the events; the nearest is the standard",
    )
    add_attempt(command_parser)
    for prefix, whose in (("", "learner's"), ("standard-", "coach's")):
        add(
            f"--{prefix}trim",
            type=trim,
            metavar="START-END",
            help=f"use this part of the {whose} clip, in seconds, for example 4.2-6.0",
        )
        add(
            f"--{prefix}person",
            type=int,
            metavar="K",
            help=f"follow the K-th person in the {whose} clip (1: the main person)",
        )
        add(
            f"--{prefix}capture-fps",
            type=float,
            metavar="FPS",
            help=f"frames per second that the camera recorded, if the {whose} video is in slow "
            "motion",
        )


def add_attempt(command_parser: argparse.ArgumentParser) -> None:
    """Add --attempt to a command that searches for a motion."""
    command_parser.add_argument(
        "--attempt",
        type=attempt,
        default=1,
        metavar="N",
        help="use the N-th of the places that show the motion (default: 1, the best match)",
    )


def attempt(text: str) -> int:
    """Return the number of an attempt, 1 or more.

    Raises:
        argparse.ArgumentTypeError: the text is not such a number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1 or a greater whole number")
    return int(text)


def trim(text: str) -> Trim:
    """Return the part START-END of a clip; START or END may be missing.

    Raises:
        argparse.ArgumentTypeError: the text is not two times in seconds.
    """
    start, dash, end = text.partition("-")
    try:
        if not dash or not (start or end):
            raise ValueError
        return Trim(float(start) if start else None, float(end) if end else None)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected seconds, as in 4.2-6.0, 4.2- or -6.0"
        ) from None


def add_weights(command_parser: argparse.ArgumentParser) -> None:
    """Add --weights to the parser of a command that takes video files."""
    command_parser.add_argument(
        "--weights",
        type=Path,
        metavar="PATH",
        help="pose model for video files, RTMO as .onnx (default: downloaded at its first use)",
    )


def parse(
    command_parser: argparse.ArgumentParser, config: Any, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse `argv`, write --dataset, --seed and --set into `config`, and check all settings.

    Args:
        command_parser: made by `parser`.
        config: the Config of tcc_config.py; it is changed.
        argv: the arguments; None: those of the command line.

    Returns:
        The arguments; `settings` are the names of the settings that the command uses.

    Raises:
        UserError: a setting does not exist, the command does not use it, or a value is not allowed.
    """
    args = command_parser.parse_args(argv)
    for setting in args.set:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: expected NAME=VALUE, as in --set BATCH_SIZE=8")
        if name == "DATASET":
            raise UserError(f"--set {setting}: name the motion with --dataset {value}")
        override(config, name, value)
        if name not in args.settings:
            raise UserError(
                f"--set {name}: this is a setting of {config.command_of(name)}; "
                f"{command_parser.prog} does not use it"
            )
    if getattr(args, "dataset", None) is not None:
        config.DATASET = args.dataset
    if getattr(args, "seed", None) is not None:
        config.SEED = args.seed
    check(config)
    if not config.DATASET.strip(".") or Path(config.DATASET).name != config.DATASET:
        raise UserError(
            f"--dataset {config.DATASET}: expected the name of a motion, for example axel: a "
            f"folder in {getattr(args, 'data_dir', 'data')}"
        )
    require_utf8(Path(config.DATASET))
    if getattr(args, "person", None) is not None and args.person < 1:
        raise UserError(f"--person {args.person}: expected 1 (the main person), 2, 3 ...")
    return args


def override(config: Any, name: str, value: object) -> None:
    """Set one setting.

    Args:
        config: the dataclass of the settings; it is changed.
        name: of the setting.
        value: its new value, or a string that is converted to the setting's type.

    Raises:
        UserError: there is no such setting, or the value is not allowed.
    """
    hints = get_type_hints(type(config), include_extras=True)
    if name not in hints:
        near = difflib.get_close_matches(name.upper(), hints, n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"tcc_config.py has no setting {name}{meant}")
    if value == "None" and NoneType in get_args(hints[name]):
        value = None
    try:
        number: object = value
        if isinstance(value, str) and _base_type(hints[name]) is float:
            number = float(value)  # msgspec takes numbers only as JSON writes them, so not .1
        converted = msgspec.convert(number, hints[name], strict=False)
    except ValueError:  # also msgspec.ValidationError
        raise UserError(
            f"setting {name}={value}: expected {describe_type(hints[name])}; see docs/settings.md"
        ) from None
    setattr(config, name, converted)


def _base_type(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def describe_type(hint: Any) -> str:
    """Return in words which values a setting may have, read from its type annotation."""
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if get_origin(hint) is Annotated:
        bounds = [
            f"{words} {bound}"
            for meta in arguments[1:]
            for name, words in BOUND_WORDS.items()
            if (bound := getattr(meta, name)) is not None
        ]
        return f"{describe_type(arguments[0])} that is {' and '.join(bounds)}"
    if NoneType in arguments:
        return ", or ".join(map(describe_type, arguments))
    return TYPE_WORDS.get(hint, str(hint))


def check(config: Any) -> None:
    """Check the type and the range of all settings.

    Raises:
        UserError: names the setting, its value and the values that are allowed.
    """
    for field in fields(config):
        override(config, field.name, getattr(config, field.name))


class _OneLine(logging.Formatter):
    """Keeps a message in one line, whatever the names in it hold."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record))


def _tell_thread(failed: threading.ExceptHookArgs) -> None:
    """Print an error that ends a thread, except errors of the disk.

    The curves of a training are written by a thread, which raises its error in the main one too.
    """
    if not isinstance(failed.exc_value, OSError):
        sys.excepthook(failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)


def run(main: Callable[[], None]) -> None:
    """Run a command and exit.

    Exit codes: 0 success, 2 a mistake of the user, 130 interrupted, 1 any other error.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.addLevelName(logging.INFO, "note")
    logging.addLevelName(logging.WARNING, "warning")
    logging.addLevelName(logging.ERROR, "error")
    if isinstance(sys.stdout, TextIOWrapper):  # the encoding of a terminal may lack a character
        sys.stdout.reconfigure(errors="backslashreplace")
    threading.excepthook = _tell_thread
    signal.signal(signal.SIGINT, signal.default_int_handler)  # instead of that in tcc/__init__.py
    try:
        with logging_redirect_tqdm():
            main()
        sys.stdout.flush()  # now, so that a BrokenPipeError is caught below
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of stdout has ended, for example `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in FIXABLE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        told = one_line(f"error: {where}{error.strerror}; fix this and run again")
        print(told, file=sys.stderr)
        sys.exit(2)


def pick_device(name: str) -> torch.device:
    """Return the PyTorch device for --device.

    On the CPU, PyTorch then uses one thread, unless OMP_NUM_THREADS is set. The convolutions are so
    small that more threads hardly make them faster, and waiting threads slow down a busy computer.

    Args:
        name: auto, cpu, cuda or mps. auto is cuda or mps if available, else cpu.

    Raises:
        UserError: the computer has no such device.
    """
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, present in available.items() if present)
    if not available[name]:
        raise UserError(f"--device {name}: this computer has no such device; use --device cpu")
    if name == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return torch.device(name)
