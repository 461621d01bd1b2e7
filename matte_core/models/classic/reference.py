"""pymatting's own solvers, called as they come: the reference that everything here is measured beside."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pymatting import estimate_alpha_cf, estimate_alpha_knn, estimate_alpha_lbdm, estimate_alpha_rw

Values = NDArray[np.float64]

REFERENCES: dict[str, Callable[[Values, Values], Values]] = {
    "closed-form": estimate_alpha_cf,
    "knn": estimate_alpha_knn,
    "learning-based": estimate_alpha_lbdm,
    "random-walk": estimate_alpha_rw,
}


def reference_alpha(name: str, image: NDArray[np.floating], trimap: NDArray[np.floating]) -> NDArray[np.float32]:
    """Alpha (H, W) in 0..1 of `image` (3, H, W) with `trimap` (H, W) of 0, 0.5, 1, by pymatting's defaults.

    Raises what pymatting raises: ValueError where its solver does not converge.
    """
    pixels = np.ascontiguousarray(np.moveaxis(image, 0, -1), np.float64)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # It prints where it tries a coarser factor, and warns of scene-linear values above 1.
        warnings.simplefilter("ignore", UserWarning)
        alpha = REFERENCES[name](pixels, np.asarray(trimap, np.float64))
    return np.asarray(np.clip(alpha, 0, 1), np.float32)
