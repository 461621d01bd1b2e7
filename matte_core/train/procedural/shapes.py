"""Shapes: every kind of foreground, as coverage and shade on one canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from matte_core.train.procedural import objects, structures
from matte_core.train.procedural.fields import (
    Map,
    Random,
    convolve,
    disc_kernel,
    gaussian,
    log_uniform,
    smooth_map,
    streak_kernel,
    union,
)
from matte_core.train.procedural.figures import make_figure
from matte_core.train.procedural.outlines import Body, Points, make_body
from matte_core.train.procedural.palettes import vivid
from matte_core.train.procedural.strands import (
    FINE_HAIR,
    FUR,
    HAIR,
    THREADS,
    TWIGS,
    WIRES,
    Drawing,
    Habit,
    draw,
    grow,
    shades,
)


@dataclass(frozen=True)
class Shape:
    """A foreground: `alpha` (S, S) 0..1; `shade` (S, S, 3) about 0..1, a multiplier of its texture around 0.55,
    or where `coloured` its colour itself (display-referred)."""

    alpha: Map
    shade: Map
    coloured: bool = False


def make_shape(random: Random, kind: str, size: int) -> Shape:
    """A shape of one of KINDS on a canvas of `size` pixels, its edges softened by optics or motion."""
    shape = KINDS[kind](random, size)
    if kind in ("motion", "defocus"):
        return shape
    chance = random.random()
    if chance < 0.3:
        return replace(shape, alpha=soften(random, shape.alpha))
    if chance < 0.75:
        return replace(shape, alpha=gaussian(shape.alpha, random.uniform(0.3, 0.8)))
    return shape


def soften(random: Random, alpha: Map) -> Map:
    """`alpha` (S, S) out of focus, moved or blurred, often only in one part of the picture."""
    chance = random.random()
    if chance < 0.4:
        soft = gaussian(alpha, random.uniform(0.4, 1.2))
    elif chance < 0.65:
        soft = convolve(alpha, disc_kernel(log_uniform(random, 1, 9)))
    elif chance < 0.85:
        soft = convolve(alpha, streak_kernel(random, log_uniform(random, 3, 35)))
    else:
        soft = gaussian(alpha, log_uniform(random, 1, 7))
    if random.random() < 0.5:
        share = np.clip((smooth_map(random, len(alpha), 3) - 0.5) * random.uniform(3, 12) + 0.5, 0, 1)
        soft = share * soft + (1 - share) * alpha
    return np.clip(soft, 0, 1)


def _solid(random: Random, size: int) -> Shape:
    return _shaded(random, make_body(random, size))


def _shaded(random: Random, body: Body) -> Shape:
    inside = cv2.distanceTransform((body.coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    rim = random.uniform(-0.35, 0.35) * np.exp(-inside / random.uniform(3, 60)) * (random.random() < 0.7)
    return Shape(body.coverage, _grey((0.55 + rim).astype(np.float32)))


def _hairy(habit: Habit, few: int, many: int) -> Callable[[Random, int], Shape]:
    def make(random: Random, size: int) -> Shape:
        body = make_body(random, size)
        shape = _shaded(random, body)
        for _ in range(1 if random.random() < 0.7 else 2):
            count = int(log_uniform(random, few, many))
            roots, outward = body.rim(random, count, random.uniform(0, 3))
            sideways = np.stack([-outward[:, 1], outward[:, 0]], 1) * random.choice([-1, 1])
            roots = roots - outward * np.abs(random.normal(0, random.uniform(1, 12), (count, 1)))
            shape = _over(shape, _strands(random, size, roots, outward + random.uniform(0, 1.2) * sideways, habit))
        return shape

    return make


def _strands(random: Random, size: int, roots: Points, directions: Points, habit: Habit) -> Drawing:
    paths, thickness = grow(random, roots, directions, habit)
    drawing = draw(random, size, paths, thickness, shades(random, len(roots)))
    if random.random() < 0.35:
        return replace(drawing, coverage=gaussian(drawing.coverage, random.uniform(0.4, 1.8)))
    return drawing


def _plush(random: Random, size: int) -> Shape:
    body = make_body(random, size)
    alpha, shade = structures.plush(random, body.coverage)
    shape = Shape(alpha, _grey(shade))
    count = int(log_uniform(random, 400, 2500))
    roots, outward = body.rim(random, count, 0.5)
    sideways = np.stack([-outward[:, 1], outward[:, 0]], 1) * random.choice([-1, 1])
    roots = roots + random.normal(0, log_uniform(random, 1, 8), (count, 2))
    strands = _strands(random, size, roots, outward + random.uniform(0, 1.5) * sideways, FUR)
    faint = replace(
        strands,
        coverage=strands.coverage * np.float32(random.uniform(0.15, 0.9)),
        presence=strands.presence * np.float32(random.uniform(0.1, 0.8)),
    )
    return _over(shape, faint)


def _threads(random: Random, size: int) -> Shape:
    body = make_body(random, size, 0.2)
    count = int(log_uniform(random, 12, 160))
    roots, outward = body.rim(random, count, 1.0)
    angle = random.uniform(0, 2 * np.pi) + random.normal(0, random.uniform(0.1, 1.6), count)
    directions = np.stack([np.cos(angle), np.sin(angle)], 1) if random.random() < 0.6 else outward
    paths, thickness = grow(random, roots, directions, THREADS)
    colours = vivid(random, int(random.integers(3, 12)))[random.integers(0, 3, count)]
    many = vivid(random, count) if random.random() < 0.5 else colours
    drawing = draw(random, size, paths, thickness, np.clip(many * np.exp(random.normal(0, 0.2, (count, 1))), 0, 1))
    base = Shape(body.coverage, np.broadcast_to(vivid(random, 1)[0], (size, size, 3)).astype(np.float32), True)
    return replace(_over(base, drawing), coloured=True)


def _basket(random: Random, size: int) -> Shape:
    cover, shade, presence = structures.rods(random, size, int(random.integers(1, 3)))
    body = make_body(random, size)
    rim = np.zeros((size, size), np.uint8)
    for outline in body.outlines:
        cv2.polylines(rim, [np.round(outline * 16).astype(np.int32)], True, 255, int(random.integers(2, 14)), 16, 4)
    alpha = union(body.coverage * cover, rim.astype(np.float32) / np.float32(255))
    if random.random() < 0.5:
        alpha = union(alpha, make_body(random, size, 0.25).coverage)
    return _over(Shape(alpha, _grey(np.full((size, size), 0.55, np.float32))), Drawing(0 * alpha, shade, presence))


def _lace(random: Random, size: int) -> Shape:
    region, sheet = make_body(random, size).coverage, structures.lace(random, size)
    shape = _solid(random, size)
    if random.random() < 0.5:
        return replace(shape, alpha=union(shape.alpha * (random.random() < 0.6), region * sheet))
    return replace(shape, alpha=shape.alpha * np.clip(sheet + (1 - region), 0, 1))


def _leaves(random: Random, size: int) -> Shape:
    body = make_body(random, size)
    roots, outward = body.rim(random, int(random.integers(4, 30)), 1.0)
    shape = _over(_shaded(random, body), _strands(random, size, roots, outward, TWIGS))
    points, _ = body.rim(random, 60, 0.5)
    return _over(shape, Drawing(*structures.leaves(random, size, points)))


def _veil(random: Random, size: int) -> Shape:
    shape = _solid(random, size)
    region = soften(random, make_body(random, size).coverage)
    return replace(shape, alpha=union(shape.alpha, structures.veil(random, region)))


def _smoke(random: Random, size: int) -> Shape:
    shape = _solid(random, size)
    return replace(shape, alpha=union(shape.alpha, structures.smoke(random, make_body(random, size).coverage)))


def _moving(random: Random, size: int) -> Shape:
    shape = KINDS[str(random.choice(["solid", "solid", "hair", "leaves"]))](random, size)
    return replace(shape, alpha=convolve(shape.alpha, streak_kernel(random, log_uniform(random, 6, 45))))


def _defocused(random: Random, size: int) -> Shape:
    shape = KINDS[str(random.choice(["solid", "solid", "hair", "wires"]))](random, size)
    return replace(shape, alpha=convolve(shape.alpha, disc_kernel(log_uniform(random, 2, 12))))


def _mane(random: Random, size: int) -> Shape:
    body = make_body(random, size)
    dense, loose = objects.mane(random, body)
    inside = cv2.erode(body.coverage, np.ones((3, 3), np.uint8), iterations=int(random.integers(2, 14)))
    return _over(_over(Shape(inside, _grey(np.full((size, size), 0.4, np.float32))), dense), loose)


def _wicker(random: Random, size: int) -> Shape:
    base = _solid(random, size)
    base = replace(base, alpha=base.alpha * np.float32(random.random() < 0.5))
    return _over(base, Drawing(*objects.wicker(random, size)))


def _petals(random: Random, size: int) -> Shape:
    base = _solid(random, size)
    base = replace(base, alpha=base.alpha * np.float32(random.random() < 0.6))
    return _over(base, Drawing(*objects.petals(random, size)))


def _figure(random: Random, size: int) -> Shape:
    figure = make_figure(random, size)
    return Shape(figure.alpha, figure.colour, True)


def _over(shape: Shape, drawing: Drawing) -> Shape:
    weight = drawing.presence[..., None]
    shade = shape.shade * (1 - weight) + drawing.colour * weight
    return replace(shape, alpha=union(shape.alpha, drawing.coverage), shade=shade)


def _grey(values: Map) -> Map:
    return np.repeat(values[..., None], 3, axis=2)


KINDS: dict[str, Callable[[Random, int], Shape]] = {
    "solid": _solid,
    "fur": _hairy(FUR, 400, 2500),
    "hair": _hairy(HAIR, 40, 1200),
    "fine_hair": _hairy(FINE_HAIR, 100, 1500),
    "wires": _hairy(WIRES, 3, 40),
    "twigs": _hairy(TWIGS, 4, 50),
    "plush": _plush,
    "threads": _threads,
    "basket": _basket,
    "lace": _lace,
    "leaves": _leaves,
    "veil": _veil,
    "smoke": _smoke,
    "motion": _moving,
    "defocus": _defocused,
    "mane": _mane,
    "wicker": _wicker,
    "petals": _petals,
    "figure": _figure,
}
