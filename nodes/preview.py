"""Preview: a plate, its alpha and the plate over a checker, as pictures that ComfyUI's page can show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from matte_core.colour import to_display
from matte_core.errors import UsageError
from matte_core.frame import Frame, Pixels, Window
from matte_core.shot import Shot
from matte_core.windows import over_window_of

from . import host
from .pulling import FrameCache
from .sockets import Look, as_colour, chosen, over_display

LOOKS = ("all", "plate", "alpha", "checker")
LONGEST_SIDE = 1024
MOST_FRAMES = 64
SUBFOLDER = "matte"
SQUARE, DARK, LIGHT = 16, 0.08, 0.32  # the checker: side in pixels, and its two greys in linear light

_CACHE = FrameCache()


def preview(plate: Shot | None, matte: Shot | None, frames: str, look: str) -> dict[str, Any]:
    """ComfyUI's answer for the page: PNG files in its temp folder, per frame plate, alpha and over checker.

    A frame seen before is not computed again. Raises UsageError where nothing is connected that could be shown.
    """
    first = plate if plate is not None else matte
    if first is None:
        raise UsageError("Preview has nothing to show. Connect a plate or a matte.")
    numbers = list(chosen(first, frames, "first"))
    if len(numbers) > MOST_FRAMES:
        raise UsageError(f"a preview of {len(numbers)} frames is too much for a page. Choose {MOST_FRAMES} or fewer.")
    if plate is not None and matte is not None:
        matte = over_window_of(plate, matte, "matte")
    plates = _small(plate, numbers) if plate is not None else {}
    mattes = _small(matte, numbers) if matte is not None else {}
    if not any(True for _ in _wanted(look, bool(plates), bool(mattes))):
        raise UsageError(f"the {look} cannot be shown without its input. Connect it, or look at all.")
    images = []
    for number in numbers:
        for name in _wanted(look, bool(plates), bool(mattes)):
            picture = _picture(name, plate, plates.get(number), mattes.get(number))
            stamps = [shot.stamp(number) for shot in (plate, matte) if shot is not None]
            images.append(_save(picture, "_".join([name, str(number), *stamps])))
    return {"ui": {"images": images}}


def _wanted(look: str, has_plate: bool, has_matte: bool) -> Iterator[str]:
    shown = {"plate": has_plate, "alpha": has_matte, "checker": has_plate and has_matte}
    return (name for name, there in shown.items() if there and look in ("all", name))


def _small(shot: Shot, numbers: list[int]) -> dict[int, Frame]:
    return {frame.number: frame for frame in _CACHE.pulled(shot, numbers, shrink)}


def shrink(frame: Frame) -> Frame:
    """The frame over its display window, its longest side at most 1024, averaged in the light it is in."""
    pixels = torch.from_numpy(np.array(over_display(frame)))[None]
    height, width = pixels.shape[-2:]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        pixels = functional.interpolate(
            pixels, (max(1, round(height * scale)), max(1, round(width * scale))), mode="area"
        )
    window = Window(0, 0, int(pixels.shape[-1]), int(pixels.shape[-2]))
    return Frame(pixels[0].numpy(), frame.number, replace(frame.header, data=window, display=window))


def _picture(name: str, plate: Shot | None, colour: Frame | None, alpha: Frame | None) -> Pixels:
    """Display light (3, H, W) in 0..1."""
    total = None if alpha is None else np.clip(alpha.pixels.sum(axis=0, keepdims=True), 0, 1)
    if name == "alpha" or plate is None or colour is None:
        return np.repeat(np.zeros((1, 1, 1), np.float32) if total is None else total, 3, axis=0)
    light = as_colour(Look(plate).light(colour.pixels))
    if name == "checker" and total is not None:
        light = light * total + checker(*total.shape[-2:]) * (1 - total)
    return to_display(light)


def checker(height: int, width: int) -> Pixels:
    """Squares of two greys, (1, H, W), linear light."""
    rows, columns = np.indices((height, width)) // SQUARE
    return np.where((rows + columns) % 2, LIGHT, DARK).astype(np.float32)[None]


def _save(picture: Pixels, name: str) -> dict[str, str]:
    folder = host.folder("temp") / SUBFOLDER
    folder.mkdir(parents=True, exist_ok=True)
    codes = np.rint(np.nan_to_num(picture).clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(np.ascontiguousarray(codes.transpose(1, 2, 0))).save(folder / f"{name}.png", compress_level=1)
    return {"filename": f"{name}.png", "subfolder": SUBFOLDER, "type": "temp"}
