"""Features refined by those of the frames before: attention over small windows of several frames at once.

Source: HSTSG's abstract (cross-frame attention refinement over historical and current frames); form and sizes are our
own reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Seen(NamedTuple):
    """What the refinement keeps of a frame: keys and values (N, C, h, w)."""

    keys: Tensor
    values: Tensor


class CrossFrame(nn.Module):
    """Features (N, wide, h, w) plus what similar places, within `window` cells of the same place, hold in this frame
    and in those before; one softmax over all of them. Starts as the identity but for a thousandth."""

    def __init__(self, wide: int, inner: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.query = nn.Conv2d(wide, inner, 3, 1, 1)
        self.key = nn.Conv2d(wide, inner, 3, 1, 1)
        self.value = nn.Conv2d(wide, inner, 3, 1, 1)
        norm = nn.BatchNorm2d(wide)
        nn.init.constant_(norm.weight, 1e-3)
        self.out = nn.Sequential(nn.Conv2d(inner, wide, 1, bias=False), norm)

    def forward(self, features: Tensor, before: Sequence[Seen]) -> tuple[Tensor, Seen]:
        seen = Seen(self.key(features), self.value(features))
        query = self.query(features)
        every = [*before, seen]
        inside = self._around(torch.ones_like(query[:1, :1]))
        alike = torch.cat([(self._around(each.keys) * query[:, :, None]).sum(1, keepdim=True) for each in every], 2)
        alike = alike.float() / query.shape[1] ** 0.5
        alike = alike.masked_fill(inside.repeat(1, 1, len(every), 1, 1) == 0, float("-inf"))
        weights = torch.softmax(alike, 2).to(query.dtype).chunk(len(every), 2)
        mixed = sum((self._around(each.values) * share).sum(2) for each, share in zip(every, weights, strict=True))
        changed: Tensor = features + self.out(mixed)
        return changed, seen

    def _around(self, values: Tensor) -> Tensor:
        """(N, C, window * window, h, w) of a map (N, C, h, w): what lies around each cell, 0 beyond the border."""
        side = self.window
        found = functional.unfold(values, side, padding=side // 2)
        return found.view(len(values), values.shape[1], side * side, *values.shape[-2:])
