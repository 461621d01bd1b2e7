"""Figures: a head, hair and shoulders out of ellipses and strands, as a portrait stands in its picture; no people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from matte_core.train.procedural.fields import Map, Random, as_map, fractal_noise, log_uniform, union
from matte_core.train.procedural.outlines import Points, fill
from matte_core.train.procedural.palettes import palette, vivid
from matte_core.train.procedural.strands import FINE_HAIR, FUR, HAIR, Habit, draw, grow

_DENSE = 160


@dataclass(frozen=True)
class Figure:
    """What is painted so far: `alpha` (S, S) 0..1 and its display-referred `colour` (S, S, 3)."""

    alpha: Map
    colour: Map

    def over(self, cover: Map, colour: Map) -> Figure:
        """The figure with a part of `cover` (S, S) and `colour` (3,) or (S, S, 3) painted over it."""
        share = (cover / np.maximum(union(cover, self.alpha), 1e-3))[..., None]
        painted = self.colour * (1 - share) + as_map(colour) * share
        return Figure(union(cover, self.alpha), as_map(painted))


def make_figure(random: Random, size: int) -> Figure:
    """One figure on a canvas of `size` pixels: cut by its lower edge, or standing in it."""
    radius = size * log_uniform(random, 0.07, 0.17)
    head = np.array([random.uniform(0.35, 0.65), random.uniform(0.24, 0.45)]) * size
    lean = random.normal(0, 0.25) * radius
    skin, cloth, strand = _colours(random)
    figure = Figure(np.zeros((size, size), np.float32), np.zeros((size, size, 3), np.float32) + cloth)
    locks = random.random() < 0.7
    habit = (HAIR, HAIR, FINE_HAIR, FUR)[int(random.integers(0, 4))]
    if locks:
        figure = _hair(random, figure, head, radius, strand, habit)
    neck = np.array([head[0] + lean / 2, head[1] + 1.1 * radius])
    figure = figure.over(fill([_ellipse(neck, radius * random.uniform(0.35, 0.6), 0.8 * radius)], size), skin * 0.9)
    wide, below = radius * random.uniform(1.4, 2.6), head + np.array([lean, 0])
    figure = figure.over(fill(_body(random, below, radius, wide, size), size), cloth)
    if random.random() < 0.5:
        figure = _limbs(random, figure, below, radius, wide, cloth if random.random() < 0.7 else skin)
    face = _ellipse(head, radius * random.uniform(0.68, 0.9), radius, random.uniform(2, 2.6))
    figure = figure.over(fill([face], size), skin)
    if locks:
        figure = _cap(random, figure, head, radius, strand)
    elif random.random() < 0.5:
        figure = _hair(random, figure, head, radius, strand, FUR)
    return replace(figure, colour=_lit(random, figure.colour))


def _colours(random: Random) -> tuple[Map, Map, Map]:
    """Of head, body and hair: unrelated, of one family, or strong."""
    draws = vivid(random, 3) if random.random() < 0.2 else palette(random, 3)
    if random.random() < 0.5:
        warm = np.array([0.9, 0.68, 0.55], np.float32) * np.float32(random.uniform(0.3, 1.1))
        draws[0] = np.clip(warm + random.normal(0, 0.05, 3), 0.02, 1)
    return draws[0], draws[1], draws[2] * np.float32(random.uniform(0.2, 1))


def _body(random: Random, head: Points, radius: float, wide: float, size: int) -> list[Points]:
    """Shoulders that leave the canvas below, or a trunk on legs."""
    top = head[1] + radius * random.uniform(1.2, 1.7)
    if random.random() < 0.75:
        deep = size - top + random.uniform(0.2, 1) * radius
        return [_ellipse(np.array([head[0], top + deep]), wide, deep, random.uniform(2.3, 4))]
    deep = radius * random.uniform(1.3, 2.2)
    trunk = _ellipse(np.array([head[0], top + deep]), wide * 0.8, deep, random.uniform(2.2, 4))
    foot = top + 2 * deep + radius * random.uniform(1.5, 4)
    reaches, girths = radius * random.uniform(0.2, 1.6, 2), radius * random.uniform(0.3, 0.5, 2)
    legs = []
    for side, reach, girth in zip((-1, 1), reaches, girths, strict=True):
        hip, heel = (head[0] + side * wide * 0.4, top + 1.7 * deep), (head[0] + side * reach, foot)
        legs.append(_band(np.array(hip), np.array(heel), girth))
    return [trunk, *legs]


def _limbs(random: Random, figure: Figure, head: Points, radius: float, wide: float, colour: Map) -> Figure:
    """One or two arms, raised or hanging."""
    for side in (-1, 1) if random.random() < 0.6 else (1,):
        shoulder = head + np.array([side * wide * random.uniform(0.55, 0.75), radius * random.uniform(2.1, 2.5)])
        elbow = shoulder + radius * np.array([side * random.uniform(0.2, 2.0), random.uniform(-0.8, 1.8)])
        hand = elbow + radius * np.array([random.uniform(-1.6, 1.6), random.uniform(-2.0, 1.2)])
        girth = radius * random.uniform(0.22, 0.45)
        arms = [_band(shoulder, elbow, girth), _band(elbow, hand, girth * 0.8)]
        figure = figure.over(fill(arms, len(figure.alpha)), colour)
    return figure


def _hair(random: Random, figure: Figure, head: Points, radius: float, colour: Map, habit: Habit) -> Figure:
    """Strands out of the head's upper rim, as long as the head is large."""
    count = int(log_uniform(random, 150, 1600))
    turn = random.uniform(np.pi * 0.9, np.pi * 2.1, count)
    outward = np.stack([np.cos(turn), np.sin(turn)], 1)
    roots = head + outward * radius * random.uniform(0.75, 1.0, (count, 1))
    scale = radius / (60 if habit is FUR else 110)
    length = (habit.length[0] * scale, habit.length[1] * scale)
    sideways = random.normal(0, 0.5) * np.stack([-outward[:, 1], outward[:, 0]], 1)
    hanging = np.array([0, random.uniform(0.3, 1.8) if random.random() < 0.5 else 0])
    paths, thickness = grow(random, roots, outward + sideways + hanging, replace(habit, length=length))
    tints = np.clip(colour * np.exp(random.normal(0, 0.25, (count, 1))), 0.02, 1).astype(np.float32)
    drawing = draw(random, len(figure.alpha), paths, np.maximum(thickness, 0.2), tints)
    return figure.over(drawing.coverage, drawing.colour)


def _cap(random: Random, figure: Figure, head: Points, radius: float, colour: Map) -> Figure:
    """Solid hair over the crown, and around the head where it is long."""
    middle = head - np.array([0, radius * random.uniform(0.25, 0.5)])
    crown = _ellipse(middle, radius * random.uniform(0.85, 1.05), 0.75 * radius)
    rows = np.arange(len(figure.alpha), dtype=np.float32)[:, None]
    line = head[1] - radius * random.uniform(0.1, 0.5)
    cover = fill([crown], len(figure.alpha)) * np.clip((line - rows) / (0.1 * radius) + 0.5, 0, 1)
    return figure.over(cover, colour)


def _lit(random: Random, colour: Map) -> Map:
    """The colours with light from one side and folds."""
    size = len(colour)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    angle = random.uniform(0, 2 * np.pi)
    ramp = (columns * np.cos(angle) + rows * np.sin(angle)) * random.uniform(0, 1.6)
    folds = (fractal_noise(random, size, int(random.integers(4, 24)), 4) - 0.5) * random.uniform(0, 0.8)
    return as_map(np.clip(colour * np.exp(ramp + folds)[..., None], 0, 1))


def _ellipse(centre: Points, across: float, down: float, power: float = 2.0) -> Points:
    """An outline |x / across| ** power + |y / down| ** power = 1."""
    turn = np.linspace(0, 2 * np.pi, _DENSE, endpoint=False)
    waves = np.stack([np.cos(turn), np.sin(turn)], 1)
    return np.asarray(centre + np.sign(waves) * np.abs(waves) ** (2 / power) * (across, down))


def _band(start: Points, stop: Points, girth: float) -> Points:
    """The outline of a line from `start` to `stop`, `girth` to each side, with round ends."""
    along = stop - start
    angle = float(np.arctan2(along[1], along[0]))
    turn = np.linspace(-np.pi / 2, np.pi / 2, _DENSE // 4)
    ends = [(stop, turn + angle), (start, turn + angle + np.pi)]
    return np.concatenate([end + girth * np.stack([np.cos(bow), np.sin(bow)], 1) for end, bow in ends])
