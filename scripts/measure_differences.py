"""How far a model's alpha moves with the way it is computed: tiles against the whole picture, half against float32.

Usage: measure_differences.py tiles DATA, measure_differences.py precision DATA, where DATA holds folders of plates and
trimaps as for `matte evaluate`. Tiles: photographs in rows, wider than two tiles; exit code 1 where a pixel moves by
more than 2/255. Precision: every photograph by itself; exit code 1 where the mean difference reaches 1e-3. Prints a
markdown table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.colour import encode_for_network, solver_light
from matte_core.engine.engine import Engine, pick_device
from matte_core.evaluate.pictures import folders_in, pictures_of
from matte_core.matting import view_of
from matte_core.models.catalogue import cards, model
from matte_core.models.net_m import apply
from matte_core.models.weights import find, there
from matte_core.pull import frames
from matte_core.sources import matte_source, plate_source
from matte_core.trimap import snap

MOST_TILED, MOST_MEAN = 2 / 255, 1e-3
MOSAIC = (1300, 2208)  # pixels; wider than two tiles of the shipped size
WHOLE = 1 << 20  # a tile that no picture fills


def say(row: str) -> None:
    """One row, at once."""
    sys.stdout.write(row + "\n")
    sys.stdout.flush()


def photographs(data: Path, encoding: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, pixels (3, H, W) in the light of `encoding` and trimap (1, H, W) of every photograph."""
    plates, truths, trimaps = folders_in(data)
    for picture in pictures_of(plates, truths, trimaps):
        plate = plate_source(str(picture.plate))
        look = solver_light if encoding == "linear" else encode_for_network
        trimap = next(frames(matte_source(str(next(iter(picture.trimaps.values()))))))
        pixels = torch.from_numpy(look(next(frames(plate)).pixels, view_of(plate)).copy())
        yield picture.name, pixels, torch.from_numpy(snap(trimap.pixels))


def mosaics(found: Sequence[tuple[str, Tensor, Tensor]]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Pictures of the mosaic's size: photographs in rows, and one alone, enlarged."""
    height, width = MOSAIC
    rows = []
    for start in range(0, len(found), 3):
        group = found[start : start + 3]
        low = min(pixels.shape[-2] for _, pixels, _ in group)
        colours = torch.cat([pixels[:, :low] for _, pixels, _ in group], -1)
        rows.append([colours[..., :width], torch.cat([trimap[:, :low] for _, _, trimap in group], -1)[..., :width]])
    wide = min(row[0].shape[-1] for row in rows)
    pixels, trimap = (torch.cat([row[part][..., :wide] for row in rows], -2)[:, :height] for part in (0, 1))
    yield f"{len(found)} photographs", pixels, trimap
    name, alone, known = found[0]
    scale = width / alone.shape[-1]
    size = (round(alone.shape[-2] * scale), width)
    larger = functional.interpolate(alone[None], size=size, mode="bicubic", align_corners=False)[0]
    yield f"{name} enlarged", larger, functional.interpolate(known[None], size=size, mode="nearest")[0]


def tiles(data: Path, names: Sequence[str], device: torch.device) -> bool:
    """Prints the table; whether every pixel of every model keeps within the limit."""
    say("| model | picture | size | largest x 255 | mean | pixels above 2/255 |\n|---|---|---|--:|--:|--:|")
    engine, good, shipped = Engine(device, find), True, apply.TILE
    for name in names or ["net_m-small", "net_m-small-safe", "net_m-small-fast"]:
        chosen = model(name)
        for said, pixels, trimap in mosaics(list(photographs(data, chosen.card.encoding))):
            made = []
            for side in (shipped, WHOLE):
                apply.TILE = side
                made.append(engine.step(chosen, pixels[None], {"trimap": trimap[None]})[0]["alpha"])
            apply.TILE = shipped
            apart = (made[0] - made[1]).abs()
            most, above = float(apart.max()), int((apart > MOST_TILED).sum())
            size = f"{pixels.shape[-1]}x{pixels.shape[-2]}"
            say(f"| {name} | {said} | {size} | {most * 255:.2f} | {float(apart.mean()):.1e} | {above} |")
            good = good and most <= MOST_TILED
    return good


def precision(data: Path, names: Sequence[str], device: torch.device, scale: float) -> bool:
    """Prints the table; whether the mean difference of every model and precision is below the limit."""
    say("| model | precision | mean, largest of the photographs | in the unknown | largest |\n|---|---|--:|--:|--:|")
    engine, good = Engine(device, find), True
    allowed = [card for card in cards() if card.guides == ("trimap",) and len(card.precisions) > 1 and there(card)]
    for card in [model(name).card for name in names] or allowed:
        apart: dict[str, list[tuple[float, float, float]]] = {}
        for _, pixels, trimap in photographs(data, card.encoding):
            size = (round(pixels.shape[-2] * scale), round(pixels.shape[-1] * scale))
            small = functional.interpolate(pixels[None], size=size, mode="area")
            known = functional.interpolate(trimap[None], size=size, mode="nearest")
            made = {
                each: engine.step(model(card.name), small, {"trimap": known}, None, each)[0]["alpha"]
                for each in card.precisions
            }
            unknown = (known > 0.25) & (known < 0.75)
            for each in card.precisions:
                if each != "fp32":
                    moved = (made[each] - made["fp32"]).abs()
                    told = (float(moved.mean()), float(moved[unknown].mean()), float(moved.max()))
                    apart.setdefault(each, []).append(told)
        for half, found in apart.items():
            mean, inside, most = (max(entry[place] for entry in found) for place in range(3))
            say(f"| {card.name} | {half} | {mean:.1e} | {inside:.1e} | {most:.4f} |")
            good = good and mean < MOST_MEAN
    return good


def main() -> int:
    """0 where everything keeps within its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tiles", "precision"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--scale", type=float, default=1.0, help="of the photographs, for precision")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    with torch.inference_mode():
        if asked.what == "tiles":
            return 0 if tiles(asked.data, asked.model, pick_device(asked.device)) else 1
        return 0 if precision(asked.data, asked.model, pick_device(asked.device), asked.scale) else 1


if __name__ == "__main__":
    sys.exit(main())
