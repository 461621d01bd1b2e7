"""Noise, smooth maps and blur kernels that every procedural shape and texture is made of."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Random = np.random.Generator


def log_uniform(random: Random, low: float, high: float) -> float:
    """A number between `low` and `high`, equally likely in every octave."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def smooth_map(random: Random, size: int, cells: int = 5) -> Map:
    """(size, size) slowly varying values, about 0..1, with `cells` random values along each side."""
    grid = random.random((cells, cells), dtype=np.float32)
    return as_map(cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC))


def fractal_noise(random: Random, size: int, cells: int = 4, octaves: int = 5, gain: float = 0.55) -> Map:
    """(size, size) sum of smooth maps, each octave twice as fine and `gain` as strong; 0..1."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        fine = cells * 2**octave
        if octave and fine > size:
            break
        total += gain**octave * smooth_map(random, size, min(fine, size))
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def gaussian(values: Map, sigma: float) -> Map:
    """`values` (H, W) or (H, W, C) blurred by a Gaussian of `sigma` pixels, edges reflected."""
    return as_map(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))


def disc_kernel(radius: float) -> Map:
    """A defocused point: a disc of `radius` pixels with an anti-aliased rim, summing to 1."""
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(columns, rows), 0, 1).astype(np.float32)
    return as_map(disc / disc.sum())


def streak_kernel(random: Random, length: float) -> Map:
    """A moving point: a straight or bent streak of `length` pixels in a random direction, summing to 1."""
    side = int(length) // 2 * 2 + 3
    centre, angle = side // 2, random.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    bend = np.array([-along[1], along[0]]) * random.uniform(-0.5, 0.5)
    points = np.stack([centre - along, centre + bend, centre + along])
    kernel = np.zeros((side, side), np.float32)
    cv2.polylines(kernel, [fixed_point(points)], False, 1.0, 1, cv2.LINE_AA, 4)
    return as_map(kernel / max(float(kernel.sum()), 1e-6))


def convolve(values: Map, kernel: Map) -> Map:
    """`values` (H, W) or (H, W, C) filtered by `kernel`, edges reflected."""
    return as_map(cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_REFLECT))


def shrink(values: NDArray[np.uint8], size: int) -> Map:
    """(size, size[, C]) averages of a larger 8-bit drawing, 0..1."""
    return as_map(cv2.resize(values, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255)


def fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """(N, 2) pixel positions as the 1/16-pixel integers that sub-pixel drawing takes (shift = 4)."""
    return np.round(points * 16).astype(np.int32)


def union(first: Map, second: Map) -> Map:
    """Coverage of two independent layers together: 1 - (1-a)(1-b)."""
    return 1 - (1 - first) * (1 - second)


def as_map(values: object) -> Map:
    """`values` as float32."""
    return np.asarray(values, dtype=np.float32)
