"""A trunk of convolutions over patches of a picture: maps at four scales, where a transformer would learn too slowly.

Our own, off in the paper's size. Blocks after He et al. 2016, Deep Residual Learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class Convolutions(nn.Module):
    """Maps (N, C, H, W) at the patch's stride and at twice, four and eight times that.

    patch   pixels a side, a power of 2, at least 8
    stem    channels of the first convolution, of 4 x 4 pixels; doubled by each further one, of stride 2
    dims    channels and `depths` blocks of the four stages; `told` channels of the input
    """

    def __init__(self, patch: int, stem: int, dims: Sequence[int], depths: Sequence[int], told: int) -> None:
        super().__init__()
        first = [nn.Conv2d(told, stem, 4, 4, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)]
        width, stride = stem, 8
        while stride < patch:
            first += _step(width, 2 * width, 2)
            width, stride = 2 * width, 2 * stride
        self.stem = nn.Sequential(*first, *_step(width, dims[0], 2))
        self.halvings = nn.ModuleList(nn.Sequential(*_step(*pair, 2)) for pair in pairwise(dims))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(dim) for _ in range(depth))) for dim, depth in zip(dims, depths, strict=True)
        )
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(dims[-1], dims[-1], 1))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        values = self.stem(pixels)
        maps = []
        for place, stage in enumerate(self.stages):
            values = stage(self.halvings[place - 1](values) if place else values)
            maps.append(values)
        maps[-1] = maps[-1] + self.whole(maps[-1])  # what the picture shows as a whole
        return maps


class Block(nn.Module):
    """`values` (N, C, H, W) and what two convolutions add to them; as it begins, nothing."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.added = nn.Sequential(*_step(dim, dim), nn.Conv2d(dim, dim, 3, 1, 1, bias=False), nn.BatchNorm2d(dim))
        nn.init.zeros_(self.added[-1].weight)  # type: ignore[arg-type]
        self.bend = nn.ReLU(inplace=True)

    def forward(self, values: Tensor) -> Tensor:
        after: Tensor = self.bend(values + self.added(values))
        return after


def _step(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
