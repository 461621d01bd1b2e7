"""The matting Laplacian as a 5 x 5 stencil at every unknown pixel.

Source: Levin, Lischinski, Weiss 2008, eq. 12.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from matte_core.models.layers.blocks import rows_of

_CHUNK = 1 << 16  # windows at once: bounds the memory
_REACH = 2  # two windows of radius 1 that share a pixel span 5 pixels
_SIDE = 2 * _REACH + 1
_CENTRE = _SIDE**2 // 2


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

    def among_unknown(self) -> Tensor:
        """The part (N, N) that links unknown pixels, sparse."""
        return rows_of(self.values, self.place[self.neighbours], self.count)


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
    values = torch.zeros(_SIDE**2, spill + 1, dtype=torch.float64, device=unknown.device)
    padded = torch.nn.functional.pad(colours, (_REACH,) * 4).flatten(1)
    for centres in torch.split(_windows(unknown, wide), _CHUNK):
        _add_windows(values, place, padded, centres, wide, regular)
    return Stencil(values[:, :spill].T.contiguous(), own[:, None] + offsets, place, rows, columns)


def _windows(unknown: Tensor, wide: int) -> Tensor:
    """Places in the padded grid of the centres of windows that touch an unknown pixel."""
    touched = torch.nn.functional.max_pool2d(unknown[None].float(), 3, 1, 1)[0] > 0
    inside = torch.zeros_like(touched)
    inside[1:-1, 1:-1] = True
    rows, columns = torch.nonzero(touched & inside, as_tuple=True)
    return (rows + _REACH) * wide + columns + _REACH


def _add_windows(values: Tensor, place: Tensor, padded: Tensor, centres: Tensor, wide: int, regular: float) -> None:
    """Add the terms of the windows about `centres` to the stencil `values` (25, N + 1), in place."""
    members = _offsets(1, wide, centres.device)[:, None] + centres
    owners = place[members]
    whitened = _whitened(padded[:, members], regular / 9)
    for i in range(9):
        for j in range(i, 9):
            term = float(i == j) - (1 + (whitened[:, i] * whitened[:, j]).sum(0)) / 9
            step = (j // 3 - i // 3) * _SIDE + j % 3 - i % 3
            values[_CENTRE + step].index_add_(0, owners[i], term)
            if i != j:
                values[_CENTRE - step].index_add_(0, owners[j], term)


def _whitened(colours: Tensor, regular: float) -> Tensor:
    """Colours (3, 9, W) of windows, less their mean, divided by the Cholesky factor of their covariance."""
    red, green, blue = colours - colours.mean(1, keepdim=True)
    rr = (red.square().mean(0) + regular).sqrt()
    gr = (green * red).mean(0) / rr
    br = (blue * red).mean(0) / rr
    gg = (green.square().mean(0) + regular - gr.square()).clamp_min(regular).sqrt()
    gb = ((green * blue).mean(0) - gr * br) / gg
    bb = (blue.square().mean(0) + regular - br.square() - gb.square()).clamp_min(regular).sqrt()
    first = red / rr
    second = (green - gr * first) / gg
    return torch.stack([first, second, (blue - br * first - gb * second) / bb])


def _offsets(reach: int, wide: int, device: torch.device) -> Tensor:
    steps = torch.arange(-reach, reach + 1, device=device)
    return (steps[:, None] * wide + steps).flatten()
