"""Read and write checkpoints. If writing fails, the old file is kept. Reading executes no code."""

from __future__ import annotations

import logging
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from tcc.files import UserError, whole

log = logging.getLogger("tcc")
KEYS = {"encoder": dict, "class_names": dict | list, "config": dict, "motion": str, "step": int}

PLAIN = (str, int, float, type(None))  # types of the settings


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint.

    Args:
        path: the file to write or replace.
        content: tensors and plain Python values, with at least KEYS.
    """
    encoded = BytesIO()  # on a full disk, torch would fail with an error of its own
    torch.save(content, encoded)
    with whole(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def keep_previous(path: Path) -> None:
    """Copy the checkpoint of an earlier training, if there is one, to <name>.previous.pt.

    It is a copy, so that the old checkpoint is in its place until `save` replaces it.

    Args:
        path: of the checkpoint.
    """
    if not path.exists():
        return
    previous = path.with_suffix(f".previous{path.suffix}")
    with whole(previous) as temporary:
        shutil.copyfile(path, temporary)
    log.info("the last checkpoint is kept as %s", previous)


def load(path: Path, motion: str) -> dict[str, Any]:
    """Read a checkpoint of tcc_train.py onto the CPU.

    Args:
        path: the file.
        motion: name of the motion, for the message that says how to train it.

    Raises:
        UserError: the file is missing, can't be read, or is not a checkpoint.
    """
    if not path.exists():
        raise UserError(f"no checkpoint {path}; run: python3 tcc_train.py --dataset {motion}")
    try:
        with ZipFile(path) as archive:
            if archive.testzip():  # the checksum of a part is wrong; torch does not look at them
                raise ValueError
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(
            f"can't read checkpoint {path}: {error.strerror}; make it readable or choose another"
        ) from None
    except Exception:  # torch raises many types; some messages advise to load the file unsafely
        content = None
    if not _is_complete(content):
        raise UserError(
            f"{path} is not a complete checkpoint of tcc_train.py; choose another or train again"
        )
    found: dict[str, Any] = content
    return found


def _is_complete(content: Any) -> bool:
    """Return whether a file holds what every checkpoint has, each of the right type."""
    return (
        isinstance(content, dict)
        and all(isinstance(content.get(name), kind) for name, kind in KEYS.items())
        and content["step"] >= 0
        and all(isinstance(value, PLAIN) for value in content["config"].values())
    )


def load_weights(
    module: torch.nn.Module, weights: dict[str, torch.Tensor], assign: bool = False
) -> None:
    """Load the weights of a checkpoint into a module.

    Args:
        module: its weights are replaced.
        weights: by their names.
        assign: use the tensors themselves, for a module that was made without memory.

    Raises:
        UserError: names or shapes of the weights differ from those of the module, or a weight is
            not finite.
    """
    try:
        module.load_state_dict(weights, assign=assign)
    except RuntimeError:
        raise UserError(
            f"the checkpoint's weights do not fit {type(module).__name__} of tcc_model.py, which "
            "has changed since the training; train again"
        ) from None
    module.float()
    if not all(bool(torch.isfinite(weight).all()) for weight in weights.values()):
        raise UserError("the checkpoint's weights are not finite; train again")
