"""Rough masks of a true alpha, as segmenters and hands make them, and the regions that are to be found from them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Map, Random, as_map, gaussian, log_uniform, smooth_map
from matte_core.train.procedural.trimaps import BACKGROUND, FOREGROUND, UNKNOWN, Trimap

_FAINT = 0.02  # coverage below this, or this close to 1, counts as none, as full
_DEEPEST = 0.8  # of a part's depth: the most that is taken off it, so that it stays marked
_PART = 4.0  # pixels: what is not so deep is no part of its own
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Masks:
    """How far off the masks are, in pixels; the paper's numbers are 29 and 59.

    known      most that the true foreground and background are eroded by for the initial segmentation
    change     most that it is eroded, and then dilated, by
    shift      most that a mask is moved, in each direction
    margin     how far the unknown reaches on both sides of the fractional pixels in the answer
    published  how often masks are made as the paper does; the others are like an artist's
    """

    known: int = 29
    change: int = 59
    shift: int = 10
    margin: int = 15
    published: float = 1.0


def regions(alpha: Map, margin: float) -> Trimap:
    """(H, W) of BACKGROUND, UNKNOWN, FOREGROUND: full and no coverage of `alpha` (H, W), each eroded by `margin`."""
    foreground = _eroded(alpha >= 1 - _FAINT, margin)
    background = _eroded(alpha <= _FAINT, margin)
    return np.where(foreground, FOREGROUND, np.where(background, BACKGROUND, UNKNOWN)).astype(np.uint8)


def rough_mask(random: Random, alpha: Map, masks: Masks) -> Map:
    """A soft mask (H, W) 0..1 of `alpha` (H, W) as `masks` says: the paper's synthesis, or an artist's."""
    make = _published if random.random() < masks.published else _artists
    return np.clip(make(random, alpha, masks), 0, 1)


def eroded_mask(alpha: Map, pixels: float, blur: float) -> Map:
    """The mask (H, W) 0..1 for measuring: where `alpha` is over a half, eroded by `pixels`, blurred by `blur`."""
    mask = as_map(_eroded(alpha > 0.5, pixels))
    return gaussian(mask, blur) if blur else mask


def _published(random: Random, alpha: Map, masks: Masks) -> Map:
    """Foreground and unknown of a random trimap, eroded, dilated and blurred. Source: arXiv 2103.17020, appendix."""
    initial = ~_eroded(alpha <= _FAINT, _some(random, masks.known))
    less = _eroded(initial, np.minimum(np.float32(_some(random, masks.change)), _spare(initial)))
    mask = ~_eroded(~less, _some(random, masks.change))
    return _blurred(random, as_map(mask))


def _artists(random: Random, alpha: Map, masks: Masks) -> Map:
    """A mask too small, too large, uneven, angular or shifted; hard or soft."""
    solid = alpha > random.uniform(0.3, 0.7)
    change, chance = np.zeros(alpha.shape, np.float32), random.random()
    if chance < 0.5:
        change -= random.uniform(0, masks.change)
    elif chance < 0.75:
        change += random.uniform(0, masks.change / 2)
    if random.random() < 0.6:
        uneven = smooth_map(random, len(alpha), int(random.integers(3, 12))) - 0.5
        change += uneven * np.float32(random.uniform(0, masks.change / 2))
    mask = as_map(_distance(solid) - _distance(~solid) + np.maximum(change, -_spare(solid)) > 0)
    if not mask.any():
        mask = as_map(solid)
    if random.random() < 0.3:
        mask = _angular(mask, random.uniform(1.5, 8))
    if random.random() < 0.4:
        across, down = random.uniform(-masks.shift, masks.shift, 2)
        moved = np.array([[1, 0, across], [0, 1, down]])
        mask = as_map(cv2.warpAffine(mask, moved, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE))
    return _blurred(random, mask) if random.random() < 0.6 else mask


def _blurred(random: Random, mask: Map) -> Map:
    """`mask` blurred, but not so far that nothing of it would be left."""
    deepest = float(_distance(mask > 0.5).max())
    return gaussian(mask, min(log_uniform(random, 0.5, 12), 0.4 + 0.5 * deepest))


def _angular(mask: Map, tolerance: float) -> Map:
    outlines, _ = cv2.findContours((mask > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    sides = [min(tolerance, 0.2 * cv2.contourArea(outline) ** 0.5) for outline in outlines]
    corners = [cv2.approxPolyDP(outline, side, True) for outline, side in zip(outlines, sides, strict=True)]
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(drawn, [polygon for polygon in corners if len(polygon) > 2], 1)
    return as_map(drawn) if drawn.any() else mask


def _spare(solid: Flags) -> Map:
    """How much (H, W) may be taken off `solid` so that something of each of its parts stays."""
    count, labels = cv2.connectedComponents(solid.astype(np.uint8))
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, labels.ravel(), _distance(solid).ravel())
    return as_map(np.where(deepest > _PART, deepest * _DEEPEST, np.inf)[labels])


def _some(random: Random, most: int) -> float:
    return float(random.integers(1, most + 1))


def _eroded(region: Flags, amount: Map | float) -> Flags:
    return region & (_distance(region) > amount)


def _distance(region: Flags) -> Map:
    """How far each pixel of `region` is from the nearest one outside it; the border of the picture is no edge."""
    if region.all():
        return np.full(region.shape, 1e6, np.float32)
    return as_map(cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5))
