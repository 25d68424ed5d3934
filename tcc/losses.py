"""Temporal cycle-consistency and time-contrastive losses, all pairs of a batch at once.

Dwibedi et al., "Temporal Cycle-Consistency Learning", CVPR 2019, arXiv 1904.07846. B clips in a
batch, T sampled steps, D embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LOSS_TYPES = ("regression_mse_var", "regression_mse", "regression_huber", "classification")
SIMILARITY_TYPES = ("l2", "cosine")
# Least variance of a cycled-back position, in squared shares of a clip or, without
# normalize_indices, in squared frames: where it vanishes, its logarithm has no gradient.
VARIANCE_FLOOR = 1e-4
NPAIRS_REGULARIZATION = 0.002
NEAR_ENOUGH = 0.3  # frames, each by its nearness in phase, from which on a clip shows a phase


def alignment_loss(
    embeddings: Tensor,
    steps: Tensor,
    lengths: Tensor,
    mask: Tensor | None = None,
    *,
    loss_type: str = "regression_mse_var",
    stochastic_matching: bool = False,
    cycle_length: int = 2,
    num_cycles: int = 32,
    similarity_type: str = "l2",
    temperature: float = 0.1,
    label_smoothing: float = 0.1,
    variance_lambda: float = 0.001,
    huber_delta: float = 0.1,
    normalize_indices: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Cycle-back loss: a frame's soft neighbour in other clips must lead back to the frame.

    Args:
        embeddings: (B, T, D).
        steps: (B, T) frame of each step in its clip.
        lengths: (B,) frames of each clip.
        mask: (B, T) bool, False where a step is padding; None: none is.
        loss_type: one of LOSS_TYPES; arXiv 1904.07846, equations 4 (classification) and 6.
        stochastic_matching: one random frame in each of `num_cycles` random cycles through
            `cycle_length` clips, instead of every frame of all ordered pairs.
        similarity_type: "l2" (negative squared distance) or "cosine"; both are divided by the
            temperature, l2 by D too.
        label_smoothing: share of the target that is spread over all valid steps.
        variance_lambda: weight of the log variance in regression_mse_var.
        huber_delta: where regression_huber turns linear, in units of the index.
        normalize_indices: positions as shares of their clip instead of frames.
        generator: of the cycles; on the CPU.

    Returns:
        Scalar: the mean over valid frames of all pairs or cycles.

    Raises:
        ValueError: an unknown choice, fewer than 2 clips or steps.
    """
    if loss_type not in LOSS_TYPES:
        raise ValueError(f"loss_type {loss_type!r}; expected one of {', '.join(LOSS_TYPES)}")
    if similarity_type not in SIMILARITY_TYPES:
        raise ValueError(
            f"similarity_type {similarity_type!r}; expected one of {', '.join(SIMILARITY_TYPES)}"
        )
    num_clips, num_steps, _ = embeddings.shape
    if num_clips < 2 or num_steps < 2:
        raise ValueError(f"{num_clips} clips of {num_steps} steps; a cycle needs 2 of each")
    if mask is None:
        mask = torch.ones_like(steps, dtype=torch.bool)
    if similarity_type == "cosine":
        embeddings = functional.normalize(embeddings, dim=-1)
    else:  # distances do not see it, rounding does
        embeddings = embeddings - embeddings.mean(dim=(0, 1))
    if stochastic_matching:
        cycles, frame = draw_cycles(mask, cycle_length, num_cycles, generator)
        clip = cycles[:, 0]
        logits = _cycle_back(embeddings, mask, cycles, frame, similarity_type, temperature)
    else:
        logits, clip, frame = _cycle_back_all_pairs(embeddings, mask, similarity_type, temperature)

    positions = steps.to(embeddings.dtype)
    if normalize_indices:
        positions = positions / lengths[:, None]
    valid = mask[clip]  # (Q, T)
    log_beta = logits.masked_fill(~valid, -torch.inf).log_softmax(-1)
    if loss_type == "classification":
        hit = functional.one_hot(frame, num_steps).to(log_beta.dtype)
        share = valid.to(hit.dtype) / valid.sum(-1, keepdim=True)
        target = (1 - label_smoothing) * hit + label_smoothing * share
        return -(target * log_beta.masked_fill(~valid, 0)).sum(-1).mean()
    beta = log_beta.exp()
    candidates = positions[clip]
    truth = candidates.gather(1, frame[:, None])[:, 0]
    predicted = (beta * candidates).sum(-1)
    error = truth - predicted
    if loss_type == "regression_mse":
        return error.square().mean()
    if loss_type == "regression_huber":
        return functional.huber_loss(predicted, truth, delta=huber_delta)
    spread = (beta * (candidates - predicted[:, None]).square()).sum(-1)
    variance = spread.clamp_min(VARIANCE_FLOOR)
    return (error.square() / variance + variance_lambda * variance.log()).mean()


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
    shown = other & mask.reshape(1, -1) & (total > NEAR_ENOUGH)
    target = near / total.clamp_min(NEAR_ENOUGH)[..., None]
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
