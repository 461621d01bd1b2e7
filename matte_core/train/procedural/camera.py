"""What a camera and a file do to light: exposure, curve, sharpening, grain, compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from matte_core.train.procedural.fields import Map, Random, as_map, gaussian, log_uniform
from matte_core.train.procedural.light import encode

Light = Literal["scene", "encoded", "display"]
LIGHTS: tuple[Light, ...] = get_args(Light)
BRIGHTEST = 16.0


def expose(random: Random, light: Light, foreground: Map, background: Map, alpha: Map) -> tuple[Map, Map, Map]:
    """Picture, foreground and background (S, S, 3) of one composite, all three in the same pixels.

    `scene`: scene-linear times an exposure, 0 to 16. `encoded`: composited in linear light, then encoded.
    `display`: both encoded first and composited there, as 8-bit photographs and old composites are.
    """
    cover = alpha[..., None]
    if light == "display":
        shoulder = float(random.uniform(0.5, 0.95))
        front, back = encode(foreground, shoulder), encode(background, shoulder)
        return developed(random, front * cover + back * (1 - cover)), front, back
    scene = foreground * cover + background * (1 - cover)
    exposure = log_uniform(random, 0.1, 0.5) / max(float(np.median(scene)), 0.02) if light == "scene" else 1.0
    layers = [as_map(np.clip(layer * exposure, 0, BRIGHTEST)) for layer in (scene, foreground, background)]
    if light == "scene":
        return as_map(np.clip(grain(random, layers[0]), 0, BRIGHTEST)), layers[1], layers[2]
    shoulder = float(random.uniform(0.5, 0.95))
    picture, front, back = (encode(layer, shoulder) for layer in layers)
    return developed(random, picture), front, back


def grain(random: Random, scene: Map) -> Map:
    """Scene-linear `scene` (S, S, 3) with photon and read noise, sometimes none, sometimes a little soft."""
    if random.random() < 0.25:
        return scene
    strength = log_uniform(random, 0.001, 0.02)
    noise = random.standard_normal(scene.shape, dtype=np.float32)
    if random.random() < 0.4:
        noise = gaussian(noise, 0.6) * 1.8
    return as_map(scene + noise * np.float32(strength) * (np.sqrt(np.maximum(scene, 0)) + np.float32(0.05)))


def developed(random: Random, picture: Map) -> Map:
    """Display-referred `picture` (S, S, 3) softened or sharpened, grained, cut to 8 bits, sometimes JPEG; 0..1."""
    if random.random() < 0.15:
        picture = gaussian(picture, random.uniform(0.3, 0.7))
    if random.random() < 0.15:
        amount, radius = np.float32(random.uniform(0.2, 0.9)), random.uniform(0.7, 1.6)
        picture = picture + amount * (picture - gaussian(picture, radius))
    if random.random() < 0.75:
        noise = random.standard_normal(picture.shape, dtype=np.float32)
        if random.random() < 0.4:
            noise = gaussian(noise, 0.6) * 1.8
        picture = picture + noise * np.float32(log_uniform(random, 0.002, 0.025))
    bytes_ = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 99))]
        _, packed = cv2.imencode(".jpg", np.ascontiguousarray(bytes_[..., ::-1]), quality)
        bytes_ = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return as_map(bytes_) / np.float32(255)


@dataclass(frozen=True)
class Film:
    """A camera over a whole clip: every frame goes through it alike, the grain alone is new.

    light      what the frames are kept in, as for `expose`
    exposure   of scene-linear frames; `shoulder` where encoded ones roll off
    grain      strength of the noise, `coarse` where it is softened; `blur`: softness of the lens in pixels
    """

    light: Light
    exposure: float
    shoulder: float
    grain: float
    coarse: bool
    blur: float

    def shot(self, random: Random, gain: float, foreground: Map, background: Map, alpha: Map) -> tuple[Map, Map, Map]:
        """Picture, foreground and background (S, S, 3) of one composite, all in the film's light.

        All three are scene-linear times `gain` before; `alpha` (S, S) is coverage in linear light, or in the light of
        the frames where that is "display".
        """
        cover, gain = alpha[..., None], gain * self.exposure
        front, back = (as_map(np.clip(layer * np.float32(gain), 0, BRIGHTEST)) for layer in (foreground, background))
        picture = front * cover + back * (1 - cover)
        if self.light == "scene":
            noise = self._noise(random, picture.shape) * (np.sqrt(picture) + np.float32(0.05))
            return as_map(np.clip(picture + noise, 0, BRIGHTEST)), front, back
        front, back, seen = (encode(layer, self.shoulder) for layer in (front, back, picture))
        if self.light == "display":
            seen = front * cover + back * (1 - cover)
        if self.blur:
            seen = gaussian(seen, self.blur)
        noisy = np.clip(seen + self._noise(random, seen.shape), 0, 1)
        return as_map(np.round(noisy * 255) / 255), front, back

    def _noise(self, random: Random, shape: tuple[int, ...]) -> Map:
        noise = random.standard_normal(shape, dtype=np.float32)
        return as_map((gaussian(noise, 0.6) * 1.8 if self.coarse else noise) * np.float32(self.grain))


def make_film(random: Random, light: Light, level: float) -> Film:
    """A camera for scenes in which the median is `level`."""
    exposure = log_uniform(random, 0.1, 0.5) / max(level, 0.02)
    return Film(
        light,
        exposure if light == "scene" else min(exposure, 1.0),
        shoulder=float(random.uniform(0.5, 0.95)),
        grain=log_uniform(random, 0.001, 0.02) * (random.random() < 0.75),
        coarse=bool(random.random() < 0.4),
        blur=float(random.uniform(0.3, 0.7)) * (random.random() < 0.15),
    )
