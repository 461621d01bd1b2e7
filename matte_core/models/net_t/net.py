"""Net-T: which parts of a picture are surely background, unknown, surely foreground, told by a rough mask.

Source: arXiv 2103.17020, figure S3, after DeepLabv3+ (Chen et al. 2018). The colour inputs are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.bilinear import bilinear
from matte_core.models.layers.colour_models import colour_models
from matte_core.models.layers.resnet50 import ResNet50

_RATES = (6, 12, 18)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures
_COARSE = 4  # the known parts that colours are learned from are found on a grid of 4 x 4 pixels
_INSIDE, _OUTSIDE = 3, 12  # how many of its cells from the mask's edge they begin


@dataclass(frozen=True)
class Settings:
    """Width and depth of a Net-T; as it stands here, those of the paper.

    stem, inner, counts  of the residual encoder: see ResNet50
    pyramid, skip        channels of the context pyramid and of the two skips
    dropout              after the pyramid and the first, and after the second fusing convolution
    colours              whether it is told what the colours inside and outside of the mask say
    """

    stem: int = 64
    inner: tuple[int, ...] = (64, 128, 256, 512)
    counts: tuple[int, ...] = (3, 4, 6, 3)
    pyramid: int = 256
    skip: int = 48
    dropout: tuple[float, float] = (0.5, 0.1)
    colours: bool = False


PAPER = Settings()


class NetT(nn.Module):
    """Logits (N, 3, H, W) of background, unknown, foreground for pictures whose sides are multiples of 16.

    pixels  (N, 3, H, W) display-referred, 0..1
    mask    (N, 1, H, W) in 0..1, soft, 1 = subject
    """

    multiple = 16

    def __init__(self, settings: Settings = PAPER) -> None:
        super().__init__()
        self.colours = settings.colours
        encoder = ResNet50(8 if settings.colours else 5, settings.stem, settings.inner, settings.counts)
        wide, skip = settings.pyramid, settings.skip
        first, second = settings.dropout
        self.encode = encoder
        self.pyramid = Pyramid(4 * settings.inner[3], wide)
        self.drop = nn.Dropout(first)
        self.quarter = _normed(4 * settings.inner[0], skip, 1)
        self.eighth = _normed(4 * settings.inner[1], skip, 1)
        self.fuse = nn.Sequential(
            _normed(wide + 2 * skip, wide, 3), nn.Dropout(first), _normed(wide, wide, 3), nn.Dropout(second)
        )
        self.out = nn.Conv2d(wide, 3, 1)

    def forward(self, pixels: Tensor, mask: Tensor) -> Tensor:
        mean, deviation = (pixels.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        told = [(pixels - mean) / deviation, 1 - mask, mask]
        if self.colours:
            told.append(colour_hints(pixels, mask))
        quarter, eighth, deep = self.encode(torch.cat(told, 1))
        size = quarter.shape[-2:]
        joined = [
            _enlarged(self.drop(self.pyramid(deep)), size),
            self.quarter(quarter),
            self.eighth(_enlarged(eighth, size)),
        ]
        fused = self.fuse(torch.cat(joined, 1))
        # The paper enlarges first; a 1 x 1 convolution of what is interpolated is the same, and 16 times dearer.
        return _enlarged(self.out(fused), pixels.shape[-2:])


class Pyramid(nn.Module):
    """Context at several rates: (N, after, H, W) of (N, before, H, W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        dilated = [_normed(before, after, 3, rate) for rate in _RATES]
        self.branches = nn.ModuleList([_normed(before, after, 1), *dilated])
        self.everywhere = _normed(before, after, 1)
        self.join = _normed(5 * after, after, 1)

    def forward(self, values: Tensor) -> Tensor:
        whole = self.everywhere(values.mean((2, 3), keepdim=True)).expand(-1, -1, *values.shape[-2:])
        joined: Tensor = self.join(torch.cat([*(branch(values) for branch in self.branches), whole], 1))
        return joined


@torch.no_grad()
def colour_hints(pixels: Tensor, mask: Tensor) -> Tensor:
    """(N, 3, H, W) about -1..1: how foreground-like the colours are, and how far from the foreground's and from the
    background's; learned from what lies well inside and well outside of `mask` (N, 1, H, W), at half the size.

    Where the mask leaves nothing on one of the sides, the first is 0. H and W must be even.
    """
    coarse = functional.avg_pool2d(mask, _COARSE, ceil_mode=True)
    solid, free = (coarse >= 0.9).to(coarse), (coarse <= 0.1).to(coarse)
    known = torch.where(_eroded(free, _OUTSIDE) > 0, 0.0, torch.where(_eroded(solid, _INSIDE) > 0, 1.0, 0.5))
    half = functional.avg_pool2d(pixels, 2)
    regions = functional.interpolate(known, scale_factor=_COARSE // 2, mode="nearest")
    models = colour_models(half, regions[..., : half.shape[2], : half.shape[3]])
    near = [2 * models.discriminant - 1, models.foreground_distance / 3 - 1, models.background_distance / 3 - 1]
    return functional.interpolate(torch.cat(near, 1), scale_factor=2, mode="nearest")


def _eroded(region: Tensor, cells: int) -> Tensor:
    """`region` (N, 1, H, W) without what is within `cells` of its edge; all of it where nothing would be left."""
    core = -functional.max_pool2d(-region, 2 * cells + 1, 1, cells)
    return torch.where(core.amax((2, 3), keepdim=True) > 0, core, region)


def _normed(before: int, after: int, side: int, dilation: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, side, 1, dilation * (side // 2), dilation)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _enlarged(values: Tensor, size: torch.Size) -> Tensor:
    return bilinear(values, (size[0], size[1]), align_corners=True)
