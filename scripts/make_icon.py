"""Draws docs/icon.png and docs/banner.jpg, which the Comfy registry shows, from the bundled plate and its matte."""

from __future__ import annotations

import lab
import node_pictures
import numpy as np
from PIL import Image, ImageDraw

SIDE, CORNER, SQUARE = 400, 72, 25
BANNER = (1260, 540)  # 21:9
FRAME = 1005


def subject(width: int, height: int, left: int, top: int, crop: int) -> tuple[Image.Image, Image.Image]:
    """The foreground and its matte, a part of the frame (`crop` pixels high) at a size."""
    part = (left, top, left + crop * width // height, top + crop)
    foreground = lab.picture(node_pictures.sample("foreground"), FRAME)
    matte = lab.picture(node_pictures.sample("matte"), FRAME).convert("L")
    size = (width, height)
    return (
        foreground.crop(part).resize(size, Image.Resampling.LANCZOS),
        matte.crop(part).resize(size, Image.Resampling.LANCZOS),
    )


def checker(width: int, height: int) -> Image.Image:
    """Squares of two greys."""
    rows, columns = np.indices((height, width)) // SQUARE
    return Image.fromarray(np.where((rows + columns) % 2, 84, 52).astype(np.uint8)).convert("RGB")


def icon() -> Image.Image:
    """Left of the middle the plate, right of it the subject over the checker; round corners."""
    colour, matte = subject(SIDE, SIDE, 140, 12, 236)
    plate = lab.picture(node_pictures.sample("plate"), FRAME).crop((140, 12, 376, 248)).resize((SIDE, SIDE))
    over = Image.composite(colour, checker(SIDE, SIDE), matte)
    over.paste(plate.crop((0, 0, SIDE // 2, SIDE)), (0, 0))
    ImageDraw.Draw(over).line((SIDE // 2, 0, SIDE // 2, SIDE), (255, 255, 255), 4)
    corners = Image.new("L", (SIDE * 4, SIDE * 4), 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, SIDE * 4 - 1, SIDE * 4 - 1), CORNER * 4, 255)
    over.putalpha(corners.resize((SIDE, SIDE), Image.Resampling.BOX))
    return over


def banner() -> Image.Image:
    """Plate, matte, composite: a third each."""
    third, height = BANNER[0] // 3, BANNER[1]
    comp = lab.node(
        "MatteOver", **{name: node_pictures.sample(name) for name in ("foreground", "matte", "background")}
    )[0]
    paper = Image.new("RGB", BANNER)
    for place, shot in enumerate((node_pictures.sample("plate"), node_pictures.sample("matte"), comp)):
        part = lab.picture(shot, FRAME).crop((152, 0, 362, 270))
        paper.paste(part.resize((third, height), Image.Resampling.LANCZOS), (place * third, 0))
    return paper


def main() -> None:
    with lab.aside():
        icon().quantize(255).save(lab.ROOT / "docs" / "icon.png", optimize=True)
        lab.save(banner(), lab.ROOT / "docs" / "banner.jpg")


if __name__ == "__main__":
    main()
