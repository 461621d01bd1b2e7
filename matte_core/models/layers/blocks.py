"""Sparse symmetric matrices of nodes on a grid, each linked to its neighbours by small blocks; and coarser ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

_CANDIDATES = 4
_SLOTS = 9  # a square and the eight around it
_CHUNK = 1 << 14  # nodes at once: bounds the memory
_RANK = 1e-8  # candidates closer to dependent than this are dropped


@dataclass(frozen=True)
class Blocks:
    """A matrix of M nodes with R unknowns each: `values` (M, K, R, R) link a node to its `neighbours` (M, K),
    M where there is none; `rows`, `columns` (M,) are the nodes' places on the grid."""

    values: Tensor
    neighbours: Tensor
    rows: Tensor
    columns: Tensor

    @property
    def size(self) -> int:
        """Number of unknowns, M * R."""
        return len(self.rows) * int(self.values.shape[2])

    def diagonal(self) -> Tensor:
        """(M * R,) the matrix's diagonal."""
        own = self.neighbours == torch.arange(len(self.rows), device=self.neighbours.device)[:, None]
        return (self.values.diagonal(dim1=2, dim2=3) * own[..., None]).sum(1).flatten()


def sparse(blocks: Blocks) -> Tensor:
    """The matrix in compressed rows, (M * R, M * R), of 32-bit places, without its zeros."""
    count, slots, inner = blocks.values.shape[:3]
    values = blocks.values.transpose(1, 2).reshape(count * inner, slots * inner)
    columns = (blocks.neighbours[..., None] * inner + torch.arange(inner, device=values.device)).flatten(1)
    columns = columns.repeat_interleave(inner, 0)
    linked = (columns < count * inner) & (values != 0)
    starts = torch.zeros(count * inner + 1, dtype=torch.int64, device=values.device)
    starts[1:] = linked.sum(1).cumsum(0)
    return _compressed(starts, columns[linked], values[linked], (count * inner, count * inner))


def dense(blocks: Blocks) -> Tensor:
    """The matrix in full, (M * R, M * R)."""
    count, slots, inner = blocks.values.shape[:3]
    full = torch.zeros(count + 1, count + 1, inner, inner, dtype=blocks.values.dtype, device=blocks.values.device)
    nodes = torch.arange(count, device=full.device)[:, None].expand(-1, slots)
    full[nodes, blocks.neighbours] = blocks.values
    return full[:count, :count].transpose(1, 2).reshape(count * inner, count * inner)


def join(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the distinct squares, and the number of the square of every node."""
    wide = int(columns.max()) + 1
    squares, aggregate = torch.unique(rows * wide + columns, return_inverse=True)
    return squares // wide, squares % wide, aggregate


def orthonormal(candidates: Tensor, aggregate: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Basis (M, R, 4), orthonormal in every aggregate, of candidates (M, R, 4); and the candidates (count, 4, 4)
    in it. Where an aggregate's candidates are dependent, columns of the basis are 0."""
    gram = candidates.new_zeros(count, _CANDIDATES, _CANDIDATES)
    gram.index_add_(0, aggregate, candidates.mT @ candidates)
    sizes, vectors = torch.linalg.eigh(gram)
    kept = sizes > _RANK * sizes[:, -1:].clamp_min(1e-30)
    root = sizes.clamp_min(1e-300).sqrt()
    change = torch.where(kept[:, None, :], vectors / root[:, None, :], 0.0)
    coarse = torch.where(kept[:, :, None], (vectors * root[:, None, :]).mT, 0.0)
    return candidates @ change[aggregate], coarse


def coarsen(blocks: Blocks, basis: Tensor, aggregate: Tensor, rows: Tensor, columns: Tensor) -> Blocks:
    """The matrix seen through the basis: aggregates at `rows`, `columns` as nodes, 4 unknowns each.

    Unknowns that stand for nothing get 1 on the diagonal.
    """
    count = len(rows)
    times = torch.mul if basis.shape[1] == 1 else torch.matmul  # the same for single numbers, but faster
    values = basis.new_zeros(count * _SLOTS, _CANDIDATES, _CANDIDATES)
    basis_or_none = torch.cat([basis, torch.zeros_like(basis[:1])])
    aggregate_or_own = torch.cat([aggregate, aggregate[:1]])
    for nodes in torch.arange(len(basis), device=basis.device).split(_CHUNK):
        neighbours, own = blocks.neighbours[nodes], aggregate[nodes]
        other = torch.where(neighbours < len(basis), aggregate_or_own[neighbours], own[:, None])
        slot = (rows[other] - rows[own][:, None] + 1) * 3 + columns[other] - columns[own][:, None] + 1
        right = times(blocks.values[nodes], basis_or_none[neighbours])
        gathered = right.new_zeros(len(nodes), _SLOTS, *right.shape[2:])
        gathered.scatter_add_(1, slot[:, :, None, None].expand_as(right), right)
        both = times(basis[nodes][:, None].mT, gathered)
        place = own[:, None] * _SLOTS + torch.arange(_SLOTS, device=own.device)
        values.index_add_(0, place.flatten(), both.flatten(0, 1))
    values = values.view(count, _SLOTS, _CANDIDATES, _CANDIDATES)
    centre = values[:, _SLOTS // 2].diagonal(dim1=1, dim2=2)
    centre += (centre.abs() < 1e-14).to(centre)
    return Blocks(values, _around(rows, columns), rows, columns)


def transfers(basis: Tensor, aggregate: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Restriction (4 * count, M * R) and prolongation (M * R, 4 * count), in compressed rows."""
    nodes, inner = basis.shape[:2]
    candidate = torch.arange(_CANDIDATES, device=basis.device)
    columns = (aggregate[:, None, None] * _CANDIDATES + candidate).expand(-1, inner, -1)
    starts = torch.arange(0, basis.numel() + 1, _CANDIDATES, device=basis.device)
    up = _compressed(starts, columns.flatten(), basis.flatten(), (nodes * inner, _CANDIDATES * count))
    order = torch.argsort(columns.flatten(), stable=True)
    lengths = torch.bincount(columns.flatten(), minlength=_CANDIDATES * count)
    starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    down = _compressed(starts, order // _CANDIDATES, basis.flatten()[order], (_CANDIDATES * count, nodes * inner))
    return down, up


def _around(rows: Tensor, columns: Tensor) -> Tensor:
    """(M, 9) numbers of the nodes around and at each node, M where there is none."""
    count, wide = len(rows), int(columns.max()) + 3
    place = torch.full((int(rows.max() + 3) * wide,), count, dtype=torch.int64, device=rows.device)
    own = (rows + 1) * wide + columns + 1
    place[own] = torch.arange(count, device=rows.device)
    steps = torch.arange(-1, 2, device=rows.device)
    return place[own[:, None] + (steps[:, None] * wide + steps).flatten()]


def _compressed(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(CSR|[Ii]nvariant).*")
        return torch.sparse_csr_tensor(starts.int(), columns.int(), values, shape, check_invariants=False)
