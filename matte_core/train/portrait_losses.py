"""Losses of an alpha and a trimap found without any guide, over the whole picture.

Source: arXiv 2311.03770, supplement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.portrait.net import Coarse

_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)
_LEVELS = 5
_EPSILON = 1e-6
_FOCUS = 2.0  # the focal loss's exponent
_TO_WEIGHTS, _TO_PIXELS = -0.5, -2.0  # powers of the classes' areas


@dataclass(frozen=True)
class PortraitLosses:
    """How much each loss counts; the defaults are the published ones.

    coarse      binary cross entropy of the coarse alpha, and `trimap` focal loss of its regions, at all three scales
    absolute    Charbonnier loss of the alpha, `pyramid` of its Laplacian pyramid, `composite` of the picture it gives
    balanced    the last three count by their region's area to the power -2, unknown against all else; where False,
                every pixel counts alike
    decay       sum of the squares of all parameters that are called a weight
    """

    coarse: float = 1.0
    trimap: float = 1.0
    absolute: float = 1.0
    pyramid: float = 1.0
    composite: float = 1.0
    balanced: bool = True
    decay: float = 1e-6


def coarse_losses(scales: Sequence[Coarse], alpha: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of the alphas, and focal loss of the regions, each summed over the scales.

    `alpha` (N, 1, H, W) in 0..1 and `regions` (N, 3, H, W), one of which is 1, are averaged to the finest scale's
    size; the coarser scales' logits are enlarged to it.
    """
    size = (scales[-1].alpha.shape[-2], scales[-1].alpha.shape[-1])
    truth, shares = (functional.adaptive_avg_pool2d(target, size) for target in (alpha, regions))
    entropy, focal = alpha.new_zeros(()), alpha.new_zeros(())
    for scale in scales:
        logit, classes = (_enlarged(logits.float(), size) for logits in scale)
        entropy = entropy + functional.binary_cross_entropy_with_logits(logit, truth)
        focal = focal + focal_loss(classes, shares)
    return entropy, focal


def focal_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Mean over pixels of the focal loss of `logits` (N, 3, h, w) against soft `shares` (N, 3, h, w), which sum to 1.

    A class counts by its area in the batch to the power -1/2.
    """
    chance = torch.softmax(logits, 1)
    right = shares * chance + (1 - shares) * (1 - chance)
    weights = shares.sum((0, 2, 3)).clamp_min(1) ** _TO_WEIGHTS
    weights = (weights / weights.sum())[:, None, None]
    return -(weights * (1 - right) ** _FOCUS * right.clamp_min(1e-7).log()).sum(1).mean()


def area_weights(regions: Tensor) -> Tensor:
    """(N, 1, H, W) of `regions` (N, 3, H, W): what the unknown counts, and what all else does; they sum to 1."""
    areas = regions.sum((0, 2, 3)).clamp_min(1) / regions.sum()
    share = (areas**_TO_PIXELS)[1] / (areas**_TO_PIXELS).sum()
    return torch.where(regions[:, 1:2] > 0.5, share, 1 - share)


def charbonnier(error: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of sqrt(error**2 + 1e-12); (N, 1, H, W) both."""
    return _mean((error.square() + _EPSILON**2).sqrt(), weights)


def pyramid_loss(alpha: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Sum over five bands and what is left of their weighted mean absolute difference; (N, 1, H, W) all three."""
    total = alpha.new_zeros(())
    for ours, theirs, share in zip(_bands(alpha), _bands(truth), _halvings(weights), strict=True):
        total = total + _mean((ours - theirs).abs(), share)
    return total


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(_EPSILON)


def _bands(alpha: Tensor) -> list[Tensor]:
    line = alpha.new_tensor(_BINOMIAL) / 16
    kernel = (line[:, None] * line)[None, None]
    bands = []
    for _ in range(_LEVELS):
        blurred = functional.conv2d(functional.pad(alpha, (2,) * 4, mode="replicate"), kernel)
        bands.append(alpha - blurred)
        alpha = functional.avg_pool2d(blurred, 2)
    return [*bands, alpha]


def _halvings(weights: Tensor) -> list[Tensor]:
    halved = [weights]
    for _ in range(_LEVELS):
        halved.append(functional.avg_pool2d(halved[-1], 2))
    return halved


def _enlarged(values: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
