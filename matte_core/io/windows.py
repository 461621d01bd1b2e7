"""Arithmetic on data and display windows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from matte_core.frame import Pixels, Window


def union(windows: Iterable[Window]) -> Window:
    """The smallest window that holds all of `windows`."""
    every = list(windows)
    left, top = min(window.x for window in every), min(window.y for window in every)
    right = max(window.x + window.width for window in every)
    bottom = max(window.y + window.height for window in every)
    return Window(left, top, right - left, bottom - top)


def spell(window: Window) -> str:
    """The window as a person reads it: "1920 x 1080 at 0, 0"."""
    return f"{window.width} x {window.height} at {window.x}, {window.y}"


def place(pixels: Pixels, source: Window, target: Window) -> Pixels:
    """Pixels (C, H, W) over `target` from pixels over `source`: 0 where `source` has none, cut where it is larger."""
    if source == target:
        return pixels
    placed = np.zeros((pixels.shape[0], target.height, target.width), np.float32)
    left, top = max(source.x, target.x), max(source.y, target.y)
    right = min(source.x + source.width, target.x + target.width)
    bottom = min(source.y + source.height, target.y + target.height)
    if right > left and bottom > top:
        placed[:, top - target.y : bottom - target.y, left - target.x : right - target.x] = pixels[
            :, top - source.y : bottom - source.y, left - source.x : right - source.x
        ]
    return placed
