"""What stands before a camera in real matting photographs: manes of hair, wicker, petals; lit, dressed in several
colours, before a background that is out of focus."""

from __future__ import annotations

import cv2
import numpy as np

from matte_core.train.procedural import structures
from matte_core.train.procedural.fields import (
    Map,
    Random,
    as_map,
    convolve,
    disc_kernel,
    fixed_point,
    fractal_noise,
    gaussian,
    log_uniform,
    shrink,
    smooth_map,
)
from matte_core.train.procedural.outlines import Body
from matte_core.train.procedural.photographs import Photographs, cut
from matte_core.train.procedural.strands import FINE_HAIR, Drawing, Habit, draw, grow, spread
from matte_core.train.procedural.textures import graded, make_texture, plain

_FINER = 3
_MANE = Habit((40, 170), (0.4, 1.8), 0.9, 0.6, 60, 12)


def mane(random: Random, body: Body) -> tuple[Drawing, Drawing]:
    """A head of hair: all of `body` drawn as combed strands that end beyond its rim, and single fine hairs around it.

    The first drawing is dense in the middle and thins out, the second is sparse everywhere.
    """
    size = len(body.coverage)
    rows, columns = np.nonzero(body.coverage > 0.5)
    count = int(log_uniform(random, 900, 3500))
    chosen = random.integers(0, max(len(rows), 1), count)
    roots = np.stack([columns[chosen], rows[chosen]], 1).astype(np.float64)
    combed = random.uniform(0, 2 * np.pi) + 2.5 * (smooth_map(random, size, 3) - 0.5)
    angle = combed[rows[chosen], columns[chosen]] + random.normal(0, random.uniform(0.05, 0.5), count)
    outward = np.stack([np.cos(angle), np.sin(angle)], 1)
    paths, thickness = grow(random, roots, outward, _MANE)
    dense = draw(random, size, paths, thickness, _locks(random, count))
    ends, away = body.rim(random, int(log_uniform(random, 30, 500)), random.uniform(0, 2))
    paths, thickness = grow(random, ends, away + random.normal(0, 0.5, away.shape), FINE_HAIR)
    return dense, draw(random, size, paths, thickness, _locks(random, len(ends)))


def wicker(random: Random, size: int) -> tuple[Map, Map, Map]:
    """Thick bent sticks over and under each other, round in the light, with gaps between them.

    Returns coverage (S, S), shade (S, S, 3), and where the shade holds (S, S).
    """
    side = size * _FINER
    cover, paint = np.zeros((side, side), np.uint8), np.zeros((side, side, 3), np.uint8)
    width = log_uniform(random, 3, 14)
    turn = np.linspace(0, 2 * np.pi, 80)
    centre, radius = random.uniform(0.3, 0.7, 2) * side, random.uniform(0.25, 0.6) * side
    tone = random.uniform(90, 180)
    for _ in range(int(random.integers(8, 45))):
        narrow, tilt = random.uniform(0.05, 1), random.uniform(0, np.pi)
        ring = np.stack([np.cos(turn), narrow * np.sin(turn)], 1) * radius * random.uniform(0.6, 1)
        ring = ring @ np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        begin = int(random.integers(0, 50))
        path = [fixed_point(centre + ring[begin : begin + int(random.integers(20, 81))])]
        wide = max(3, round(width * _FINER * random.uniform(0.6, 1.4)))
        grey = float(np.clip(tone + random.normal(0, 22), 40, 215))
        cv2.polylines(cover, path, False, 255, wide, cv2.LINE_AA, 4)
        for share, gain in ((1.15, 0.35), (0.75, 0.8), (0.4, 1.15)):
            tint = [int(np.clip(grey * gain, 8, 250))] * 3
            cv2.polylines(paint, path, False, tint, max(1, round(wide * share)), cv2.LINE_AA, 4)
    return shrink(cover, size), *spread(paint, size)


def petals(random: Random, size: int) -> tuple[Map, Map, Map]:
    """A blossom's or a plant's broad leaves, many to a stalk: coverage, shade and where it holds, as for `wicker`."""
    middle = random.uniform(0.3, 0.7, (int(random.integers(1, 5)), 2)) * size
    return structures.leaves(random, size, middle, (25, 90))


def dressed(random: Random, size: int, photographs: Photographs) -> Map:
    """(S, S, 3) scene-linear colours of a thing made of one to four materials, each nearly of one colour."""
    texture = plain(random, make_texture(random, size, photographs))
    for _ in range(int(random.integers(0, 4))):
        field = fractal_noise(random, size, int(random.integers(1, 5)), 3)
        share = np.clip((field - random.uniform(0.45, 0.7)) * log_uniform(random, 5, 200) + 0.5, 0, 1)[..., None]
        other = plain(random, make_texture(random, size, photographs))
        texture = as_map(texture * (1 - share) + other * share)
    return texture


def lit(random: Random, colour: Map, alpha: Map) -> Map:
    """`colour` (S, S, 3) of what `alpha` (S, S) covers, as if it were round and light came from one side."""
    size, angle = len(alpha), random.uniform(0, 2 * np.pi)
    height = gaussian(alpha, log_uniform(random, 6, 40))
    slope = cv2.Sobel(height, cv2.CV_32F, 1, 0) * np.cos(angle) + cv2.Sobel(height, cv2.CV_32F, 0, 1) * np.sin(angle)
    slope = slope / max(float(np.abs(slope).max()), 1e-6)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    ramp = columns * np.cos(angle) + rows * np.sin(angle)
    shade = 1 + random.uniform(0, 0.8) * slope + random.uniform(0, 0.8) * ramp
    return as_map(colour * np.clip(shade, 0.15, 2)[..., None])


def surroundings(random: Random, size: int, photographs: Photographs, level: float) -> Map:
    """(S, S, 3) a photograph or a texture, mostly out of focus, about as bright as `level`, scene-linear."""
    if photographs and random.random() < 0.85:
        texture = np.ascontiguousarray(cut(random, photographs, size))
        texture = graded(random, texture) if random.random() < 0.4 else texture
        texture = np.ascontiguousarray(texture[:, ::-1] if random.random() < 0.5 else texture)
    else:
        texture = make_texture(random, size, photographs)
    if random.random() < 0.75:
        radius = log_uniform(random, 0.7, 10)
        texture = convolve(texture, disc_kernel(radius)) if random.random() < 0.5 else gaussian(texture, radius)
    gain = log_uniform(random, 0.4, 2.5) * level / max(float(np.median(texture)), 1e-3)
    return as_map(np.maximum(texture, 0) * np.float32(min(gain, 20.0)))


def _locks(random: Random, count: int) -> Map:
    """(count, 3) grey values of strands about a common one, some much lighter, where they shine."""
    grey = random.uniform(0.3, 0.6) * np.exp(random.normal(0, random.uniform(0.05, 0.45), count))
    grey[random.random(count) < random.uniform(0, 0.2)] *= random.uniform(1.2, 1.9)
    return np.repeat(np.clip(grey, 0.06, 1)[:, None], 3, axis=1).astype(np.float32)
