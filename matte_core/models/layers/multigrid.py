"""Conjugate gradient, preconditioned by aggregation multigrid that keeps functions affine in colour.

Squares of 4 x 4 pixels, then 2 x 2 squares of those, are joined; in each, alpha may be any sum of the
candidates (1, red, green, blue), made orthonormal. So a diagonal added to the fine matrix is the same
diagonal on every level, and one hierarchy serves every prior weight.
Source: P. Vanek, J. Mandel, M. Brezina, Algebraic multigrid by smoothed aggregation, Computing 1996 (candidates).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from matte_core.models.layers.blocks import Grid, diagonal_of, join

_FIRST, _NEXT = 4, 2  # pixels, then squares, along the side of an aggregate
_COARSEST = 900
_MOST_LEVELS = 12
_RELAXATION = 1.3  # over the largest eigenvalue: the share of a smoothing step, below 2 for stability
_POWER_STEPS = 8


@dataclass(frozen=True)
class _Level:
    matrix: Tensor
    diagonal: Tensor
    down: Tensor
    up: Tensor


class Hierarchy:
    """The matrix A (N, N), ready to solve (A + d I) x = b for any d.

    Its candidates are the functions the coarse levels must hold.
    """

    def __init__(self, grid: Grid) -> None:
        self._levels: list[_Level] = []
        while grid.size > _COARSEST and len(self._levels) < _MOST_LEVELS:
            joined = join(grid, _NEXT if self._levels else _FIRST)
            if joined.coarse.size >= grid.size:
                break
            diagonal = _stable_diagonal(grid.matrix)
            self._levels.append(_Level(grid.matrix, diagonal, joined.down, joined.up))
            grid = joined.coarse
        self._coarsest = grid.matrix.to_dense()
        self._fine = self._levels[0].matrix if self._levels else self._coarsest

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


def _stable_diagonal(matrix: Tensor) -> Tensor:
    """(n,) the diagonal, enlarged so that one step of Jacobi's method with it is stable."""
    diagonal = diagonal_of(matrix).clamp_min(1e-12)
    signs = torch.where(torch.arange(len(diagonal), device=diagonal.device) % 2 == 0, 1.0, -1.0)
    vector = (signs * torch.linspace(0.5, 1.5, len(diagonal), device=diagonal.device).cos()).to(diagonal)[:, None]
    largest = torch.ones((), dtype=diagonal.dtype, device=diagonal.device)
    for _ in range(_POWER_STEPS):
        image = (matrix @ vector) / diagonal[:, None]
        largest = image.norm() / vector.norm().clamp_min(1e-30)
        vector = image / image.norm().clamp_min(1e-30)
    return diagonal * (1.1 * largest / _RELAXATION).clamp_min(1.0)


def _inverses(matrix: Tensor, diagonal: Tensor) -> Tensor:
    """(S, n, n) inverses of the coarsest matrix with each diagonal added."""
    symmetric = (matrix + matrix.T) / 2
    scale = symmetric.diagonal().abs().max().clamp_min(1e-12)
    eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    factors, _ = torch.linalg.cholesky_ex(symmetric + (diagonal[:, None, None] + 1e-12 * scale) * eye)
    return torch.cholesky_inverse(factors)
