"""How well a trimap's three regions are found. Source: the measures of arXiv 2103.17020, tables 1 and 5."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from matte_core.trimap import around_edge, snap

Trimap = NDArray[np.floating]  # (H, W) of 0 background, 0.5 unknown, 1 foreground
Counts = NDArray[np.int64]

REGIONS = ("background", "unknown", "foreground")


def count(prediction: Trimap, truth: Trimap) -> Counts:
    """(3, 3) pixels by region: true ones down, predicted ones across, in the order of REGIONS.

    Both (H, W) are snapped to 0, 0.5 and 1 first.
    """
    places = [np.rint(2 * snap(np.asarray(t, np.float32))).astype(np.int64) for t in (truth, prediction)]
    return np.bincount((3 * places[0] + places[1]).ravel(), minlength=9).reshape(3, 3)


def region_scores(counts: Counts) -> dict[str, float]:
    """Accuracy, IoU of each region, and their mean "mIoU", all 0..1; `counts` may be summed over pictures.

    A region that is neither there nor predicted counts as found.
    """
    right = np.diag(counts).astype(np.float64)
    either = counts.sum(0) + counts.sum(1) - right
    shares = np.where(either > 0, right / np.maximum(either, 1), 1.0)
    scores = {"accuracy": float(right.sum() / max(counts.sum(), 1))}
    scores |= {name: float(share) for name, share in zip(REGIONS, shares, strict=True)}
    return scores | {"mIoU": float(shares.mean())}


def fixed_trimap(mask: Trimap, inside: float, outside: float) -> Trimap:
    """The trimap (H, W) of a mask cut at a half, eroded by `inside` and dilated by `outside` pixels."""
    return around_edge((np.asarray(mask) >= 0.5).astype(np.float32), inside, outside, 0.0)


def best_fixed(
    pairs: Iterable[tuple[Trimap, Trimap]], radii: Iterable[tuple[float, float]]
) -> tuple[tuple[float, float], Counts]:
    """The (inside, outside) of `radii` whose fixed trimaps have the best IoU of the unknown, and their counts.

    `pairs` are masks and true trimaps, (H, W) each.
    """
    known = list(pairs)
    found = {radius: sum_of(count(fixed_trimap(mask, *radius), truth) for mask, truth in known) for radius in radii}
    best = max(found, key=lambda radius: region_scores(found[radius])["unknown"])
    return best, found[best]


def sum_of(counts: Iterable[Counts]) -> Counts:
    """(3, 3) counts of several pictures together."""
    return np.asarray(np.sum([np.zeros((3, 3), np.int64), *counts], axis=0), np.int64)
