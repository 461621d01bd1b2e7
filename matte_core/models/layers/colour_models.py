"""Alpha and distances from colours alone: local models of the known foreground and background.

Nothing here is learned. All pixels of a picture must be in one light, scene-linear or display-referred.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.layers.bilinear import bilinear

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
_COARSE = 4  # the Gaussian models live on a grid of 4 x 4 pixels
_LEVELS = 10
_TINY = 1e-4
_WIDTHS = (3, 3, 1, 1, 1, 1, 1)


@dataclass(frozen=True)
class ColourModels:
    """What the known colours say about every pixel; each (N, C, H, W) over the picture.

    `foreground`, `background` (C = 3): known colours carried smoothly into the unknown.
    `projected` (C = 1), -0.2 to 1.2: alpha of the pixel's projection on the line between the two;
    `residual` (C = 1), 0 to 3: what the line leaves unexplained, summed over channels.
    `discriminant` (C = 1), -0.2 to 1.2: linear-discriminant alpha of local Gaussian models.
    `foreground_distance`, `background_distance` (C = 1), 0 up: log(1 + squared Mahalanobis distance).
    """

    foreground: Tensor
    background: Tensor
    projected: Tensor
    residual: Tensor
    discriminant: Tensor
    foreground_distance: Tensor
    background_distance: Tensor

    def stacked(self) -> Tensor:
        """All of them as one tensor (N, 11, H, W), in their order."""
        return torch.cat([getattr(self, name) for name in self.__dataclass_fields__], 1)

    @classmethod
    def of(cls, stacked: Tensor) -> ColourModels:
        """The models that `stacked` put together."""
        return cls(*torch.split(stacked, list(_WIDTHS), 1))


def colour_models(pixels: Tensor, trimap: Tensor) -> ColourModels:
    """The colour models of `pixels` (N, 3, H, W) with `trimap` (N, 1, H, W) of 0, 0.5 and 1.

    Always finite. Where a picture has no known foreground or no known background, `projected` and
    `discriminant` are 0.5.
    """
    known_foreground, known_background = (trimap > 0.75).to(pixels), (trimap < 0.25).to(pixels)
    both = (known_foreground.amax((2, 3), keepdim=True) * known_background.amax((2, 3), keepdim=True)) > 0
    foreground, background = fill_in(pixels, known_foreground), fill_in(pixels, known_background)
    line = foreground - background
    projected = ((pixels - background) * line).sum(1, keepdim=True) / (line.square().sum(1, keepdim=True) + 2e-3)
    projected = torch.where(both, projected.clamp(-0.2, 1.2), 0.5)
    residual = (pixels - background - projected * line).abs().sum(1, keepdim=True).clamp(max=3)
    discriminant, distances = _gaussian_models(pixels, known_foreground, known_background)
    discriminant = torch.where(both, discriminant, 0.5)
    return ColourModels(foreground, background, projected, residual, discriminant, *distances)


def fill_in(values: Tensor, weight: Tensor) -> Tensor:
    """`values` (N, C, H, W) where `weight` (N, 1, H, W) is 1, carried smoothly to where it is 0.

    Pull-push: averages of ever larger cells, filled from coarse to fine. A picture without any weight becomes 0.
    """
    sums, weights = values * weight, weight
    levels: list[tuple[Tensor, Tensor]] = []
    while min(sums.shape[-2:]) > 3 and len(levels) < _LEVELS:
        levels.append((sums, weights))
        sums = functional.avg_pool2d(sums, 2, ceil_mode=True)
        weights = functional.avg_pool2d(weights, 2, ceil_mode=True)
    everywhere = sums.mean((2, 3), keepdim=True) / weights.mean((2, 3), keepdim=True).clamp_min(1e-12)
    filled = torch.where(weights > _TINY, sums / weights.clamp_min(_TINY), everywhere)
    for sums, weights in reversed(levels):
        coarse = bilinear(filled, (sums.shape[-2], sums.shape[-1]))
        trust = (weights * 4).clamp(max=1)
        filled = torch.lerp(coarse, sums / weights.clamp_min(_TINY), trust)
    return filled


def colour_sums(pixels: Tensor) -> Tensor:
    """(N, 9, H, W): the pixels (N, 3, H, W), and the products of each two of their channels."""
    return torch.cat([pixels, *(pixels[:, i : i + 1] * pixels[:, j : j + 1] for i, j in _PAIRS)], 1)


def colour_rule(front: tuple[Tensor, Tensor], back: tuple[Tensor, Tensor]) -> Tensor:
    """(N, 4, h, w): alpha is the first three times red, green and blue, plus the fourth.

    The linear discriminant between two local Gaussian models, each of `moments`.
    """
    apart = front[0] - back[0]
    direction = _apply(_inverse((front[1] + back[1]) / 2), apart)
    scale = (direction * apart).sum(1, keepdim=True).clamp_min(0.05)
    direction = direction / scale
    return torch.cat([direction, -(direction * back[0]).sum(1, keepdim=True)], 1)


def moments(sums: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (N, 3, h, w) and covariance (N, 6, h, w: upper triangle) of what `colour_sums` (N, 9, h, w), already
    weighed, and their `weights` (N, 1, h, w), 0..1, say; carried to where there is no weight."""
    filled = fill_in(sums / weights.clamp_min(_TINY), weights.clamp(max=1))
    mean = filled[:, :3]
    spread = [
        filled[:, 3 + k : 4 + k] - mean[:, i : i + 1] * mean[:, j : j + 1] + (REGULAR if i == j else 0.0)
        for k, (i, j) in enumerate(_PAIRS)
    ]
    return mean, torch.cat(spread, 1)


def _gaussian_models(pixels: Tensor, foreground: Tensor, background: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Discriminant alpha, and the log distances to foreground and background."""
    height, width = pixels.shape[-2:]
    front, back = _moments(pixels, foreground), _moments(pixels, background)
    rule = _upsample(colour_rule(front, back), height, width)
    alpha = ((rule[:, :3] * pixels).sum(1, keepdim=True) + rule[:, 3:]).clamp(-0.2, 1.2)
    distances = []
    for mean, covariance in (front, back):
        model = _upsample(torch.cat([mean, _inverse(covariance)], 1), height, width)
        away = pixels - model[:, :3]
        squared = (away * _apply(model[:, 3:], away)).sum(1, keepdim=True)
        distances.append(torch.log1p(squared.clamp(0, 1e6)))
    return alpha, (distances[0], distances[1])


def _moments(pixels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The moments of the masked pixels, coarse grid."""
    return moments(_pool(colour_sums(pixels) * mask), _pool(mask))


REGULAR = 3e-4  # added variance: the models must not trust a flat patch


def _pool(values: Tensor) -> Tensor:
    coarse = functional.avg_pool2d(values, _COARSE, ceil_mode=True)
    return functional.avg_pool2d(coarse, 3, 1, 1)


def _upsample(values: Tensor, height: int, width: int) -> Tensor:
    padded = (-(-height // _COARSE) * _COARSE, -(-width // _COARSE) * _COARSE)
    fine = bilinear(values, padded)
    return fine[..., :height, :width]


def _inverse(matrix: Tensor) -> Tensor:
    """Inverse (N, 6, h, w) of symmetric positive 3 x 3 matrices given by their upper triangle."""
    a, b, c, d, e, f = matrix.unbind(1)
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = (a * first + b * second + c * third).clamp_min(1e-9)
    upper = torch.stack([first, second, third, a * f - c * c, b * c - a * e, a * d - b * b], 1)
    return upper / determinant[:, None]


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Symmetric 3 x 3 matrices (N, 6, h, w) times vectors (N, 3, h, w)."""
    a, b, c, d, e, f = matrix.unbind(1)
    x, y, z = vector.unbind(1)
    return torch.stack([a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z], 1)
