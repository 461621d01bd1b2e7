"""Net-M in the paper's size: an encoder and decoder with a light non-local block, and a refinement of its alpha.

Source: arXiv 2103.17020, figures S4 to S8. No weights of it are published; it is here to be trained.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.nonlocal_attention import LightNonLocal, coarse_unknown
from matte_core.models.layers.spectral import Adapter, Block, Rise, convolution, start_gently, transposed


class Refined(NamedTuple):
    """`coarse` (N, 1, H, W) 0..1 and `refined` (N, 1, H, W), which may leave 0..1 a little while training."""

    coarse: Tensor
    refined: Tensor


class FullNetM(nn.Module):
    """Coarse and refined alpha of a picture whose sides are multiples of 32.

    pixels  (N, 3, H, W), normalised by the ImageNet mean and deviation
    trimap  (N, 1, H, W) of 0, 0.5 and 1
    """

    multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.coarse = CoarseNet()
        self.refine = Refinement()

    def forward(self, pixels: Tensor, trimap: Tensor) -> Refined:
        coarse = self.coarse(pixels, trimap)
        return Refined(coarse, self.refine(coarse))


class CoarseNet(nn.Module):
    """The U-Net with the non-local block at an eighth of the size: alpha (N, 1, H, W) 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = _convolved(6, 32, 2)
        self.second = _convolved(32, 32, 1)
        self.third = _convolved(32, 64, 2)
        self.stages = nn.ModuleList([_stage(64, 64, 3, 1), _stage(64, 128, 4, 2), _stage(128, 256, 4, 2)])
        self.deepest = _stage(256, 512, 2, 2)
        self.guide = nn.Sequential(*_guide(3, 16), *_guide(16, 32), *_guide(32, 128))
        self.attention = LightNonLocal(128)
        self.skips = nn.ModuleList(
            [Adapter(6, 32), Adapter(32, 32), Adapter(64, 64), Adapter(128, 128), Adapter(256, 256)]
        )
        self.rises = nn.ModuleList([_rise(512, 256, 2), _rise(256, 128, 3), _rise(128, 64, 3), _rise(64, 32, 2)])
        self.last = nn.Sequential(transposed(32, 32), nn.BatchNorm2d(32), nn.LeakyReLU(0.2, inplace=True))
        self.out = nn.Conv2d(32, 1, 3, 1, 1)
        start_gently(self)

    def forward(self, pixels: Tensor, trimap: Tensor) -> Tensor:
        regions = torch.cat([trimap < 0.25, (trimap - 0.5).abs() <= 0.25, trimap > 0.75], 1).to(pixels)
        picture = torch.cat([pixels, regions], 1)
        half = self.second(self.enter(picture))
        quarter = self.stages[0](self.third(half))
        eighth = self.attention(self.guide(pixels), self.stages[1](quarter), coarse_unknown(trimap))
        sixteenth = self.stages[2](eighth)
        places = (picture, half, quarter, eighth, sixteenth)
        skips = [adapt(values) for adapt, values in zip(self.skips, places, strict=True)]
        values = self.deepest(sixteenth)
        for rise, skip in zip(self.rises, reversed(skips), strict=False):
            values = rise(values) + skip
        values = self.last(values) + skips[0]
        return (torch.tanh(self.out(values)) + 1) / 2


class Refinement(nn.Module):
    """A small U-Net on the alpha alone, whose answer is added to it: (N, 1, H, W). Source: BASNet's refinement."""

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


def _convolved(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(convolution(before, after, stride=stride), nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def _stage(before: int, after: int, count: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(before, after, stride), *(Block(after, after) for _ in range(count - 1)))


def _rise(before: int, after: int, count: int) -> nn.Sequential:
    return nn.Sequential(Rise(before, after), *(Block(after, after, rising=True) for _ in range(count - 1)))


def _guide(before: int, after: int) -> tuple[nn.Module, ...]:
    return convolution(before, after, stride=2, reflect=True), nn.ReLU(inplace=True), nn.BatchNorm2d(after)


def _plain(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
