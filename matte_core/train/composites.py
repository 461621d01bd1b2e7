"""Crops of foregrounds from folders over backgrounds, composited in linear light and seen by the same camera as the
procedural ones."""

from __future__ import annotations

import cv2
import numpy as np

from matte_core.train.augment import (
    WHOLE,
    Augmentation,
    around_unknown,
    eroded_trimap,
    jittered,
    merged,
    pick_method,
    resized,
    turned,
)
from matte_core.train.cutouts import Cutouts, Layer, load_background, load_cutout
from matte_core.train.procedural.camera import Light, expose
from matte_core.train.procedural.crops import Crop, Scene
from matte_core.train.procedural.fields import Map, Random, as_map
from matte_core.train.procedural.photographs import Photographs
from matte_core.train.procedural.textures import make_texture
from matte_core.train.procedural.trimaps import make_trimap, usable

SHAPE = "photograph"  # what a crop from a folder is called among the procedural shapes
_TRIES = 20
_LIGHTS: tuple[tuple[Light, float], ...] = (("scene", 0.35), ("encoded", 0.65))


def make_composite(
    seed: tuple[int, ...],
    size: int,
    cutouts: Cutouts,
    photographs: Photographs = (),
    settings: Augmentation | None = None,
) -> Crop:
    """The crop of `size` pixels that `seed` stands for, of the foregrounds and backgrounds of `cutouts`.

    Where folders hold no backgrounds, textures stand behind, procedural or cut from `photographs`. Raises
    SourceError where a file cannot be read.
    """
    random, settings = np.random.default_rng(seed), settings or Augmentation()
    for _ in range(_TRIES):
        crop = _compose(random, size, cutouts, photographs, settings)
        if usable(crop.trimap):
            break
    return crop


def _compose(random: Random, size: int, cutouts: Cutouts, photographs: Photographs, settings: Augmentation) -> Crop:
    layer = _drawn(random, cutouts)
    if random.random() < settings.merge:
        layer = merged(layer, _drawn(random, cutouts))
    if random.random() < settings.whole:
        side = round(size * WHOLE)
        method = pick_method(random)
        layer = Layer(*(resized(values, (side, side), method) for values in layer))
    layer = _crop(random, turned(random, layer, settings), size)
    if random.random() < settings.jitter:
        layer = jittered(random, layer, settings.hue)
    background = _behind(random, size, cutouts, photographs)
    lights, chances = zip(*_LIGHTS, strict=True)
    light: Light = lights[int(random.choice(len(lights), p=chances))]
    pixels, front, back = expose(random, light, layer.colour, background, layer.alpha)
    by_hand = settings.erosion == (0, 0)
    trimap = make_trimap(random, layer.alpha) if by_hand else eroded_trimap(random, layer.alpha, settings.erosion)
    return Crop(pixels, front, back, layer.alpha, trimap, Scene(SHAPE, light))


def _drawn(random: Random, cutouts: Cutouts) -> Layer:
    return load_cutout(cutouts.foregrounds[int(random.integers(0, len(cutouts.foregrounds)))])


def _crop(random: Random, layer: Layer, size: int) -> Layer:
    """A crop of `size` pixels about a fractional pixel; a picture that is too small is enlarged first."""
    height, width = layer.alpha.shape
    if min(height, width) < size:
        gain = size / min(height, width)
        larger = (max(size, round(height * gain)), max(size, round(width * gain)))
        layer = Layer(*(resized(values, larger, cv2.INTER_LINEAR) for values in layer))
    top, left = around_unknown(random, layer.alpha, size)
    colour, alpha = (values[top : top + size, left : left + size] for values in layer)
    return Layer(np.ascontiguousarray(colour), np.ascontiguousarray(np.clip(alpha, 0, 1)))


def _behind(random: Random, size: int, cutouts: Cutouts, photographs: Photographs) -> Map:
    """A random square of a random background (size, size, 3), or a texture where there are no backgrounds."""
    if not cutouts.backgrounds:
        return make_texture(random, size, photographs)
    picture = load_background(cutouts.backgrounds[int(random.integers(0, len(cutouts.backgrounds)))])
    height, width = picture.shape[:2]
    side = int(random.integers(min(size, height, width), min(height, width) + 1))
    top, left = int(random.integers(0, height - side + 1)), int(random.integers(0, width - side + 1))
    part = picture[top : top + side, left : left + side]
    part = part[:, ::-1] if random.random() < 0.5 else part
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return as_map(cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=method))
