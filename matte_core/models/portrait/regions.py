"""Cells of 8 x 8 pixels: which are to be looked at closer, their nearest neighbours, cut out and put back."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

CELL = 8
_UNKNOWN = 1  # of background, unknown, foreground
_REACH = 4  # cells; neighbours within it are read off a map
_PAIRS = 1 << 23  # distances at once: 64 MB


def adaptive(trimap: Tensor) -> Tensor:
    """(R, 3) picture, row and column of every cell of `trimap` (N, 3, h, w) whose likeliest region is the unknown."""
    return torch.nonzero(trimap.argmax(1) == _UNKNOWN)


def fixed(trimap: Tensor, budget: int = 0) -> Tensor:
    """(R, 3) the `budget` cells of every picture of `trimap` (N, 3, h, w), probabilities, that are unknown the
    likeliest; cells whose likeliest region is another count as 0. The budget is 2 (h + w) unless given.

    In the order of pictures, then rows, then columns.
    """
    count, _, height, width = trimap.shape
    score = trimap[:, _UNKNOWN] * (trimap.argmax(1) == _UNKNOWN)
    budget = min(budget or 2 * (height + width), height * width)
    chosen = score.flatten(1).topk(budget).indices.sort().values
    pictures = torch.arange(count, device=trimap.device).repeat_interleave(budget)
    flat = chosen.flatten()
    return torch.stack([pictures, flat // width, flat % width], 1)


def crop(picture: Tensor, cells: Tensor) -> Tensor:
    """(R, C, 8, 8) the cells (R, 3) of `picture` (N, C, H, W), sides multiples of 8."""
    return _grid(picture)[cells[:, 0], cells[:, 1], cells[:, 2]]


def enlarged(values: Tensor, size: tuple[int, int], cells: Tensor) -> Tensor:
    """(R, C, 8, 8) what the cells (R, 3) of `values` (N, C, h, w), enlarged bilinearly to `size`, would be.

    Only the cells are computed.
    """
    offsets = torch.arange(CELL, device=cells.device)
    sides = [
        _between(cells[:, axis, None] * CELL + offsets, length, full)
        for axis, length, full in zip((1, 2), values.shape[-2:], size, strict=True)
    ]
    (top, bottom, down), (left, right, across) = sides
    last = values.permute(0, 2, 3, 1).contiguous()
    picture, down, across = cells[:, 0, None, None], down[:, :, None, None], across[:, None, :, None]
    above, below = (
        torch.lerp(
            last[picture, row[:, :, None], left[:, None]], last[picture, row[:, :, None], right[:, None]], across
        )
        for row in (top, bottom)
    )
    return torch.lerp(above, below, down).permute(0, 3, 1, 2)


def centres(values: Tensor, size: tuple[int, int], cells: Tensor) -> Tensor:
    """(R, C) the sample of `values` (N, C, h, w), which show pictures of `size`, in the middle of each cell (R, 3)."""
    rows, columns = (
        ((cells[:, axis] * CELL + CELL // 2) * length).div(full, rounding_mode="floor")
        for axis, length, full in zip((1, 2), values.shape[-2:], size, strict=True)
    )
    return values[cells[:, 0], :, rows, columns]


def _between(places: Tensor, length: int, full: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two samples of a line of `length` that pixels `places` of its enlargement to `full` lie between, and how far
    from the first they are."""
    exact = ((places + 0.5) * (length / full) - 0.5).clamp(0, length - 1)
    first = exact.long()
    return first, (first + 1).clamp_max(length - 1), exact - first


def paste(picture: Tensor, cells: Tensor, values: Tensor) -> Tensor:
    """`picture` (N, C, H, W) with `values` (R, C, 8, 8) in its cells (R, 3); all other pixels as they were."""
    whole = picture.clone()
    _grid(whole)[cells[:, 0], cells[:, 1], cells[:, 2]] = values.to(whole.dtype)
    return whole


def neighbours(cells: Tensor, count: int) -> Tensor:
    """(R, count) the numbers of the nearest other cells of the same picture, for every one of `cells` (R, 3).

    The nearest first, equally near ones by row and column. A cell with fewer neighbours has them repeated in turn, one
    alone in its picture is its own. Source: arXiv 2311.03770, cross region attention.
    """
    parts, first = [], 0
    for size in torch.bincount(cells[:, 0]).tolist() if len(cells) else []:
        if size:
            parts.append(_of_one(cells[first : first + size, 1:], count) + first)
        first += size
    return torch.cat(parts) if parts else cells.new_zeros(0, count)


def _grid(picture: Tensor) -> Tensor:
    """`picture` (N, C, H, W) seen as (N, h, w, C, 8, 8); the same memory."""
    count, channels, height, width = picture.shape
    grid = picture.view(count, channels, height // CELL, CELL, width // CELL, CELL)
    return grid.permute(0, 2, 4, 1, 3, 5)


def _of_one(places: Tensor, count: int) -> Tensor:
    """`neighbours` among the places (R, 2) of one picture, in order of rows and columns."""
    size = len(places)
    if size == 1:
        return places.new_zeros(1, count)
    near = _nearby(places, count)
    found = (near < size).sum(1)
    poor = torch.nonzero(found < count)[:, 0]
    if len(poor):
        few = min(count, size - 1)
        near[poor] = _farther(places, poor, few)[:, torch.arange(count, device=places.device) % few]
    return near


def _nearby(places: Tensor, count: int) -> Tensor:
    """(R, count) neighbours within reach, nearest first; R where there are not so many."""
    size = len(places)
    rows, columns = (places - places.amin(0) + _REACH).unbind(1)
    wide = int(columns.max()) + 1 + _REACH
    numbers = places.new_full(((int(rows.max()) + 1 + _REACH) * wide,), size)
    own = rows * wide + columns
    numbers[own] = torch.arange(size, device=places.device)
    steps = torch.tensor(_steps(), device=places.device) @ torch.tensor([wide, 1], device=places.device)
    other = numbers[own[:, None] + steps]
    order = torch.where(other < size, torch.arange(len(steps), device=places.device), len(steps))
    first = order.topk(count, largest=False, sorted=True).indices
    return other.gather(1, first)


@lru_cache
def _steps() -> tuple[tuple[int, int], ...]:
    """Offsets within reach, the nearest first, equally near ones by row and column."""
    span = range(-_REACH, _REACH + 1)
    disc = [(y, x) for y in span for x in span if 0 < y * y + x * x <= _REACH**2]
    return tuple(sorted(disc, key=lambda step: (step[0] ** 2 + step[1] ** 2, step)))


def _farther(places: Tensor, chosen: Tensor, count: int) -> Tensor:
    """(len(chosen), count) nearest others among all places, in parts that bound the memory."""
    size, parts = len(places), []
    numbers = torch.arange(size, device=places.device)
    for part in torch.split(chosen, max(1, _PAIRS // size)):
        apart = (places[part][:, None] - places).square().sum(2)
        order = apart * size + numbers  # unique: ties go by number
        order[torch.arange(len(part), device=places.device), part] = torch.iinfo(order.dtype).max
        parts.append(order.topk(count, largest=False, sorted=True).indices)
    return torch.cat(parts)
