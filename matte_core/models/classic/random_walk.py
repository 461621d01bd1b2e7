"""The random-walk Laplacian: pixels of like colour pull alpha towards one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

SHARPNESS = 900.0  # weight of a squared colour difference
_LEAST = 1e-9  # of a weight, so that a pixel unlike all its neighbours still takes their mean


def random_walk_laplacian(image: NDArray[np.float64], unknown: NDArray[np.bool_]) -> Any:
    """Degrees minus weights exp(-900 |I_i - I_j|^2) over 8 neighbours, sparse (H*W, H*W).

    `image` (H, W, 3); rows are filled for every pixel. Source: Grady et al., 2005, equation 4.
    """
    height, width = unknown.shape
    place = np.arange(height * width).reshape(height, width)
    here, there, weights = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        other = (slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
        distance = np.square(image[one] - image[other]).sum(-1)
        weights.append(np.maximum(np.exp(-SHARPNESS * distance), _LEAST).ravel())
        here.append(place[one].ravel())
        there.append(place[other].ravel())
    i, j, w = np.concatenate(here), np.concatenate(there), np.concatenate(weights)
    upper = scipy.sparse.csr_matrix((w, (i, j)), (place.size, place.size))
    both = upper + upper.T
    return (scipy.sparse.diags(np.asarray(both.sum(1)).ravel()) - both).tocsr()
