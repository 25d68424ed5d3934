"""Checkpoints: written whole, read without pickle's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tcc.files import UserError, whole

KEYS = {"encoder", "encoder_arguments", "class_names", "config", "motion", "step"}


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values."""
    with whole(path) as temporary:
        torch.save(content, temporary)


def load(path: Path, motion: str) -> dict[str, Any]:
    """Read a checkpoint of tcc_train.py onto the CPU.

    Raises:
        UserError: there is none, it can't be read, or the file is not one.
    """
    if not path.exists():
        raise UserError(f"no checkpoint {path}; run: python3 tcc_train.py --dataset {motion}")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"can't read checkpoint {path} ({error.strerror}); mend it") from None
    except Exception:  # torch raises many kinds for a broken file; some advise to trust it
        content = None
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise UserError(
            f"{path} is no checkpoint of tcc_train.py, or not all of one; name another or train "
            "again"
        )
    return content


def load_weights(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Put the weights of a checkpoint into a module.

    Raises:
        UserError: they are another module's.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError:
        raise UserError(
            f"the checkpoint's weights do not fit {type(module).__name__} of tcc_model.py, which "
            "has changed since; train again"
        ) from None
