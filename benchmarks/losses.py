"""Compare the time of alignment_loss, forward and backward, with a loop over pairs in PyTorch.

    python3 -m benchmarks.losses

The loop does what published PyTorch versions do: it cycles one ordered pair of clips after the
other. The two versions alternate, so that other work on the computer slows down both equally.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tcc.losses import VARIANCE_FLOOR, LossOptions, alignment_loss
from tcc_config import Config

B, T, D = 16, 32, 128
THREADS = 2
ROUNDS = 30
TEMPERATURE, VARIANCE_LAMBDA = 0.1, 0.001


def main() -> None:
    """Check that both give the same loss, then print the median times and their ratio."""
    torch.set_num_threads(THREADS)
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(B, T, D, generator=generator)
    steps = torch.arange(T).repeat(B, 1)
    lengths = torch.full((B,), T)

    def batched(x: Tensor) -> Tensor:
        return alignment_loss(x, steps, lengths, None, Config().fill(LossOptions))

    def looped(x: Tensor) -> Tensor:
        return loop_over_pairs(x, steps, lengths)

    torch.testing.assert_close(batched(embeddings), looped(embeddings), rtol=1e-5, atol=1e-5)
    times_s: dict[str, list[float]] = {"batched": [], "loop over pairs": []}
    for _ in range(ROUNDS):
        for name, loss in (("batched", batched), ("loop over pairs", looped)):
            times_s[name].append(time_step(loss, embeddings))
    for name, values in times_s.items():
        print(f"{name:16} {1e3 * statistics.median(values):7.2f} ms (best {1e3 * min(values):.2f})")
    ratio = statistics.median(slow / fast for fast, slow in zip(*times_s.values(), strict=True))
    print(f"B {B}, T {T}, D {D}, {THREADS} threads, forward and backward: {ratio:.1f} times faster")


def time_step(loss: Callable[[Tensor], Tensor], embeddings: Tensor) -> float:
    """Return the seconds of one forward and backward pass."""
    leaf = embeddings.clone().requires_grad_()
    began_s = time.perf_counter()
    loss(leaf).backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - began_s


def loop_over_pairs(embeddings: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
    """Return regression_mse_var with l2, computed one ordered pair of clips at a time.

    Args:
        embeddings: (B, T, D).
        steps: (B, T) sampled frames.
        lengths: (B,) frames of each clip.
    """
    losses = []
    for i in range(len(embeddings)):
        positions = steps[i] / lengths[i]  # (T,)
        for j in range(len(embeddings)):
            if i == j:
                continue
            alpha = (similarity(embeddings[i], embeddings[j])).softmax(-1)  # (T, T)
            neighbours = alpha @ embeddings[j]  # (T, D)
            beta = (similarity(neighbours, embeddings[i])).softmax(-1)  # (T, T)
            predicted = (beta * positions).sum(-1)
            spread = (beta * (positions - predicted[:, None]).square()).sum(-1)
            variance = spread.clamp_min(VARIANCE_FLOOR)
            error = positions - predicted
            losses.append(error.square() / variance + VARIANCE_LAMBDA * variance.log())
    return torch.cat(losses).mean()


def similarity(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the similarities (Q, K) of (Q, D) and (K, D).

    A similarity is the negative squared distance, divided by D and by the temperature.
    """
    squared = queries.square().sum(-1)[:, None] + keys.square().sum(-1) - 2 * queries @ keys.T
    return -squared / queries.shape[-1] / TEMPERATURE


if __name__ == "__main__":
    main()
