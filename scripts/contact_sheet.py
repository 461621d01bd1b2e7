"""Draws a contact sheet of a finished job: plate, mask, matte, and the subject over grey, for a few frames.

Usage: contact_sheet.py PLATE MASK LAYERS OUT.png, where LAYERS is what `--deliver layers` wrote.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.colour import linear_light, load_config, make_view, reference_frames, shoulder, srgb_encode
from matte_core.pull import frames
from matte_core.shot import Shot
from matte_core.sources import hold_still, matte_source, plate_source
from matte_core.windows import over_window_of

Picture = NDArray[np.float32]
GREY = 0.18


def shown(light: Picture) -> Picture:
    """Display picture (H, W, 3) in 0..1 of linear light (3, H, W)."""
    return np.moveaxis(srgb_encode(shoulder(np.clip(light, 0, None))), 0, -1)


def row(number: int, plate: Shot, mask: Shot, colour: Shot, alpha: Shot) -> Picture:
    """One line of the sheet: four pictures side by side (H, 4 W, 3)."""
    view = make_view(load_config(), plate.header.colour_space)
    plate_pixels, mask_pixels, product, cover = (
        next(frames(shot, [number])).pixels for shot in (plate, mask, colour, alpha)
    )
    over = linear_light(product, view) + (1 - cover) * GREY
    grey = [np.repeat(np.moveaxis(p, 0, -1), 3, axis=2) for p in (mask_pixels, cover)]
    return np.concatenate([shown(linear_light(plate_pixels, view)), *grey, shown(over)], axis=1)


def main() -> None:
    plate_path, mask_path, layers_path, out = sys.argv[1:5]
    plate = plate_source(plate_path)
    mask = over_window_of(plate, hold_still(matte_source(mask_path), plate.frames), "mask")
    colour = plate_source(layers_path, space=plate.header.colour_space)
    alpha = matte_source(layers_path, "A")
    rows = [row(number, plate, mask, colour, alpha) for number in reference_frames(plate.frames, 3)]
    sheet = (np.concatenate(rows) * 255).round().astype(np.uint8)
    if not cv2.imwrite(out, sheet[..., ::-1]):
        raise SystemExit(f"{out} cannot be written. Make its folder first.")


if __name__ == "__main__":
    main()
