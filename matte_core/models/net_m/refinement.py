"""The refinement of an alpha: a small U-Net on the alpha alone, whose answer is added to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Refinement(nn.Module):
    """Alpha (N, 1, H, W) to the same, which may leave 0..1 a little. Source: arXiv 2103.17020, figure S8, after
    BASNet."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, width, 3, 1, 1)
        self.down = nn.ModuleList(_plain(width, width) for _ in range(4))
        self.bridge = _plain(width, width)
        self.up = nn.ModuleList(_plain(2 * width, width) for _ in range(4))
        self.out = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, alpha: Tensor) -> Tensor:
        values, kept = self.enter(alpha), []
        for step in self.down:
            kept.append(step(values))
            values = functional.max_pool2d(kept[-1], 2)
        values = self.bridge(values)
        for step in self.up:
            skip = kept.pop()
            larger = functional.interpolate(values, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            values = step(torch.cat([larger, skip], 1))
        change: Tensor = self.out(values)
        return alpha + change


def _plain(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
