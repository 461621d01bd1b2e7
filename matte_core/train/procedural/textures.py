"""Textures in scene-linear light: noise, gradients, cells, stripes, strokes, dead leaves, photographs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from matte_core.train.procedural.fields import (
    Map,
    Random,
    as_map,
    convolve,
    fractal_noise,
    gaussian,
    log_uniform,
    smooth_map,
    streak_kernel,
)
from matte_core.train.procedural.light import decode
from matte_core.train.procedural.palettes import palette, through_palette
from matte_core.train.procedural.photographs import Photographs, cut


def make_texture(random: Random, size: int, photographs: Photographs) -> Map:
    """(size, size, 3) scene-linear texture, mean about 0.02 to 0.8; photographs may exceed 1 far.

    Without photographs it is procedural always.
    """
    if photographs and random.random() < 0.55:
        texture = cut(random, photographs, size)
        texture = np.rot90(texture, int(random.integers(0, 4)))
        texture = texture[:, ::-1] if random.random() < 0.5 else texture
    else:
        draw = _PROCEDURAL[random.choice(len(_PROCEDURAL), p=_CHANCES)]
        texture = decode(draw(random, size))
    return graded(random, np.ascontiguousarray(texture))


def graded(random: Random, texture: Map) -> Map:
    """The texture with other gain, contrast, saturation and hue, scene-linear, not below 0."""
    if random.random() < 0.5:
        texture = texture[..., random.permutation(3)]
    texture = np.power(np.maximum(texture, 0), np.float32(np.exp(random.normal(0, 0.2))))
    grey = texture.mean(2, keepdims=True)
    texture = grey + (texture - grey) * np.float32(np.clip(random.normal(0.85, 0.35), 0, 1.5))
    mean = texture.mean((0, 1))
    texture = mean + (texture - mean) * np.float32(np.exp(random.normal(-0.15, 0.4)))
    if random.random() < 0.5:
        texture = texture * random.uniform(0.75, 1.25, 3).astype(np.float32)
    target = log_uniform(random, 0.02, 0.7)
    gain = target / max(float(np.median(texture)), 0.02) if random.random() < 0.7 else 1.0
    return as_map(np.maximum(texture * np.float32(min(gain, 8.0)), 0))


def plain(random: Random, texture: Map) -> Map:
    """The texture with most of its contrast removed: an object of one base colour."""
    mean = texture.mean((0, 1))
    return np.asarray(mean + (texture - mean) * np.float32(random.uniform(0.03, 0.6)), dtype=np.float32)


def _noise(random: Random, size: int) -> Map:
    values = fractal_noise(random, size, int(random.integers(2, 12)), 6, random.uniform(0.35, 0.8))
    return through_palette(values, palette(random, int(random.integers(2, 7))))


def _gradient(random: Random, size: int) -> Map:
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    angle = random.uniform(0, 2 * np.pi)
    ramp = columns * np.cos(angle) + rows * np.sin(angle)
    if random.random() < 0.4:
        ramp = np.hypot(columns - random.random(), rows - random.random())
    ramp = (ramp - ramp.min()) / np.ptp(ramp)
    return through_palette(ramp, palette(random, int(random.integers(2, 5))))


def _cells(random: Random, size: int) -> Map:
    seeds = np.full((size, size), 255, np.uint8)
    count = int(log_uniform(random, 8, 1200))
    seeds[random.integers(0, size, count), random.integers(0, size, count)] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return gaussian(palette(random, 16)[(labels * 7919) % 16], random.uniform(0.3, 1.2))


def _stripes(random: Random, size: int) -> Map:
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    angle, bend = random.uniform(0, 2 * np.pi), fractal_noise(random, size, 4, 2) * random.uniform(0, 12)
    across, along = np.cos(angle), np.sin(angle)
    values = np.sin((columns * across + rows * along) * 2 * np.pi / log_uniform(random, 4, 80) + bend)
    if random.random() < 0.3:
        values = values * np.sin((columns * along - rows * across) * 2 * np.pi / log_uniform(random, 4, 80))
    values = np.clip(values * random.uniform(0.5, 6) / 2 + 0.5, 0, 1)
    return through_palette(values.astype(np.float32), palette(random, int(random.integers(2, 4))))


def _strokes(random: Random, size: int) -> Map:
    noise = convolve(random.random((size, size), dtype=np.float32), streak_kernel(random, random.uniform(15, 61)))
    noise = (noise - noise.min()) / max(float(np.ptp(noise)), 1e-6)
    noise = np.clip((noise - 0.5) * random.uniform(1, 2.5) + 0.5, 0, 1) * 0.7 + 0.3 * smooth_map(random, size)
    return through_palette(noise.astype(np.float32), palette(random, int(random.integers(2, 5))))


def _flat(random: Random, size: int) -> Map:
    uneven = (fractal_noise(random, size, 4, 3)[..., None] - 0.5) * np.float32(random.uniform(0, 0.15))
    return as_map(np.clip(palette(random, 1)[0] + uneven, 0, 1))


def _dead_leaves(random: Random, size: int) -> Map:
    """Discs, ellipses and patches over each other, their sizes by a power law."""
    count, power = int(random.integers(60, 500)), random.uniform(1.5, 3)
    colours = palette(random, int(random.integers(3, 14)))
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = colours[0]
    low, high = 3.0 ** (1 - power), (0.35 * size) ** (1 - power)
    radii = (high + random.random(count) * (low - high)) ** (1 / (1 - power))
    radii = np.sort(radii)[::-1] if random.random() < 0.6 else radii
    for radius in np.maximum(radii, 1.0):
        colour = np.clip(colours[random.integers(0, len(colours))] + random.normal(0, 0.05, 3), 0, 1).tolist()
        narrow = 1.0 if random.random() < 0.4 else random.uniform(0.1, 0.9)
        box = (tuple(random.uniform(0, size, 2).tolist()), (2 * radius, 2 * radius * narrow), random.uniform(0, 180))
        cv2.ellipse(picture, box, colour, -1)
    if random.random() < 0.6:
        picture *= (0.6 + 0.8 * fractal_noise(random, size))[..., None]
    return np.clip(picture, 0, 1)


_PROCEDURAL: tuple[Callable[[Random, int], Map], ...] = (
    _noise,
    _gradient,
    _cells,
    _stripes,
    _strokes,
    _flat,
    _dead_leaves,
)
_CHANCES = (0.24, 0.12, 0.08, 0.1, 0.12, 0.08, 0.26)
