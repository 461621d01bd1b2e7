"""Reading a memory of frames: coarse cells guided by where they have moved to, finer ones among the best of those.

Source: HSTSG takes over the matching of Seong et al. 2021, Hierarchical Memory Matching Network; written from its
equations. Maps are (N, C, h, w); cells of a map are numbered row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

REACH = 3  # coarse cells by which a cell moves from one frame to the next, at most
SPREAD, SLOWER = 3.0, 0.5  # cells: width of the kernel for the frame before; its growth for each frame further back
_MOST = 1 << 24  # likenesses that are in memory at once


class Cells(NamedTuple):
    """What is remembered of a frame: keys and values at 1/16, 1/8 and 1/4; the fine ones may be missing."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


@dataclass(frozen=True)
class Remembered:
    """A frame of the memory: its number since the first, its cells, and where (N, h w) each coarse cell was last."""

    number: int
    cells: Cells
    at: Tensor

    def coarse_only(self) -> Remembered:
        """The same without its fine cells, which only the first and the previous frame are asked for."""
        return replace(self, cells=Cells(self.cells.keys[:1], self.cells.values[:1]))


def remembered(number: int, cells: Cells) -> Remembered:
    """A frame that was just seen: every cell is where it is."""
    count, _, height, width = cells.keys[0].shape
    return Remembered(number, cells, torch.arange(height * width, device=cells.keys[0].device).expand(count, -1))


@torch.no_grad()
def moved(memory: Sequence[Remembered], query: Tensor) -> list[Remembered]:
    """The memory with its cells followed into the frame of `query` (N, C, h, w), the coarse keys of what is asked.

    The likeliest place of every cell of the previous frame, within 3 cells, is where the cells of all older frames
    that had come there go too.
    """
    step = _likeliest(memory[-1].cells.keys[0], query)
    return [replace(each, at=torch.gather(step, 1, each.at)) for each in memory]


def _likeliest(before: Tensor, query: Tensor) -> Tensor:
    """(N, h w) number of the cell of `query` that is most like each cell of `before`, at most 3 cells away."""
    height, width = query.shape[-2:]
    side = 2 * REACH + 1
    around = functional.unfold(query.float(), side, padding=REACH).view(len(query), -1, side * side, height * width)
    alike = (around * before.float().flatten(2)[:, :, None]).sum(1)
    inside = functional.unfold(torch.ones_like(query[:1, :1], dtype=torch.float32), side, padding=REACH)
    best = alike.masked_fill(inside == 0, float("-inf")).argmax(1)
    rows = torch.arange(height, device=query.device).repeat_interleave(width) + best // side - REACH
    columns = torch.arange(width, device=query.device).repeat(height) + best % side - REACH
    found: Tensor = rows * width + columns
    return found


def read(memory: Sequence[Remembered], keys: Sequence[Tensor], candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """What the memory says at 1/16, 1/8 and 1/4 about a frame with these `keys`; see `moved` for the memory's places.

    The coarse cells of all frames are weighed; at the finer scales only parts of the `candidates` (at 1/4 a quarter
    of them) coarse cells of the first and the previous frame that weighed most.
    """
    fine = [memory[0], memory[-1]] if len(memory) > 1 else [memory[0]]
    coarse, best = _coarse(memory, keys[0], candidates)
    finer = [
        _fine(fine, keys[scale], scale, best[..., : max(1, candidates // share)]) for scale, share in ((1, 1), (2, 4))
    ]
    return coarse, finer[0], finer[1]


def _coarse(memory: Sequence[Remembered], query: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
    """(N, C, h, w) read, and (N, h w, k) the cells of the first and the previous frame that weigh most."""
    height, width = query.shape[-2:]
    keys = torch.cat([each.cells.keys[0].flatten(2) for each in memory], 2)
    values = torch.cat([each.cells.values[0].flatten(2) for each in memory], 2)
    size, newest = height * width, memory[-1].number
    asked = query.flatten(2)
    step = max(1, _MOST // (keys.shape[2] * len(query)))
    parts, best = [], []
    for first in range(0, size, step):
        places = torch.arange(first, min(first + step, size), device=query.device)
        alike = (keys.mT @ asked[..., places]).float() / query.shape[1] ** 0.5  # (N, cells, places)
        near = torch.cat([_kernel(each, places, width, newest - each.number) for each in memory], 1)
        weights = torch.softmax(alike, 1) * near
        weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
        parts.append(values @ weights.to(values.dtype))
        ends = weights[:, :size] if len(memory) == 1 else torch.cat([weights[:, :size], weights[:, -size:]], 1)
        best.append(ends.topk(min(candidates, ends.shape[1]), 1).indices.mT)
    return torch.cat(parts, 2).view(len(query), -1, height, width), torch.cat(best, 1)


def _kernel(each: Remembered, places: Tensor, width: int, age: int) -> Tensor:
    """(N, cells, places) how near each place is to where the cells of a frame, `age` before the last, have come."""
    rows = (each.at // width)[..., None] - places // width
    columns = (each.at % width)[..., None] - places % width
    spread = SPREAD * (1 + SLOWER * age)
    return torch.exp((rows * rows + columns * columns) / (-2 * spread * spread))


def _fine(frames: Sequence[Remembered], query: Tensor, scale: int, best: Tensor) -> Tensor:
    """(N, C, h, w) read at a finer scale, from the parts of the coarse cells `best` (N, cells, k) of `frames`."""
    side = 2**scale
    keys = torch.cat([_parts(each.cells.keys[scale], side) for each in frames], 1)
    values = torch.cat([_parts(each.cells.values[scale], side) for each in frames], 1)
    asked = _parts(query, side)
    weights = torch.softmax((asked @ _chosen(keys, best).mT).float() / query.shape[1] ** 0.5, -1)
    found = weights.to(values.dtype) @ _chosen(values, best)
    return _whole(found, query.shape[-2] // side, query.shape[-1] // side, side)


def _chosen(parts: Tensor, best: Tensor) -> Tensor:
    """(N, cells, k * parts, C) the parts (N, M, parts, C) of the cells `best` (N, cells, k)."""
    image = torch.arange(len(parts), device=parts.device)[:, None, None]
    return parts[image, best].flatten(2, 3)


def _parts(values: Tensor, side: int) -> Tensor:
    """(N, cells, side * side, C) of a map (N, C, h, w): what lies in each coarse cell."""
    count, channels, height, width = values.shape
    split = values.reshape(count, channels, height // side, side, width // side, side)
    return split.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


def _whole(parts: Tensor, rows: int, columns: int, side: int) -> Tensor:
    """The map that `_parts` took apart."""
    split = parts.view(len(parts), rows, columns, side, side, -1)
    return split.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
