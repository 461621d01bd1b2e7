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
    difference of foreground and background), and `own`, the cross entropy of the network's own alpha, whose slope
    does not vanish where it is surely wrong."""

    absolute: float = 1.0
    squared: float = 0.5
    pyramid: float = 0.25
    composite: float = 0.5
    own: float = 0.3


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (N, 1, H, W) where `mask` (N, 1, H, W) is 1; 0 where it never is."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


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
    alpha: Tensor, logit: Tensor, truth: Tensor, unknown: Tensor, contrast: Tensor, weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The weighted loss and its parts by name; all tensors (N, 1, H, W), `contrast` |F - B| 0..1."""
    error = (alpha - truth).abs()
    parts = {
        "absolute": masked_mean(error, unknown),
        "squared": masked_mean(error.square(), unknown),
        "pyramid": pyramid_loss(alpha, truth, unknown),
        "composite": masked_mean(error * contrast, unknown),
        "own": masked_mean(functional.binary_cross_entropy_with_logits(logit, truth, reduction="none"), unknown),
    }
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
