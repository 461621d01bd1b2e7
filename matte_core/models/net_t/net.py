"""Net-T: a three-class segmenter on a picture and a soft mask.

Source: arXiv 2103.17020, figure S3, after DeepLabv3+ (Chen et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.resnet50 import ResNet50

_RATES = (6, 12, 18)


class NetT(nn.Module):
    """Logits (N, 3, H, W) of background, unknown, foreground for pictures whose sides are multiples of 16.

    pixels  (N, 3, H, W), normalised by the ImageNet mean and deviation
    mask    (N, 1, H, W) in 0..1, soft, 1 = subject
    """

    multiple = 16

    def __init__(self) -> None:
        super().__init__()
        self.encode = ResNet50(channels=5)
        self.pyramid = Pyramid(2048, 256)
        self.drop = nn.Dropout(0.5)
        self.quarter = _normed(256, 48, 1)
        self.eighth = _normed(512, 48, 1)
        self.fuse = nn.Sequential(_normed(352, 256, 3), nn.Dropout(0.5), _normed(256, 256, 3), nn.Dropout(0.1))
        self.out = nn.Conv2d(256, 3, 1)

    def forward(self, pixels: Tensor, mask: Tensor) -> Tensor:
        quarter, eighth, deep = self.encode(torch.cat([pixels, 1 - mask, mask], 1))
        size = quarter.shape[-2:]
        joined = [
            _enlarged(self.drop(self.pyramid(deep)), size),
            self.quarter(quarter),
            self.eighth(_enlarged(eighth, size)),
        ]
        fused = self.fuse(torch.cat(joined, 1))
        logits: Tensor = self.out(_enlarged(fused, pixels.shape[-2:]))
        return logits


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


def _normed(before: int, after: int, side: int, dilation: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, side, 1, dilation * (side // 2), dilation)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _enlarged(values: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(values, size=size, mode="bilinear", align_corners=True)
