"""What every command shares: parser, settings, progress bar, device and exit codes."""

from __future__ import annotations

import argparse
import difflib
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tcc.files import UserError, require_utf8

if TYPE_CHECKING:
    import torch

log = logging.getLogger("tcc")
Item = TypeVar("Item")
SHARED_SETTINGS = ("DATASET", "SEED", "FPS")  # every command takes them
# Of the user's disk and names, not of a wrong path in the program.
MENDABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG,
}  # fmt: skip


def parser(
    description: str | None, settings: Iterable[str], mode: str = "test"
) -> argparse.ArgumentParser:
    """Return the parser that all commands share.

    Args:
        description: the command's docstring; its first line heads the help, the rest ends it.
        settings: names of the settings that the command reads, besides SHARED_SETTINGS. `parse`
            refuses --set of any other.
        mode: default of --mode.
    """
    head, _, rest = (description or "").partition("\n")
    result = argparse.ArgumentParser(
        description=head, epilog=rest.strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = result.add_argument
    add("--dataset", metavar="MOTION", help="folder of data/ (default: DATASET of tcc_config.py)")
    add(
        "--mode",
        choices=("train", "val", "test"),
        default=mode,
        help="folder of data/MOTION/ (default: %(default)s)",
    )
    add("--data-dir", type=Path, default=Path("data"), metavar="DIR", help="(default: %(default)s)")
    add("--log-dir", type=Path, default=Path("log"), metavar="DIR", help="(default: %(default)s)")
    add(
        "--result-dir",
        type=Path,
        default=Path("result"),
        metavar="DIR",
        help="(default: %(default)s)",
    )
    add(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="(default: %(default)s)",
    )
    add("--seed", type=int, metavar="N", help="(default: SEED of tcc_config.py)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"for this run, one of {', '.join(dict.fromkeys([*SHARED_SETTINGS, *settings]))}",
    )
    result.set_defaults(settings=frozenset([*SHARED_SETTINGS, *settings]))
    return result


def add_checkpoint(command_parser: argparse.ArgumentParser) -> None:
    """Add --checkpoint, for the commands that read one."""
    command_parser.add_argument(
        "--checkpoint", type=Path, metavar="PATH", help="(default: log/MOTION_checkpoint.pt)"
    )


def add_pair(command_parser: argparse.ArgumentParser) -> None:
    """Add --learner, --standard and --person, for the commands that compare two clips."""
    add = command_parser.add_argument
    add("--learner", metavar="CLIP", help="name, folder or video (default: the mode's first)")
    add("--standard", metavar="CLIP", help="name, folder or video (default: the mode's second)")
    add("--person", type=int, metavar="K", help="the learner is the K-th choice, 1 the main person")


def add_weights(command_parser: argparse.ArgumentParser) -> None:
    """Add --weights, for the commands that make keypoints of videos."""
    command_parser.add_argument(
        "--weights",
        type=Path,
        metavar="PATH",
        help="RTMO .onnx, for videos (default: fetched at first use)",
    )


def parse(
    command_parser: argparse.ArgumentParser, config: Any, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse `argv`, put --dataset, --seed and --set into `config` and check every setting.

    Raises:
        UserError: a setting is unknown, is not read by the command, or its value is not allowed.
    """
    args = command_parser.parse_args(argv)
    for setting in args.set:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: expected NAME=VALUE, as in --set BATCH_SIZE=8")
        override(config, name, value)
        if name not in args.settings:
            raise UserError(
                f"--set {name}: {command_parser.prog} does not read this setting, only "
                f"{', '.join(sorted(args.settings))}"
            )
    if args.dataset is not None:
        config.DATASET = args.dataset
    if args.seed is not None:
        config.SEED = args.seed
    check(config)
    if not config.DATASET.strip(".") or Path(config.DATASET).name != config.DATASET:
        raise UserError(
            f"--dataset {config.DATASET}: expected the name of a motion, a folder of "
            f"{args.data_dir}, as in axel"
        )
    require_utf8(Path(config.DATASET))
    if getattr(args, "person", None) is not None and args.person < 1:
        raise UserError(f"--person {args.person}: expected 1 (the main person), 2, 3 ...")
    return args


def override(config: Any, name: str, value: object) -> None:
    """Set one setting from a string or value of the right type.

    Raises:
        UserError: the name is unknown or the value is not allowed.
    """
    hints = get_type_hints(type(config), include_extras=True)
    if name not in hints:
        near = difflib.get_close_matches(name.upper(), hints, n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"no setting {name} in tcc_config.py{meant}")
    if value == "None" and type(None) in get_args(hints[name]):
        value = None
    try:
        converted = msgspec.convert(value, hints[name], strict=False)
    except msgspec.ValidationError as error:
        choices = get_args(hints[name]) if get_origin(hints[name]) is Literal else ()
        allowed = f", expected {', '.join(map(str, choices))}" if choices else ""
        raise UserError(f"setting {name}={value}: {error}{allowed}; see tcc_config.py") from None
    setattr(config, name, converted)


def check(config: Any) -> None:
    """Check the type and range of every setting.

    Raises:
        UserError: names the setting, its value and what is allowed.
    """
    assert is_dataclass(config)
    for field in fields(config):
        override(config, field.name, getattr(config, field.name))


def run(main: Callable[[], None]) -> None:
    """Run a command and exit: 0 done, 2 the user's mistake, 130 interrupted, 1 anything else."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.addLevelName(logging.INFO, "note")
    logging.addLevelName(logging.WARNING, "warning")
    logging.addLevelName(logging.ERROR, "error")
    try:
        with logging_redirect_tqdm():
            main()
        sys.stdout.flush()  # here a reader that has gone is caught, at the interpreter's end not
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of stdout has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror}; mend it and run again", file=sys.stderr)
        sys.exit(2)


def progress(
    items: Iterable[Item], description: str, unit: str, total: int | None = None
) -> Iterable[Item]:
    """Wrap an iterable in a progress bar on stderr, shown only where a person watches."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    bar: Iterable[Item] = tqdm(
        items, description, total=total, unit=unit, file=sys.stderr, disable=None
    )
    return bar


def pick_device(name: str) -> torch.device:
    """Return the torch device for --device; on the CPU one thread is used, unless OMP_NUM_THREADS.

    Convolutions this small gain little from more, which spin where the computer is busy.

    Raises:
        UserError: the device is not there.
    """
    import torch

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present[name]:
        raise UserError(f"--device {name}: this computer has none; use --device cpu")
    if name == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return torch.device(name)
