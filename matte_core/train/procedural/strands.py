"""Strands: fur, hair, whiskers, twigs and threads, drawn finer than a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Map, Random, fixed_point, gaussian, log_uniform, shrink
from matte_core.train.procedural.outlines import Points

_FINER = 3


@dataclass(frozen=True)
class Habit:
    """How strands grow: length, thickness (pixels), curl and waviness (radians), clumping, joints."""

    length: tuple[float, float]
    thickness: tuple[float, float]
    curl: float
    wave: float
    clumps: int
    joints: int


FUR = Habit((6, 30), (0.25, 1.5), 0.6, 0.3, 400, 6)
HAIR = Habit((25, 150), (0.2, 1.1), 1.3, 0.9, 25, 14)
FINE_HAIR = Habit((30, 170), (0.12, 0.5), 1.1, 0.7, 40, 14)
WIRES = Habit((40, 200), (0.5, 3.0), 0.5, 0.2, 1000, 12)
TWIGS = Habit((30, 140), (0.8, 4.0), 0.3, 0.4, 1000, 9)
THREADS = Habit((50, 200), (1.0, 7.0), 1.2, 0.7, 1000, 16)


@dataclass(frozen=True)
class Drawing:
    """Strands on a canvas: `coverage` (S, S) 0..1; `colour` (S, S, 3) 0..1, spread around the strands;
    `presence` (S, S) 0..1, where that colour means something."""

    coverage: Map
    colour: Map
    presence: Map


def grow(random: Random, roots: Points, directions: Points, habit: Habit) -> tuple[NDArray[np.float64], Map]:
    """Paths (N, joints, 2) in pixels from `roots` along `directions` (N, 2), and thickness (N,) in pixels."""
    count = len(roots)
    length = log_uniform(random, *habit.length) * np.exp(random.normal(0, 0.4, count))
    thickness = log_uniform(random, *habit.thickness) * np.exp(random.normal(0, 0.35, count))
    clumps = max(1, min(count, habit.clumps))
    clump = random.integers(0, clumps, count)
    angle = np.arctan2(directions[:, 1], directions[:, 0])
    angle = angle + random.normal(0, random.uniform(0.1, 0.7), clumps)[clump] + random.normal(0, 0.15, count)
    curl = random.uniform(0, habit.curl)
    turn = random.normal(0, curl, clumps)[clump] + random.normal(0, 0.25 * curl + 0.02, count)
    waves = random.uniform(0, habit.wave) * (random.random() < 0.5)
    pace, phase = random.uniform(1, 6), random.uniform(0, 2 * np.pi, clumps)[clump]
    gravity = random.uniform(-0.2, 1.0) if random.random() < 0.5 else 0.0
    paths = np.zeros((count, habit.joints, 2))
    paths[:, 0] = roots
    for joint in range(1, habit.joints):
        angle = angle + (2 * turn + 1.2 * gravity * np.cos(angle)) / habit.joints
        heading = angle + waves * np.cos(pace * joint / habit.joints * 2 * np.pi + phase)
        step = np.stack([np.cos(heading), np.sin(heading)], 1) * (length / habit.joints)[:, None]
        paths[:, joint] = paths[:, joint - 1] + step
    return paths, thickness.astype(np.float32)


def draw(random: Random, size: int, paths: NDArray[np.float64], thickness: Map, colours: Map) -> Drawing:
    """The strands painted over each other, thin ones first, each in its colour (N, 3) 0..1.

    A strand thinner than a drawn line keeps its share of the pixel as intensity.
    """
    side = size * _FINER
    cover = np.zeros((side, side), np.uint8)
    paint = np.zeros((side, side, 3), np.uint8)
    width = thickness * _FINER
    fixed = fixed_point(paths * _FINER)
    tapered = random.random() < 0.7
    half = paths.shape[1] // 2
    tints = np.clip(colours * 254, 1, 254).tolist()
    for index in np.argsort(width):
        strength = int(255 * np.clip(width[index], 0.12, 1))
        line = max(1, round(float(width[index])))
        path = fixed[index]
        cv2.polylines(paint, [path], False, tints[index], line + 2, cv2.LINE_8, 4)
        if tapered and line > 1:
            cv2.polylines(cover, [path[: half + 1]], False, strength, line, cv2.LINE_AA, 4)
            cv2.polylines(cover, [path[half:]], False, strength, max(1, line // 2), cv2.LINE_AA, 4)
        else:
            cv2.polylines(cover, [path], False, strength, line, cv2.LINE_AA, 4)
    return Drawing(shrink(cover, size), *spread(paint, size))


def spread(paint: NDArray[np.uint8], size: int) -> tuple[Map, Map]:
    """Colour (S, S, 3) of a larger 8-bit painting (0 = unpainted), carried a few pixels beyond it,
    and where it means something (S, S) 0..1."""
    painted = np.where(paint[..., 0] | paint[..., 1] | paint[..., 2], 255, 0).astype(np.uint8)
    share = shrink(painted, size)
    colour = shrink(paint, size)
    wide_share, wide_colour = gaussian(share, 3), gaussian(colour, 3)
    near = colour / np.maximum(share, 1e-3)[..., None]
    far = wide_colour / np.maximum(wide_share, 1e-3)[..., None]
    return np.where(share[..., None] > 0.05, near, far), np.clip(wide_share * 20, 0, 1)


def shades(random: Random, count: int) -> Map:
    """(count, 3) grey values about a common brightness, as multipliers around 0.55."""
    centre, width = random.uniform(0.35, 0.75), random.uniform(0.02, 0.18)
    grey = np.clip(random.normal(centre, width, count), 0.08, 1)
    return np.repeat(grey[:, None], 3, axis=1).astype(np.float32)
