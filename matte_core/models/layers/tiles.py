"""Where to cut a picture in space, and how tiles are joined again: arithmetic only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_STEP = 32  # what networks divide sides by


@dataclass(frozen=True)
class Tile:
    """A box of the picture: rows top..bottom, columns left..right, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def crop(self, picture: Tensor) -> Tensor:
        """The tile's part of `picture` (..., H, W)."""
        return picture[..., self.top : self.bottom, self.left : self.right]


def cut(height: int, width: int, side: int, overlap: int) -> list[Tile]:
    """Tiles of at most `side` pixels that cover the picture, neighbours sharing at least `overlap` pixels.

    No larger than so many tiles need to be: where the length, `side` and `overlap` are multiples of 32, so are they.
    """
    rows = _spans(height, side, overlap)
    return [Tile(top, bottom, left, right) for top, bottom in rows for left, right in _spans(width, side, overlap)]


def join(height: int, width: int, overlap: int, parts: Iterator[tuple[Tile, Tensor]]) -> Tensor:
    """The picture (..., H, W) from its tiles, cross-faded over the overlap; every pixel's weights sum to 1."""
    total: Tensor | None = None
    weight = torch.zeros(height, width)
    for tile, part in parts:
        if total is None:
            total = part.new_zeros((*part.shape[:-2], height, width))
            weight = weight.to(part.device)
        ramp = _ramp(tile.top, tile.bottom, height, overlap)[:, None] * _ramp(tile.left, tile.right, width, overlap)
        ramp = ramp.to(part.device)
        tile.crop(total).add_(part * ramp)
        tile.crop(weight).add_(ramp)
    if total is None:
        raise ValueError("no tiles to join")
    return total / weight


def _spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    if length <= side:
        return [(0, length)]
    stride = _stride(side, overlap)
    count = -(-(length - side) // stride) + 1
    enough = -(-(length + (count - 1) * overlap) // count)
    smaller = min(side, -(-enough // _STEP) * _STEP)
    if (count - 1) * _stride(smaller, overlap) + smaller >= length:
        side, stride = smaller, _stride(smaller, overlap)
    return [(start, min(start + side, length)) for start in range(0, count * stride, stride)]


def _stride(side: int, overlap: int) -> int:
    """From tile to tile: whole steps, since a network that reduces a picture answers otherwise a part of a step on."""
    stride = max(side - overlap, 1)
    return stride // _STEP * _STEP or stride


def _ramp(start: int, stop: int, length: int, overlap: int) -> Tensor:
    """Weights along one side: 0 in the outer quarter of the overlap, then rising; 1 at the picture's own border."""
    place = torch.arange(start, stop, dtype=torch.float32) + 0.5
    margin, span = overlap / 4, max(overlap / 2, 1)
    rise = torch.ones_like(place) if start == 0 else ((place - start - margin) / span).clamp(0, 1)
    fall = torch.ones_like(place) if stop == length else ((stop - place - margin) / span).clamp(0, 1)
    return torch.minimum(rise, fall)
