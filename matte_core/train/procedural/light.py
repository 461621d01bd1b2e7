"""How procedural cameras encode light: the sRGB curve after a highlight roll-off of their own."""

from __future__ import annotations

import numpy as np

from matte_core.colour.curves import srgb_decode, srgb_encode
from matte_core.train.procedural.fields import Map


def decode(display: Map) -> Map:
    """Scene-linear values of sRGB-encoded ones, 0..1."""
    return srgb_decode(np.maximum(display, 0))


def encode(linear: Map, shoulder: float) -> Map:
    """sRGB-encoded values 0..1 of scene-linear ones, rolled off exponentially above `shoulder`, as film does."""
    room = 1 - shoulder
    rolled = shoulder + room * (1 - np.exp(-np.maximum(linear - shoulder, 0) / room))
    return srgb_encode(np.clip(np.where(linear <= shoulder, linear, rolled), 0, 1).astype(np.float32))
