"""The KNN matting system: a pixel takes its alpha from the pixels nearest to it in colour and place."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from matte_core.models.classic.system import System, Values

# Neighbours, and how much the place counts beside the colour (the picture's width and height count as 1).
PASSES = ((20, 2.0), (10, 0.1))
_QUERIES = 131_072  # pixels asked for at once

Query = Callable[[NDArray[np.float32], int], tuple[NDArray[np.float32], NDArray[np.int64]]]
Tree = Callable[[NDArray[np.float32]], Query]


def neighbour_system(tree: Tree, image: Values, trimap: NDArray[np.float32]) -> System:
    """The reduced system of the KNN Laplacian on the pixels where `trimap` is neither 0 nor 1.

    `image` is (H, W, 3), `trimap` (H, W), both of the whole picture: neighbours may be anywhere in it.
    Source: Chen, Li, Tang, "KNN Matting", 2013, with weights of 1 and two passes of neighbours.
    """
    unknown = ((trimap != 0) & (trimap != 1)).ravel()
    foreground = trimap.ravel() == 1
    count = int(np.count_nonzero(unknown))
    place = np.full(unknown.size, -1, np.int32)
    place[unknown] = np.arange(count, dtype=np.int32)
    degree, right = np.zeros(count), np.zeros(count)
    weights = scipy.sparse.csr_matrix((count, count), dtype=np.float32)
    for here, there in _pairs(tree, image):
        for one, other in ((here, there), (there, here)):
            at = place[one]
            degree += np.bincount(at[at >= 0], minlength=count)
            right += np.bincount(at[(at >= 0) & foreground[other]], minlength=count)
        one, other = place[here], place[there]
        both = (one >= 0) & (other >= 0)
        one, other = one[both], other[both]
        entries = np.where(one == other, np.float32(2), np.float32(1))
        where = (np.minimum(one, other), np.maximum(one, other))
        weights = weights + scipy.sparse.csr_matrix((entries, where), (count, count))
    # A pixel that is its own only neighbour would make the system singular.
    degree += 1e-8
    return System((scipy.sparse.diags(degree) - weights).tocsr(), right)


def _pairs(tree: Tree, image: Values) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pixels and their neighbours as flat indices, a batch of pixels at a time."""
    height, width = image.shape[:2]
    features = np.empty((height * width, 5), np.float32)
    features[:, :3] = image.reshape(-1, 3)
    across = np.tile(np.linspace(0, 1, width), height)
    down = np.repeat(np.linspace(0, 1, height), width)
    for neighbours, weight in PASSES:
        features[:, 3], features[:, 4] = weight * across, weight * down
        query = tree(features)
        nearest = min(neighbours, len(features))
        for first in range(0, len(features), _QUERIES):
            asked = features[first : first + _QUERIES]
            found = query(asked, nearest)[1]
            yield np.repeat(np.arange(first, first + len(asked)), nearest), found.ravel()
