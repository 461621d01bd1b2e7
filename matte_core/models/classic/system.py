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
Laplacian = Callable[[Values, Flags], Any]  # image (H, W, 3), unknown (H, W) -> sparse (H*W, H*W)

REACH = 2  # pixels that a window of 3 x 3 reaches beyond the pixel it couples


@dataclass(frozen=True)
class System:
    """A symmetric system A x = `right` for alpha x of the n unknown pixels in raster order.

    `upper` is the upper triangle of A with its diagonal, (n, n) CSR: half the memory of A. `right` is (n,).
    """

    upper: Any
    right: Values

    def times(self, x: Values) -> Values:
        """A x, for x (n,)."""
        result: Values = self.upper @ x
        result += self.upper.T @ x
        result -= self.upper.diagonal() * x
        return result


def bounding_box(flags: Flags, margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold every set pixel of `flags` (H, W) and `margin` pixels more, inside the picture."""
    rows, columns = (np.flatnonzero(flags.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def assemble(laplacian: Laplacian, image: Values, trimap: NDArray[np.float32], strip: int) -> System:
    """The reduced system of `laplacian` on the pixels where `trimap` is neither 0 nor 1.

    `image` is (H, W, 3) float64, `trimap` (H, W), `strip` the pixels of one strip. The same system as
    cutting the unknown pixels out of the whole picture's Laplacian, at the cost of one strip of it.
    Source: Grady et al., "Random walks for interactive alpha-matting", 2005 (the split into known and unknown).
    """
    height, width = trimap.shape
    foreground, unknown = trimap == 1, (trimap != 0) & (trimap != 1)
    count = int(np.count_nonzero(unknown))
    place = np.full((height, width), -1, np.int32)
    place[unknown] = np.arange(count, dtype=np.int32)
    most = _pairs(unknown)
    data, columns = np.empty(most, np.float64), np.empty(most, np.int32)
    starts, right = np.zeros(count + 1, np.int64), np.empty(count, np.float64)
    filled = row = 0
    step = max(2 * REACH, strip // width)
    for first in range(0, height, step):
        last, top = min(first + step, height), max(0, first - REACH)
        inside = slice(top, min(last + REACH, height))
        wanted = np.flatnonzero(unknown[first:last]) + (first - top) * width
        if not wanted.size:
            continue
        rows = laplacian(image[inside], unknown[inside])[wanted]
        stop = row + wanted.size
        right[row:stop] = -(rows @ foreground[inside].ravel().astype(np.float64))
        at = place[inside].ravel()[rows.indices]
        keep = (at >= np.repeat(np.arange(row, stop), np.diff(rows.indptr))) & (rows.data != 0)
        kept = np.concatenate([[0], np.cumsum(keep)])
        end = filled + int(kept[-1])
        data[filled:end], columns[filled:end] = rows.data[keep], at[keep]
        starts[row + 1 : stop + 1] = filled + kept[rows.indptr[1:]]
        filled, row = end, stop
    # Of one kind with the columns, because scipy copies index arrays of two kinds.
    short = starts.astype(np.int32) if filled <= np.iinfo(np.int32).max else starts
    return System(scipy.sparse.csr_matrix((data[:filled], columns[:filled], short), (count, count)), right)


def _pairs(unknown: Flags) -> int:
    """How many pairs of unknown pixels, each pair once, lie within reach: the most that the triangle can hold."""
    side = 2 * REACH + 1
    near = cv2.boxFilter(unknown.astype(np.float32), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    both_ways = int(near[unknown].sum(dtype=np.float64)) - int(np.count_nonzero(unknown))
    return both_ways // 2 + int(np.count_nonzero(unknown))
