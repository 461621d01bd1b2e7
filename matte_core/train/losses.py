"""Losses of an alpha against the truth, each over the unknown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)
_LEVELS = 4


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts: `absolute`, `squared`, Laplacian `pyramid`, `composite` (error times the
    difference of foreground and background), `own`, the cross entropy of the network's own alpha, whose slope
    does not vanish where it is surely wrong, and `hard`, the absolute error of the worst `hard_share` of the unknown.

    With `balance` above 0 a crop counts by 1 / (error of its better classic solve + `balance`): what is nearly
    right already is not spoilt for the sake of what nobody can solve.

    `coarse` times absolute and hard are asked of the alpha before refinement too. The published losses are
    absolute = hard = coarse = 1 and all others 0."""

    absolute: float = 1.0
    squared: float = 0.5
    pyramid: float = 0.25
    composite: float = 0.5
    own: float = 0.3
    hard: float = 0.0
    hard_share: float = 0.5
    coarse: float = 0.0
    balance: float = 0.0


def balanced(unknown: Tensor, solved: Tensor, truth: Tensor, balance: float) -> Tensor:
    """`unknown` (N, 1, H, W) times each crop's weight, 1 on average; `solved` (N, 2, H, W) are the classic solves."""
    if not balance:
        return unknown
    errors = ((solved - truth).abs() * unknown).sum((2, 3)) / unknown.sum((2, 3)).clamp_min(1)
    weights = 1 / (errors.amin(1) + balance)
    return unknown * (weights / weights.mean())[:, None, None, None]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (N, 1, H, W) where `mask` (N, 1, H, W) is 1; 0 where it never is."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


def hard_mean(values: Tensor, mask: Tensor, share: float) -> Tensor:
    """Mean of the largest `share` of `values` (N, 1, H, W) where `mask` (N, 1, H, W) is 1; 0 where it never is.

    Source: arXiv 2103.17020, hard mining, taken within the unknown region as the answer counts nowhere else.
    """
    chosen = values[mask > 0]
    count = max(1, round(share * chosen.numel()))
    return chosen.topk(count).values.mean() if chosen.numel() else values.sum() * 0


def pyramid_loss(alpha: Tensor, truth: Tensor, unknown: Tensor) -> Tensor:
    """Sum over the Laplacian pyramid's bands of their absolute difference, a band twice as coarse counting double.

    `alpha` is set to the truth outside `unknown`; normalised by the unknown's area.
    """
    merged = torch.where(unknown > 0, alpha, truth)
    total = torch.zeros((), device=alpha.device)
    for level, (ours, theirs) in enumerate(zip(_pyramid(merged), _pyramid(truth), strict=True)):
        total = total + (ours - theirs).abs().sum() * 2**level
    return total / unknown.sum().clamp_min(1)


def matting_loss(
    alpha: Tensor,
    logit: Tensor,
    truth: Tensor,
    unknown: Tensor,
    contrast: Tensor,
    weights: LossWeights,
    coarse: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The weighted loss and its parts by name; all tensors (N, 1, H, W), `contrast` |F - B| 0..1, `coarse` the alpha
    before refinement where there is one."""
    error = (alpha - truth).abs()
    parts = {
        "absolute": masked_mean(error, unknown),
        "squared": masked_mean(error.square(), unknown),
        "pyramid": pyramid_loss(alpha, truth, unknown),
        "composite": masked_mean(error * contrast, unknown),
        "own": masked_mean(functional.binary_cross_entropy_with_logits(logit, truth, reduction="none"), unknown),
    }
    if weights.hard:
        parts["hard"] = hard_mean(error, unknown, weights.hard_share)
    if weights.coarse and coarse is not None:
        before = (coarse - truth).abs()
        hard = weights.hard * hard_mean(before, unknown, weights.hard_share) if weights.hard else 0.0
        parts["coarse"] = weights.absolute * masked_mean(before, unknown) + hard
    total = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
    return total, {name: float(part.detach()) for name, part in parts.items()}


def _pyramid(alpha: Tensor) -> list[Tensor]:
    line = torch.tensor(_BINOMIAL, dtype=alpha.dtype, device=alpha.device) / 16
    kernel = (line[:, None] * line)[None, None]
    bands = []
    for _ in range(_LEVELS):
        blurred = functional.conv2d(functional.pad(alpha, (2,) * 4, mode="reflect"), kernel)
        bands.append(alpha - blurred)
        alpha = blurred[..., ::2, ::2]
    return [*bands, alpha]
