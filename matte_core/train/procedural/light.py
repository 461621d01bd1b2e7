"""The two curves that procedural pictures are encoded with."""

from __future__ import annotations

import numpy as np

from matte_core.train.procedural.fields import Map


def decode(display: Map) -> Map:
    """Scene-linear values of sRGB-encoded ones, 0..1."""
    low, high = display / 12.92, ((np.maximum(display, 0) + 0.055) / 1.055) ** 2.4
    return np.where(display <= 0.04045, low, high).astype(np.float32)


def encode(linear: Map, shoulder: float) -> Map:
    """sRGB-encoded values 0..1 of scene-linear ones, rolled off smoothly above `shoulder`."""
    room = 1 - shoulder
    rolled = shoulder + room * (1 - np.exp(-np.maximum(linear - shoulder, 0) / room))
    light = np.clip(np.where(linear <= shoulder, linear, rolled), 0, 1)
    high = 1.055 * np.maximum(light, 1e-8) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high).astype(np.float32)
