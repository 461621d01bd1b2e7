"""Alpha and distances from colours alone: local models of the known foreground and background.

Nothing here is learned. All pixels of a picture must be in one light, scene-linear or display-referred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.layers.bilinear import bilinear

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
_COARSE = 4  # the Gaussian models live on a grid of 4 x 4 pixels
_LEVELS = 10
_STRIP = 40_000  # pixels
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
    known, made = known_colours(pixels, trimap), pixels.new_empty(len(pixels), sum(_WIDTHS), *pixels.shape[-2:])
    for rows in known.strips():
        made[..., rows, :] = known.models(rows).stacked()
    return ColourModels.of(made)


@dataclass(frozen=True)
class KnownColours:
    """What the colour models of a picture are made from, so that they can be made a few rows at a time.

    `pixels` (N, 3, H, W); `where` each (N, 1, H, W) foreground and background are known, 1 or 0, and whether `both`
    are somewhere (N, 1, 1, 1); `coarser`: what is carried to half the size, of each (to the same where it is tiny); on
    the coarse grid the discriminant's `rule` (N, 4, h, w) and the `gaussians` (N, 9, h, w) of each.
    """

    pixels: Tensor
    where: tuple[Tensor, Tensor]
    both: Tensor
    coarser: tuple[Tensor, Tensor]
    rule: Tensor
    gaussians: tuple[Tensor, Tensor]

    def strips(self) -> Iterator[slice]:
        """Rows to make together: what it takes meanwhile is as much as they are."""
        return _strips(*self.pixels.shape[-2:])

    def models(self, rows: slice) -> ColourModels:
        """The models of one of the `strips`."""
        seen, height = self.pixels[..., rows, :], self.pixels.shape[-2]
        front, back = (
            _placed(seen * where[..., rows, :], where[..., rows, :], _enlarged(level, rows, seen, height))
            for where, level in zip(self.where, self.coarser, strict=True)
        )
        line, away = front - back, seen - back
        projected = (away * line).sum(1, keepdim=True) / (line.square().sum(1, keepdim=True) + 2e-3)
        projected = torch.where(self.both, projected.clamp(-0.2, 1.2), 0.5)
        residual = (away - projected * line).abs().sum(1, keepdim=True).clamp(max=3)
        ruled = torch.where(self.both, _ruled(_enlarged(self.rule, rows, seen, height), seen), 0.5)
        far = (_far(_enlarged(gaussian, rows, seen, height), seen) for gaussian in self.gaussians)
        return ColourModels(front, back, projected, residual, ruled, *far)


def known_colours(pixels: Tensor, trimap: Tensor) -> KnownColours:
    """What is known of the colours of `pixels` (N, 3, H, W) with `trimap` (N, 1, H, W) of 0, 0.5 and 1."""
    where = (trimap > 0.75).to(pixels), (trimap < 0.25).to(pixels)
    both = (where[0].amax((2, 3), keepdim=True) * where[1].amax((2, 3), keepdim=True)) > 0
    halves: tuple[list[Tensor], list[Tensor]] = ([], [])
    cells: tuple[list[Tensor], list[Tensor]] = ([], [])
    for rows in _strips(*pixels.shape[-2:]):
        sums = colour_sums(pixels[..., rows, :])
        for side, known in enumerate(where):
            weighed = sums * known[..., rows, :]
            halves[side].append(_half(weighed[:, :3]))
            cells[side].append(_cells(weighed))
    front, back = (
        fill_in(pixels, known) if _smallest(pixels) else _filled(torch.cat(parts, 2), _half(known), _LEVELS - 1)
        for parts, known in zip(halves, where, strict=True)
    )
    models = [
        moments(_blurred(torch.cat(parts, 2)), _blurred(_cells(known)))
        for parts, known in zip(cells, where, strict=True)
    ]
    gaussians = [torch.cat([mean, _inverse(covariance)], 1) for mean, covariance in models]
    rule = colour_rule(models[0], models[1])
    return KnownColours(pixels, where, both, (front, back), rule, (gaussians[0], gaussians[1]))


def fill_in(values: Tensor, weight: Tensor) -> Tensor:
    """`values` (N, C, H, W) where `weight` (N, 1, H, W) is 1, carried smoothly to where it is 0.

    Pull-push: averages of ever larger cells, filled from coarse to fine. A picture without any weight becomes 0.
    """
    return _filled(values * weight, weight, _LEVELS)


def _filled(sums: Tensor, weights: Tensor, levels: int) -> Tensor:
    if _smallest(sums) or not levels:
        everywhere = sums.mean((2, 3), keepdim=True) / weights.mean((2, 3), keepdim=True).clamp_min(1e-12)
        return torch.where(weights > _TINY, sums / weights.clamp_min(_TINY), everywhere)
    coarse = _filled(_half(sums), _half(weights), levels - 1)
    return _placed(sums, weights, bilinear(coarse, (sums.shape[-2], sums.shape[-1])))


def _smallest(values: Tensor) -> bool:
    return min(values.shape[-2:]) <= 3


def _placed(sums: Tensor, weights: Tensor, coarse: Tensor) -> Tensor:
    """What is known over what the coarser level says."""
    return torch.lerp(coarse, sums / weights.clamp_min(_TINY), (weights * 4).clamp(max=1))


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


def _ruled(rule: Tensor, pixels: Tensor) -> Tensor:
    """The discriminant alpha that a `rule` (N, 4, H, W) gives."""
    return ((rule[:, :3] * pixels).sum(1, keepdim=True) + rule[:, 3:]).clamp(-0.2, 1.2)


def _far(model: Tensor, pixels: Tensor) -> Tensor:
    """The log distance from a `model` (N, 9, H, W): its mean, then its inverse covariance."""
    away = pixels - model[:, :3]
    squared = (away * _apply(model[:, 3:], away)).sum(1, keepdim=True)
    return torch.log1p(squared.clamp(0, 1e6))


REGULAR = 3e-4  # added variance: the models must not trust a flat patch


def _half(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values, 2, ceil_mode=True)


def _cells(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values, _COARSE, ceil_mode=True)


def _blurred(cells: Tensor) -> Tensor:
    return functional.avg_pool2d(cells, 3, 1, 1)


def _strips(height: int, width: int) -> Iterator[slice]:
    """Strips of whole cells; where the height is no number of cells, all of it."""
    step = max(_STRIP // width // _COARSE, 1) * _COARSE if height % _COARSE == 0 else height
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _enlarged(coarse: Tensor, rows: slice, seen: Tensor, height: int) -> Tensor:
    """The `rows` of `coarse` (N, C, h, w) enlarged to the whole picture's `height` and the width of what is `seen`.

    Cells are whole numbers of pixels; those on the coarse grid may reach beyond the picture, halves may not.
    """
    width = seen.shape[-1]
    cell = -(-height // coarse.shape[-2])
    if rows.stop - rows.start == height:
        padded = (cell * coarse.shape[-2], cell * coarse.shape[-1]) if cell == _COARSE else (height, width)
        return bilinear(coarse, padded)[..., :height, :width]
    first, last = max(rows.start // cell - 1, 0), min(rows.stop // cell + 1, coarse.shape[-2])
    wide = cell * coarse.shape[-1] if cell == _COARSE else width
    part = bilinear(coarse[..., first:last, :], (cell * (last - first), wide))
    top = rows.start - cell * first
    return part[..., top : top + rows.stop - rows.start, :width]


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
