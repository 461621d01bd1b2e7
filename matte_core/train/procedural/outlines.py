"""Outlines of bodies: blobs, polygons and superellipses, and their filled coverage."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Map, Random, fixed_point, log_uniform, shrink

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Body:
    """Filled outlines: `coverage` (S, S) 0..1, and the polygons themselves, each (N, 2) in pixels (x, y)."""

    coverage: Map
    outlines: tuple[Points, ...]

    def rim(self, random: Random, count: int, patchiness: float) -> tuple[Points, Points]:
        """`count` points on the outlines and the outward directions there, both (count, 2).

        `patchiness` 0 spreads them evenly; larger values leave parts of the rim bald.
        """
        points = np.concatenate([_dense(outline) for outline in self.outlines])
        centres = np.concatenate([np.tile(o.mean(0), (len(_dense(o)), 1)) for o in self.outlines])
        cells = random.random(max(4, len(points) // 40))
        density = np.interp(np.linspace(0, 1, len(points)), np.linspace(0, 1, len(cells)), cells) ** patchiness + 1e-3
        chosen = random.choice(len(points), count, p=density / density.sum())
        outward = points[chosen] - centres[chosen]
        outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-6
        return points[chosen], outward


def make_body(random: Random, size: int, largest: float = 0.4) -> Body:
    """One to three random outlines on a canvas of `size` pixels, up to `largest` of it in radius."""
    outlines = []
    for _ in range(int(random.integers(1, 4))):
        radius = size * log_uniform(random, 0.09, largest)
        centre = random.uniform(0.1 * size, 0.9 * size, 2)
        draw = (_blob, _blob, _polygon, _superellipse)[random.integers(0, 4)]
        outlines.append(_turned(draw(random, radius), random.uniform(0, 2 * np.pi)) + centre)
    return Body(fill(outlines, size), tuple(outlines))


def fill(outlines: list[Points], size: int) -> Map:
    """(size, size) anti-aliased coverage of filled polygons, 0..1."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    for outline in outlines:
        cv2.fillPoly(canvas, [fixed_point(outline * 2)], 255, cv2.LINE_AA, 4)
    return shrink(canvas, size)


def _blob(random: Random, radius: float) -> Points:
    turn = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    distance = np.ones(160)
    fall = random.uniform(0.7, 1.4)
    for wave in range(1, int(random.integers(2, 9))):
        distance += random.normal(0, 0.35 / wave**fall) * np.cos(wave * turn + random.uniform(0, 2 * np.pi))
    distance = np.clip(distance, 0.25, 2.2) * radius
    return np.stack([distance * np.cos(turn), distance * np.sin(turn) * random.uniform(0.5, 1)], 1)


def _polygon(random: Random, radius: float) -> Points:
    corners = int(random.integers(3, 9))
    turn = np.sort(random.uniform(0, 2 * np.pi, corners))
    distance = radius * random.uniform(0.5, 1.3, corners)
    return np.stack([distance * np.cos(turn), distance * np.sin(turn)], 1)


def _superellipse(random: Random, radius: float) -> Points:
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    power = log_uniform(random, 0.3, 1.5)
    across, down = np.cos(turn), np.sin(turn)
    across, down = np.sign(across) * np.abs(across) ** power, np.sign(down) * np.abs(down) ** power
    return radius * np.stack([across, down * random.uniform(0.4, 1)], 1)


def _turned(points: Points, angle: float) -> Points:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cosine, sine], [-sine, cosine]]))


def _dense(outline: Points, step: float = 2.0) -> Points:
    """The outline with a point about every `step` pixels."""
    closed = np.concatenate([outline, outline[:1]])
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.arange(0, max(travelled[-1], step), step)
    return np.stack([np.interp(at, travelled, closed[:, axis]) for axis in (0, 1)], 1)
