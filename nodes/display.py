"""Pictures for a page, of frames: small, in display light, over a checker or a colour, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from matte_core.colour import to_display
from matte_core.frame import Frame, Pixels, Window
from matte_core.instances import colours
from matte_core.shot import Shot

from .sockets import Look, as_colour, over_display

LONGEST_SIDE = 1024
SQUARE, DARK, LIGHT = 16, 0.08, 0.32  # the checker: side in pixels, and its two greys in linear light
GREY = 0.18
OVERLAY = 0.55  # how much of a layer's tint lies over the plate


def shrink(frame: Frame) -> Frame:
    """The frame over its display window, its longest side at most 1024, averaged in the light it is in."""
    return shrunk(frame, over_display(frame))


def shrunk(frame: Frame, pixels: Pixels) -> Frame:
    """A frame of `pixels` (C, H, W), its longest side at most 1024, under the number and header of `frame`."""
    picture = torch.from_numpy(np.array(pixels))[None]
    height, width = picture.shape[-2:]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        picture = functional.interpolate(
            picture, (max(1, round(height * scale)), max(1, round(width * scale))), mode="area"
        )
    window = Window(0, 0, int(picture.shape[-1]), int(picture.shape[-2]))
    return Frame(picture[0].numpy(), frame.number, replace(frame.header, data=window, display=window))


def light_of(shot: Shot, frame: Frame) -> Pixels:
    """Linear Rec.709 light (3, H, W) of a frame of a plate, unclipped."""
    return as_colour(Look(shot).light(frame.pixels))


def coverage(frame: Frame, layer: int | None = None) -> Pixels:
    """Alpha (1, H, W) in 0..1 of a matte's frame: one layer's, or that of all of them together."""
    pixels = frame.pixels if layer is None else frame.pixels[layer : layer + 1]
    total: Pixels = np.clip(pixels.sum(axis=0, keepdims=True), 0, 1)
    return total


def checker(height: int, width: int) -> Pixels:
    """Squares of two greys, (1, H, W), linear light."""
    rows, columns = np.indices((height, width)) // SQUARE
    return np.where((rows + columns) % 2, LIGHT, DARK).astype(np.float32)[None]


def over(light: Pixels, alpha: Pixels, background: Pixels) -> Pixels:
    """`light` (3, H, W) where alpha (1, H, W) is 1, `background` where it is 0; linear light."""
    return light * alpha + background * (1 - alpha)


def tinted(light: Pixels, layers: Sequence[Pixels]) -> Pixels:
    """`light` (3, H, W) with a tint over it for each layer (1, H, W) of a matte."""
    for tint, alpha in zip(colours(len(layers)), layers, strict=True):
        light = over(tint[:, None, None], alpha * OVERLAY, light)
    return light


def codes_of_light(light: Pixels, exposure: float = 0.0, gamma: float = 1.0) -> Pixels:
    """sRGB code values in 0..1 of linear light, `exposure` stops brighter, through a viewer's gamma."""
    return _through_gamma(to_display(light * np.float32(2**exposure)), gamma)


def codes_of_alpha(alpha: Pixels, exposure: float = 0.0, gamma: float = 1.0) -> Pixels:
    """Code values (3, H, W) in 0..1 of alpha (1, H, W), which is shown as it is: data, not light."""
    grey = _through_gamma(np.nan_to_num(alpha * np.float32(2**exposure)).clip(0, 1), gamma)
    return np.repeat(grey, 3, axis=0)


def _through_gamma(codes: Pixels, gamma: float) -> Pixels:
    return codes if gamma == 1 else np.power(codes, np.float32(1 / gamma))


def png(codes: Pixels) -> bytes:
    """A PNG file of code values (3, H, W) in 0..1."""
    eight_bit = np.rint(np.nan_to_num(codes).clip(0, 1) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(eight_bit.transpose(1, 2, 0))).save(file, "PNG", compress_level=1)
    return file.getvalue()
