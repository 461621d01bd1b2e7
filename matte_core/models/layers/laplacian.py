"""The matting Laplacian as a 5 x 5 stencil at every unknown pixel.

Source: Levin, Lischinski, Weiss 2008, eq. 12.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from matte_core.models.layers.blocks import Blocks

_CHUNK = 1 << 16  # windows at once: bounds the memory
_REACH = 2  # two windows of radius 1 that share a pixel span 5 pixels
_SIDE = 2 * _REACH + 1


@dataclass(frozen=True)
class Stencil:
    """Rows of the Laplacian: `values` (N, 25) at the neighbours `neighbours` (N, 25) of each unknown pixel.

    Neighbours are places in a grid padded by 2 pixels, of `width`; `place` (padded H * W) numbers the unknown
    pixels there, N elsewhere; `rows`, `columns` (N,) are the unknown pixels' own coordinates.
    """

    values: Tensor
    neighbours: Tensor
    place: Tensor
    rows: Tensor
    columns: Tensor

    @property
    def count(self) -> int:
        """How many pixels are unknown."""
        return len(self.rows)

    def towards_known(self, known: Tensor) -> Tensor:
        """(N,) right-hand side: what known alphas `known` (H, W), 0 where unknown, contribute."""
        padded = torch.nn.functional.pad(known, (_REACH,) * 4).flatten()
        return -(self.values * padded[self.neighbours]).sum(1)

    def among_unknown(self) -> Blocks:
        """The part that links unknown pixels, one unknown per node."""
        return Blocks(self.values[:, :, None, None], self.place[self.neighbours], self.rows, self.columns)


def matting_stencil(colours: Tensor, unknown: Tensor, regular: float) -> Stencil:
    """The Laplacian's rows of the pixels `unknown` (H, W) bool of `colours` (3, H, W) float64.

    Only windows that lie wholly in the picture and touch an unknown pixel count, as published.
    """
    height, width = unknown.shape
    wide = width + 2 * _REACH
    rows, columns = torch.nonzero(unknown, as_tuple=True)
    own = (rows + _REACH) * wide + columns + _REACH
    place = torch.full(((height + 2 * _REACH) * wide,), -1, dtype=torch.int64, device=unknown.device)
    place[own] = torch.arange(len(own), device=unknown.device)
    offsets = _offsets(_REACH, wide, unknown.device)
    spill = len(own)  # a row for what would land on known pixels
    place[place < 0] = spill
    values = torch.zeros((spill + 1) * _SIDE**2, dtype=torch.float64, device=unknown.device)
    padded = torch.nn.functional.pad(colours, (_REACH,) * 4).flatten(1).T.contiguous()
    for centres in _windows(unknown, wide).split(_CHUNK):
        _add_windows(values, place, padded, centres, wide, regular)
    return Stencil(values.view(-1, _SIDE**2)[:spill], own[:, None] + offsets, place, rows, columns)


def _windows(unknown: Tensor, wide: int) -> Tensor:
    """Places in the padded grid of the centres of windows that touch an unknown pixel."""
    touched = torch.nn.functional.max_pool2d(unknown[None].float(), 3, 1, 1)[0] > 0
    inside = torch.zeros_like(touched)
    inside[1:-1, 1:-1] = True
    rows, columns = torch.nonzero(touched & inside, as_tuple=True)
    return (rows + _REACH) * wide + columns + _REACH


def _add_windows(values: Tensor, place: Tensor, padded: Tensor, centres: Tensor, wide: int, regular: float) -> None:
    """Add the terms of the windows about `centres` to the flat stencil `values`, in place."""
    members = centres[:, None] + _offsets(1, wide, centres.device)
    colours = padded[members]
    away = colours - colours.mean(1, keepdim=True)
    whitened = _whiten(away, away.mT @ away / 9 + _eye(regular / 9, away))
    terms = torch.eye(9, dtype=away.dtype, device=away.device) - (1 + whitened @ whitened.mT) / 9
    slots = _slots(centres.device)
    index = place[members][:, :, None] * _SIDE**2 + slots
    values.index_add_(0, index.flatten(), terms.flatten())


def _whiten(away: Tensor, covariance: Tensor) -> Tensor:
    """(W, 9, 3) colours divided by the Cholesky factor of their covariance (W, 3, 3)."""
    factor = torch.linalg.cholesky_ex(covariance)[0]
    return torch.linalg.solve_triangular(factor, away.mT, upper=False).mT


def _eye(scale: float, like: Tensor) -> Tensor:
    return scale * torch.eye(3, dtype=like.dtype, device=like.device)


def _offsets(reach: int, wide: int, device: torch.device) -> Tensor:
    steps = torch.arange(-reach, reach + 1, device=device)
    return (steps[:, None] * wide + steps).flatten()


def _slots(device: torch.device) -> Tensor:
    """(9, 9) place in the 5 x 5 stencil of window member j as seen from member i."""
    steps = torch.arange(-1, 2, device=device)
    rows, columns = steps.repeat_interleave(3), steps.repeat(3)
    down, across = rows - rows[:, None], columns - columns[:, None]
    return (down + _REACH) * _SIDE + across + _REACH
