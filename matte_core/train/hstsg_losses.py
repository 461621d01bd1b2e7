"""Losses of an HSTSG-style network over the frames of a clip.

Source: HSTSG, WACV 2023, supplement. Two slips in it are read so: equation 4 prints no pyramid, so the usual Laplacian
pyramid of five bands is taken; equation 6 prints the mask's loss three times among five, so its weights
(1, 1, 3, 1, 1) are given to mask, absolute, band, foreground and pyramid in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.hstsg.net import Answer
from matte_core.train.instance_losses import laplacian_bands, steadiness_loss
from matte_core.train.losses import masked_mean

_LEVELS = 5
_THUMBNAIL = 16  # pixels of the picture for one of the mask
_SIGMA = 0.8


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts: cross entropy of the `mask` against the thumbnail; `absolute` error of alpha, and of
    it in the `band` where the truth is neither 0 nor 1; `foreground` where there is any; Laplacian `pyramid`. The
    published ones are these; `steadiness` (dtSSD) is not among them."""

    mask: float = 1.0
    absolute: float = 1.0
    band: float = 3.0
    foreground: float = 1.0
    pyramid: float = 1.0
    steadiness: float = 0.0


def thumbnail(alpha: Tensor) -> Tensor:
    """(N, 1, h / 16, w / 16) what the mask is to be: `alpha` (N, 1, h, w) reduced and blurred (3 x 3, sigma 0.8)."""
    small = functional.interpolate(alpha, scale_factor=1 / _THUMBNAIL, mode="bilinear", align_corners=False)
    line = torch.exp(torch.tensor([-1.0, 0.0, -1.0], device=alpha.device) / (2 * _SIGMA**2))
    line = line / line.sum()
    return functional.conv2d(functional.pad(small, (1,) * 4, mode="reflect"), (line[:, None] * line)[None, None])


def pyramid_loss(alpha: Tensor, truth: Tensor) -> Tensor:
    """Sum over five bands of the mean absolute difference of alphas (N, 1, h, w), each counting double the finer."""
    bands = laplacian_bands(alpha - truth, _LEVELS)  # the pyramid is linear
    return torch.stack([band.abs().mean() * 2**level for level, band in enumerate(bands)]).sum()


def clip_loss(
    answers: Sequence[Answer], alpha: Tensor, foreground: Tensor, weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The weighted loss and its parts by name; `alpha` (T, N, 1, H, W), `foreground` (T, N, 3, H, W) are the truth."""
    masks, alphas, fronts = (torch.cat(parts).float() for parts in zip(*answers, strict=True))
    truth, front = alpha.flatten(0, 1), foreground.flatten(0, 1)
    error, some = (alphas - truth).abs(), (truth > 0).to(truth)
    parts = {
        "mask": functional.binary_cross_entropy_with_logits(masks, thumbnail(truth)),
        "absolute": error.mean(),
        "band": masked_mean(error, ((truth > 0) & (truth < 1)).to(truth)),
        "foreground": masked_mean((fronts - front).abs().mean(1, keepdim=True), some),
        "pyramid": pyramid_loss(alphas, truth),
    }
    if weights.steadiness and len(answers) > 1:
        frames = alphas.view_as(alpha)[:, :, 0]
        parts["steadiness"] = steadiness_loss(frames, alpha[:, :, 0], torch.ones_like(frames))
    total = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
    return total, {name: float(part.detach()) for name, part in parts.items()}
