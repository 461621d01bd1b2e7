"""Picture strips: plate, trimap, truth and every answer in one row, the answers' errors beneath."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.colour import linear_light, load_config, make_view, to_display
from matte_core.errors import OutputError
from matte_core.evaluate.asking import Answers
from matte_core.evaluate.comparison import truth_of
from matte_core.evaluate.pictures import Picture
from matte_core.frame import Pixels
from matte_core.pull import frames
from matte_core.sources import matte_source, plate_source
from matte_core.trimap import snap

Tile = NDArray[np.uint8]
_WIDTH, _LABEL = 360, 22
_PAPER, _INK = 24, (230, 230, 230)


def save_strip(
    path: Path, picture: Picture, trimaps: str, methods: Sequence[str], answers: Answers, space: str = ""
) -> None:
    """Write the strip of one picture to `path` (PNG). An error is white where alpha is wrong by a half or more.

    Where a method has no answer its place stays empty. Raises OutputError where the file cannot be written.
    """
    truth, unknown = truth_of(picture, trimaps)
    guide = next(frames(matte_source(str(picture.trimaps[trimaps])))).pixels[0]
    upper = [titled(_shown(picture, space), "plate"), titled(grey_tile(snap(guide)), trimaps)]
    upper.append(titled(grey_tile(truth), "truth"))
    blank = np.zeros_like(truth)
    lower = [titled(grey_tile(blank), name) for name in (picture.name, "", "error (white = 0.5)")]
    for method in methods:
        alpha = answers[method, trimaps, picture.name].alpha()
        wrong = blank if alpha is None else np.abs(alpha - truth) * 2
        upper.append(titled(grey_tile(blank if alpha is None else alpha), method))
        total = f"SAD {np.abs(alpha - truth)[unknown].sum() / 1000:.2f}" if alpha is not None else "no answer"
        lower.append(titled(grey_tile(wrong), total))
    write_png(path, np.concatenate([np.concatenate(row, 1) for row in (upper, lower)]))


def write_png(path: Path, picture: Tile) -> None:
    """Write `picture` (H, W, 3), red first. Raises OutputError where it cannot be."""
    if not cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1])):
        raise OutputError(f"{path} cannot be written. Check the folder and the free space.")


def _shown(picture: Picture, space: str) -> Tile:
    plate = plate_source(str(picture.plate), space=space)
    view = make_view(load_config(plate.header.colour_config), plate.header.colour_space)
    pixels = next(frames(plate)).pixels
    shown = pixels.clip(0, 1) if view.display else to_display(linear_light(pixels, view))
    return _bytes(np.moveaxis(np.asarray(shown), 0, -1))


def grey_tile(alpha: Pixels) -> Tile:
    """The alpha (H, W) in 0..1 as a grey picture (H, W, 3) of bytes."""
    return _bytes(np.repeat(alpha[..., None], 3, 2))


def _bytes(values: NDArray[np.floating]) -> Tile:
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), np.uint8)


def titled(tile: Tile, title: str) -> Tile:
    """The tile at the strip's width, with a title above it and a thin frame."""
    height = max(1, round(tile.shape[0] * _WIDTH / tile.shape[1]))
    method = cv2.INTER_AREA if tile.shape[1] > _WIDTH else cv2.INTER_NEAREST
    canvas = np.full((height + _LABEL + 4, _WIDTH + 4, 3), _PAPER, np.uint8)
    canvas[_LABEL : _LABEL + height, 2:-2] = cv2.resize(tile, (_WIDTH, height), interpolation=method)
    cv2.putText(canvas, title, (4, _LABEL - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return canvas
