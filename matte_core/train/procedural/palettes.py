"""Palettes: sets of display-referred colours that go together or clash."""

from __future__ import annotations

import colorsys

import numpy as np

from matte_core.train.procedural.fields import Map, Random


def palette(random: Random, count: int) -> Map:
    """(count, 3) display-referred colours 0..1: one family, unrelated ones, or nearly grey."""
    chance, home, home_value = random.random(), random.random(), random.uniform(0.1, 0.9)
    home_strength = random.random()
    colours = []
    for _ in range(count):
        if chance < 0.4:
            hue, strength = home + random.normal(0, 0.05), home_strength * 0.7 + random.normal(0, 0.15)
            value = random.normal(home_value, 0.25)
        elif chance < 0.75:
            hue, strength, value = random.random(), random.uniform(0, 0.8), random.random()
        else:
            hue, strength, value = home, random.uniform(0, 0.15), random.random()
        colours.append(colorsys.hsv_to_rgb(hue % 1, float(np.clip(strength, 0, 1)), float(np.clip(value, 0, 1))))
    return np.array(colours, np.float32)


def vivid(random: Random, count: int) -> Map:
    """(count, 3) display-referred strong colours 0..1, unrelated to each other."""
    draws = np.stack([random.random(count), random.uniform(0.3, 1, count), random.uniform(0.25, 1, count)], 1)
    return np.array([colorsys.hsv_to_rgb(*draw) for draw in draws.tolist()], np.float32)


def through_palette(values: Map, colours: Map) -> Map:
    """(H, W, 3) colours found along the palette at `values` (H, W) 0..1, interpolated."""
    position = np.clip(values, 0, 1) * (len(colours) - 1)
    index = np.clip(position.astype(np.int32), 0, max(len(colours) - 2, 0))
    part = (position - index)[..., None]
    after = np.minimum(index + 1, len(colours) - 1)
    return np.asarray(colours[index] * (1 - part) + colours[after] * part, dtype=np.float32)
