"""Blocks of small residual U-Nets: convolution with norm, residual pair, upward step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Convolution(nn.Sequential):
    """Convolution, batch norm, ReLU: (N, before, H, W) to (N, after, H / stride, W / stride)."""

    def __init__(self, before: int, after: int, stride: int = 1, side: int = 3) -> None:
        super().__init__(
            nn.Conv2d(before, after, side, stride, side // 2, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3 x 3 convolutions added to their input: (N, width, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Convolution(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, values: Tensor) -> Tensor:
        return functional.relu(values + self.second(self.first(values)))


class Upward(nn.Module):
    """Coarse features enlarged to the side of `skip` and joined with it: (N, after, H, W)."""

    def __init__(self, before: int, skip: int, after: int) -> None:
        super().__init__()
        self.narrow = Convolution(before, after, side=1)
        self.join = Convolution(after + skip, after)
        self.refine = Residual(after)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        enlarged = functional.interpolate(
            self.narrow(coarse), size=skip.shape[-2:], mode="bilinear", align_corners=False
        )
        refined: Tensor = self.refine(self.join(torch.cat([enlarged, skip], 1)))
        return refined
