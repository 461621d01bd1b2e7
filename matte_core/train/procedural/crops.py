"""Crops: a picture with its true alpha and a trimap, every one repeatable from its seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.camera import LIGHTS, Light, expose
from matte_core.train.procedural.fields import Map, Random, as_map, gaussian, log_uniform, smooth_map
from matte_core.train.procedural.light import decode
from matte_core.train.procedural.objects import dressed, lit, surroundings
from matte_core.train.procedural.photographs import Photographs
from matte_core.train.procedural.shapes import Shape, make_shape
from matte_core.train.procedural.textures import make_texture, plain
from matte_core.train.procedural.trimaps import Trimap, make_trimap, usable

_TRIES = 20
Look = Callable[[Random, Shape, int], Shape]


@dataclass(frozen=True)
class Scene:
    """What a crop shows: the foreground's `shape`, what stands `behind` it ("" = nothing), in which `light`;
    `unseen`: a part whose colour is in no known part; `similar` 0..1: how near the background's colour is to the
    foreground's; `layered`: a second foreground; `bright`: a background far above 1; `wide`: a trimap drawn far from
    the edge, as in a hurry; `soft`: how far the background is out of focus, as a share of the picture's side;
    `photographed`: a thing of several colours, lit from one side, before real surroundings that are out of focus."""

    shape: str
    light: Light = "display"
    behind: str = ""
    unseen: bool = False
    similar: float = 0.0
    layered: bool = False
    bright: bool = False
    wide: bool = False
    soft: float = 0.0
    photographed: bool = False


@dataclass(frozen=True)
class Mix:
    """Which scenes a bank holds: in one of `lights` only, and the shares with an `unseen` part, with a `wide` trimap,
    and of things as they are `photographed`."""

    lights: tuple[Light, ...] = LIGHTS
    unseen: float = 0.2
    wide: float = 0.0
    photographed: float = 0.0


@dataclass(frozen=True)
class Crop:
    """`pixels`, `foreground`, `background` (S, S, 3) in the scene's light; `alpha` (S, S) 0..1; `trimap` (S, S)."""

    pixels: Map
    foreground: Map
    background: Map
    alpha: Map
    trimap: Trimap
    scene: Scene


SHAPES = {
    "solid": 0.06, "fur": 0.1, "hair": 0.13, "fine_hair": 0.12, "wires": 0.05, "twigs": 0.05, "plush": 0.12,
    "threads": 0.08, "basket": 0.09, "lace": 0.03, "leaves": 0.06, "veil": 0.03, "smoke": 0.02, "motion": 0.03,
    "defocus": 0.03,
}  # fmt: skip
PHOTOGRAPHED = {
    "mane": 0.22, "plush": 0.16, "fur": 0.08, "hair": 0.12, "fine_hair": 0.12, "wicker": 0.07, "petals": 0.08,
    "solid": 0.04, "threads": 0.03, "basket": 0.03, "twigs": 0.03, "veil": 0.02,
}  # fmt: skip
_CHANCES: dict[Light, float] = {"scene": 0.35, "encoded": 0.25, "display": 0.4}
_BEHIND = ("twigs", "hair", "basket", "leaves", "wires", "fur")


def pick_scene(random: Random, mix: Mix | None = None) -> Scene:
    """A scene of `mix` for training: every kind of difficulty in the share that has worked."""
    mix = mix or Mix()
    if mix.photographed and random.random() < mix.photographed:
        return _pick_photographed(random, mix)
    chances = np.array([_CHANCES[light] for light in mix.lights])
    behind = str(random.choice(_BEHIND)) if random.random() < 0.2 else ""
    return Scene(
        shape=str(random.choice(list(SHAPES), p=list(SHAPES.values()))),
        light=mix.lights[random.choice(len(mix.lights), p=chances / chances.sum())],
        behind=behind,
        unseen=bool(random.random() < mix.unseen),
        similar=float(random.uniform(0.3, 0.9)) if random.random() < 0.2 else 0.0,
        layered=bool(random.random() < 0.15),
        bright=bool(random.random() < 0.25),
        wide=bool(mix.wide and random.random() < mix.wide),
    )


def _pick_photographed(random: Random, mix: Mix) -> Scene:
    chances = np.array([_CHANCES[light] for light in mix.lights])
    return Scene(
        shape=str(random.choice(list(PHOTOGRAPHED), p=list(PHOTOGRAPHED.values()))),
        light=mix.lights[random.choice(len(mix.lights), p=chances / chances.sum())],
        similar=float(random.uniform(0.2, 0.8)) if random.random() < 0.15 else 0.0,
        layered=bool(random.random() < 0.3),
        wide=bool(mix.wide and random.random() < mix.wide),
        photographed=True,
    )


def make_crop(
    seed: tuple[int, ...], size: int, photographs: Photographs, scene: Scene | None = None, mix: Mix | None = None
) -> Crop:
    """The crop of `size` pixels that `seed` stands for, of `scene` or of one of `mix` drawn from the seed too."""
    random = np.random.default_rng(seed)
    for _ in range(_TRIES):
        crop = _compose(random, size, photographs, scene or pick_scene(random, mix))
        if usable(crop.trimap):
            break
    return crop


def make_subject(seed: tuple[int, ...], size: int, photographs: Photographs, scene: Scene | None = None) -> Crop:
    """Like `make_crop`, but the subject is seen whole, or cut by the picture's edge where its canvas ended."""
    random = np.random.default_rng(seed)
    for _ in range(_TRIES):
        crop = _compose(random, size, photographs, scene or pick_scene(random), _whole)
        if usable(crop.trimap):
            break
    return crop


def _compose(random: Random, size: int, photographs: Photographs, scene: Scene, look: Look | None = None) -> Crop:
    shape = (look or _view)(random, make_shape(random, scene.shape, size * 3 // 2), size)
    alpha = shape.alpha
    if scene.photographed:
        foreground = lit(random, painted(random, shape, dressed(random, size, photographs)), alpha)
        behind = surroundings(random, size, photographs, float(np.median(foreground)))
    else:
        foreground = painted(random, shape, make_texture(random, size, photographs))
        behind = make_texture(random, size, photographs)
    background = backdrop(random, behind, foreground, scene, photographs)
    unknown: NDArray[np.bool_] | None = None
    if scene.unseen:
        alpha, foreground, background, unknown = _unseen(random, alpha, foreground, background, photographs)
    if scene.layered:
        alpha, foreground = _second_layer(random, alpha, foreground, photographs)
    if random.random() < 0.1:
        spill = np.float32(random.uniform(0.05, 0.35))
        foreground = as_map(foreground * (1 - spill) + spill * np.minimum(gaussian(background, 10), 1))
    if random.random() < 0.1:
        moved = np.roll(alpha, tuple(random.integers(-14, 15, 2)), (0, 1))
        shadow = np.float32(random.uniform(0.1, 0.6)) * gaussian(moved, random.uniform(2, 12))
        background = background * (1 - shadow[..., None])
    pixels, front, back = expose(random, scene.light, foreground, background, alpha)
    return Crop(pixels, front, back, alpha, make_trimap(random, alpha, unknown, scene.wide), scene)


def _view(random: Random, shape: Shape, size: int) -> Shape:
    """The part of the shape, turned and scaled, about one of its fractional pixels."""
    rows, columns = np.nonzero((shape.alpha > 0.05) & (shape.alpha < 0.95))
    centre = np.array([len(shape.alpha) / 2] * 2)
    if len(rows):
        chosen = random.integers(0, len(rows))
        centre = np.array([columns[chosen], rows[chosen]]) + random.normal(0, size / 6, 2)
    turn = random.uniform(0, 2 * np.pi) if random.random() < 0.5 else random.integers(0, 4) * np.pi / 2
    scale = log_uniform(random, 0.6, 1.6)
    cosine, sine = np.cos(turn) / scale, np.sin(turn) / scale
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0]])
    matrix[:, 2] = centre - matrix[:, :2] @ np.array([size / 2, size / 2])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    stack = np.concatenate([shape.alpha[..., None], shape.shade], axis=2)
    seen = cv2.warpAffine(stack, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return replace(shape, alpha=np.clip(seen[..., 0], 0, 1), shade=np.ascontiguousarray(seen[..., 1:]))


def _whole(random: Random, shape: Shape, size: int) -> Shape:
    """The square about all of the shape, with some room around it, inside its canvas; mirrored half of the time."""
    canvas = len(shape.alpha)
    rows, columns = np.nonzero(shape.alpha > 0.5)
    if not len(rows):
        return _view(random, shape, size)
    low, high = np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()]) + 1
    side = int(np.clip(max(high - low) * random.uniform(1.05, 1.9), canvas / 4, canvas))
    first, last = np.maximum(high - side, 0), np.minimum(low, canvas - side)
    top, left = random.integers(first, np.maximum(first, last) + 1).tolist()
    stack = np.concatenate([shape.alpha[..., None], shape.shade], axis=2)[top : top + side, left : left + side]
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    seen = cv2.resize(stack[:, ::-1] if random.random() < 0.5 else stack, (size, size), interpolation=method)
    return replace(shape, alpha=np.clip(seen[..., 0], 0, 1), shade=np.ascontiguousarray(seen[..., 1:]))


def painted(random: Random, shape: Shape, texture: Map) -> Map:
    """The foreground's colour (S, S, 3), scene-linear: texture times shade, or the shape's own colours."""
    if random.random() < 0.5:
        texture = plain(random, texture)
    if shape.coloured:
        mean = max(float(texture.mean()), 0.02)
        return np.asarray(decode(shape.shade) * (1 + 0.4 * np.clip(texture / mean - 1, -1, 1)), dtype=np.float32)
    strength = np.float32(random.uniform(0, 1.3))
    shaded = texture * np.clip(1 + (shape.shade / np.float32(0.55) - 1) * strength, 0.05, 2.5)
    if random.random() < 0.4:
        shaded = shaded * (0.5 + smooth_map(random, len(texture), 4))[..., None]
    limit = 1.0 if random.random() < 0.8 else 8.0
    return np.asarray(np.clip(shaded, 0, limit), dtype=np.float32)


def backdrop(random: Random, texture: Map, foreground: Map, scene: Scene, photographs: Photographs) -> Map:
    """The background (S, S, 3), scene-linear, with whatever stands in it."""
    if scene.bright:
        grey = texture.mean(2, keepdims=True)
        gain = log_uniform(random, 2, 12)
        level = np.percentile(grey, random.uniform(10, 70))
        texture = texture * (1 + (gain - 1) * np.clip(grey / max(level, 1e-3) - 0.7, 0, 1))
    texture = texture + (foreground.mean((0, 1)) - texture.mean((0, 1))) * np.float32(scene.similar)
    texture = np.maximum(texture, 0)
    if random.random() < 0.4:
        texture = gaussian(texture, log_uniform(random, 0.7, 12))
    if scene.behind:
        for _ in range(int(random.integers(1, 3))):
            shape = _view(random, make_shape(random, scene.behind, len(texture) * 3 // 2), len(texture))
            cover = gaussian(shape.alpha, random.uniform(0.5, 5)) if random.random() < 0.4 else shape.alpha
            colour = painted(random, shape, make_texture(random, len(texture), photographs))
            if random.random() < 0.3:
                colour = colour + (foreground.mean((0, 1)) - colour.mean((0, 1))) * np.float32(random.uniform(0.3, 1))
            texture = as_map(texture * (1 - cover[..., None]) + np.maximum(colour, 0) * cover[..., None])
    return gaussian(texture, scene.soft * len(texture)) if scene.soft else texture


def _unseen(
    random: Random, alpha: Map, foreground: Map, background: Map, photographs: Photographs
) -> tuple[Map, Map, Map, NDArray[np.bool_]]:
    """Alpha, foreground, background and where it is surely unknown, after adding a part of another colour."""
    size = len(alpha)
    kind = str(random.choice(["solid", "solid", "threads", "leaves", "plush"]))
    part = _view(random, make_shape(random, kind, size), size).alpha
    part = 1 - part if part.mean() > 0.6 else part
    colour = plain(random, make_texture(random, size, photographs))
    cover = part[..., None]
    reach = int(random.integers(1, 9))
    around = cv2.dilate((part > 0.02).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=reach) > 0
    if random.random() < 0.2:
        return alpha, foreground, background * (1 - cover) + colour * cover, around
    if random.random() < 0.3:
        return alpha, foreground * (1 - cover) + colour * cover, background, around
    return np.maximum(alpha, part), np.where(cover > 0.01, colour, foreground), background, around


def _second_layer(random: Random, alpha: Map, foreground: Map, photographs: Photographs) -> tuple[Map, Map]:
    """Alpha and colour of the foreground with another one over it."""
    size = len(alpha)
    kind = str(random.choice(list(SHAPES), p=list(SHAPES.values())))
    shape = _view(random, make_shape(random, kind, size * 3 // 2), size)
    colour = painted(random, shape, make_texture(random, size, photographs)) if random.random() < 0.6 else foreground
    over, under = shape.alpha, (1 - shape.alpha) * alpha
    total = over + under
    mixed = (colour * over[..., None] + foreground * under[..., None]) / np.maximum(total, 1e-3)[..., None]
    return total, np.where(total[..., None] > 1e-3, mixed, foreground).astype(np.float32)
