"""Things with holes: nets, lace, wire meshes, wicker, leaves; and things without edges: veils and smoke."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Map, Random, fixed_point, fractal_noise, gaussian, log_uniform, shrink
from matte_core.train.procedural.outlines import Points
from matte_core.train.procedural.strands import spread

_FINER = 3


def rods(random: Random, size: int, layers: int) -> tuple[Map, Map, Map]:
    """Bent families of parallel rods crossing each other: a net, a basket, a grille.

    Returns coverage (S, S), shade (S, S, 3) with a highlight along each rod, and where the shade holds (S, S).
    """
    side = size * _FINER
    cover = np.zeros((side, side), np.uint8)
    paint = np.zeros((side, side, 3), np.uint8)
    reach = np.linspace(-side, side, 60)
    for _ in range(layers):
        angle, amplitude = random.uniform(0, np.pi), random.uniform(0, 40) * _FINER
        waves, bow = random.uniform(0.3, 2.5), random.uniform(-0.5, 0.5)
        width = max(1, int(log_uniform(random, 0.4, 5) * _FINER))
        spacing = max(width * 2.2, log_uniform(random, 7, 55) * _FINER)
        for crossing in (0.0, random.uniform(0.9, 2.2)):
            across = np.array([np.cos(angle + crossing), np.sin(angle + crossing)])
            down = np.array([-across[1], across[0]])
            grey = int(random.integers(50, 220))
            shine = int(np.clip(grey * random.uniform(0.6, 1.9), 30, 250))
            for offset in np.arange(-side, side, spacing * random.uniform(0.7, 1.8)):
                drift = offset * (1 + bow * reach / side) + amplitude * np.sin(
                    reach / side * 6.28 * waves + offset / side
                )
                path = [fixed_point(side / 2 + reach[:, None] * across + drift[:, None] * down)]
                cv2.polylines(cover, path, False, 255, width, cv2.LINE_AA, 4)
                cv2.polylines(paint, path, False, [grey] * 3, width + 2, cv2.LINE_8, 4)
                cv2.polylines(paint, path, False, [shine] * 3, max(1, width // 3), cv2.LINE_8, 4)
    return shrink(cover, size), *spread(paint, size)


def lace(random: Random, size: int) -> Map:
    """(S, S) coverage of a sheet punched with jittered elliptic holes."""
    side = size * _FINER
    sheet = np.full((side, side), 255, np.uint8)
    spacing = log_uniform(random, 6, 40) * _FINER
    radius = spacing * random.uniform(0.2, 0.48)
    for row in np.arange(0, side, spacing):
        for column in np.arange(0, side, spacing):
            centre = np.array([column, row]) + random.normal(0, spacing * 0.08, 2)
            axes = np.maximum(radius * random.uniform(0.5, 1, 2), 1)
            box = (tuple(centre.tolist()), tuple((2 * axes).tolist()), float(random.uniform(0, 180)))
            cv2.ellipse(sheet, box, 0, -1, cv2.LINE_AA)
    return shrink(sheet, size)


def leaves(random: Random, size: int, around: Points, lengths: tuple[float, float] = (5, 30)) -> tuple[Map, Map, Map]:
    """Leaves of `lengths` pixels scattered about the points `around`: coverage (S, S), shade (S, S, 3), where it
    holds (S, S)."""
    side = size * _FINER
    cover = np.zeros((side, side), np.uint8)
    paint = np.zeros((side, side, 3), np.uint8)
    length, scatter = log_uniform(random, *lengths), random.uniform(0.03, 0.12) * size
    along = np.linspace(0, 1, 14)
    for _ in range(int(random.integers(15, 160))):
        long = length * random.uniform(0.5, 1.5)
        broad = long * random.uniform(0.08, 0.4) * np.sin(along * np.pi)
        leaf = np.concatenate([np.stack([along * long, broad], 1), np.stack([along * long, -broad], 1)[::-1]])
        angle = random.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        place = around[random.integers(0, len(around))] + random.normal(0, scatter, 2)
        outline = [fixed_point((leaf @ turn + place) * _FINER)]
        cv2.fillPoly(cover, outline, 255, cv2.LINE_AA, 4)
        cv2.fillPoly(paint, outline, [int(random.integers(60, 230))] * 3, cv2.LINE_8, 4)
    return shrink(cover, size), *spread(paint, size)


def veil(random: Random, region: Map) -> Map:
    """(S, S) coverage of thin cloth over `region`: folds between two transparencies."""
    folds = fractal_noise(random, len(region), int(random.integers(2, 12)))
    low, high = np.sort(random.uniform(0.05, 0.95, 2))
    cloth = low + (high - low) * folds
    if random.random() < 0.5:
        cloth = cloth * np.clip(0.6 + 0.6 * np.sin(folds * random.uniform(6, 40)), 0.2, 1)
    return np.asarray(region * cloth, dtype=np.float32)


def smoke(random: Random, region: Map) -> Map:
    """(S, S) coverage of smoke that fades out around `region`."""
    noise = fractal_noise(random, len(region), int(random.integers(2, 10)))
    dense = np.clip((noise - random.uniform(0.2, 0.5)) * random.uniform(1, 3), 0, 1)
    return np.asarray(gaussian(region, log_uniform(random, 4, 30)) * dense, dtype=np.float32)


def plush(random: Random, region: Map) -> tuple[Map, Map]:
    """Dense pile: the rim of `region` dissolved over several pixels by noise of several sizes.

    Returns coverage (S, S) and shade (S, S), a low-contrast multiplier around 0.55.
    """
    size = len(region)
    inside = (region > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    width = log_uniform(random, 2, 22)
    tufts = _tufts(random, size)
    ramp = np.clip(0.5 + (distance + tufts * width * random.uniform(0.1, 0.55)) / width, 0, 1)
    if random.random() < 0.5:
        ramp = ramp * ramp * (3 - 2 * ramp)
    rim = random.uniform(-0.15, 0.15) * np.exp(-np.abs(distance) / random.uniform(3, 40))
    shade = 0.55 + rim + random.uniform(0, 0.06) * tufts
    return ramp.astype(np.float32), shade.astype(np.float32)


def _tufts(random: Random, size: int) -> NDArray[np.float32]:
    total = np.zeros((size, size), np.float32)
    for sigma in (1.2, 3.0, 7.0, 16.0):
        noise = gaussian(random.standard_normal((size, size), dtype=np.float32), sigma)
        total += noise / max(float(noise.std()), 1e-6) * np.float32(random.uniform(0, 1) * (0.4 + 0.05 * sigma))
    return total
