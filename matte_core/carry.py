"""Trimaps carried along the motion of the plate from the keyframes where they were drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matte_core.flow import ends, sampled
from matte_core.frame import Pixels

_LEAST = 1e-4
_HALF = 0.5  # share of what is carried in `weighed`, where it is wholly trusted


def carried_regions(trimap: Pixels, way: Pixels) -> Pixels:
    """Probabilities (3, h, w) of background, unknown and foreground, fetched from a keyframe's trimap (H, W).

    `way` (h, w, 2) is the motion from every pixel of the frame to the keyframe, in the trimap's pixels.
    """
    regions = np.stack([trimap < 0.25, np.abs(trimap - 0.5) <= 0.25, trimap > 0.75], axis=-1).astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(sampled(regions, ends(way)), -1, 0))


def together(carried: Sequence[tuple[Pixels, Pixels, int]]) -> Pixels:
    """(4, h, w): probabilities of the three regions, and how far they are to be trusted, of what was carried from
    several keyframes: (probabilities (3, h, w), trust (h, w), frames to the keyframe) each.

    Nearer keyframes and those whose motion can be trusted count more; where none can, the nearest says it.
    """
    nearest = min(carried, key=lambda each: each[2])
    weights = [trust / np.float32(1 + away) for _, trust, away in carried]
    total = np.sum(weights, axis=0)
    mixed = np.sum([weight * regions for weight, (regions, _, _) in zip(weights, carried, strict=True)], axis=0)
    sure = total > _LEAST
    regions = np.where(sure, mixed / np.where(sure, total, 1), nearest[0])
    trust = np.max([trust for _, trust, _ in carried], axis=0)
    return np.concatenate([regions, trust[None]]).astype(np.float32)


def weighed(found: Pixels, carried: Pixels) -> Pixels:
    """(3, h, w): the mean of the probabilities that a network has `found` and of those that `together` gives from
    keyframes on both sides, so far as these are to be trusted: one is better near the keys, the other between them."""
    weight = _HALF * carried[3:]
    return np.asarray(found + weight * (carried[:3] - found), np.float32)
