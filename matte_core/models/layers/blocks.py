"""Sparse symmetric matrices of unknowns on a grid, and coarser ones seen through a few functions per square."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

_CANDIDATES = 4
_COLOURS = 9  # squares 3 apart have the same colour: any square and the eight around it have all nine
_RANK = 1e-8  # candidates closer to dependent than this are dropped


@dataclass(frozen=True)
class Grid:
    """A matrix (n, n) in compressed rows, and the place `rows`, `columns` (n,) of each unknown: unknowns further
    apart than the squares that will be joined are not linked. `candidates` (n, 4) are the functions to keep."""

    matrix: Tensor
    rows: Tensor
    columns: Tensor
    candidates: Tensor

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self.rows)


@dataclass(frozen=True)
class Join:
    """Unknowns joined into squares: `down` (4 m, n) and `up` (n, 4 m), orthonormal, and the matrix they leave."""

    down: Tensor
    up: Tensor
    coarse: Grid


def compressed(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix in compressed rows, of 32-bit places."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(CSR|[Ii]nvariant).*")
        return torch.sparse_csr_tensor(starts.int(), columns.int(), values, shape, check_invariants=False)


def rows_of(values: Tensor, columns: Tensor, count: int) -> Tensor:
    """The (n, count) sparse matrix with `values` (n, k) at `columns` (n, k), without zeros and columns of `count`."""
    linked = (columns < count) & (values != 0)
    starts = torch.zeros(len(values) + 1, dtype=torch.int64, device=values.device)
    starts[1:] = linked.sum(1).cumsum(0)
    return compressed(starts, columns[linked], values[linked], (len(values), count))


def join(grid: Grid, side: int) -> Join:
    """Squares of `side` places become one place with four unknowns, which stand for the candidates there."""
    wide = int(grid.columns.max()) // side + 1
    squares, aggregate = torch.unique(grid.rows // side * wide + grid.columns // side, return_inverse=True)
    rows, columns = squares // wide, squares % wide
    members = _members(aggregate, len(squares))
    basis, candidates = _orthonormal(grid.candidates, aggregate, members)
    coloured = basis.new_zeros(len(basis), _COLOURS, _CANDIDATES)
    colour = rows % 3 * 3 + columns % 3
    coloured[torch.arange(len(basis), device=basis.device), colour[aggregate]] = basis
    seen = grid.matrix @ coloured.flatten(1)
    values = _gathered(basis, members).mT @ _gathered(seen, members)
    own = values.view(len(squares), _CANDIDATES, _COLOURS, _CANDIDATES)
    own = own[torch.arange(len(squares), device=own.device), :, colour].diagonal(dim1=1, dim2=2)
    own += (own.abs() < 1e-14).to(own)  # unknowns that stand for nothing
    matrix = _linked(values, _around(rows, columns))
    again = (rows.repeat_interleave(_CANDIDATES), columns.repeat_interleave(_CANDIDATES))
    return Join(*_transfers(basis, aggregate, len(squares)), Grid(matrix, *again, candidates.flatten(0, 1)))


def diagonal_of(matrix: Tensor) -> Tensor:
    """(n,) the diagonal of a matrix in compressed rows."""
    starts, columns, values = matrix.crow_indices().long(), matrix.col_indices().long(), matrix.values()
    rows = torch.repeat_interleave(torch.arange(len(starts) - 1, device=values.device), starts.diff())
    own = rows == columns
    return values.new_zeros(len(starts) - 1).index_add_(0, rows[own], values[own])


def _members(aggregate: Tensor, count: int) -> Tensor:
    """(m, most) unknowns of every square, padded with n."""
    order = torch.argsort(aggregate, stable=True)
    lengths = torch.bincount(aggregate, minlength=count)
    first = lengths.cumsum(0) - lengths
    rank = torch.arange(len(order), device=order.device) - first[aggregate[order]]
    members = torch.full((count, int(lengths.max())), len(aggregate), dtype=torch.int64, device=order.device)
    members[aggregate[order], rank] = order
    return members


def _gathered(values: Tensor, members: Tensor) -> Tensor:
    """(m, most, k) the rows of `values` (n, k) of every square's members, zeros where it has fewer."""
    return torch.cat([values, torch.zeros_like(values[:1])])[members]


def _orthonormal(candidates: Tensor, aggregate: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Basis (n, 4), orthonormal in every square, and the candidates (m, 4, 4) in it. Where a square's candidates
    are dependent, columns of the basis are 0."""
    together = _gathered(candidates, members)
    sizes, vectors = torch.linalg.eigh(together.mT @ together)
    kept = sizes > _RANK * sizes[:, -1:].clamp_min(1e-30)
    root = sizes.clamp_min(1e-300).sqrt()
    change = torch.where(kept[:, None, :], vectors / root[:, None, :], 0.0)
    coarse = torch.where(kept[:, :, None], (vectors * root[:, None, :]).mT, 0.0)
    basis = torch.zeros_like(torch.cat([candidates, candidates[:1]]))
    basis[members] = together @ change
    return basis[:-1], coarse


def _linked(values: Tensor, neighbours: Tensor) -> Tensor:
    """The sparse matrix of blocks `values` (m, 4, 9 * 4) between squares and their `neighbours` (m, 9)."""
    places = neighbours[..., None] * _CANDIDATES + torch.arange(_CANDIDATES, device=values.device)
    columns = places.flatten(1).repeat_interleave(_CANDIDATES, 0)
    return rows_of(values.flatten(0, 1), columns, len(values) * _CANDIDATES)


def _around(rows: Tensor, columns: Tensor) -> Tensor:
    """(m, 9) numbers of the squares around and at each square, by their colour; m where there is none."""
    count, wide = len(rows), int(columns.max()) + 3
    place = torch.full((int(rows.max() + 3) * wide,), count, dtype=torch.int64, device=rows.device)
    place[(rows + 1) * wide + columns + 1] = torch.arange(count, device=rows.device)
    colour = torch.arange(_COLOURS, device=rows.device)
    down = (colour // 3 - rows[:, None] + 1) % 3
    across = (colour % 3 - columns[:, None] + 1) % 3
    return place[(rows[:, None] + down) * wide + columns[:, None] + across]


def _transfers(basis: Tensor, aggregate: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Restriction (4 m, n) and prolongation (n, 4 m), in compressed rows."""
    size = len(basis)
    columns = (aggregate[:, None] * _CANDIDATES + torch.arange(_CANDIDATES, device=basis.device)).flatten()
    starts = torch.arange(0, basis.numel() + 1, _CANDIDATES, device=basis.device)
    up = compressed(starts, columns, basis.flatten(), (size, _CANDIDATES * count))
    order = torch.argsort(columns, stable=True)
    lengths = torch.bincount(columns, minlength=_CANDIDATES * count)
    starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return compressed(starts, order // _CANDIDATES, basis.flatten()[order], (_CANDIDATES * count, size)), up
