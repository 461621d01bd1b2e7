"""The closed-form matting Laplacian, for scene-linear values of any size.

Written here because an inverse by determinants, as libraries for values of 0..1 have it, divides by zero on
a grey highlight of 40.0.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

EPSILON = 1e-7  # regularisation of the local colour model, in squared pixel values
_FLOOR = 1e-12  # the least of it in proportion to a window's own variance: keeps 65504.0 solvable in float64
_OFFSETS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


def closed_form_laplacian(image: NDArray[np.float64], unknown: NDArray[np.bool_]) -> Any:
    """The matting Laplacian, sparse (H*W, H*W), its rows filled for unknown pixels only.

    `image` (H, W, 3) in any range, `unknown` (H, W). Windows of 3 x 3 inside the picture.
    Source: Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting", equation 12.
    """
    height, width = unknown.shape
    pixels = np.flatnonzero(unknown)
    row = np.full(height * width, pixels.size, np.int64)  # known pixels share one row, which is dropped
    row[pixels] = np.arange(pixels.size)
    members = [_windows(unknown) + dy * width + dx for dy, dx in _OFFSETS]
    white = _whitened(image.reshape(-1, 3), members)
    rows = [row[member] for member in members]
    values = np.zeros((25, pixels.size + 1))
    for i, (yi, xi) in enumerate(_OFFSETS):
        for j, (yj, xj) in enumerate(_OFFSETS[i:], start=i):
            entry = float(i == j) - (1 + (white[i] * white[j]).sum(0)) / 9
            step = (yj - yi) * 5 + xj - xi
            values[12 + step, rows[i]] += entry
            if i != j:
                values[12 - step, rows[j]] += entry
    steps = np.array([dy * width + dx for dy in range(-2, 3) for dx in range(-2, 3)])
    # A neighbour outside the picture is in no window: its value is 0, so any column will do.
    columns = np.clip(pixels[:, None] + steps, 0, height * width - 1)
    starts = np.concatenate([[0], np.cumsum(unknown.ravel() * 25)])
    return scipy.sparse.csr_matrix((values[:, :-1].T.ravel(), columns.ravel(), starts), (height * width,) * 2)


def _windows(unknown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Flat indices of the windows' centres that see an unknown pixel and lie wholly inside the picture."""
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8))
    near[[0, -1]] = 0
    near[:, [0, -1]] = 0
    return np.flatnonzero(near)


def _whitened(colours: NDArray[np.float64], members: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Colours of N windows, (9, 3, N), such that products of two are (I_i - mean)^T (cov + epsilon/9)^-1 (I_j - mean).

    By a Cholesky factor, whose error grows with the condition and not with its square.
    """
    centred = np.stack([colours[member].T for member in members])
    centred -= centred.mean(0)
    red, green, blue = centred[:, 0], centred[:, 1], centred[:, 2]
    epsilon = np.maximum(EPSILON / 9, _FLOOR * (centred * centred).mean((0, 1)))
    rr = np.sqrt((red * red).mean(0) + epsilon)
    gr = (green * red).mean(0) / rr
    gg = np.sqrt(np.maximum((green * green).mean(0) + epsilon - gr * gr, epsilon))
    br = (blue * red).mean(0) / rr
    bg = ((blue * green).mean(0) - br * gr) / gg
    bb = np.sqrt(np.maximum((blue * blue).mean(0) + epsilon - br * br - bg * bg, epsilon))
    red /= rr
    green -= gr * red
    green /= gg
    blue -= br * red + bg * green
    blue /= bb
    return centred
