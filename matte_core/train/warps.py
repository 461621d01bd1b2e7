"""Pictures seen by another camera: turned, scaled, bent and graded, together with their alphas."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Map, Random, as_map

Bytes = NDArray[np.uint8]
_GRID = 5


@dataclass(frozen=True)
class Warp:
    """How far a picture and its alpha are varied; the defaults are the published ones.

    flip        how often mirrored
    rotation    most degrees, `shear` too; `shift`: share of a side
    scale       least and most, 1 just covers the part; `aspect`: of width to height
    bend        deviation of a 5 x 5 grid's points, as a share of a side
    brightness, contrast, saturation, hue  most that each changes by, as a share
    """

    flip: float = 0.5
    rotation: float = 5.0
    shear: float = 5.0
    shift: float = 0.1
    scale: tuple[float, float] = (0.5, 1.5)
    aspect: tuple[float, float] = (0.7, 1.3)
    bend: float = 0.007
    brightness: float = 0.2
    contrast: float = 0.1
    saturation: float = 0.1
    hue: float = 0.1


def warped(random: Random, picture: Bytes, side: int, warp: Warp) -> Bytes:
    """(side, side, C) of `picture` (H, W, C); what lies beyond its border is mirrored. Smoothly bent instead of by
    thin plates."""
    height, width = picture.shape[:2]
    places = _places(random, height, width, side, warp)
    return np.asarray(
        cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    )


def graded(random: Random, pixels: Bytes, warp: Warp) -> Bytes:
    """Display-referred `pixels` (H, W, 3), other in brightness, contrast, saturation and hue."""
    values = pixels.astype(np.float32) / 255 * random.uniform(1 - warp.brightness, 1 + warp.brightness)
    values = (values - values.mean()) * random.uniform(1 - warp.contrast, 1 + warp.contrast) + values.mean()
    shown = cv2.cvtColor(as_map(np.clip(values, 0, 1)), cv2.COLOR_RGB2HSV)
    shown[..., 0] = (shown[..., 0] + random.uniform(-warp.hue, warp.hue) * 360) % 360
    shown[..., 1] = np.clip(shown[..., 1] * random.uniform(1 - warp.saturation, 1 + warp.saturation), 0, 1)
    return np.asarray(np.round(cv2.cvtColor(shown, cv2.COLOR_HSV2RGB) * 255).clip(0, 255), np.uint8)


def _places(random: Random, height: int, width: int, side: int, warp: Warp) -> Map:
    """(side, side, 2) where each pixel of the part is seen in the picture, x and y."""
    gain = side / min(height, width) * random.uniform(*warp.scale)
    turn, shear = np.deg2rad(random.uniform(-1, 1, 2) * (warp.rotation, warp.shear))
    aspect = np.sqrt(random.uniform(*warp.aspect))
    mirror = -1.0 if random.random() < warp.flip else 1.0
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = gain * rotation @ np.array([[mirror * aspect, np.tan(shear)], [0, 1 / aspect]])
    centre = np.array([width - 1, height - 1]) / 2 + random.uniform(-warp.shift, warp.shift, 2) * (width, height)
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    bent = np.stack([columns, rows], 2) - (side - 1) / 2 + _bend(random, side, warp.bend)
    return as_map(bent @ np.linalg.inv(matrix).T + centre)


def _bend(random: Random, side: int, share: float) -> Map:
    grid = random.normal(0, share * side, (_GRID, _GRID, 2)).astype(np.float32)
    return as_map(cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC))
