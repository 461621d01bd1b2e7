"""Conjugate gradient, preconditioned by aggregation multigrid that keeps functions affine in colour.

Squares of 4 x 4 pixels, then 2 x 2 squares of those, are joined; in each, alpha may be any sum of the
candidates (1, red, green, blue), made orthonormal. So a diagonal added to the fine matrix is the same
diagonal on every level, and one hierarchy serves every prior weight.
Source: P. Vanek, J. Mandel, M. Brezina, Algebraic multigrid by smoothed aggregation, Computing 1996 (candidates).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

_CANDIDATES = 4
_FIRST, _NEXT = 4, 2  # pixels, then squares, along the side of an aggregate
_COARSEST = 900
_MOST_LEVELS = 12
_DAMPING = 1.3  # of the largest that still smooths without growing
_POWER_STEPS = 8
_RANK = 1e-8


def sparse_rows(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix by rows, of 32-bit places."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(CSR|[Ii]nvariant).*")
        return torch.sparse_csr_tensor(starts.int(), columns.int(), values, shape, check_invariants=False)


@dataclass(frozen=True)
class _Level:
    matrix: Tensor
    diagonal: Tensor
    down: Tensor  # restriction: candidates of each aggregate by rows
    up: Tensor


class Hierarchy:
    """The matrix A (N, N), ready to solve (A + d I) x = b for any d.

    `candidates` (N, 4) are the functions the coarse levels must hold; `rows`, `columns` (N,) where the
    unknowns lie.
    """

    def __init__(self, matrix: Tensor, candidates: Tensor, rows: Tensor, columns: Tensor) -> None:
        self._levels: list[_Level] = []
        side = _FIRST
        while matrix.shape[0] > _COARSEST and len(self._levels) < _MOST_LEVELS:
            rows, columns, aggregate = _join(rows // side, columns // side)
            basis, candidates, spare = _orthonormal(candidates, aggregate, len(rows))
            up = _prolongation(basis, aggregate, len(rows))
            down = _transpose(basis, aggregate, len(rows))
            coarse = _triple(down, matrix, up, spare)
            if coarse.shape[0] >= matrix.shape[0]:
                break
            self._levels.append(_Level(matrix, _bounded_diagonal(matrix), down, up))
            matrix, side = coarse, _NEXT
            rows, columns = rows.repeat_interleave(_CANDIDATES), columns.repeat_interleave(_CANDIDATES)
        self._fine = self._levels[0].matrix if self._levels else matrix
        self._coarsest = matrix.to_dense()

    def solve(self, right: Tensor, diagonal: Tensor, start: Tensor, tolerance: float, most: int) -> Tensor:
        """x (N, S) of (A + d I) x = `right` (N, S), `diagonal` d (S,), by conjugate gradient from `start` (N, S).

        Each column stops changing at a residual of `tolerance` times its right-hand side, or of the start if
        that is larger; a column that cannot go on keeps its best answer.
        """
        inverses = _inverses(self._coarsest, diagonal)
        solution = start.clone()
        residual = right - self._fine @ solution - diagonal * solution
        goal = tolerance * torch.maximum(right.norm(dim=0), residual.norm(dim=0))
        descent = self._cycle(0, residual, diagonal, inverses)
        direction, energy = descent, (residual * descent).sum(0)
        for _ in range(most):
            active = (residual.norm(dim=0) > goal) & (energy > 0)
            if not bool(active.any()):
                break
            image = self._fine @ direction + diagonal * direction
            curvature = (direction * image).sum(0)
            active = active & (curvature > 0)
            step = torch.where(active, energy / torch.where(active, curvature, 1.0), 0.0)
            solution = solution + step * direction
            residual = residual - step * image
            descent = self._cycle(0, residual, diagonal, inverses)
            energy_now = (residual * descent).sum(0)
            turn = torch.where(active, energy_now / torch.where(active, energy, 1.0), 0.0)
            direction, energy = descent + turn * direction, torch.where(active, energy_now, 0.0)
        return solution

    def _cycle(self, depth: int, residual: Tensor, diagonal: Tensor, inverses: Tensor) -> Tensor:
        """One W-cycle: an approximate solution (n, S) for `residual` (n, S) on level `depth`, symmetric."""
        if depth == len(self._levels):
            return (inverses @ residual.T[..., None])[..., 0].T
        level = self._levels[depth]
        smooth = 1 / (level.diagonal[:, None] + diagonal)
        answer = smooth * residual
        left = level.down @ (residual - level.matrix @ answer - diagonal * answer)
        correction = self._cycle(depth + 1, left, diagonal, inverses)
        if depth + 1 < len(self._levels):
            coarse = self._levels[depth + 1].matrix
            left = left - coarse @ correction - diagonal * correction
            correction = correction + self._cycle(depth + 1, left, diagonal, inverses)
        answer = answer + level.up @ correction
        return answer + smooth * (residual - level.matrix @ answer - diagonal * answer)


def _join(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the distinct squares, and the square of every unknown."""
    wide = int(columns.max()) + 1
    squares, aggregate = torch.unique(rows * wide + columns, return_inverse=True)
    return squares // wide, squares % wide, aggregate


def _orthonormal(candidates: Tensor, aggregate: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Basis (N, 4) orthonormal in every aggregate, the candidates in it (4 * count, 4), and the columns (4 * count,)
    that are spare because an aggregate's candidates are dependent."""
    products = (candidates[:, :, None] * candidates[:, None, :]).flatten(1)
    gram = torch.zeros(count, _CANDIDATES**2, dtype=candidates.dtype, device=candidates.device)
    gram = gram.index_add_(0, aggregate, products).view(count, _CANDIDATES, _CANDIDATES)
    sizes, vectors = torch.linalg.eigh(gram)
    kept = sizes > _RANK * sizes[:, -1:].clamp_min(1e-30)
    root = sizes.clamp_min(1e-300).sqrt()
    change = torch.where(kept[:, None, :], vectors / root[:, None, :], 0.0)
    basis = (candidates[:, None, :] @ change[aggregate])[:, 0]
    coarse = torch.where(kept[:, :, None], (vectors * root[:, None, :]).mT, 0.0)
    return basis, coarse.flatten(0, 1), ~kept.flatten()


def _prolongation(basis: Tensor, aggregate: Tensor, count: int) -> Tensor:
    length = len(basis)
    starts = torch.arange(0, _CANDIDATES * length + 1, _CANDIDATES, device=basis.device)
    columns = aggregate[:, None] * _CANDIDATES + torch.arange(_CANDIDATES, device=basis.device)
    return sparse_rows(starts, columns.flatten(), basis.flatten(), (length, _CANDIDATES * count))


def _transpose(basis: Tensor, aggregate: Tensor, count: int) -> Tensor:
    order = torch.argsort(aggregate, stable=True)
    sizes = torch.bincount(aggregate, minlength=count).repeat_interleave(_CANDIDATES)
    starts = torch.zeros(len(sizes) + 1, dtype=torch.int64, device=basis.device)
    starts[1:] = sizes.cumsum(0)
    # within an aggregate: row after row, each listing the same members
    first = starts[:-1:_CANDIDATES]
    rank = torch.arange(len(order), device=basis.device) - (first // _CANDIDATES)[aggregate[order]]
    places = starts[:-1].view(count, _CANDIDATES)[aggregate[order]] + rank[:, None]
    columns = torch.empty(basis.numel(), dtype=torch.int64, device=basis.device)
    values = torch.empty(basis.numel(), dtype=basis.dtype, device=basis.device)
    columns[places] = order[:, None].expand(-1, _CANDIDATES)
    values[places] = basis[order]
    return sparse_rows(starts, columns, values, (_CANDIDATES * count, len(basis)))


def _triple(down: Tensor, matrix: Tensor, up: Tensor, spare: Tensor) -> Tensor:
    """The coarse matrix down @ matrix @ up, 1 on the diagonal of spare columns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(CSR|[Ii]nvariant).*")
        coarse = down @ (matrix @ up)
        rows = torch.nonzero(spare)[:, 0]
        starts = torch.zeros(len(spare) + 1, dtype=torch.int64, device=spare.device)
        starts[1:] = spare.long().cumsum(0)
        fixed = sparse_rows(starts, rows, torch.ones(len(rows), dtype=matrix.dtype, device=rows.device), coarse.shape)
        return coarse + fixed


def _diagonal(matrix: Tensor) -> Tensor:
    starts, columns, values = matrix.crow_indices().long(), matrix.col_indices().long(), matrix.values()
    rows = torch.repeat_interleave(torch.arange(len(starts) - 1, device=values.device), starts.diff())
    diagonal = torch.zeros(len(starts) - 1, dtype=values.dtype, device=values.device)
    return diagonal.index_add_(0, rows, torch.where(rows == columns, values, 0.0)).clamp_min(1e-12)


def _bounded_diagonal(matrix: Tensor) -> Tensor:
    """The diagonal, enlarged so that one step of Jacobi's method with it is stable."""
    diagonal = _diagonal(matrix)
    vector = torch.linspace(0.5, 1.5, len(diagonal), dtype=diagonal.dtype, device=diagonal.device).cos()[:, None]
    vector = vector * torch.where(torch.arange(len(vector), device=vector.device) % 2 == 0, 1.0, -1.0)[:, None]
    largest = torch.ones((), dtype=diagonal.dtype, device=diagonal.device)
    for _ in range(_POWER_STEPS):
        image = (matrix @ vector) / diagonal[:, None]
        largest = image.norm() / vector.norm().clamp_min(1e-30)
        vector = image / image.norm().clamp_min(1e-30)
    return diagonal * (1.1 * largest / _DAMPING).clamp_min(1.0)


def _inverses(matrix: Tensor, diagonal: Tensor) -> Tensor:
    """(S, n, n) inverses of the coarsest matrix with each diagonal added."""
    symmetric = (matrix + matrix.T) / 2
    scale = symmetric.diagonal().abs().max().clamp_min(1e-12)
    eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    factors, _ = torch.linalg.cholesky_ex(symmetric + (diagonal[:, None, None] + 1e-12 * scale) * eye)
    return torch.cholesky_inverse(factors)
