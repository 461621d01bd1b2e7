"""Clips: moving subjects before a moving background with their true alphas, every one repeatable from its seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.camera import Film, Light, make_film
from matte_core.train.procedural.crops import Scene, backdrop, painted, pick_scene
from matte_core.train.procedural.fields import Map, Random, as_map, fractal_noise, gaussian, log_uniform
from matte_core.train.procedural.motion import Path, Pose, Swing, make_camera, make_drift, make_path, make_swing
from matte_core.train.procedural.photographs import Photographs
from matte_core.train.procedural.shapes import make_shape
from matte_core.train.procedural.textures import make_texture

BODIES = ("solid", "fur", "hair", "fine_hair", "plush", "threads", "leaves")  # shapes that subjects of a group have
OVERLAPS = {"easy": 0.0, "medium": 0.3, "hard": 0.7}  # how much of a subject others may hide, by MaGGIe's names
_DRAWN = 160  # pixels a side of a picture that speeds and bends are meant for
_CLOSE = 0.3  # share of single subjects seen so near that they fill the picture
_TRIES = 12
_TINY = 48  # pixels a side in which places are tried
_FAINT = 1e-3


@dataclass(frozen=True)
class Clip:
    """T frames of S pixels a side with K subjects, the first in front of all others.

    pixels, foreground, background  (T, S, S, 3) in the clip's `light`: scene-linear, or display-referred, composited
                                    in linear light ("encoded") or after encoding ("display"); colours are straight,
                                    the foreground is of all subjects together, the background clean
    alpha   (T, K, S, S) what is seen of each subject; its sum is at most 1
    hidden  (T, K) share of each subject that others hide, 0..1
    """

    pixels: Map
    foreground: Map
    background: Map
    alpha: Map
    hidden: Map
    light: Light


@dataclass(frozen=True)
class _Layer:
    """A subject: premultiplied colour and coverage (L, L, 4), straight colour (L, L, 3), how it moves and bends."""

    picture: Map
    colour: Map
    path: Path
    swing: Swing
    border: int


def make_clip(
    seed: tuple[int, ...],
    size: int,
    frames: int,
    photographs: Photographs,
    subjects: int = 1,
    overlap: float = 0.3,
    scene: Scene | None = None,
) -> Clip:
    """The clip of `frames` pictures of `size` pixels that `seed` stands for.

    subjects  how many, each with an alpha of its own
    overlap   the share of a subject that may be hidden by others (see OVERLAPS)
    scene     shape, light and background; drawn from the seed where it is None. Its `unseen` and `layered` are not
              for clips

    Bodies move, turn and bend, with the motion blur of that very motion; the camera pans and shakes; exposure,
    focus and grain change. Every frame is composited in linear light: pixels = alpha F + (1 - alpha) B before grain
    and encoding.
    """
    random = np.random.default_rng(seed)
    told = scene or pick_scene(random)
    if (scene is None and told.shape in ("motion", "defocus")) or (subjects > 1 and told.shape not in BODIES):
        told = replace(told, shape=str(random.choice(BODIES)))
    layers = [_layer(random, size, told, photographs, subjects) for _ in range(subjects)]
    layers = _placed(random, size, frames, layers, overlap)
    texture = make_texture(random, size * 3 // 2, photographs)
    stage = _Stage(random, size, layers, backdrop(random, texture, layers[0].colour, told, photographs), told.light)
    made = [stage.frame(time) for time in range(frames)]
    pixels, foreground, background, alpha, hidden = (np.stack(values) for values in zip(*made, strict=True))
    return Clip(pixels, foreground, background, alpha, hidden, told.light)


def _layer(random: Random, size: int, scene: Scene, photographs: Photographs, subjects: int) -> _Layer:
    """One subject, drawn larger than it is seen; a single one is sometimes so near that it fills the picture."""
    close = subjects == 1 and random.random() < _CLOSE
    canvas = size * 3 // 2
    shape = make_shape(random, scene.shape if subjects == 1 else str(random.choice(BODIES)), canvas)
    if not close:
        shape = replace(shape, alpha=shape.alpha * _vignette(random, canvas))
    colour = painted(random, shape, make_texture(random, canvas, photographs))
    share = log_uniform(random, 0.7, 1.2) if close else random.uniform(0.5, 0.85) / subjects**0.3
    side = max(16, round(canvas * share))
    premultiplied = np.concatenate([colour * shape.alpha[..., None], shape.alpha[..., None]], axis=2)
    both = np.concatenate([premultiplied, colour], axis=2)
    parts = [_resized(np.ascontiguousarray(both[..., part]), side) for part in (slice(0, 4), slice(4, 7))]
    unit = size / _DRAWN
    path = make_path(random, log_uniform(random, 0.2, 6) * unit)
    swing = make_swing(random, side, random.uniform(0, 5) * unit * (random.random() < 0.7))
    return _Layer(parts[0], parts[1], path, swing, cv2.BORDER_REFLECT if close else cv2.BORDER_CONSTANT)


def _vignette(random: Random, size: int) -> Map:
    """(size, size) of 1, uneven down to 0 along the border, so that no body ends in a straight line."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    edge = np.minimum(np.minimum(rows, columns), size - 1 - np.maximum(rows, columns))
    uneven = edge / size - 0.02 - 0.1 * fractal_noise(random, size, 5, 3)
    return as_map(np.clip(uneven * size / random.uniform(1.5, 4), 0, 1))


def _resized(picture: Map, side: int) -> Map:
    """`picture` (L, L, C) over `side` pixels, soft enough to be sampled between its pixels."""
    method = cv2.INTER_AREA if side < len(picture) else cv2.INTER_LINEAR
    return gaussian(as_map(cv2.resize(picture, (side, side), interpolation=method)), 0.4)


def _placed(random: Random, size: int, frames: int, layers: Sequence[_Layer], overlap: float) -> list[_Layer]:
    """The layers with paths through places of which, of some that were tried, one fits the wanted overlap best."""
    placed: list[_Layer] = []
    for layer in layers:
        tried = []
        for place in range(_TRIES):
            x, y = random.uniform(0.2, 0.8, 2) * size
            if placed and overlap and place % 2:  # beside one that stands there already
                x, y = placed[place % len(placed)].path.middle + random.normal(0, size / 6, 2)
            path = replace(layer.path, middle=(float(x), float(y)), passes=(frames - 1) / 2)
            tried.append(replace(layer, path=path))
        placed.append(min(tried, key=lambda one: _unfit([*placed, one], size, frames, overlap)))
    return placed


def _unfit(layers: Sequence[_Layer], size: int, frames: int, overlap: float) -> float:
    """How badly the last of `layers` stands: 0 for well in the picture and hidden as much as wanted."""
    worst = 0.0
    for time in (0.0, (frames - 1) / 2, frames - 1.0):
        covers = [_small_cover(layer, size, time) for layer in layers]
        inside = covers[-1].sum() / max(float(layers[-1].picture[..., 3].sum()) * (_TINY / size) ** 2, _FAINT)
        crowded = 2 * max(float(covers[-1].mean()) - 0.7, 0.0) + 2 * max(0.02 - float(covers[-1].mean()), 0.0)
        over = abs(_hidden(covers)[-1] - overlap) if len(layers) > 1 else 0.0
        more = 4 * max(_hidden(covers)[-1] - overlap, 0.0) if len(layers) > 1 else 0.0
        worst = max(worst, max(0.6 - inside, 0.0) + crowded + over + more)
    return worst


def _small_cover(layer: _Layer, size: int, time: float) -> Map:
    places = layer.path.at(time).places(size, len(layer.picture))
    step = size / _TINY
    chosen = np.minimum((np.arange(_TINY) + 0.5) * step, size - 1).astype(np.int64)
    few = places[np.ix_(chosen, chosen)]
    return _sampled(np.ascontiguousarray(layer.picture[..., 3]), few, layer.border)


def _hidden(covers: Sequence[Map]) -> list[float]:
    """The share of each cover (S, S) that those before it hide."""
    seen, shares = np.ones_like(covers[0]), []
    for cover in covers:
        shares.append(1 - float((cover * seen).sum()) / max(float(cover.sum()), _FAINT))
        seen = seen * (1 - cover)
    return shares


def _sampled(picture: Map, places: Map, border: int) -> Map:
    x, y = (np.ascontiguousarray(places[..., axis]) for axis in (0, 1))
    return as_map(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=border))


class _Stage:
    """All that a clip shows, and the camera that looks at it."""

    def __init__(self, random: Random, size: int, layers: Sequence[_Layer], back: Map, light: Light) -> None:
        unit = size / _DRAWN
        self._random, self._size, self._layers, self._back = random, size, layers, back
        shake = random.uniform(0, 2.5) * unit * (random.random() < 0.5)
        self._camera = make_camera(random, log_uniform(random, 0.1, 3) * unit, shake)
        self._depth = float(random.uniform(0.5, 1))  # how much less than the subjects the background moves
        self._shutter = float(random.uniform(0.2, 0.7))
        self._film: Film = make_film(random, light, float(np.median(back)))
        self._stops = make_drift(random, 0.03, random.uniform(0, 0.4), 6, 40) if random.random() < 0.4 else None
        self._pull = make_drift(random, 0.15, random.uniform(0.5, 3), 12, 60) if random.random() < 0.25 else None

    def frame(self, time: int) -> tuple[Map, Map, Map, Map, Map]:
        """Pixels, foreground, background, alpha and hidden shares of the frame at `time`, as `Clip` has them."""
        moments = np.linspace(-0.5, 0.5, self._moments(time)) * self._shutter + time
        looks = [self._look(float(moment)) for moment in moments]
        light, covers, colour, back, whole = (as_map(np.mean(values, axis=0)) for values in zip(*looks, strict=True))
        near, far = self._focus(time)
        if near:
            light, covers, colour = gaussian(light, near), _each(covers, near), gaussian(colour, near)
        back = gaussian(back, far) if far else back
        total = np.minimum(covers.sum(0), 1)
        front = np.where(total[..., None] > _FAINT, light / np.maximum(total, _FAINT)[..., None], colour)
        gain = 2.0 ** (self._stops.at(time) if self._stops else 0.0)
        pictures = self._film.shot(self._random, gain, as_map(front), back, as_map(total))
        hidden = 1 - covers.sum((1, 2)) / np.maximum(whole, covers.sum((1, 2))).clip(_FAINT)
        return *pictures, covers, as_map(hidden)

    def _look(self, time: float) -> tuple[Map, Map, Map, Map, Map]:
        """Premultiplied light of the subjects, what is seen of each, straight colour, background, whole areas."""
        camera = self._camera.at(time)
        light = np.zeros((self._size, self._size, 3), np.float32)
        seen = np.ones((self._size, self._size), np.float32)
        covers, areas, colour = [], [], light
        for number, layer in enumerate(self._layers):
            places = layer.swing.bent(
                _posed(layer.path, camera.centre, time).places(self._size, len(layer.picture)), time
            )
            picture = _sampled(layer.picture, places, layer.border)
            light = light + picture[..., :3] * seen[..., None]
            covers.append(picture[..., 3] * seen)
            areas.append(picture[..., 3].sum())
            seen = seen * (1 - picture[..., 3])
            if not number:
                colour = _sampled(layer.colour, places, cv2.BORDER_REFLECT)
        centre = camera.centre * self._depth + self._size / 2
        ground = _sampled(
            self._back, replace(camera, centre=centre).places(self._size, len(self._back)), cv2.BORDER_REFLECT
        )
        return light, np.stack(covers), colour, ground, as_map(areas)

    def _moments(self, time: int) -> int:
        """How many moments of the open shutter make the frame: one for about every pixel of the fastest motion."""
        ends = [time - self._shutter / 2, time + self._shutter / 2]
        ways = []
        for layer in self._layers:
            first, last = (_posed(layer.path, self._camera.at(end).centre, end) for end in ends)
            turned = (abs(last.turn - first.turn) + abs(last.size / first.size - 1)) * len(layer.picture) / 3
            ways.append(float(np.linalg.norm(last.centre - first.centre)) + turned)
        return int(np.clip(np.ceil(max(ways)) + 1, 2, 9))

    def _focus(self, time: int) -> tuple[float, float]:
        """Softness in pixels of the subjects and of the background: one is sharp where the other is not."""
        if self._pull is None:
            return 0.0, 0.0
        pulled = float(np.clip(self._pull.at(time) * self._size / _DRAWN, -4, 4))
        return (pulled if pulled > 0.3 else 0.0, -pulled if pulled < -0.3 else 0.0)


def _posed(path: Path, camera: NDArray[np.float64], time: float) -> Pose:
    """The pose of a subject as a camera sees it that moves what it sees by `camera` (x, y)."""
    pose = path.at(time)
    return replace(pose, centre=pose.centre + camera)


def _each(covers: Map, softness: float) -> Map:
    return np.stack([gaussian(cover, softness) for cover in covers])
