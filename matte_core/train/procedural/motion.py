"""How things move in procedural clips: smooth paths, turns and swings that are known at any moment."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Map, Random, as_map, smooth_map

Place = NDArray[np.float64]
_WAVES = 3


@dataclass(frozen=True)
class Drift:
    """A value that runs straight and sways: `speed` per frame, and waves of some `heights`, `paces` (radians per
    frame) and `phases`."""

    speed: float
    heights: Place
    paces: Place
    phases: Place

    def at(self, time: float) -> float:
        """The value at `time`, in frames; its waves are about 0 and its run passes 0 at time 0."""
        return float(self.speed * time + (self.heights * np.sin(self.paces * time + self.phases)).sum())


def make_drift(random: Random, speed: float, sway: float, fastest: float, slowest: float) -> Drift:
    """A drift of at most `speed` per frame that sways by about `sway`, in waves of `fastest` to `slowest` frames."""
    periods = np.exp(random.uniform(np.log(fastest), np.log(slowest), _WAVES))
    heights = random.normal(0, sway / _WAVES**0.5, _WAVES)
    return Drift(float(random.uniform(-speed, speed)), heights, 2 * np.pi / periods, random.uniform(0, 6.28, _WAVES))


@dataclass(frozen=True)
class Pose:
    """Where a layer is at one moment: its centre (x, y) in pixels of the picture, its turn in radians, its size."""

    centre: Place
    turn: float
    size: float

    def places(self, side: int, layer: int) -> Map:
        """(side, side, 2) the places (x, y) of a layer of `layer` pixels that the picture's pixels show."""
        rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
        across, down = columns - np.float32(self.centre[0]), rows - np.float32(self.centre[1])
        cosine, sine = np.float32(np.cos(self.turn) / self.size), np.float32(np.sin(self.turn) / self.size)
        middle = np.float32((layer - 1) / 2)
        return np.stack([cosine * across + sine * down + middle, cosine * down - sine * across + middle], axis=-1)


@dataclass(frozen=True)
class Path:
    """A pose over time, about `middle` (x, y) at the time `passes`."""

    x: Drift
    y: Drift
    turn: Drift
    zoom: Drift
    middle: tuple[float, float] = (0.0, 0.0)
    passes: float = 0.0

    def at(self, time: float) -> Pose:
        """The pose at `time`, in frames."""
        own = time - self.passes
        centre = np.array([self.middle[0] + self.x.at(own), self.middle[1] + self.y.at(own)])
        return Pose(centre, self.turn.at(own), float(np.exp(np.clip(self.zoom.at(own), -0.4, 0.4))))


def make_path(random: Random, speed: float) -> Path:
    """The path of a subject that moves at most `speed` pixels per frame: it runs, sways, turns and nears."""
    sway = speed * random.uniform(0.5, 3)
    return Path(
        make_drift(random, speed, sway, 8, 50),
        make_drift(random, speed * 0.6, sway * 0.6, 8, 50),
        make_drift(random, 0.012, random.uniform(0, 0.12), 12, 60),
        make_drift(random, 0.006, random.uniform(0, 0.05), 16, 60),
    )


def make_camera(random: Random, speed: float, shake: float) -> Path:
    """The path by which a camera moves what it sees: a pan of at most `speed` pixels per frame, and its `shake`."""
    return Path(
        make_drift(random, speed, shake, 2.5, 20),
        make_drift(random, speed * 0.4, shake, 2.5, 20),
        make_drift(random, 0.001, shake * 0.002, 4, 30),
        make_drift(random, 0.002, 0.01, 20, 60),
    )


@dataclass(frozen=True)
class Swing:
    """A soft body's bending: two fields (L, L, 2) of pixels that take turns, `pace` radians per frame."""

    first: Map
    second: Map
    pace: float
    phase: float

    def bent(self, places: Map, time: float) -> Map:
        """`places` (S, S, 2) of the layer, moved as the body bends at `time`."""
        share = self.pace * time + self.phase
        both = np.float32(np.sin(share)) * self.first + np.float32(np.cos(share)) * self.second
        x, y = (np.ascontiguousarray(places[..., axis]) for axis in (0, 1))
        return places + as_map(cv2.remap(both, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def make_swing(random: Random, layer: int, most: float) -> Swing:
    """The bending of a layer of `layer` pixels by up to about `most` pixels, in 10 to 50 frames there and back."""
    cells = int(random.integers(3, 8))

    def field() -> Map:
        pair = np.stack([smooth_map(random, layer, cells) - np.float32(0.5) for _ in range(2)], axis=-1)
        return as_map(pair * 2 * most)

    return Swing(field(), field(), 2 * np.pi / float(random.uniform(10, 50)), float(random.uniform(0, 6.28)))
