"""The closed-form matting Laplacian as a sparse matrix, from the stencil that the device solver uses too.

Not the reference library's own: its inverse by determinants divides by zero on a grey highlight of 40.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from matte_core.models.layers.laplacian import matting_stencil

EPSILON = 1e-7  # regularisation of the local colour model, in squared pixel values
BRIGHTEST = 1024.0  # beyond this the regularisation is lost in the rounding of float64


def closed_form_laplacian(image: NDArray[np.float64], unknown: NDArray[np.bool_]) -> Any:
    """The matting Laplacian, sparse (H*W, H*W), its rows filled for unknown pixels only.

    `image` (H, W, 3) in any range, `unknown` (H, W). Windows of 3 x 3 that lie inside the picture.
    Source: Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting", equation 12.
    """
    height, width = unknown.shape
    colours = torch.from_numpy(np.ascontiguousarray(np.clip(image.transpose(2, 0, 1), -BRIGHTEST, BRIGHTEST)))
    stencil = matting_stencil(colours, torch.from_numpy(np.ascontiguousarray(unknown)), EPSILON)
    pixels = np.flatnonzero(unknown)
    steps = np.array([dy * width + dx for dy in range(-2, 3) for dx in range(-2, 3)])
    # A neighbour outside the picture is in no window: its value is 0, so any column will do.
    columns = np.clip(pixels[:, None] + steps, 0, height * width - 1)
    starts = np.concatenate([[0], np.cumsum(unknown.ravel() * 25)])
    return scipy.sparse.csr_matrix((stencil.values.numpy().ravel(), columns.ravel(), starts), (height * width,) * 2)
