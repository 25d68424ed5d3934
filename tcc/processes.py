"""The processes of one training, which torchrun starts; without torchrun there is one.

Every process draws the same batch and encodes its share of the clips. All of them get all
embeddings, and each computes the part of the loss that starts at its clips. The parts add up to the
loss of one process, and so do the gradients.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tcc.files import UserError
from tcc.progress import progress, silence

Item = TypeVar("Item")
Result = TypeVar("Result")
# The processes wait this long for each other, for example while process 0 scores val/.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of the training.

    Attributes:
        rank: number of this process; process 0 prints and writes.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    def share(self, num_clips: int) -> slice:
        """Return the clips of a batch that this process encodes; shares differ by at most one.

        Raises:
            UserError: there are fewer clips than processes.
        """
        if num_clips < self.count:
            raise UserError(
                f"BATCH_SIZE {num_clips}: {self.count} processes need at least one clip each; "
                "start fewer processes, or raise BATCH_SIZE"
            )
        if self.count == 1:
            return slice(None)
        first, end = (num_clips * rank // self.count for rank in (self.rank, self.rank + 1))
        return slice(first, end)

    def average_gradients(self, encoder: nn.Module) -> nn.Module:
        """Return a module that calls the encoder; its gradients are means over the processes.

        All processes start with the weights of process 0.
        """
        return encoder if self.count == 1 else DistributedDataParallel(encoder)

    def gather(self, share: Tensor, num_clips: int) -> Tensor:
        """Return the rows (num_clips, ...) of all processes, in order.

        Its gradient is the sum of the gradients in all processes.

        Args:
            share: the rows of this process.
            num_clips: B.
        """
        if self.count == 1:
            return share
        gathered = share.new_zeros(num_clips, *share.shape[1:])
        gathered[self.share(num_clips)] = share
        summed: Tensor = _Sum.apply(gathered)  # type: ignore[no-untyped-call]
        return summed

    def total(self, number: Tensor) -> Tensor:
        """Return the sum of a number over the processes, without its gradient."""
        return number if self.count == 1 else _sum(number.detach())

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], description: str, unit: str
    ) -> list[Result]:
        """See `Workers.map`; each process does its share of the items, the same in all of them."""
        mine = progress(items[self.rank :: self.count], description, unit)
        results = [function(item) for item in mine]
        if self.count == 1:
            return results
        shares: list[Any] = [None] * self.count
        distributed.all_gather_object(shares, results)
        gathered: list[Any] = [None] * len(items)
        for rank, share in enumerate(shares):
            gathered[rank :: self.count] = share
        return gathered


ALONE = Processes()


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        return _sum(tensor)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(tensor: Tensor) -> Tensor:
    summed = tensor.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(summed)
    return summed


@contextmanager
def connect(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Connect the processes that torchrun has started, and yield this one and its device.

    Processes other than the first print nothing but errors.

    Args:
        device: that --device names. Each process uses another GPU of its computer.

    Raises:
        UserError: the device can't be shared by several processes.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count == 1:
        yield ALONE, device
        return
    processes = Processes(int(os.environ["RANK"]), count)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise UserError(f"--device {device.type}: torchrun needs cuda or cpu")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        with _only_errors() if processes.rank else nullcontext():
            yield processes, device
    finally:
        distributed.destroy_process_group()


@contextmanager
def _only_errors() -> Iterator[None]:
    """Print nothing but errors; another process prints the rest."""
    logging.getLogger("tcc").setLevel(logging.ERROR)
    silence()
    with Path(os.devnull).open("w", encoding="utf-8") as nothing, redirect_stdout(nothing):
        yield
