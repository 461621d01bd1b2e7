"""Modulated deformable convolution in plain torch, a tap at a time so that its memory stays bounded.

Source: Zhu et al. 2019, Deformable ConvNets v2, equation 1. The order of offsets is the customary one: for each group
of channels and each tap, first down, then across.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_SIDE = 3
TAPS = _SIDE**2


def deformable_convolution(values: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, D, H, W) of `values` (N, C, H, W) sampled where `offsets` say, weighed by `mask`; zero outside.

    offsets  (N, G * 9 * 2, H, W) pixels (down, across) for each of G groups of channels and each of 3 x 3 taps
    mask     (N, G * 9, H, W) weight of each tap
    weight   (D, C, 3, 3), bias (D,)

    Taps are summed up one after the other: beside the answer one sampled copy of `values` is held, not nine.
    """
    count, channels, height, width = values.shape
    groups = mask.shape[1] // TAPS
    grouped = values.reshape(count * groups, channels // groups, height, width)
    ways = offsets.reshape(count * groups, TAPS, 2, height, width)
    weights = mask.reshape(count * groups, TAPS, 1, height, width)
    rows = torch.arange(height, device=values.device, dtype=values.dtype)[:, None]
    columns = torch.arange(width, device=values.device, dtype=values.dtype)
    made = bias[None, :, None, None]
    for tap in range(TAPS):
        down, across = divmod(tap, _SIDE)
        y = ways[:, tap, 0] + (rows + down - 1)
        x = ways[:, tap, 1] + (columns + across - 1)
        seen = sample(grouped, x, y) * weights[:, tap]
        made = made + functional.conv2d(
            seen.view(count, channels, height, width), weight[:, :, down, across, None, None]
        )
    return made


def sample(values: Tensor, x: Tensor, y: Tensor, padding: str = "zeros") -> Tensor:
    """(N, C, H, W) bilinear values of `values` (N, C, h, w) at the places `x`, `y` (N, H, W) in its pixels."""
    height, width = values.shape[-2:]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    if min(height, width) == 1:  # a side of one pixel has no scale: another pixel of it is what is outside
        values = functional.pad(values, (0, int(width == 1), 0, int(height == 1)))
        return sample(values, x, y, padding)
    return functional.grid_sample(values, grid, mode="bilinear", padding_mode=padding, align_corners=True)


def moved(values: Tensor, motion: Tensor) -> Tensor:
    """`values` (N, C, H, W) fetched along `motion` (N, 2, H, W), x and y in pixels; the border is carried on."""
    rows = torch.arange(values.shape[-2], device=values.device, dtype=motion.dtype)[:, None]
    columns = torch.arange(values.shape[-1], device=values.device, dtype=motion.dtype)
    return sample(values, motion[:, 0] + columns, motion[:, 1] + rows, "border")


class DeformableAlignment(nn.Module):
    """A frame's features (N, C, H, W) fetched to where a reference frame's are.

    Two convolutions look at both and say offsets and mask; the offsets begin at 0 and the mask at one half. With
    `motion` (N, 2, H, W), x and y in pixels of these features, offsets are counted from where it ends.
    Source: DVM supplement, temporal feature alignment; Chan et al. 2022, BasicVSR++, for offsets counted from motion.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.look = pair(channels)
        self.say = nn.Conv2d(channels, 3 * groups * TAPS, 3, padding=1)
        self.weight = nn.Parameter(torch.empty(channels, channels, _SIDE, _SIDE))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight, a=1)
        nn.init.zeros_(self.say.weight)
        if self.say.bias is not None:
            nn.init.zeros_(self.say.bias)

    def forward(self, values: Tensor, reference: Tensor, motion: Tensor | None = None) -> Tensor:
        told = values if motion is None else moved(values, motion)
        said = self.say(self.look(torch.cat([told, reference], 1))).float()
        split = said.shape[1] // 3
        offsets, mask = said[:, : 2 * split], torch.sigmoid(said[:, 2 * split :])
        if motion is not None:
            offsets = offsets + motion.flip(1).repeat(1, split, 1, 1)
        return deformable_convolution(values, offsets.to(values), mask.to(values), self.weight, self.bias)


def pair(channels: int) -> nn.Sequential:
    """Two 3 x 3 convolutions from two frames' features to one, as the paper's alignment looks at them."""
    return nn.Sequential(
        nn.Conv2d(2 * channels, channels, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
    )
