"""The linear system of a matting Laplacian on the unknown pixels alone, assembled in strips.

A Laplacian over windows of 3 x 3 couples a pixel to its 5 x 5 neighbours, so the rows of the unknown pixels
between two image rows are exact when the Laplacian is made from those image rows and two more on each side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Laplacian = Callable[[Values, Flags], Any]  # image (H, W, 3), known (H, W) -> sparse (H*W, H*W)

REACH = 2  # pixels that a window of 3 x 3 reaches beyond the pixel it couples
_STRIP = 131_072  # pixels in a strip: its Laplacian takes about 400 bytes for each


@dataclass(frozen=True)
class System:
    """`matrix` x = `right` for alpha x of the unknown pixels, in raster order; known pixels are exact.

    The matrix is (n, n) CSR without zeros stored, `right` is (n,), n the number of unknown pixels.
    """

    matrix: Any
    right: Values


def bounding_box(flags: Flags, margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold every set pixel of `flags` (H, W) and `margin` pixels more, inside the picture."""
    rows, columns = (np.flatnonzero(flags.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def assemble(laplacian: Laplacian, image: Values, trimap: NDArray[np.float32]) -> System:
    """The reduced system of `laplacian` on the pixels where `trimap` is neither 0 nor 1.

    `image` is (H, W, 3) float64, `trimap` (H, W). The same system as cutting it out of the whole picture's
    Laplacian, at the cost of one strip of it. Source: Grady et al., "Random walks for interactive
    alpha-matting", 2005 (the split into known and unknown).
    """
    height, width = trimap.shape
    foreground, unknown = trimap == 1, (trimap != 0) & (trimap != 1)
    count = int(np.count_nonzero(unknown))
    place = np.full((height, width), -1, np.int32)
    place[unknown] = np.arange(count, dtype=np.int32)
    most = _neighbours(unknown)
    data, columns = np.empty(most, np.float64), np.empty(most, np.int32)
    starts, right = np.zeros(count + 1, np.int64), np.empty(count, np.float64)
    filled = row = 0
    step = max(8, _STRIP // width)
    for first in range(0, height, step):
        last, top = min(first + step, height), max(0, first - REACH)
        inside = slice(top, min(last + REACH, height))
        wanted = np.flatnonzero(unknown[first:last]) + (first - top) * width
        if not wanted.size:
            continue
        rows = laplacian(image[inside], ~unknown[inside])[wanted]
        stop = row + wanted.size
        right[row:stop] = -(rows @ foreground[inside].ravel().astype(np.float64))
        at = place[inside].ravel()[rows.indices]
        keep = (at >= 0) & (rows.data != 0)
        size = int(np.count_nonzero(keep))
        data[filled : filled + size] = rows.data[keep]
        columns[filled : filled + size] = at[keep]
        kept = np.concatenate([[0], np.cumsum(keep)])
        starts[row + 1 : stop + 1] = filled + kept[rows.indptr[1:]]
        filled, row = filled + size, stop
    matrix = scipy.sparse.csr_matrix((data[:filled], columns[:filled], _smallest(starts)), (count, count))
    return System(matrix, right)


def _neighbours(unknown: Flags) -> int:
    """How many pairs of unknown pixels lie within reach of one another: the most that the matrix can hold."""
    side = 2 * REACH + 1
    near = cv2.boxFilter(unknown.astype(np.float32), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return int(near[unknown].sum(dtype=np.float64))


def _smallest(starts: NDArray[np.int64]) -> NDArray[np.int32] | NDArray[np.int64]:
    """`starts` in 32 bits where they fit, because scipy copies index arrays of two kinds into one."""
    return starts.astype(np.int32) if starts[-1] <= np.iinfo(np.int32).max else starts
