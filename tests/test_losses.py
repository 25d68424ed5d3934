"""Every loss against float64 loops over pairs, cycles and frames, and against known answers."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcc.losses import (
    LOSSES,
    SIMILARITY_TYPES,
    LossOptions,
    alignment_loss,
    correspondence_loss,
    draw_cycles,
    npairs_loss,
    training_loss,
)
from tcc_config import Config

Array = NDArray[np.float64]
TEMPERATURE, SMOOTHING, LAMBDA, DELTA, FLOOR = 0.1, 0.1, 0.001, 0.1, 1e-4
B, T, D = 4, 7, 5
MATCHINGS = [(False, 2), (True, 2), (True, 3)]
OPTIONS = LossOptions(
    loss_type="regression_mse_var",
    stochastic_matching=False,
    cycle_length=2,
    num_cycles=24,
    similarity_type="l2",
    temperature=TEMPERATURE,
    label_smoothing=SMOOTHING,
    variance_lambda=LAMBDA,
    huber_delta=DELTA,
    normalize_indices=True,
    tcc_tcn_combine=False,
    tcn_weight=0.3,
)


def cycle_loss(
    embeddings: Tensor, steps: Tensor, lengths: Tensor, mask: Tensor | None = None, **options: Any
) -> Tensor:
    """Return alignment_loss with some options changed and seeded cycles."""
    generator = torch.Generator().manual_seed(5)
    return alignment_loss(embeddings, steps, lengths, mask, replace(OPTIONS, **options), generator)


def batch(masked: bool, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Random embeddings (B, T, D), sorted steps (B, T), lengths (B,) and perhaps a mask (B, T)."""
    generator = np.random.default_rng(seed)
    embeddings = generator.normal(size=(B, T, D))
    lengths = np.array([20, 31, 9, 15])
    steps = np.stack([np.sort(generator.choice(n, T, replace=False)) for n in lengths])
    mask = None
    if masked:
        mask = torch.arange(T) < torch.tensor([T, 4, 5, T])[:, None]
    return (
        torch.from_numpy(embeddings),
        torch.from_numpy(steps),
        torch.from_numpy(lengths),
        mask,
    )


def test_every_loss_can_be_set() -> None:
    hints = get_type_hints(Config)
    assert get_args(hints["LOSS_TYPE"]) == tuple(LOSSES)
    assert get_args(hints["SIMILARITY_TYPE"]) == SIMILARITY_TYPES


def softmax(logits: list[float]) -> list[float]:
    """Softmax of a list."""
    powers = [math.exp(value - max(logits)) for value in logits]
    return [power / sum(powers) for power in powers]


def similarity(a: Array, b: Array, kind: str) -> float:
    """Similarity of two embeddings, over the temperature."""
    if kind == "cosine":
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b) / TEMPERATURE)
    return float(-((a - b) ** 2).mean() / TEMPERATURE)


def naive_cycle(clips: list[Array], cycle: list[int], frame: int, kind: str) -> list[float]:
    """Logits over the first clip's frames after one frame went around one cycle."""
    query = clips[cycle[0]][frame]
    if kind == "cosine":
        query = query / np.linalg.norm(query)
    for clip in cycle[1:]:
        keys = clips[clip]
        if kind == "cosine":
            keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
        alpha = softmax([similarity(query, key, kind) for key in keys])
        query = np.array([a * key for a, key in zip(alpha, keys, strict=True)]).sum(axis=0)
    return [similarity(query, key, kind) for key in clips[cycle[0]]]


def naive_frame_loss(
    logits: list[float], frame: int, positions: list[float], loss_type: str
) -> float:
    """Loss of one frame from the logits of its way back."""
    beta = softmax(logits)
    if loss_type == "classification":
        target = [SMOOTHING / len(beta) + (1 - SMOOTHING) * (k == frame) for k in range(len(beta))]
        return -sum(t * math.log(b) for t, b in zip(target, beta, strict=True))
    predicted = sum(b * p for b, p in zip(beta, positions, strict=True))
    error = positions[frame] - predicted
    if loss_type == "regression_mse":
        return error**2
    if loss_type == "regression_huber":
        return error**2 / 2 if abs(error) <= DELTA else DELTA * (abs(error) - DELTA / 2)
    variance = sum(b * (p - predicted) ** 2 for b, p in zip(beta, positions, strict=True))
    variance = max(variance, FLOOR)
    return error**2 / variance + LAMBDA * math.log(variance)


def naive_loss(
    data: tuple[Tensor, Tensor, Tensor, Tensor | None],
    cycles: list[tuple[list[int], int]],
    loss_type: str,
    kind: str,
    normalized: bool,
) -> float:
    """Mean over (cycle, frame); only the frames that are not padding exist here."""
    embeddings, steps, lengths, mask = data
    counts = [T] * B if mask is None else mask.sum(1).tolist()
    clips = [embeddings[b, :n].double().numpy() for b, n in enumerate(counts)]
    losses = []
    for cycle, frame in cycles:
        first = cycle[0]
        positions = [float(p) for p in steps[first, : counts[first]]]
        if normalized:
            positions = [p / int(lengths[first]) for p in positions]
        logits = naive_cycle(clips, cycle, frame, kind)
        losses.append(naive_frame_loss(logits, frame, positions, loss_type))
    return sum(losses) / len(losses)


def all_pairs(mask: Tensor | None) -> list[tuple[list[int], int]]:
    """Return every ordered pair of clips with every valid frame of its first."""
    counts = [T] * B if mask is None else mask.sum(1).tolist()
    return [
        ([i, j], frame)
        for i, j in itertools.permutations(range(B), 2)
        for frame in range(counts[i])
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("kind", SIMILARITY_TYPES)
@pytest.mark.parametrize(("stochastic", "cycle_length"), MATCHINGS)
@pytest.mark.parametrize("loss_type", LOSSES)
def test_loss_equals_loops(
    loss_type: str,
    stochastic: bool,
    cycle_length: int,
    kind: str,
    normalized: bool,
    masked: bool,
    dtype: torch.dtype,
) -> None:
    data = batch(masked)
    embeddings, steps, lengths, mask = data
    if stochastic:
        valid = torch.ones(B, T, dtype=torch.bool) if mask is None else mask
        generator = torch.Generator().manual_seed(5)
        drawn, frames = draw_cycles(valid, cycle_length, 24, generator)
        cycles = list(zip(drawn.tolist(), frames.tolist(), strict=True))
    else:
        cycles = all_pairs(mask)
    loss = cycle_loss(
        embeddings.to(dtype),
        steps,
        lengths,
        mask,
        loss_type=loss_type,
        stochastic_matching=stochastic,
        cycle_length=cycle_length,
        similarity_type=kind,
        normalize_indices=normalized,
    )
    expected = naive_loss(data, cycles, loss_type, kind, normalized)
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    if dtype == torch.float64:
        assert loss.item() == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("kind", SIMILARITY_TYPES)
@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("frames", ["duplicate", "constant", "zero", "huge"])
def test_gradients_are_finite(frames: str, loss_type: str, stochastic: bool, kind: str) -> None:
    embeddings, steps, lengths, mask = batch(masked=True)
    embeddings = embeddings.float()
    if frames == "duplicate":
        embeddings[:, 1::2] = embeddings[:, :-1:2]
    elif frames == "constant":
        embeddings[:] = embeddings[0, 0]
    elif frames == "zero":
        embeddings[:] = 0
    else:
        embeddings *= 1e3
    embeddings.requires_grad_()
    loss = cycle_loss(
        embeddings,
        steps,
        lengths,
        mask,
        loss_type=loss_type,
        stochastic_matching=stochastic,
        similarity_type=kind,
    )
    loss = loss + npairs_loss(embeddings, mask)
    loss.backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("kind", SIMILARITY_TYPES)
@pytest.mark.parametrize("loss_type", LOSSES)
def test_gradient_is_that_of_finite_differences(loss_type: str, kind: str) -> None:
    embeddings, steps, lengths, mask = batch(masked=True)
    options: dict[str, Any] = {"loss_type": loss_type, "similarity_type": kind}
    assert torch.autograd.gradcheck(
        lambda x: cycle_loss(x, steps, lengths, mask, temperature=1.0, **options),
        embeddings.requires_grad_(),
    )


@pytest.mark.parametrize("loss_type", LOSSES)
def test_order_of_the_batch_does_not_change_the_loss(loss_type: str) -> None:
    embeddings, steps, lengths, mask = batch(masked=True)
    assert mask is not None
    order = [2, 0, 3, 1]
    loss = cycle_loss(embeddings, steps, lengths, mask, loss_type=loss_type)
    shuffled = cycle_loss(
        embeddings[order], steps[order], lengths[order], mask[order], loss_type=loss_type
    )
    torch.testing.assert_close(shuffled, loss, rtol=1e-12, atol=0)


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("loss_type", LOSSES)
def test_padding_does_not_reach_the_loss(loss_type: str, stochastic: bool) -> None:
    embeddings, steps, lengths, mask = batch(masked=True)
    assert mask is not None
    losses = []
    for padding in (0.0, 7.0):
        filled = torch.where(mask[..., None], embeddings, padding).requires_grad_()
        loss = cycle_loss(
            filled,
            torch.where(mask, steps, int(padding)),
            lengths,
            mask,
            loss_type=loss_type,
            stochastic_matching=stochastic,
        ) + npairs_loss(filled, mask)
        loss.backward()  # type: ignore[no-untyped-call]
        assert filled.grad is not None
        torch.testing.assert_close(filled.grad[~mask], torch.zeros_like(filled.grad[~mask]))
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


@pytest.mark.parametrize(
    ("loss_type", "expected"),
    [
        ("regression_mse", 0.0),
        ("regression_huber", 0.0),
        ("regression_mse_var", 0.001 * math.log(1e-4)),
        # the smoothed target on logits that are 0 at the frame and -200 elsewhere
        ("classification", 0.1 * 6 / 7 * 200),
    ],
)
def test_perfect_cycles_cost_nothing_but_the_floor_of_the_variance(
    loss_type: str, expected: float
) -> None:
    clip = torch.eye(7, dtype=torch.float64) * math.sqrt(70)  # distance**2 / 7 / 0.1 is 200
    steps = torch.arange(7).repeat(2, 1)
    loss = cycle_loss(clip.repeat(2, 1, 1), steps, torch.tensor([7, 7]), loss_type=loss_type)
    assert loss.item() == pytest.approx(expected, abs=1e-9)


def test_a_constant_embedding_predicts_the_middle_of_the_clip() -> None:
    steps = torch.arange(5).repeat(3, 1)
    loss = cycle_loss(torch.ones(3, 5, 4), steps, torch.full((3,), 5), loss_type="regression_mse")
    assert loss.item() == pytest.approx(np.square((np.arange(5) - 2) / 5).mean())


def test_cycles_step_to_another_clip_and_start_at_every_valid_frame() -> None:
    mask = torch.arange(T) < torch.tensor([T, 4, 5, 1])[:, None]
    cycles, frames = draw_cycles(mask, 3, 4000, torch.Generator().manual_seed(0))
    assert (cycles[:, 1:] != cycles[:, :-1]).all()
    assert mask[cycles[:, 0], frames].all()
    seen = torch.zeros(B, T)
    seen.index_put_((cycles[:, 0], frames), torch.ones(4000), accumulate=True)
    expected = mask / mask.sum(1, keepdim=True) * 1000
    torch.testing.assert_close(seen, expected, rtol=0.25, atol=0)
    again, _ = draw_cycles(mask, 3, 4000, torch.Generator().manual_seed(0))
    assert torch.equal(cycles, again)


@pytest.mark.parametrize("masked", [False, True])
def test_npairs_equals_loops(masked: bool) -> None:
    embeddings, _, _, mask = batch(masked)
    counts = [T] * B if mask is None else mask.sum(1).tolist()
    losses = []
    for clip, count in zip(embeddings.numpy(), counts, strict=True):
        anchors, positives = clip[0 : count - 1 : 2], clip[1:count:2]
        for row, anchor in enumerate(anchors):
            share = softmax([float(anchor @ positive) for positive in positives])
            penalty = 0.002 / 4 * ((anchor**2).sum() + (positives[row] ** 2).sum())
            losses.append(-math.log(share[row]) + penalty)
    assert npairs_loss(embeddings, mask).item() == pytest.approx(np.mean(losses), rel=1e-11)
    assert npairs_loss(embeddings.float(), mask).item() == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 3, 4), {"loss_type": "mse"}, "loss_type 'mse'; expected one of regression_mse_var"),
        ((2, 3, 4), {"similarity_type": "dot"}, "similarity_type 'dot'; expected one of l2"),
        ((1, 3, 4), {}, "1 clips of 3 steps; a cycle needs 2 of each"),
        ((2, 1, 4), {}, "2 clips of 1 steps; a cycle needs 2 of each"),
    ],
)
def test_what_no_loss_has_is_named(
    shape: tuple[int, int, int], options: dict[str, Any], message: str
) -> None:
    steps = torch.arange(shape[1]).repeat(shape[0], 1)
    with pytest.raises(ValueError, match=message):
        cycle_loss(torch.ones(shape), steps, torch.full(shape[:1], 9), **options)


@pytest.mark.parametrize("combined", [False, True])
@pytest.mark.parametrize("stochastic", [False, True])
def test_training_loss_adds_both_halves_on_the_same_cycles_and_the_weighted_npairs_loss(
    stochastic: bool, combined: bool
) -> None:
    fine, steps, lengths, mask = batch(masked=True)
    coarse = batch(masked=True, seed=1)[0]
    embeddings = torch.cat([fine, coarse], dim=-1)
    assert mask is not None
    options = replace(OPTIONS, stochastic_matching=stochastic, tcc_tcn_combine=combined)
    expected = sum(
        cycle_loss(half, steps, lengths, mask, stochastic_matching=stochastic).item()
        for half in (fine, coarse)
    )
    if combined:
        expected += 0.3 * npairs_loss(embeddings, mask).item()
    loss = training_loss(embeddings, steps, lengths, mask, options, seed=5)  # that of cycle_loss
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def naive_correspondence(
    data: Tensor, phase: Tensor, mask: Tensor, temperature: float, sigma: float
) -> float:
    """Frame by frame and clip by clip, in float64."""
    num_clips, num_steps, size = data.shape
    losses = []
    for clip in range(num_clips):
        for step in range(num_steps):
            for other in range(num_clips):
                if other == clip or not mask[clip, step]:
                    continue
                near = [
                    math.exp(-(float(phase[clip, step] - phase[other, k]) ** 2) / (2 * sigma**2))
                    * float(mask[other, k])
                    for k in range(num_steps)
                ]
                if sum(near) <= 0.3:
                    continue
                scores = [
                    -float((data[clip, step] - data[other, k]).square().sum()) / size / temperature
                    for k in range(num_steps)
                ]
                total = math.log(sum(map(math.exp, scores)))
                losses.append(
                    -sum(n * (s - total) for n, s in zip(near, scores, strict=True)) / sum(near)
                )
    return float(np.mean(losses))


@pytest.mark.parametrize("seed", range(4))
def test_correspondence_equals_a_loop_over_frames(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn(3, 6, 4, generator=generator, dtype=torch.float64)
    phase = torch.rand(3, 6, generator=generator, dtype=torch.float64).sort(1).values * 4
    mask = torch.rand(3, 6, generator=generator) > 0.3
    loss = correspondence_loss(data, phase, mask, temperature=0.5, sigma=0.3)
    assert loss.item() == pytest.approx(naive_correspondence(data, phase, mask, 0.5, 0.3))


def test_correspondence_is_least_where_frames_of_a_phase_lie_together() -> None:
    phase = torch.arange(6.0).repeat(3, 1)
    mask = torch.ones(3, 6, dtype=torch.bool)
    right = phase[..., None].repeat(1, 1, 4)
    wrong = right.flip(1) * torch.tensor([1.0, -1.0, 1.0])[:, None, None]
    apart = [
        correspondence_loss(data, phase, mask, temperature=0.1, sigma=0.3).item()
        for data in (right, wrong)
    ]
    assert apart[0] < 0.1 < apart[1]
