"""The refinement of single cells, which hear from their neighbours through attention.

Source: arXiv 2311.03770, regional attention and refinement.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.portrait.regions import neighbours

_REACH = 3  # cells: offsets up to it in both axes have a bias of their own
_TOLD = 4  # channels: a picture and its coarse alpha
_AT_ONCE = 256  # cells that are convolved together: bounds the memory, and stays in a processor's cache


@dataclass(frozen=True)
class Refinement:
    """Sizes of the refinement; as they stand here, those of the paper.

    narrow, wide   channels at full size, and below it
    token, heads   width of what cells tell each other, and its attention heads; `layers` of attention
    neighbours     how many other cells each one hears from
    colours        whether cells are also told what the colours around them say, and answer what to add to the coarse
                   alpha; our own, off in the paper's form
    """

    narrow: int = 32
    wide: int = 64
    token: int = 128
    heads: int = 8
    layers: int = 2
    neighbours: int = 8
    colours: bool = False


class Refine(nn.Module):
    """Alpha (R, 1, 8, 8) in 0..1 of cells (R, 4, 8, 8), display-referred pixels and a coarse alpha, or (R, 6, 8, 8)
    with what the colours around say; `places` (R, 3) are their pictures, rows and columns."""

    def __init__(self, settings: Refinement) -> None:
        super().__init__()
        narrow, wide = settings.narrow, settings.wide
        self.count = settings.neighbours
        self.added = settings.colours
        self.fine = nn.Sequential(_step(_TOLD + 2 * settings.colours, narrow, 1), _step(narrow, narrow, 1))
        self.middle = nn.Sequential(_step(narrow, wide, 3), _step(wide, wide, 3))
        self.deep = nn.Sequential(_step(wide, wide, 3), _step(wide, wide, 1))
        self.attention = RegionAttention(wide, settings)
        self.to_middle = nn.Sequential(_step(wide, narrow, 1), _rise(narrow, narrow))
        self.to_fine = nn.Sequential(_rise(narrow + wide, narrow), _rise(narrow, narrow))
        self.last = nn.Sequential(_step(2 * narrow, narrow // 2, 1), _step(narrow // 2, narrow // 2, 1))
        self.out = nn.Conv2d(narrow // 2, 1, 1)
        if self.added:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, cells: Tensor, places: Tensor) -> Tensor:
        near = neighbours(places, self.count)
        size = len(cells) if self.training else _AT_ONCE  # a batch's statistics are of all of it
        maps = [self._down(part) for part in torch.split(cells, size)]
        tokens = self.attention.enter(torch.cat([deep.mean((2, 3)) for _, _, deep in maps]))
        parts = zip(maps, torch.split(near, size), torch.split(places, size), strict=True)
        first, alphas = 0, []
        for (fine, middle, deep), others, own in parts:
            heard = self.attention(tokens[first : first + len(own)], tokens[others], own, places[others])
            first += len(own)
            alphas.append(self._up(fine, middle, deep + heard[:, :, None, None]))
        alpha = torch.cat(alphas)
        return (cells[:, 3:4] + alpha if self.added else alpha).clamp(0, 1)

    def _down(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine(cells)
        middle = self.middle(fine)
        return fine, middle, self.deep(middle)

    def _up(self, fine: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        risen = self.to_fine(torch.cat([self.to_middle(deep), middle], 1))
        alpha: Tensor = self.out(self.last(torch.cat([risen, fine], 1)))
        return alpha


class RegionAttention(nn.Module):
    """(R, C) what each cell's token (R, D) learns from its neighbours' tokens (R, K, D), which `enter` made of (R, C).

    `places` (R, 3) and `there` (R, K, 3) give picture, row and column. The answer does not depend on the order of
    the neighbours. Offsets beyond reach in either axis share the bias table's last row: the published code tests the
    flattened offset instead and never trains the table, so that its weights mean the same here.
    """

    def __init__(self, width: int, settings: Refinement) -> None:
        super().__init__()
        self.enter = nn.Linear(width, settings.token)
        self.layers = nn.ModuleList(Layer(settings.token, settings.heads) for _ in range(settings.layers))
        self.leave = nn.Linear(settings.token, width)
        self.bias = nn.Parameter(torch.zeros((2 * _REACH + 1) ** 2 + 1, settings.heads))

    def forward(self, tokens: Tensor, others: Tensor, places: Tensor, there: Tensor) -> Tensor:
        heard = torch.cat([tokens[:, None], others], 1)
        asking = heard.shape[1] if len(self.layers) > 1 else 1
        bias = self.bias[_offset_rows(places, there, asking)].permute(0, 3, 1, 2)
        for layer in self.layers[:-1]:
            heard = layer(heard, heard, bias)
        own: Tensor = self.layers[-1](heard[:, :1], heard, bias[:, :, :1])
        left: Tensor = self.leave(own[:, 0])
        return left


class Layer(nn.Module):
    """Attention of `asking` (R, Q, D) to `told` (R, K, D), which begin with them, then a perceptron."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.perceptron = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, asking: Tensor, told: Tensor, bias: Tensor) -> Tensor:
        normed, dim = self.norm1(told), told.shape[-1]
        weight = self.qkv.weight
        query = self._apart(functional.linear(normed[:, : asking.shape[1]], weight[:dim]))
        key, value = map(self._apart, functional.linear(normed, weight[dim:]).chunk(2, -1))
        mixed = functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))
        asking = asking + self.out(mixed.transpose(1, 2).flatten(2))
        after: Tensor = asking + self.perceptron(self.norm2(asking))
        return after

    def _apart(self, tokens: Tensor) -> Tensor:
        """(R, heads, K, D / heads) of (R, K, D)."""
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


def _offset_rows(places: Tensor, there: Tensor, asking: int) -> Tensor:
    """(R, asking, K + 1) row of the bias table for the first `asking` of a cell and its neighbours, and all of them."""
    every = torch.cat([places[:, None], there], 1)[..., 1:]
    apart = every[:, None] - every[:, :asking, None]
    side = 2 * _REACH + 1
    row = (apart[..., 0] + _REACH) * side + apart[..., 1] + _REACH
    return torch.where((apart.abs() <= _REACH).all(-1), row, side * side)


def _step(before: int, after: int, side: int) -> nn.Sequential:
    return _normed(nn.Conv2d(before, after, side), after)


def _rise(before: int, after: int) -> nn.Sequential:
    """Two pixels more a side, without padding."""
    return _normed(nn.ConvTranspose2d(before, after, 3), after)


def _normed(layer: nn.Module, after: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(after, eps=1e-3, momentum=0.99), nn.LeakyReLU(0.1, inplace=True))
