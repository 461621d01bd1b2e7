"""Where to cut a picture in space, and how tiles are joined again: arithmetic only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

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

    def within(self, larger: Tile) -> Tile:
        """The same tile as seen from inside a `larger` one."""
        top, left = larger.top, larger.left
        return Tile(self.top - top, self.bottom - top, self.left - left, self.right - left)

    def grown(self, margin: int, height: int, width: int) -> Tile:
        """The tile and `margin` pixels around it, as far as the picture goes."""
        top, left = max(self.top - margin, 0), max(self.left - margin, 0)
        return Tile(top, min(self.bottom + margin, height), left, min(self.right + margin, width))

    def reduced(self, step: int) -> Tile:
        """The same tile of a picture reduced by a `step` that divides all its sides."""
        return Tile(self.top // step, self.bottom // step, self.left // step, self.right // step)


def around(wanted: Tensor, step: int, band: int, gap: int) -> list[Tile]:
    """Tiles that cover what is `wanted` (H, W) of bool, closely: sides are multiples of `step`, as H and W must be.

    Each band of rows by itself, of `band` pixels, a multiple of `step`: runs of columns, joined where they are less
    than `gap` pixels apart, and of each run the rows that are needed.
    """
    cells = functional.max_pool2d(wanted[None, None].float(), step)[0, 0].cpu().numpy() > 0
    found = []
    for top in range(0, len(cells), band // step):
        part = cells[top : top + band // step]
        columns = np.flatnonzero(part.any(0))
        ends = np.flatnonzero(np.diff(columns) > gap // step)
        firsts, lasts = np.append(0, ends + 1), np.append(ends, len(columns) - 1)
        for left, right in zip(columns[firsts], columns[lasts] + 1, strict=True) if len(columns) else ():
            rows = np.flatnonzero(part[:, left:right].any(1)) + top
            found.append(Tile(*(int(side) * step for side in (rows[0], rows[-1] + 1, left, right))))
    return found


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
