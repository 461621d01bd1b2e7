"""A windowed transformer over patches of a picture: maps at four scales.

Source: Liu et al. 2021, Swin Transformer; patches and padding as Lightweight Portrait Matting (arXiv 2311.03770) has
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 7


class Stem(nn.Module):
    """(N, H / patch, W / patch, C) tokens of pictures (N, 3, H, W): one convolution of the patch's size, or where
    `channels` is not 0 a chain of convolutions of stride 2, the first of so many channels, which learns sooner.

    Source of the chain: Xiao et al. 2021, Early Convolutions Help Transformers See Better.
    """

    def __init__(self, patch: int, after: int, channels: int = 0, told: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(told, after, patch, patch) if not channels else _chain(patch, after, channels, told)
        self.norm = nn.LayerNorm(after)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens: Tensor = self.norm(self.patches(pixels).permute(0, 2, 3, 1))
        return tokens


class Swin(nn.Module):
    """Maps (N, C, H, W) at the patch's stride and at twice, four and eight times that, before each merging.

    patch   pixels a side; `stem` as in Stem
    dims    channels, `depths` blocks and `heads` attention heads of the four stages; `told` channels of the input
    """

    def __init__(
        self, patch: int, stem: int, dims: Sequence[int], depths: Sequence[int], heads: Sequence[int], told: int = 3
    ) -> None:
        super().__init__()
        self.stem = Stem(patch, dims[0], stem, told)
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(dim, count, place % 2 * (WINDOW // 2)) for place in range(depth))
            for dim, depth, count in zip(dims, depths, heads, strict=True)
        )
        self.merges = nn.ModuleList(Merge(*pair) for pair in pairwise(dims))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        tokens, maps = self.stem(pixels), []
        for place, blocks in enumerate(self.stages):
            if place:
                tokens = self.merges[place - 1](tokens)
            for block in blocks:  # type: ignore[attr-defined]
                tokens = block(tokens)
            maps.append(tokens.permute(0, 3, 1, 2))
        return maps


class Block(nn.Module):
    """Attention within windows of 7 x 7 tokens, then a perceptron; tokens (N, H, W, C) in and out."""

    def __init__(self, dim: int, heads: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1 = nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.perceptron = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        height, width = tokens.shape[1:3]
        below, right = -height % WINDOW, -width % WINDOW
        top, left = below // 2, right // 2
        padded = functional.pad(self.norm1(tokens), (0, 0, left, right - left, top, below - top))
        shift = self.shift if min(height, width) > WINDOW else 0
        if shift:
            padded = padded.roll((-shift, -shift), (1, 2))
        seen = self.attention(padded, shift)
        if shift:
            seen = seen.roll((shift, shift), (1, 2))
        tokens = tokens + seen[:, top : top + height, left : left + width]
        after: Tensor = tokens + self.perceptron(self.norm2(tokens))
        return after


class WindowAttention(nn.Module):
    """Attention among the tokens of each window (N, H, W, C), sides multiples of the window, with a bias by offset."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        self.register_buffer("offsets", _offsets(), persistent=False)

    def forward(self, tokens: Tensor, shift: int) -> Tensor:
        count, height, width, dim = tokens.shape
        windows = _windows(tokens)
        query, key, value = self.qkv(windows).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        area = WINDOW * WINDOW
        assert isinstance(self.offsets, Tensor)
        bias = self.bias[self.offsets.flatten()].view(area, area, self.heads).permute(2, 0, 1)[None]
        if shift:
            apart = _apart(height, width, shift, tokens.device).to(bias)
            bias = bias + apart.repeat(count, 1, 1)[:, None]
        mixed = functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        grid = joined.view(count, height // WINDOW, width // WINDOW, WINDOW, WINDOW, dim)
        return grid.transpose(2, 3).reshape(count, height, width, dim)


class Merge(nn.Module):
    """Four neighbouring tokens become one: (N, H / 2, W / 2, after) of (N, H, W, before), sides even."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * before)
        self.reduce = nn.Linear(4 * before, after, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        four = [tokens[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduce(self.norm(torch.cat(four, -1)))
        return merged


def _chain(patch: int, after: int, channels: int, told: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before, stride = told, 1
    while stride * 2 < patch:
        layers += [nn.Conv2d(before, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        before, channels, stride = channels, 2 * channels, 2 * stride
    return nn.Sequential(*layers, nn.Conv2d(before, after, 3, 2, 1))


def _offsets() -> Tensor:
    """(49, 49) row of the bias table for every pair of places in a window."""
    rows, columns = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()])
    apart = places[:, :, None] - places[:, None] + WINDOW - 1
    return apart[0] * (2 * WINDOW - 1) + apart[1]


def _windows(tokens: Tensor) -> Tensor:
    """(N * windows, 49, C) of tokens (N, H, W, C)."""
    count, height, width, dim = tokens.shape
    grid = tokens.view(count, height // WINDOW, WINDOW, width // WINDOW, WINDOW, dim)
    return grid.transpose(2, 3).reshape(-1, WINDOW * WINDOW, dim)


def _apart(height: int, width: int, shift: int, device: torch.device) -> Tensor:
    """(windows, 49, 49): -100 between tokens that only the roll has brought together, 0 elsewhere."""
    rows, columns = (_stretches(length, shift, device) for length in (height, width))
    labels = _windows((3 * rows[:, None] + columns)[None, ..., None])[..., 0]
    apart = (labels[:, :, None] - labels[:, None]).abs().clamp_max(1)
    return apart.float().mul(-100)


def _stretches(length: int, shift: int, device: torch.device) -> Tensor:
    """0, 1, 2 for the places before the last window, before its rolled part, and in it."""
    places = torch.arange(length, device=device)
    return (places >= length - WINDOW).long() + (places >= length - shift).long()
