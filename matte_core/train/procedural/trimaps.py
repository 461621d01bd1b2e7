"""Trimaps as a hand draws them, from a true alpha."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Map, Random, log_uniform, smooth_map

BACKGROUND, UNKNOWN, FOREGROUND = 0, 1, 2
Trimap = NDArray[np.uint8]


def make_trimap(
    random: Random, alpha: Map, surely_unknown: NDArray[np.bool_] | None = None, wide: bool = False
) -> Trimap:
    """(H, W) of BACKGROUND, UNKNOWN, FOREGROUND for `alpha` (H, W) 0..1.

    Unknown reaches 1 to 45 pixels from the fractional ones, a `wide` one 10 to 60, unevenly; sometimes with brush
    strokes, and with small holes closed. `surely_unknown` is added to it.
    """
    size = len(alpha)
    faint = random.uniform(0.004, 0.04)
    inside = alpha >= 0.5
    solid = inside.astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    edge = (alpha > faint) & (alpha < 1 - faint) | (cv2.dilate(solid, kernel) != cv2.erode(solid, kernel))
    distance = cv2.distanceTransform(1 - edge.astype(np.uint8), cv2.DIST_L2, 3)
    reach: Map | float = log_uniform(random, *((10, 60) if wide else (1.5, float(random.choice([10, 25, 45])))))
    if random.random() < 0.6:
        reach = reach * (0.4 + 1.2 * smooth_map(random, size, int(random.integers(2, 8))))
    inward, outward = np.exp(random.normal(0, 0.4, 2))
    unknown = edge | (distance < np.where(inside, reach * inward, reach * outward))
    if surely_unknown is not None:
        unknown = unknown | surely_unknown
    drawn = unknown.astype(np.uint8)
    if random.random() < 0.15:
        for start, stop in random.integers(0, size, (int(random.integers(1, 4)), 2, 2)).tolist():
            cv2.line(drawn, start, stop, 1, int(random.integers(4, 26)))
    if random.random() < 0.45:
        brush = int(random.integers(1, 9)) * 2 + 1
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (brush, brush))
        drawn = np.maximum(drawn, cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, ellipse))
    return np.where(drawn > 0, UNKNOWN, np.where(inside, FOREGROUND, BACKGROUND)).astype(np.uint8)


def even_trimap(alpha: Map, inward: float, outward: float, faint: float = 0.02) -> Trimap:
    """(H, W) of BACKGROUND, UNKNOWN, FOREGROUND for `alpha` (H, W): unknown reaches as many pixels everywhere."""
    inside = alpha >= 0.5
    solid = inside.astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    edge = (alpha > faint) & (alpha < 1 - faint) | (cv2.dilate(solid, kernel) != cv2.erode(solid, kernel))
    distance = cv2.distanceTransform(1 - edge.astype(np.uint8), cv2.DIST_L2, 3)
    unknown = edge | (distance < np.where(inside, inward, outward))
    return np.where(unknown, UNKNOWN, np.where(inside, FOREGROUND, BACKGROUND)).astype(np.uint8)


def usable(trimap: Trimap) -> bool:
    """Whether some foreground and some background are known and a fair part is unknown."""
    background, unknown, foreground = (float((trimap == value).mean()) for value in (0, 1, 2))
    return background > 0.01 and foreground > 0.01 and 0.03 < unknown < 0.85
