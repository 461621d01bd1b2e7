"""A trimap's probabilities and an alpha made one. Source: arXiv 2103.17020, section on joint inference."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_fusion(probabilities: Tensor, alpha: Tensor) -> Tensor:
    """(N, 1, H, W): foreground's probability plus the unknown's times `alpha`.

    `probabilities` (N, 3, H, W) of background, unknown, foreground, summing to 1.
    """
    return probabilities[:, 2:] + probabilities[:, 1:2] * alpha


def hard_fusion(probabilities: Tensor, alpha: Tensor) -> Tensor:
    """(N, 1, H, W): 0 and 1 where background or foreground is the likeliest of `probabilities` (N, 3, H, W), `alpha`
    (N, 1, H, W) where the unknown is."""
    likeliest = probabilities.argmax(1, keepdim=True)
    return torch.where(likeliest == 1, alpha, (likeliest == 2).to(alpha))
