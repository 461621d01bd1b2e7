"""Convolutions at chosen pixels only, in two ways that give the same numbers: gathered rows, or masked maps.

Gathered, features are rows (P, C), one for each active site, and a 3 x 3 convolution is one product of matrices
with the rows of the nine neighbours side by side. Masked, features are maps (B, C, H, W), 0 outside the sites.
Gathering costs in proportion to the active sites, masking in proportion to all pixels.
Source of the arithmetic: submanifold and inverse sparse convolutions, Graham and others, arXiv 1711.10275.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

_ROWS = 1 << 16  # rows of neighbours multiplied at once, which bounds the memory


class Kernel(nn.Module):
    """Weights (out, k, k, into) of a convolution at sites, stored as the published ones are.

    `scrambled`: a 1 x 1 kernel is read as the library of the published weights reads it, the same numbers taken in
    the order (into, out). They were trained that way; networks trained here are not.
    """

    def __init__(self, before: int, after: int, side: int, bias: bool = False, scrambled: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, side, side, before))
        nn.init.kaiming_uniform_(self.weight.permute(0, 3, 1, 2), a=5**0.5)
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        self.scrambled = scrambled and side == 1

    def matrix(self) -> Tensor:
        """(k k into, out): the weights as one matrix over the neighbours' rows."""
        after, side, _, before = self.weight.shape
        if self.scrambled:
            return self.weight.reshape(before, after)
        return self.weight.permute(1, 2, 3, 0).reshape(side * side * before, after)

    def image(self) -> Tensor:
        """(out, into, k, k): the weights as `conv2d` takes them."""
        if self.scrambled:
            after, _, _, before = self.weight.shape
            return self.weight.reshape(before, after).T.reshape(after, before, 1, 1)
        return self.weight.permute(0, 3, 1, 2)


class Sites(Protocol):
    """The active sites of B maps at one size, and what can be done with features there."""

    def take(self, maps: Tensor, each: Tensor) -> Tensor:
        """Features from maps (T, C, H, W); `each` (B,) says which of the T belongs to each of the B."""
        ...

    def sample(self, maps: Tensor, each: Tensor, factor: int) -> Tensor:
        """The same from maps (T, C, H / factor, W / factor), bilinear between their pixels."""
        ...

    def convolve(self, values: Tensor, kernel: Kernel) -> Tensor:
        """A 3 x 3 convolution to the same sites."""
        ...

    def point(self, values: Tensor, kernel: Kernel) -> Tensor:
        """A 1 x 1 convolution."""
        ...

    def spread(self, values: Tensor, fill: float) -> Tensor:
        """Maps (B, C, H, W) of the features, `fill` outside the sites."""
        ...


class GatheredSites:
    """Active sites of `mask` (B, H, W) as rows in the order of `torch.nonzero`."""

    def __init__(self, mask: Tensor) -> None:
        self.shape = mask.shape
        self.places = mask.nonzero()
        # One row more around every map, so that neighbours outside need no test; row P stands for "none".
        self.index = torch.full(
            (mask.shape[0], mask.shape[1] + 2, mask.shape[2] + 2), len(self.places), device=mask.device
        )
        self.index[:, 1:-1, 1:-1][mask] = torch.arange(len(self.places), device=mask.device)
        self._around: Tensor | None = None

    def take(self, maps: Tensor, each: Tensor) -> Tensor:
        owner, row, column = self.places.unbind(1)
        return maps[each[owner], :, row, column]

    def sample(self, maps: Tensor, each: Tensor, factor: int) -> Tensor:
        owner, row, column = self.places.unbind(1)
        height, width = maps.shape[2:]
        rows, top = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]), each[owner] * height
        (above, below, down), (left, right, across) = (
            _between(place, factor, length, maps.dtype) for place, length in ((row, height), (column, width))
        )
        upper, lower = (top + above) * width, (top + below) * width
        high = torch.lerp(rows[upper + left], rows[upper + right], across)
        return torch.lerp(high, torch.lerp(rows[lower + left], rows[lower + right], across), down)

    def convolve(self, values: Tensor, kernel: Kernel) -> Tensor:
        if self._around is None:
            owner, row, column = (each[:, None] for each in self.places.unbind(1))
            down, across = _taps(self.places.device)
            self._around = self.index[owner, row + down, column + across]
        return _multiplied(values, self._around, kernel)

    def rise(self, values: Tensor, coarse: GatheredSites, kernel: Kernel) -> Tensor:
        """The inverse of the 3 x 3 convolution of stride 2 that led from these sites to the `coarse` ones."""
        owner, row, column = (each[:, None] for each in self.places.unbind(1))
        down, across = _taps(self.places.device)
        above, left = row + 1 - down, column + 1 - across
        table = coarse.index[owner, above.div(2, rounding_mode="floor") + 1, left.div(2, rounding_mode="floor") + 1]
        missing = (above % 2 + left % 2) > 0
        return _multiplied(values, torch.where(missing, len(coarse.places), table), kernel)

    def point(self, values: Tensor, kernel: Kernel) -> Tensor:
        product = values @ kernel.matrix()
        return product if kernel.bias is None else product + kernel.bias

    def spread(self, values: Tensor, fill: float) -> Tensor:
        count, height, width = self.shape
        maps = values.new_full((count, height, width, values.shape[1]), fill)
        maps[self.places[:, 0], self.places[:, 1], self.places[:, 2]] = values
        return maps.permute(0, 3, 1, 2)


class MaskedSites:
    """Active sites of `mask` (B, H, W) as maps that are 0 elsewhere."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask[:, None]

    def take(self, maps: Tensor, each: Tensor) -> Tensor:
        return maps[each] * self.mask

    def sample(self, maps: Tensor, each: Tensor, factor: int) -> Tensor:
        if factor == 1:
            return self.take(maps, each)
        wide = functional.interpolate(maps[each], scale_factor=factor, mode="bilinear", align_corners=False)
        return wide * self.mask

    def convolve(self, values: Tensor, kernel: Kernel) -> Tensor:
        return functional.conv2d(values * self.mask, kernel.image(), kernel.bias, padding=1)

    def rise(self, values: Tensor, coarse: MaskedSites, kernel: Kernel) -> Tensor:
        """The inverse of the 3 x 3 convolution of stride 2 that led from these sites to the `coarse` ones."""
        weight = kernel.weight.permute(3, 0, 1, 2)
        made = functional.conv_transpose2d(values * coarse.mask, weight, stride=2, padding=1, output_padding=1)
        return made * self.mask

    def point(self, values: Tensor, kernel: Kernel) -> Tensor:
        return functional.conv2d(values, kernel.image(), kernel.bias)

    def spread(self, values: Tensor, fill: float) -> Tensor:
        return torch.where(self.mask, values, values.new_tensor(fill))


def coarser(mask: Tensor) -> Tensor:
    """The sites (B, H/2, W/2) that a 3 x 3 convolution of stride 2 makes active of `mask` (B, H, W)."""
    return functional.max_pool2d(mask[:, None].float(), 3, 2, 1)[:, 0] > 0


def _between(place: Tensor, factor: int, length: int, kind: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """The two of `length` coarse pixels that each fine one lies between, and how far (P, 1) beyond the first."""
    at = ((place + 0.5) / factor - 0.5).clamp_min(0).to(kind)
    first = at.long()
    return first, (first + 1).clamp(max=length - 1), (at - first)[:, None]


def _taps(device: torch.device) -> tuple[Tensor, Tensor]:
    taps = torch.arange(9, device=device)
    return taps // 3, taps % 3


def _multiplied(values: Tensor, table: Tensor, kernel: Kernel) -> Tensor:
    """(P, out): for each row of `table` (P, 9) the nine rows of `values` it names, times the kernel; none is 0."""
    padded = torch.cat([values, values.new_zeros(1, values.shape[1])])
    matrix = kernel.matrix()
    starts = range(0, len(table), _ROWS)
    parts = [padded[table[start : start + _ROWS]].flatten(1) @ matrix for start in starts]
    product = torch.cat(parts) if parts else values.new_zeros(0, matrix.shape[1])
    return product if kernel.bias is None else product + kernel.bias
