"""Temporal cycle-consistency and time-contrastive losses, for all pairs of a batch at once.

Dwibedi et al., "Temporal Cycle-Consistency Learning", CVPR 2019, arXiv 1904.07846. B clips in a
batch, T sampled steps, D embedding size, Q frames that are cycled back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

# Smallest variance of a cycled-back position, in squared shares of a clip or, without
# normalize_indices, in squared frames. The logarithm of a vanishing variance has no gradient.
VARIANCE_FLOOR = 1e-4
NPAIRS_REGULARIZATION = 0.002
# A clip shows a phase if the weights of its frames sum to at least this. A frame of exactly that
# phase weighs 1, frames of other phases less.
MIN_NEAR_FRAMES = 0.3
SIMILARITY_TYPES = ("l2", "cosine")


@dataclass(frozen=True, slots=True)
class LossOptions:
    """Settings of the cycle-back loss; tcc_config.py holds the values.

    Attributes:
        loss_type: a key of LOSSES.
        stochastic_matching: cycle back one random frame in each of `num_cycles` random cycles
            through `cycle_length` clips, instead of every frame of all ordered pairs.
        cycle_length: clips in a random cycle.
        num_cycles: random cycles in a batch.
        similarity_type: "l2" (negative squared distance) or "cosine"; both are divided by the
            temperature, l2 by D too.
        temperature: of both softmaxes.
        label_smoothing: classification only: part of the target spread over all valid steps.
        variance_lambda: regression_mse_var only: weight of the log variance.
        huber_delta: regression_huber only: error, in the unit of the positions, above which the
            loss is linear.
        normalize_indices: measure positions in shares of their clip instead of frames.
        tcc_tcn_combine: add the time-contrastive n-pairs loss.
        tcn_weight: weight of the n-pairs loss.
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


def _same(number: Tensor) -> Tensor:
    return number


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a batch's loss that one process computes; the parts add up to the loss.

    Attributes:
        clips: the clips whose frames are compared with all clips of the batch.
        total: returns the sum of a number over the processes.
    """

    clips: slice = field(default_factory=lambda: slice(None))
    total: Callable[[Tensor], Tensor] = _same

    def rows(self, batch: Tensor) -> Tensor:
        """Return the rows of the part's clips."""
        return batch if self.clips == slice(None) else batch[self.clips]

    def weigh(self, mean: Tensor, count: int) -> Tensor:
        """Return a mean over `count` items times the share of these items in all parts."""
        number = mean.new_tensor(count)
        return mean * (number / self.total(number))


WHOLE = Part()


@dataclass(frozen=True, slots=True)
class CycledBack:
    """Where Q frames arrive when they are cycled back to their own clips.

    Attributes:
        log_beta: (Q, T) log probability of arriving at each step of the own clip, -inf at padding.
        positions: (Q, T) position of each of these steps, in shares of the clip or in frames.
        valid: (Q, T) bool, False at padding.
        step: (Q,) the step at which each frame started.
    """

    log_beta: Tensor
    positions: Tensor
    valid: Tensor
    step: Tensor

    def true(self) -> Tensor:
        """Return the position (Q,) at which each frame started."""
        return self.positions.gather(1, self.step[:, None])[:, 0]

    def expected(self) -> Tensor:
        """Return the expected position (Q,) at which each frame arrives."""
        return (self.log_beta.exp() * self.positions).sum(-1)


def regression_mse_var(back: CycledBack, options: LossOptions) -> Tensor:
    """Return the squared error over the variance plus the log variance; arXiv 1904.07846, eq. 6."""
    beta = back.log_beta.exp()
    expected = (beta * back.positions).sum(-1)
    spread = (beta * (back.positions - expected[:, None]).square()).sum(-1)
    variance = spread.clamp_min(VARIANCE_FLOOR)
    error = back.true() - expected
    return (error.square() / variance + options.variance_lambda * variance.log()).mean()


def regression_mse(back: CycledBack, options: LossOptions) -> Tensor:
    """Return the mean squared error of the expected position."""
    return (back.true() - back.expected()).square().mean()


def regression_huber(back: CycledBack, options: LossOptions) -> Tensor:
    """Return the mean Huber loss of the expected position."""
    return functional.huber_loss(back.expected(), back.true(), delta=options.huber_delta)


def classification(back: CycledBack, options: LossOptions) -> Tensor:
    """Return the cross entropy of the step of arrival; arXiv 1904.07846, equation 4."""
    hit = functional.one_hot(back.step, back.valid.shape[1]).to(back.log_beta.dtype)
    uniform = back.valid.to(hit.dtype) / back.valid.sum(-1, keepdim=True)
    target = (1 - options.label_smoothing) * hit + options.label_smoothing * uniform
    return -(target * back.log_beta.masked_fill(~back.valid, 0)).sum(-1).mean()


# To add a loss, write a function above, add a line here, and add its name to LOSS_TYPE in
# tcc_config.py.
LOSSES: dict[str, Callable[[CycledBack, LossOptions], Tensor]] = {
    "regression_mse_var": regression_mse_var,
    "regression_mse": regression_mse,
    "regression_huber": regression_huber,
    "classification": classification,
}


def both_halves(loss: Callable[[Tensor], Tensor], embeddings: Tensor) -> Tensor:
    """Return the loss of the fine half plus the loss of the coarse half.

    Args:
        loss: from half an embedding (B, T, D / 2) to a scalar.
        embeddings: (B, T, D), the fine half first.
    """
    return torch.stack([loss(half) for half in embeddings.chunk(2, dim=-1)]).sum()


def training_loss(
    embeddings: Tensor,
    steps: Tensor,
    lengths: Tensor,
    mask: Tensor,
    options: LossOptions,
    seed: int,
    part: Part = WHOLE,
) -> Tensor:
    """Return the sum of both halves' cycle-back losses, with the n-pairs loss if it is switched on.

    Args:
        embeddings: (B, T, D), the fine half first.
        steps: (B, T) frame number of each step in its clip.
        lengths: (B,) number of frames of each clip.
        mask: (B, T) bool, False where a step is padding.
        options: see LossOptions.
        seed: seed of the random cycles; both halves use the same cycles.
        part: of the loss.

    Returns:
        Scalar.
    """

    def cycle_back(half: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return alignment_loss(half, steps, lengths, mask, options, generator, part)

    loss = both_halves(cycle_back, embeddings)
    if options.tcc_tcn_combine:
        loss = loss + options.tcn_weight * npairs_loss(embeddings, mask, part)
    return loss


def alignment_loss(
    embeddings: Tensor,
    steps: Tensor,
    lengths: Tensor,
    mask: Tensor | None,
    options: LossOptions,
    generator: torch.Generator | None = None,
    part: Part = WHOLE,
) -> Tensor:
    """Return the cycle-back loss: a frame's soft neighbour in another clip must lead back to it.

    Dwibedi et al., arXiv 1904.07846, section 3.

    Args:
        embeddings: (B, T, D).
        steps: (B, T) frame number of each step in its clip.
        lengths: (B,) number of frames of each clip.
        mask: (B, T) bool, False where a step is padding; None: there is no padding.
        options: see LossOptions.
        generator: draws the random cycles; on the CPU.
        part: of the loss, that of the frames of `part.clips`.

    Returns:
        Scalar: the mean over the valid frames of all pairs, or over the random cycles.

    Raises:
        ValueError: unknown loss_type or similarity_type, or fewer than 2 clips or steps.
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
    else:  # distances don't depend on the mean, and rounding errors are smaller without it
        embeddings = embeddings - embeddings.mean(dim=(0, 1))
    kind, temperature = options.similarity_type, options.temperature
    if options.stochastic_matching:
        cycles, step = draw_cycles(mask, options.cycle_length, options.num_cycles, generator)
        own = torch.isin(cycles[:, 0], part.rows(torch.arange(num_clips, device=mask.device)))
        cycles, step = cycles[own], step[own]
        clip = cycles[:, 0]
        logits = _cycle_back(embeddings, mask, cycles, step, kind, temperature)
    else:
        logits, clip, step = _cycle_back_all_pairs(embeddings, mask, kind, temperature, part)

    positions = steps.to(embeddings.dtype)
    if options.normalize_indices:
        positions = positions / lengths[:, None]
    valid = mask[clip]  # (Q, T)
    log_beta = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)
    back = CycledBack(log_beta, positions[clip], valid, step)
    # No random cycle may start at the clips of a part; the mean over nothing is not a number.
    loss = LOSSES[options.loss_type](back, options) if len(step) else log_beta.sum()
    return part.weigh(loss, len(step))


def draw_cycles(
    mask: Tensor, cycle_length: int, num_cycles: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw random cycles through the clips of a batch, and a start frame in the first clip of each.

    Args:
        mask: (B, T) bool, False where a step is padding.
        cycle_length: L, number of clips in a cycle; two clips in a row always differ.
        num_cycles: Q.
        generator: source of randomness, on the CPU.

    Returns:
        Clips (Q, L) and start steps (Q,). All valid steps of the first clip are equally likely.
    """
    num_clips, num_steps = mask.shape
    hops = torch.randint(1, num_clips, (num_cycles, cycle_length), generator=generator)
    hops[:, 0] = torch.randint(num_clips, (num_cycles,), generator=generator)
    cycles = (hops.cumsum(1) % num_clips).to(mask.device)
    draw = torch.rand(num_cycles, num_steps, generator=generator).to(mask.device)
    return cycles, draw.masked_fill(~mask[cycles[:, 0]], -1).argmax(1)


def correspondence_loss(
    embeddings: Tensor,
    phase: Tensor,
    mask: Tensor,
    *,
    temperature: float,
    sigma: float,
    part: Part = WHOLE,
) -> Tensor:
    """Return the contrastive loss that puts frames of the same phase nearest to each other.

    Chen et al., "Frame-wise Action Representations for Long Videos via Sequence Contrastive
    Learning", arXiv 2203.14957, equation 3, with the phase in place of the time in one video.

    Args:
        embeddings: (B, T, D).
        phase: (B, T) position on a time axis that all clips share.
        mask: (B, T) bool, False where the phase is unknown.
        temperature: divides the similarity, which is the negative squared distance over D.
        sigma: standard deviation of the Gaussian weight of a phase difference, unit of the phase.
        part: of the loss, that of the frames of `part.clips`.

    Returns:
        Scalar: the mean cross entropy over all pairs of a frame and another clip that shows the
        frame's phase; 0 if there is no such pair.
    """
    num_clips, num_steps, size = embeddings.shape
    embeddings = embeddings - embeddings.mean(dim=(0, 1))
    queries = part.rows(embeddings).reshape(1, -1, size)  # (1, Q, D)
    logits = _similarity(queries, embeddings, "l2", temperature)  # (B, Q, T)
    apart = part.rows(phase).reshape(1, -1, 1) - phase[:, None]
    near = torch.exp(-apart.square() / (2 * sigma**2)) * mask[:, None]
    total = near.sum(-1)  # (B, Q)
    clips = torch.arange(num_clips, device=mask.device)
    other = clips[:, None] != part.rows(clips).repeat_interleave(num_steps)
    valid = other & part.rows(mask).reshape(1, -1) & (total > MIN_NEAR_FRAMES)
    target = near / total.clamp_min(MIN_NEAR_FRAMES)[..., None]
    entropy = -(target * logits.log_softmax(-1)).sum(-1)[valid].sum()
    return entropy / part.total(valid.sum()).clamp_min(1)


def npairs_loss(embeddings: Tensor, mask: Tensor | None = None, part: Part = WHOLE) -> Tensor:
    """Return the time-contrastive n-pairs loss, which puts steps that follow each other nearest.

    Even steps are anchors, the odd steps after them positives. Sermanet et al., arXiv 1704.06888;
    Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016.

    Args:
        embeddings: (B, T, D), T at least 2; if T is odd, the last step is not used.
        mask: (B, T) bool, False where a step is padding; None: there is no padding.
        part: of the loss, that of the anchors of `part.clips`.

    Returns:
        Scalar: the mean over valid anchors, plus a penalty on the embeddings' length.
    """
    embeddings, pairs = part.rows(embeddings), embeddings.shape[1] // 2
    anchors, positives = embeddings[:, 0 : 2 * pairs : 2], embeddings[:, 1 : 2 * pairs : 2]
    valid = torch.ones(anchors.shape[:2], dtype=torch.bool, device=embeddings.device)
    if mask is not None:
        valid = part.rows(mask)[:, 1 : 2 * pairs : 2]
    logits = (anchors @ positives.transpose(1, 2)).masked_fill(~valid[:, None], -torch.inf)
    hits = logits.log_softmax(-1).diagonal(dim1=1, dim2=2)  # (B, T / 2)
    lengths = anchors.square().sum(-1) + positives.square().sum(-1)
    losses = (NPAIRS_REGULARIZATION / 4 * lengths - hits)[valid]
    return part.weigh(losses.mean() if len(losses) else losses.sum(), len(losses))


def _similarity(queries: Tensor, keys: Tensor, similarity_type: str, temperature: float) -> Tensor:
    """Return the similarity of (..., Q, D) and (..., K, D) over the temperature, (..., Q, K)."""
    product = queries @ keys.transpose(-1, -2)
    if similarity_type == "cosine":
        return product / temperature
    # The squared length of the query is left out: it adds the same to all logits of a softmax.
    return (2 * product - keys.square().sum(-1)[..., None, :]) / (temperature * keys.shape[-1])


def _cycle_back_all_pairs(
    embeddings: Tensor, mask: Tensor, similarity_type: str, temperature: float, part: Part
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (Q, T) of the own clip's steps, for each valid frame of each ordered pair.

    The first clips of the pairs are the S clips of the part.
    """
    num_clips, num_steps, size = embeddings.shape
    own = part.rows(torch.arange(num_clips, device=mask.device))  # (S,)
    frames = part.rows(embeddings).reshape(1, -1, size)
    logits = _similarity(frames, embeddings, similarity_type, temperature)  # (B, S T, T)
    alpha = logits.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
    neighbours = alpha @ embeddings  # (other clip B, S T, D)
    neighbours = neighbours.reshape(num_clips, len(own), num_steps, size).transpose(0, 1)
    if similarity_type == "cosine":
        neighbours = functional.normalize(neighbours, dim=-1)
    back = _similarity(
        neighbours.reshape(len(own), -1, size), part.rows(embeddings), similarity_type, temperature
    )  # (S, other clip B and T, T)
    back = back.reshape(len(own), num_clips, num_steps, num_steps)
    others = own[:, None] != torch.arange(num_clips, device=mask.device)
    row, other, frame = (others[:, :, None] & part.rows(mask)[:, None]).nonzero(as_tuple=True)
    return back[row, other, frame], own[row], frame


def _cycle_back(
    embeddings: Tensor,
    mask: Tensor,
    cycles: Tensor,
    frame: Tensor,
    similarity_type: str,
    temperature: float,
) -> Tensor:
    """Return logits (Q, T) of the first clip's steps at the end of each of Q cycles."""
    query = embeddings[cycles[:, 0], frame][:, None]  # (Q, 1, D)
    for clip in cycles[:, 1:].unbind(1):
        logits = _similarity(query, embeddings[clip], similarity_type, temperature)
        alpha = logits.masked_fill(~mask[clip][:, None], -torch.inf).softmax(-1)
        query = alpha @ embeddings[clip]
        if similarity_type == "cosine":
            query = functional.normalize(query, dim=-1)
    return _similarity(query, embeddings[cycles[:, 0]], similarity_type, temperature)[:, 0]
