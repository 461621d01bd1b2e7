"""Alpha from a linear system through pymatting, quiet and bounded in memory. The only importer of pymatting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatting.laplacian.lbdm_laplacian import lbdm_laplacian
from pymatting.preconditioner.ichol import ichol
from pymatting.preconditioner.jacobi import jacobi
from pymatting.solver.cg import cg
from pymatting.util.kdtree import KDTree

from matte_core.errors import ModelError
from matte_core.models.classic.closed_form import closed_form_laplacian
from matte_core.models.classic.neighbours import neighbour_system
from matte_core.models.classic.random_walk import random_walk_laplacian
from matte_core.models.classic.system import REACH, System, Values, assemble, bounding_box

_TOLERANCE = 1e-7  # residual at which alpha no longer changes in its third digit
_GOOD_ENOUGH = 1e-4  # residual that is still used when the solver stops early
_ITERATIONS = 3000

# Entries below this are dropped from the factor; bytes it then takes per unknown pixel (measured on photographs).
# The finer the factor, the fewer the iterations: the finest that fits is used.
_FACTORS = ((1e-4, 1520), (1e-3, 770), (3e-3, 500), (1e-2, 350), (2e-2, 270))
_FACTOR_BYTES = 750_000_000
_ENTRY_BYTES = 16

_threads = threading.Lock()  # the search for neighbours must not run twice at once in one process

# pymatting prints where it tries a coarser factor; this copy of the function has nothing to print with.
_factor = FunctionType(
    ichol.__code__, {**ichol.__globals__, "print": lambda *words: None}, ichol.__name__, ichol.__defaults__
)


def closed_form(image: Values, trimap: NDArray[np.float32]) -> Values:
    """Alpha of the unknown pixels (n,), not clipped, from `image` (H, W, 3) and `trimap` (H, W)."""
    return _by_strips(closed_form_laplacian, image, trimap, 65_536)


def learning_based(image: Values, trimap: NDArray[np.float32]) -> Values:
    """Alpha of the unknown pixels (n,), as `closed_form`. Source: Zheng, Kambhamettu, 2009."""
    return _by_strips(lambda strip, unknown: lbdm_laplacian(np.ascontiguousarray(strip)), image, trimap, 32_768)


def random_walk(image: Values, trimap: NDArray[np.float32]) -> Values:
    """Alpha of the unknown pixels (n,), as `closed_form`. Source: Grady et al., 2005."""
    return _by_strips(random_walk_laplacian, image, trimap, 65_536)


def nearest_neighbours(image: Values, trimap: NDArray[np.float32]) -> Values:
    """Alpha of the unknown pixels (n,), as `closed_form`. Source: Chen, Li, Tang, 2013."""
    with _threads:
        return solve(neighbour_system(lambda points: KDTree(points).query, image, trimap), factor=False)


def _by_strips(laplacian: Any, image: Values, trimap: NDArray[np.float32], strip: int) -> Values:
    box = bounding_box((trimap != 0) & (trimap != 1), REACH)
    return solve(assemble(laplacian, image[box], trimap[box], strip))


def solve(system: System, factor: bool = True) -> Values:
    """The solution (n,) of `system`. Raises ModelError where it does not converge."""
    watch = _Watch(len(system.right))
    # Divisions by zero in a hopeless system give no number, which the watch sees; they are no news.
    with np.errstate(all="ignore"):
        try:
            return cg(  # type: ignore[no-any-return]
                system.times,
                system.right,
                M=_preconditioner(system, factor),
                rtol=_TOLERANCE,
                maxiter=_ITERATIONS,
                callback=watch,
            )
        except ValueError:
            if watch.residual > _GOOD_ENOUGH:
                raise ModelError(
                    f"the solver did not converge on {len(system.right)} unknown pixels "
                    f"(residual {watch.residual:.0e}). Narrow the trimap's unknown region or use another model."
                ) from None
            return watch.best


class _Watch:
    """Sees every iterate of the solver and keeps the best, because the solver forgets it when it fails."""

    def __init__(self, count: int) -> None:
        self.best: Values = np.zeros(count)
        self.residual = float("inf")

    def __call__(self, matrix: Any, x: Values, b: Values, norm_b: float, r: Values, norm_r: float) -> None:
        if norm_r < 0.5 * self.residual * norm_b:
            self.residual = float(norm_r / norm_b)
            self.best = x.copy()


def _preconditioner(system: System, factor: bool) -> Callable[[Values], Values]:
    """An incomplete Cholesky factor as fine as its memory allows, else the diagonal."""
    count = len(system.right)
    for threshold, size in _FACTORS if factor else ():
        if count * size <= _FACTOR_BYTES or (threshold, size) == _FACTORS[-1]:
            try:
                return _factor(  # type: ignore[no-any-return]
                    system.upper,
                    discard_threshold=threshold,
                    max_nnz=int(1.5 * size * count) // _ENTRY_BYTES + 1000,
                    diag_keep_discarded=False,
                )
            except ValueError:  # it fills up, or is not positive definite: a coarser one may do
                continue
    return jacobi(system.upper)  # type: ignore[no-any-return]
