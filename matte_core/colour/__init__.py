"""Colour: what space a plate is in, and what a network, a solver and a preview are shown of it.

This package is the only place that holds a transfer curve or a colour matrix, and the only one that
imports OpenColorIO. OpenColorIO is asked once, when a View is made; the View then holds numbers only.
"""

from matte_core.colour.config import Config, load_config, stays_inside
from matte_core.colour.curves import luminance, shoulder, srgb_decode, srgb_encode, to_display
from matte_core.colour.exposure import measure_exposure, reference_frames
from matte_core.colour.gamuts import REC709_TAGS
from matte_core.colour.resolve import Resolved, resolve_space, tags_for
from matte_core.colour.view import View, encode_for_network, linear_light, make_view, solver_light

__all__ = [
    "REC709_TAGS",
    "Config",
    "Resolved",
    "View",
    "encode_for_network",
    "linear_light",
    "load_config",
    "luminance",
    "make_view",
    "measure_exposure",
    "reference_frames",
    "resolve_space",
    "shoulder",
    "solver_light",
    "srgb_decode",
    "srgb_encode",
    "stays_inside",
    "tags_for",
    "to_display",
]
