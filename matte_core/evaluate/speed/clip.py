"""A made-up shot of any size as EXR files: a body with hair before a soft background, grain over both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from matte_core.frame import Header, Pixels, Window
from matte_core.io.exr import write_picture
from matte_core.models.base import GuideName

FIRST = 1001
STRANDS = 60
_GUIDES: tuple[GuideName, ...] = ("trimap", "mask", "instances", "background")


def make_clip(folder: Path, height: int, width: int, count: int) -> None:
    """Writes `count` frames of plate, trimap, mask, instances and background as half EXR with zip into `folder`.

    The hair waves and the body moves, so every frame has its own trimap, of which some 9 percent is unknown.
    """
    dice = np.random.default_rng(1)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    behind = np.stack([0.25 + 0.2 * np.sin(columns / width * (4 + c) + rows / height * (3 - c)) for c in range(3)])
    window = Window(0, 0, width, height)
    header = Header(window, window)
    for number in range(FIRST, FIRST + count):
        alpha, inside = _body(rows, columns, number - FIRST)
        front = np.stack([0.5 + 0.1 * c + 0.3 * np.sin(inside * 40 + c) for c in range(3)])
        grain = dice.normal(0, 0.01, (3, height, width))
        plate = (alpha * front + (1 - alpha) * behind + grain).astype(np.float32)
        mask = (alpha > 0.5).astype(np.float32)[None]
        trimap = np.where(inside < -0.09, 1.0, np.where(inside > 0.11, 0.0, 0.5)).astype(np.float32)[None]
        instances = np.concatenate([mask * (columns < width / 2), mask * (columns >= width / 2)]).astype(np.float32)
        for name, channels, pixels in (
            ("plate", ("R", "G", "B"), plate),
            ("trimap", ("A",), trimap),
            ("mask", ("A",), mask),
            ("instances", ("left.A", "right.A"), instances),
            ("background", ("R", "G", "B"), behind.astype(np.float32)),
        ):
            _write(folder / f"{name}.{number}.exr", channels, pixels, header)


def pattern(folder: Path, what: str) -> str:
    """The files of "plate" or of a guide."""
    return str(folder / f"{what}.####.exr")


def _body(rows: Pixels, columns: Pixels, step: int) -> tuple[Pixels, Pixels]:
    """Alpha (H, W), and how far outside the body's middle line a pixel lies, in heights of the picture."""
    height, width = rows.shape
    down, across = (rows - height * 0.55) / height, (columns - width * (0.5 + 0.01 * step)) / height
    inside = np.hypot(down, across) - 0.25
    angle = np.arctan2(down, across)
    hair = np.sin(angle * STRANDS + 25 * inside + 0.3 * step) * 0.5 + 0.5
    body = np.clip(0.5 - inside * height / 3, 0, 1)
    strands = hair**4 * np.clip(1 - inside / 0.08, 0, 1) * (inside > 0)
    return np.maximum(body, strands).astype(np.float32), inside.astype(np.float32)


def _write(file: Path, channels: tuple[str, ...], pixels: Pixels, header: Header) -> None:
    write_picture(file, "openexr", channels, [pixels], header, "zip", "half", ())
