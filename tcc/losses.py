"""Temporal cycle-consistency and time-contrastive losses, all pairs of a batch at once.

Dwibedi et al., "Temporal Cycle-Consistency Learning", CVPR 2019, arXiv 1904.07846. B clips in a
batch, T sampled steps, D embedding size, Q frames that are cycled back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Smallest variance of a cycled-back position, in squared shares of a clip or, without
# normalize_indices, in squared frames. The logarithm of a vanishing variance has no gradient.
VARIANCE_FLOOR = 1e-4
NPAIRS_REGULARIZATION = 0.002
# A clip shows a phase where its frames, each weighted by its nearness in phase, add up to this.
MIN_NEAR_FRAMES = 0.3
SIMILARITY_TYPES = ("l2", "cosine")


@dataclass(frozen=True, slots=True)
class LossOptions:
    """Settings of the cycle-back loss; tcc_config.py holds the values.

    Attributes:
        loss_type: a key of LOSSES.
        stochastic_matching: one random frame in each of `num_cycles` random cycles through
            `cycle_length` clips, instead of every frame of all ordered pairs.
        cycle_length: clips in a random cycle.
        num_cycles: random cycles in a batch.
        similarity_type: "l2" (negative squared distance) or "cosine"; both are divided by the
            temperature, l2 by D too.
        temperature: of both softmaxes.
        label_smoothing: share of the target that is spread over all valid steps; classification.
        variance_lambda: weight of the log variance; regression_mse_var.
        huber_delta: error at which the loss turns linear, in units of the index; regression_huber.
        normalize_indices: positions as shares of their clip instead of frames.
        tcc_tcn_combine: add the time-contrastive n-pairs loss.
        tcn_weight: its weight.
    """

    loss_type: str
    stochastic_matching: bool
    cycle_length: int
    num_cycles: int
    similarity_type: str
    temperature: float
    label_smoothing: float
    variance_lambda: float
    huber_delta: float
    normalize_indices: bool
    tcc_tcn_combine: bool
    tcn_weight: float


@dataclass(frozen=True, slots=True)
class CycledBack:
    """Where Q frames come back to in their own clips.

    Attributes:
        log_beta: (Q, T) log probability of each step of the own clip, -inf at padding.
        positions: (Q, T) of these steps.
        valid: (Q, T) False at padding.
        step: (Q,) the step that each frame started from.
    """

    log_beta: Tensor
    positions: Tensor
    valid: Tensor
    step: Tensor

    def true(self) -> Tensor:
        """Return the position (Q,) that each frame started from."""
        return self.positions.gather(1, self.step[:, None])[:, 0]

    def expected(self) -> Tensor:
        """Return the expected position (Q,) that each frame comes back to."""
        return (self.log_beta.exp() * self.positions).sum(-1)


def regression_mse_var(back: CycledBack, options: LossOptions) -> Tensor:
    """Squared error over the variance, plus the log variance; arXiv 1904.07846, equation 6."""
    beta = back.log_beta.exp()
    expected = (beta * back.positions).sum(-1)
    spread = (beta * (back.positions - expected[:, None]).square()).sum(-1)
    variance = spread.clamp_min(VARIANCE_FLOOR)
    error = back.true() - expected
    return (error.square() / variance + options.variance_lambda * variance.log()).mean()


def regression_mse(back: CycledBack, options: LossOptions) -> Tensor:
    """Squared error of the expected position."""
    return (back.true() - back.expected()).square().mean()


def regression_huber(back: CycledBack, options: LossOptions) -> Tensor:
    """Huber loss of the expected position."""
    return functional.huber_loss(back.expected(), back.true(), delta=options.huber_delta)


def classification(back: CycledBack, options: LossOptions) -> Tensor:
    """Cross entropy of the step that is come back to; arXiv 1904.07846, equation 4."""
    hit = functional.one_hot(back.step, back.valid.shape[1]).to(back.log_beta.dtype)
    uniform = back.valid.to(hit.dtype) / back.valid.sum(-1, keepdim=True)
    target = (1 - options.label_smoothing) * hit + options.label_smoothing * uniform
    return -(target * back.log_beta.masked_fill(~back.valid, 0)).sum(-1).mean()


# A new loss is a function above and a line here; its name goes into LOSS_TYPE of tcc_config.py.
LOSSES: dict[str, Callable[[CycledBack, LossOptions], Tensor]] = {
    "regression_mse_var": regression_mse_var,
    "regression_mse": regression_mse,
    "regression_huber": regression_huber,
    "classification": classification,
}


def both_halves(loss: Callable[[Tensor], Tensor], embeddings: Tensor) -> Tensor:
    """Return the sum of a loss over the fine and the coarse half of embeddings (B, T, D)."""
    return torch.stack([loss(half) for half in embeddings.chunk(2, dim=-1)]).sum()


def training_loss(
    embeddings: Tensor,
    steps: Tensor,
    lengths: Tensor,
    mask: Tensor,
    options: LossOptions,
    seed: int,
) -> Tensor:
    """Sum of the cycle-back losses of both halves, and the n-pairs loss where it is combined.

    Args:
        embeddings: (B, T, D), the fine half first.
        steps: (B, T) frame of each step in its clip.
        lengths: (B,) frames of each clip.
        mask: (B, T) bool, False where a step is padding.
        options: see LossOptions.
        seed: of random cycles; both halves draw the same ones.

    Returns:
        Scalar.
    """

    def cycle_back(half: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return alignment_loss(half, steps, lengths, mask, options, generator)

    loss = both_halves(cycle_back, embeddings)
    if options.tcc_tcn_combine:
        loss = loss + options.tcn_weight * npairs_loss(embeddings, mask)
    return loss


def alignment_loss(
    embeddings: Tensor,
    steps: Tensor,
    lengths: Tensor,
    mask: Tensor | None,
    options: LossOptions,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Cycle-back loss: a frame's soft neighbour in other clips must lead back to the frame.

    Args:
        embeddings: (B, T, D).
        steps: (B, T) frame of each step in its clip.
        lengths: (B,) frames of each clip.
        mask: (B, T) bool, False where a step is padding; None: no step is.
        options: see LossOptions.
        generator: of the random cycles; on the CPU.

    Returns:
        Scalar: the mean over valid frames of all pairs or cycles.

    Raises:
        ValueError: an unknown choice, fewer than 2 clips or steps.
    """
    if options.loss_type not in LOSSES:
        raise ValueError(f"loss_type {options.loss_type!r}; expected one of {', '.join(LOSSES)}")
    if options.similarity_type not in SIMILARITY_TYPES:
        raise ValueError(
            f"similarity_type {options.similarity_type!r}; expected one of "
            f"{', '.join(SIMILARITY_TYPES)}"
        )
    num_clips, num_steps, _ = embeddings.shape
    if num_clips < 2 or num_steps < 2:
        raise ValueError(f"{num_clips} clips of {num_steps} steps; a cycle needs 2 of each")
    if mask is None:
        mask = torch.ones_like(steps, dtype=torch.bool)
    if options.similarity_type == "cosine":
        embeddings = functional.normalize(embeddings, dim=-1)
    else:  # the mean cancels out of all distances, but a large one costs precision
        embeddings = embeddings - embeddings.mean(dim=(0, 1))
    kind, temperature = options.similarity_type, options.temperature
    if options.stochastic_matching:
        cycles, step = draw_cycles(mask, options.cycle_length, options.num_cycles, generator)
        clip = cycles[:, 0]
        logits = _cycle_back(embeddings, mask, cycles, step, kind, temperature)
    else:
        logits, clip, step = _cycle_back_all_pairs(embeddings, mask, kind, temperature)

    positions = steps.to(embeddings.dtype)
    if options.normalize_indices:
        positions = positions / lengths[:, None]
    valid = mask[clip]  # (Q, T)
    log_beta = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)
    back = CycledBack(log_beta, positions[clip], valid, step)
    return LOSSES[options.loss_type](back, options)


def draw_cycles(
    mask: Tensor, cycle_length: int, num_cycles: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw random cycles through the clips of a batch, and a frame of the first to start from.

    Args:
        mask: (B, T) bool, False where a step is padding.
        cycle_length: L, clips in a cycle; neighbours differ.
        num_cycles: Q.
        generator: on the CPU.

    Returns:
        Clips (Q, L) and steps (Q,), each valid step of the first clip as likely as any other.
    """
    num_clips, num_steps = mask.shape
    hops = torch.randint(1, num_clips, (num_cycles, cycle_length), generator=generator)
    hops[:, 0] = torch.randint(num_clips, (num_cycles,), generator=generator)
    cycles = (hops.cumsum(1) % num_clips).to(mask.device)
    draw = torch.rand(num_cycles, num_steps, generator=generator).to(mask.device)
    return cycles, draw.masked_fill(~mask[cycles[:, 0]], -1).argmax(1)


def correspondence_loss(
    embeddings: Tensor, phase: Tensor, mask: Tensor, *, temperature: float, sigma: float
) -> Tensor:
    """Contrast against known correspondences: a frame is nearest to those of its own phase.

    Chen et al., "Frame-wise Action Representations for Long Videos via Sequence Contrastive
    Learning", arXiv 2203.14957, equation 3, with the phase in place of the time in one video.

    Args:
        embeddings: (B, T, D).
        phase: (B, T) place on a clock that all clips share.
        mask: (B, T) bool, False where a frame corresponds to nothing.
        temperature: divides the negative squared distance over D.
        sigma: how far apart two phases may be and still count as near, on that clock.

    Returns:
        Scalar: the mean cross entropy over the frames and all other clips that show their phase; 0
        where none does.
    """
    num_clips, num_steps, size = embeddings.shape
    embeddings = embeddings - embeddings.mean(dim=(0, 1))
    queries = embeddings.reshape(1, num_clips * num_steps, size)
    logits = _similarity(queries, embeddings, "l2", temperature)  # (B, B T, T)
    apart = phase.reshape(1, -1, 1) - phase[:, None]
    near = torch.exp(-apart.square() / (2 * sigma**2)) * mask[:, None]
    total = near.sum(-1)  # (B, B T)
    own = torch.arange(num_clips * num_steps, device=mask.device) // num_steps
    other = torch.arange(num_clips, device=mask.device)[:, None] != own
    shown = other & mask.reshape(1, -1) & (total > MIN_NEAR_FRAMES)
    target = near / total.clamp_min(MIN_NEAR_FRAMES)[..., None]
    return -(target * logits.log_softmax(-1)).sum(-1)[shown].sum() / shown.sum().clamp_min(1)


def npairs_loss(embeddings: Tensor, mask: Tensor | None = None) -> Tensor:
    """Time-contrastive n-pairs loss: a step's neighbour in time is nearer than all other steps.

    Even steps are anchors, the odd steps after them positives. Sermanet et al., arXiv 1704.06888;
    Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016.

    Args:
        embeddings: (B, T, D), T at least 2; a last odd one out is left.
        mask: (B, T) bool, False where a step is padding.

    Returns:
        Scalar: the mean over valid anchors, plus a penalty on the embeddings' length.
    """
    pairs = embeddings.shape[1] // 2
    anchors, positives = embeddings[:, 0 : 2 * pairs : 2], embeddings[:, 1 : 2 * pairs : 2]
    valid = torch.ones(anchors.shape[:2], dtype=torch.bool, device=embeddings.device)
    if mask is not None:
        valid = mask[:, 1 : 2 * pairs : 2]
    logits = (anchors @ positives.transpose(1, 2)).masked_fill(~valid[:, None], -torch.inf)
    hits = logits.log_softmax(-1).diagonal(dim1=1, dim2=2)  # (B, T / 2)
    lengths = anchors.square().sum(-1) + positives.square().sum(-1)
    return (NPAIRS_REGULARIZATION / 4 * lengths - hits)[valid].mean()


def _similarity(queries: Tensor, keys: Tensor, similarity_type: str, temperature: float) -> Tensor:
    """Similarity of (..., Q, D) and (..., K, D) as (..., Q, K), over the temperature."""
    product = queries @ keys.transpose(-1, -2)
    if similarity_type == "cosine":
        return product / temperature
    # A query's own squared length shifts all its logits alike: the softmax does not see it.
    return (2 * product - keys.square().sum(-1)[..., None, :]) / (temperature * keys.shape[-1])


def _cycle_back_all_pairs(
    embeddings: Tensor, mask: Tensor, similarity_type: str, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (Q, T) over the own clip's steps for each valid frame of each ordered pair."""
    num_clips, num_steps, size = embeddings.shape
    frames = embeddings.reshape(1, num_clips * num_steps, size)
    logits = _similarity(frames, embeddings, similarity_type, temperature)  # (B, B T, T)
    alpha = logits.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
    neighbours = alpha @ embeddings  # (other clip B, B T, D)
    neighbours = neighbours.reshape(num_clips, num_clips, num_steps, size).transpose(0, 1)
    if similarity_type == "cosine":
        neighbours = functional.normalize(neighbours, dim=-1)
    back = _similarity(
        neighbours.reshape(num_clips, -1, size), embeddings, similarity_type, temperature
    )  # (B, other clip B and T, T)
    back = back.reshape(num_clips, num_clips, num_steps, num_steps)
    others = ~torch.eye(num_clips, dtype=torch.bool, device=mask.device)
    clip, other, frame = (others[:, :, None] & mask[:, None]).nonzero(as_tuple=True)
    return back[clip, other, frame], clip, frame


def _cycle_back(
    embeddings: Tensor,
    mask: Tensor,
    cycles: Tensor,
    frame: Tensor,
    similarity_type: str,
    temperature: float,
) -> Tensor:
    """Return logits (Q, T) over the first clip's steps at the end of each of Q cycles."""
    query = embeddings[cycles[:, 0], frame][:, None]  # (Q, 1, D)
    for clip in cycles[:, 1:].unbind(1):
        logits = _similarity(query, embeddings[clip], similarity_type, temperature)
        alpha = logits.masked_fill(~mask[clip][:, None], -torch.inf).softmax(-1)
        query = alpha @ embeddings[clip]
        if similarity_type == "cosine":
            query = functional.normalize(query, dim=-1)
    return _similarity(query, embeddings[cycles[:, 0]], similarity_type, temperature)[:, 0]
