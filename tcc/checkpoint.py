"""Checkpoints: written whole or not at all, read without running pickled code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tcc.files import UserError, whole

KEYS = {"encoder", "class_names", "config", "motion", "step"}


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values."""
    with whole(path) as temporary:
        torch.save(content, temporary)


def load(path: Path, motion: str) -> dict[str, Any]:
    """Read a checkpoint of tcc_train.py onto the CPU.

    Raises:
        UserError: the file is missing, can't be read, or is not a checkpoint.
    """
    if not path.exists():
        raise UserError(f"no checkpoint {path}; run: python3 tcc_train.py --dataset {motion}")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(
            f"can't read checkpoint {path}: {error.strerror}; make it readable or name another"
        ) from None
    except Exception:  # torch raises many kinds for a broken file; some advise to load it unsafely
        content = None
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise UserError(
            f"{path} is not a whole checkpoint of tcc_train.py; name another or train again"
        )
    return content


def load_weights(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Put the weights of a checkpoint into a module.

    Raises:
        UserError: they don't fit the module.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError:
        raise UserError(
            f"the checkpoint's weights do not fit {type(module).__name__} of tcc_model.py, which "
            "has changed since; train again"
        ) from None
